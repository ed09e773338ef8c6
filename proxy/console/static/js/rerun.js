// Sending a call again without leaving the page: the key stays in its field, and nowhere else.

import { $, elements, fragment, on, say } from "./dom.js";

async function send(event, form) {
  event.preventDefault();
  const button = $("button.main", form);
  button.disabled = true;
  button.textContent = "Sending…";
  try {
    const html = await fragment(form.getAttribute("action"), "compare", { method: "POST", body: new URLSearchParams(new FormData(form)) });
    const result = $("[data-result]");
    result.replaceChildren(elements(html));
    result.scrollIntoView({ behavior: "smooth" });
  } catch (error) {
    say(error.message, "bad");
  } finally {
    button.disabled = false;
    button.textContent = "Send";
  }
}

export function start() {
  on("submit", "[data-rerun] form", send);
}

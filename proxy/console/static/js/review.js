// The review queue: the next call comes in place of the one that was judged.

import { $, elements, fragment, say } from "./dom.js";
import { key } from "./keys.js";

const ahead = new Map(); // address → promise of HTML

const fetched = (url) => {
  if (!ahead.has(url)) ahead.set(url, fragment(url, "review"));
  return ahead.get(url);
};

async function to(url, push = true) {
  if (!url) return;
  try {
    const html = await fetched(url);
    $("[data-review]").replaceChildren(elements(html));
    if (push) history.pushState(null, "", url);
    scrollTo(0, 0);
  } catch (error) {
    say(error.message, "bad");
  }
  ahead.clear();
  look();
}

function look() {
  const next = $("[data-review] [data-next]")?.dataset.next;
  if (next) fetched(next).catch(() => {});
}

export function next() {
  const here = $("[data-review] [data-next]");
  if (!here) return false;
  to(here.dataset.next);
}

export function start() {
  if (!$("[data-review]")) return;
  key("0", "skip", next);
  key("j", "next call", next);
  key("k", "the call before", () => history.back());
  addEventListener("popstate", () => to(location.pathname + location.search, false));
  look();
}

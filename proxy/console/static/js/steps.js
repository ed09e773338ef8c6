// The steps of a conversation: walked with j and k, each shown beside the list. The server renders every panel.

import { $, $$, address, elements, fragment, on, say } from "./dom.js";
import { key } from "./keys.js";

const PANELS = 60; // that are remembered
const panels = new Map();
let wanted = "";

const lines = () => $$(".waterfall .step");
const chosen = () => $(".waterfall .step[aria-selected=true]");

function panel(url) {
  let found = panels.get(url);
  if (!found) {
    found = fragment(url, "step");
    found.catch(() => panels.delete(url));
    panels.set(url, found);
    if (panels.size > PANELS) panels.delete(panels.keys().next().value);
  }
  return found;
}

async function show(url) {
  wanted = url;
  try {
    const html = await panel(url);
    if (wanted !== url) return;
    const place = $("#step");
    place.replaceChildren(elements(html));
    place.scrollTop = 0;
  } catch (error) {
    say(error.message, "bad");
  }
}

const link = (line) => $("a.row", line).href;

function choose(line) {
  if (!line) return;
  chosen()?.removeAttribute("aria-selected");
  line.setAttribute("aria-selected", "true");
  line.scrollIntoView({ block: "nearest" });
  address({ sel: line.dataset.id, show: null }, { replace: true });
  if (line.matches(".running")) panels.delete(link(line));
  show(link(line)).then(ahead);
}

// The step that comes next is fetched before it is asked for.
function ahead() {
  const all = lines();
  const next = all[all.indexOf(chosen()) + 1];
  if (next && !next.matches(".running")) panel(link(next));
}

function move(by) {
  const all = lines();
  choose(all[all.indexOf(chosen()) + by]);
}

// The failed steps one after the other, and the first again behind the last.
function failure() {
  const all = lines().filter((line) => line.classList.contains("failed"));
  if (!all.length) return say("no step failed");
  const first = all.findIndex((line) => line.classList.contains("first"));
  const at = all.indexOf(chosen());
  choose(at < 0 ? all[Math.max(0, first)] : all[(at + 1) % all.length]);
}

export function start() {
  if (!$("#step")) return;
  if (new URL(location.href).searchParams.has("sel")) chosen()?.scrollIntoView({ block: "nearest" });
  ahead();
  key("j", "next step", () => move(1));
  key("k", "previous step", () => move(-1));
  key("e", "to where it failed first, then to the next failure", failure);
  key("Enter", "open the call", (event) => (event.target.closest("a, button, summary") ? false : $("#step [data-does=open]").click()));
  key("D", "what changed since the previous step", () => $("#step [data-does=compare]")?.click());
  key("w", "all messages of the step, or the new ones only", () => $("#step [data-does=whole]")?.click());
  on("click", ".waterfall .step a.row", (event, found) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    choose(found.closest(".step"));
  });
  on("click", "#step [data-does=whole]", (event, found) => {
    event.preventDefault();
    const url = new URL(found.href);
    address({ show: url.searchParams.get("show") }, { replace: true });
    show(found.href);
  });
  on("click", "[data-sel]", (event, found) => {
    const line = lines().find((each) => each.dataset.id === found.dataset.sel);
    if (!line) return;
    event.preventDefault();
    choose(line);
  });
}

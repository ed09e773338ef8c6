// The list: one call is chosen, keys move it; a row opens beside the list when there is room for it.

import { $, $$, address, fragment, on } from "./dom.js";
import { key } from "./keys.js";

const list = () => $("#calls");
const chosen = () => $("tr[aria-selected=true]", list());
const marked = [];

const isOpen = () => !$("#panel").hidden;
const tell = (what, row) =>
  document.dispatchEvent(new CustomEvent(`llmtap:${what}`, { detail: { id: row.dataset.id } }));

// Makes a row the chosen one; an open panel shows what is chosen.
function choose(row, { open = isOpen() } = {}) {
  chosen()?.removeAttribute("aria-selected");
  row.setAttribute("aria-selected", "true");
  address({ sel: open ? row.dataset.id : null }, { replace: true });
  row.scrollIntoView({ block: "nearest" });
  tell(open && !isOpen() ? "open" : "selected", row);
}

function move(step) {
  const rows = $$("tbody tr", list());
  const place = rows.indexOf(chosen());
  const next = rows[place < 0 ? 0 : place + step];
  if (next) choose(next);
  else if (place >= 0) go(step > 0 ? "older" : "newer");
}

const open = () => {
  const row = chosen() || $("tbody tr", list());
  if (row) choose(row, { open: true });
};

function go(what) {
  const link = $(`[data-does=${what}]`);
  if (link) link.click();
}

function mark() {
  const row = chosen();
  if (!row) return;
  const place = marked.indexOf(row.dataset.id);
  row.classList.toggle("marked", place < 0);
  if (place < 0) marked.push(row.dataset.id);
  else marked.splice(place, 1);
}

function compare() {
  const [a, b] = marked.length > 1 ? marked.slice(-2) : [marked[0], chosen()?.dataset.id];
  if (a && b && a !== b) location.href = `/compare?${new URLSearchParams({ a, b })}`;
}

function period() {
  const links = $$(".times > a");
  const place = links.findIndex((link) => link.hasAttribute("aria-current"));
  links[(place + 1) % links.length].click();
}

async function facets() {
  const aside = $(".facets");
  const shown = !aside.hidden;
  const url = address({ facets: shown ? null : "1" }, { replace: true });
  $("[data-does=facets]").setAttribute("aria-pressed", String(!shown));
  if (!shown) aside.innerHTML = await fragment(url, "facets");
  aside.hidden = shown;
}

function keys() {
  for (const [name, step] of [["j", 1], ["k", -1], ["ArrowDown", 1], ["ArrowUp", -1]]) {
    const help = { j: "next call", k: "previous call" }[name];
    key(name, help, () => (name.length > 1 && !chosen() ? false : move(step)));
  }
  key("Enter", "open the call", (event) => (event.target.closest("a, button, summary") && !event.target.closest(".row") ? false : open()));
  key("o", "open the call", open);
  key("]", "older calls", () => go("older"));
  key("[", "newer calls", () => go("newer"));
  key("e", "errors only", () => go("errors"));
  key("t", "another period", period);
  key("f", "values and their counts", facets);
  key("x", "mark the call", mark);
  key("D", "compare the marked call with this one", compare);
}

export function start() {
  if (!$(".logs")) return;
  on("click", "[data-does=facets]", (event) => {
    event.preventDefault();
    facets();
  });
  if (!list() && !$("#nothing")) return;
  keys();
  on("click", "#calls .row", (event, link) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    choose(link.closest("tr"), { open: true });
  });
  document.addEventListener("llmtap:walk", ({ detail }) => {
    const row = $(`tr[data-id="${detail.id}"]`, list());
    if (row && row !== chosen()) choose(row);
  });
  document.addEventListener("llmtap:closed", () => address({ sel: null, tab: null }, { replace: true }));
  const first = list() && chosen();
  if (first) queueMicrotask(() => choose(first, { open: true }));
  if ($(".chart[data-more]")) chart();
}

// The chart anew: one that takes a while comes after the page.
export async function chart() {
  const html = await fragment(location.href, "chart").catch(() => "");
  $(".chart")?.replaceWith(...new DOMParser().parseFromString(html, "text/html").body.children);
}

// The slide-out beside a list: a call is fetched, shown, and its neighbours fetched ahead, so that the next one is there at once.

import { $, $$, address, elements, fragment, load, on, say } from "./dom.js";
import { key } from "./keys.js";

const AHEAD = 8; // calls that are held
const TABS = ["chat", "request", "response", "timeline", "cost", "details", "said"];
const held = new Map(); // address → promise of HTML
let open = ""; // id of the call in the slide-out
let tab = "chat";
let focused = null;

const panel = () => $("#panel");
const urlOf = (id) => `/call/${id}${tab === "chat" ? "" : `?tab=${tab}`}`;

export function current() {
  return $("[data-call]")?.dataset.call || "";
}

function fetched(id) {
  const url = urlOf(id);
  if (!held.has(url)) {
    held.set(url, fragment(url, "panel"));
    held.get(url).catch(() => held.delete(url));
    if (held.size > AHEAD) held.delete(held.keys().next().value);
  }
  return held.get(url);
}

// What was said of a call changes its page.
export function forget(id) {
  for (const url of [...held.keys()]) if (url.startsWith(`/call/${id}`)) held.delete(url);
}

function neighbour(id, by) {
  const rows = $$("#calls tr[data-id]");
  return rows[rows.findIndex((row) => row.dataset.id === id) + by] || null;
}

async function show(id) {
  if (!panel()) return;
  if (!open) focused = document.activeElement;
  open = id;
  try {
    const html = await fetched(id);
    if (open !== id) return; // another one was asked for meanwhile
    panel().replaceChildren(elements(html));
    panel().hidden = false;
    panel().scrollTop = 0;
    document.dispatchEvent(new CustomEvent("llmtap:shown", { detail: { id } }));
    load("detail");
    for (const by of [1, -1]) {
      const row = neighbour(id, by);
      if (row) fetched(row.dataset.id).catch(() => {});
    }
  } catch (error) {
    open = "";
    say(error.message, "bad");
  }
}

function close() {
  if (!open) return false;
  open = "";
  panel().hidden = true;
  panel().replaceChildren();
  document.dispatchEvent(new CustomEvent("llmtap:closed"));
  const back = focused?.isConnected && focused !== document.body ? focused : $("#calls tr[aria-selected=true] .row");
  back?.focus();
}

export function go(by) {
  const row = neighbour(open, by);
  if (!row) return false;
  const { id } = row.dataset;
  document.dispatchEvent(new CustomEvent("llmtap:walk", { detail: { id } })); // the list chooses it, and says so
  if (open !== id) show(id);
}

async function turn(name, url) {
  const detail = $("[data-call]");
  if (!detail) return false;
  tab = name;
  if (panel()) address({ tab: name === "chat" ? null : name }, { replace: true });
  const html = await fragment(url, "tab").catch((error) => say(error.message, "bad"));
  if (html === undefined || !detail.isConnected) return;
  const body = $("[data-tab-body]", detail);
  body.replaceChildren(elements(html));
  body.dataset.tabBody = name;
  for (const link of $$("nav [data-tab]", detail)) {
    if (link.dataset.tab === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

export function start() {
  const asked = new URLSearchParams(location.search).get("tab");
  if (panel() && TABS.includes(asked)) tab = asked;
  document.addEventListener("llmtap:open", ({ detail }) => show(detail.id));
  document.addEventListener("llmtap:selected", ({ detail }) => { if (open && detail.id !== open) show(detail.id); });
  on("click", "[data-does=close]", close);
  on("click", "[data-does=next]", () => go(1));
  on("click", "[data-does=previous]", () => go(-1));
  on("click", "a[data-tab]", (event, link) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    turn(link.dataset.tab, link.getAttribute("href"));
  });
  key("Escape", "close the call", close);
  TABS.forEach((name, at) => {
    key(`${at + 1}`, at ? "" : "1 to 7: parts of the call", () => $(`nav [data-tab=${name}]`)?.click() ?? false);
  });
  if ($("[data-call], [data-review], [data-rerun]")) load("detail");
}

// Calls as they come: the server sends rows, this puts them where they belong, or lets them wait while somebody reads.

import { $, elements, on } from "./dom.js";
import { key } from "./keys.js";
import { chart } from "./list.js";

const ROWS_MAX = 500; // in the page
const CHART_MS = 10000; // between two looks at the chart
const waiting = new Map(); // id → row
let source = null;
let over = false;
let charted = 0;

const list = () => $("#calls");
const byChange = () => list().dataset.sort === "updated";

function reads() {
  return over || scrollY > 4 || !$("#panel").hidden || document.hidden;
}

function place(row) {
  const body = $("tbody", list());
  const old = $(`tr[data-id="${row.dataset.id}"]`, body);
  if (old) {
    if (old.hasAttribute("aria-selected")) row.setAttribute("aria-selected", "true");
    old.replaceWith(row);
    if (!byChange()) return;
  } else row.classList.add("come");
  let next = body.firstElementChild;
  while (!byChange() && next && next.dataset.id > row.dataset.id) next = next.nextElementSibling;
  body.insertBefore(row, next);
  while (body.rows.length > ROWS_MAX) body.lastElementChild.remove();
}

function come(event) {
  if (!list()) return location.reload();
  for (const row of [...elements(event.data).children]) {
    const known = $(`tr[data-id="${row.dataset.id}"]`, list());
    if (known && !byChange()) place(row);
    else waiting.set(row.dataset.id, row);
  }
  if (!reads()) show();
  count();
}

function show() {
  const rows = [...waiting.values()];
  waiting.clear();
  rows.forEach(place);
  count();
  if (rows.length && Date.now() - charted > CHART_MS && $(".chart")) {
    charted = Date.now();
    chart();
  }
}

function count() {
  const button = $("[data-does=news]");
  button.hidden = !waiting.size;
  button.textContent = `${waiting.size >= ROWS_MAX ? `${ROWS_MAX}+` : waiting.size} new`;
  $("[data-does=live]").classList.toggle("waits", waiting.size > 0);
  if (waiting.size >= ROWS_MAX) stop();
}

function stop() {
  source?.close();
  source = null;
}

function listen() {
  const root = $("[data-live]");
  if (!root || source) return;
  source = new EventSource(`${root.dataset.live}${root.dataset.live.includes("?") ? "&" : "?"}rev=${root.dataset.rev}`);
  source.addEventListener("rows", come);
  source.addEventListener("reload", () => {
    stop();
    if (!reads()) location.reload();
  });
}

export function start() {
  if (!$(".logs")) return;
  key(".", "show the new calls", () => {
    if (!source && waiting.size) location.reload();
    scrollTo(0, 0);
    show();
  });
  key("l", "live or not", () => $("[data-does=live]").click());
  on("click", "[data-does=news]", () => {
    scrollTo(0, 0);
    show();
  });
  on("pointerover", "*", (event) => {
    const now = event.pointerType === "mouse" && Boolean(event.target.closest("#calls tbody"));
    if (over && !now && scrollY <= 4) setTimeout(() => !reads() && show(), 0);
    over = now;
  });
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (event) => event.persisted && listen());
  listen();
}

// The filter bar: what fits at the caret, chosen by keys or mouse; and the chart, where a span can be drawn.

import { $, address, api, on } from "./dom.js";
import { key } from "./keys.js";

const input = () => $("#q");
const offers = () => $("#offers");
let asked = 0;
let found = null; // what the list shows
let coming = null; // what it will show

function suggest() {
  coming = look(++asked);
}

async function look(mine) {
  const { value: q, selectionStart: at } = input();
  const answer = await api(`/complete?${new URLSearchParams({ q, at })}`).catch(() => null);
  if (mine !== asked || document.activeElement !== input()) return;
  coming = null;
  found = answer;
  const list = offers();
  list.replaceChildren(...(answer?.options || []).map(item));
  list.hidden = !list.children.length;
  input().setAttribute("aria-expanded", String(!list.hidden));
}

function item({ label, help }, place) {
  const line = document.createElement("li");
  line.id = `offer-${place}`;
  line.setAttribute("role", "option");
  const name = document.createElement("b");
  name.textContent = label;
  const said = document.createElement("span");
  said.textContent = help;
  line.append(name, said);
  return line;
}

function close() {
  asked++;
  coming = null;
  offers().hidden = true;
  input().setAttribute("aria-expanded", "false");
  input().removeAttribute("aria-activedescendant");
}

function mark(step) {
  const lines = [...offers().children];
  const place = lines.findIndex((line) => line.getAttribute("aria-selected") === "true");
  lines[place]?.setAttribute("aria-selected", "false");
  const next = lines[(place + step + lines.length + (place < 0 && step < 0)) % lines.length];
  next.setAttribute("aria-selected", "true");
  next.scrollIntoView({ block: "nearest" });
  input().setAttribute("aria-activedescendant", next.id);
}

function take(line) {
  const { insert, more } = found.options[[...offers().children].indexOf(line)];
  const end = Math.max(found.end, input().selectionEnd); // more may have been typed since it was offered
  input().setRangeText(insert, found.start, end, "end");
  close();
  if (more || insert.endsWith(" ")) suggest();
}

function pressed(event) {
  const chosen = $("[aria-selected=true]", offers());
  if (event.key === "Escape" && !offers().hidden) {
    close();
    event.stopPropagation();
  } else if (event.key === "Tab" && !event.shiftKey && !chosen && coming) {
    event.preventDefault(); // for what fits what was typed, not for what fitted before
    coming.then(() => offers().hidden || take(offers().firstElementChild));
  } else if (offers().hidden) {
    if (event.key === "ArrowDown") suggest();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    mark(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Tab" || (event.key === "Enter" && chosen)) {
    event.preventDefault();
    take(chosen || offers().firstElementChild);
  }
}

// --- a span of the chart, drawn with the mouse ---------------------------------------------------

let from = null;
const share = (event) => {
  const box = $(".chart > svg").getBoundingClientRect();
  return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
};

function draw(event) {
  if (from === null) return;
  const [a, b] = [from, share(event)].sort((one, other) => one - other);
  const brush = $(".chart .brush");
  brush.setAttribute("x", `${a * 100}%`);
  brush.setAttribute("width", `${(b - a) * 100}%`);
}

function drawn(event) {
  if (from === null) return;
  const [a, b] = [from, share(event)].sort((one, other) => one - other);
  from = null;
  if (b - a < 0.008) return;
  const { from: first, to: last } = $(".chart").dataset;
  const at = (part) => `${new Date(Number(first) + part * (last - first)).toISOString().slice(0, 19)}Z`;
  addEventListener("click", (click) => click.preventDefault(), { once: true, capture: true });
  location.href = address({ t: null, since: at(a), until: at(b), before: null, after: null, sel: null });
}

export function start() {
  if (!$(".logs")) return;
  key("/", "filter", () => input().select());
  input().addEventListener("input", suggest);
  input().addEventListener("keydown", pressed);
  input().addEventListener("blur", () => setTimeout(close, 150));
  on("pointerdown", "#offers li", (event, line) => {
    event.preventDefault();
    take(line);
  });
  on("pointerdown", ".chart > svg", (event) => {
    if (event.button || event.pointerType !== "mouse") return;
    from = share(event);
    event.preventDefault();
  });
  on("dragstart", ".chart", (event) => event.preventDefault());
  addEventListener("pointermove", draw);
  addEventListener("pointerup", drawn);
  const { column } = input().dataset;
  if (column) {
    input().focus();
    input().setSelectionRange(column - 1, column - 1);
  }
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) document.cookie = `llmtap_tz=${zone}; path=/; max-age=31536000; samesite=strict`;
  on("toggle", "details.menu", (event, menu) => {
    if (menu.open) document.querySelectorAll("details.menu[open]").forEach((other) => { other.open = other === menu; });
  }, true);
  on("click", "body", (event) => {
    if (!event.target.closest("details.menu")) document.querySelectorAll("details.menu[open]").forEach((menu) => { menu.open = false; });
  });
}

// Keys: modules register what they do; none fires while somebody types. "?" shows them all.

import { $, on } from "./dom.js";

const bound = new Map(); // "j", "g l", "Shift+J" → { help, run }
let first = "";
let firstAt = 0;

// keys: one key, or two typed one after the other ("g l"). run(event) returns false to let the key through.
export function key(keys, help, run) {
  bound.set(keys, { help, run });
}

function typing(target) {
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const pair = event.timeStamp - firstAt < 1500 ? `${first} ${event.key}` : "";
  const found = bound.get(pair) || bound.get(event.key);
  first = event.key;
  firstAt = event.timeStamp;
  if (found && found.run(event) !== false) event.preventDefault();
}

function show() {
  const dialog = $("#keys");
  const list = $("dl", dialog);
  list.replaceChildren();
  for (const [keys, { help }] of bound) {
    if (!help) continue;
    const name = document.createElement("dt");
    for (const each of keys.split(" ")) {
      const kbd = document.createElement("kbd");
      kbd.textContent = each;
      name.append(kbd);
    }
    const what = document.createElement("dd");
    what.textContent = help;
    list.append(name, what);
  }
  dialog.showModal();
}

export function start() {
  document.addEventListener("keydown", pressed);
  key("?", "show these keys", show);
  for (const link of document.querySelectorAll("nav [data-key]")) {
    key(`g ${link.dataset.key}`, `go to ${link.textContent.trim()}`, () => link.click());
  }
  on("click", "[data-shows=keys]", show);
}

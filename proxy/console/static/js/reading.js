// Reading a call: texts unfolded, older messages, Markdown, copies, pinning and comparing.

import { $, elements, fragment, on, say } from "./dom.js";
import { key } from "./keys.js";

const detail = () => $("[data-call]");

async function unfold(link) {
  const html = await fragment(link.getAttribute("href"), "text").catch((error) => say(error.message, "bad"));
  if (html === undefined) return;
  const box = link.closest(".prose");
  const shown = $("pre, .text", box);
  const text = elements(html);
  if (shown.tagName === "PRE") shown.textContent = $(".text", text).textContent;
  else shown.replaceWith(text);
  link.parentElement.remove();
}

async function older(link) {
  const html = await fragment(link.getAttribute("href"), "older").catch((error) => say(error.message, "bad"));
  if (html === undefined) return;
  const place = link.closest(".older");
  const scrolled = place.closest("#panel") || document.documentElement;
  const below = scrolled.scrollHeight - scrolled.scrollTop;
  place.replaceWith(elements(html));
  scrolled.scrollTop = scrolled.scrollHeight - below;
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // no secure context: the way of old
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say("Copied");
}

async function copy(link) {
  const href = link.getAttribute("href");
  if (link.dataset.copy === "u") return copied(new URL(href, location.href).href);
  const answer = await fetch(href);
  const text = await answer.text();
  if (!answer.ok) return say(text.startsWith("{") ? JSON.parse(text).detail : text, "bad");
  return copied(text);
}

function pin() {
  if (!detail()) return false;
  sessionStorage.setItem("llmtap_pinned", detail().dataset.call);
  $("[data-does=pin]", detail()).setAttribute("aria-pressed", "true");
  say("Pinned: D compares another call with it");
}

function compare() {
  if (!detail()) return false;
  const { call, follows } = detail().dataset;
  const pinned = sessionStorage.getItem("llmtap_pinned");
  const other = pinned && pinned !== call ? pinned : follows;
  if (!other) return say("Pin a call with x first; then D compares this one with it");
  location.href = `/compare?a=${other}&b=${call}`;
}

export function start() {
  on("click", "[data-text]", (event, link) => { event.preventDefault(); unfold(link); });
  on("click", "[data-older]", (event, link) => { event.preventDefault(); older(link); });
  on("click", "[data-copy]", (event, link) => { event.preventDefault(); copy(link); });
  on("click", "[data-does=pin]", pin);
  if (!$("#calls")) { // a list has keys of its own for this
    key("x", "pin the call", pin);
    key("D", "compare with the pinned call, or the one before", compare);
  }
  key("m", "text as sent, or as Markdown", () => $("[data-markdown]")?.click() ?? false);
  const names = { c: "curl", p: "Python", j: "JSON", u: "link" };
  for (const [letter, name] of Object.entries(names)) {
    key(`y ${letter}`, `copy as ${name}`, () => { const link = $(`[data-copy=${letter}]`); return link ? void copy(link) : false; });
  }
}

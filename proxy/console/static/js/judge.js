// What people say of a call goes to the API and is shown at once; a mistake takes it back. z undoes what was said last.

import { $, $$, api, elements, on, say } from "./dom.js";
import { key } from "./keys.js";
import { forget, go } from "./panel.js";
import { next } from "./review.js";

const undone = []; // how to take back what was said, the last at the end
const footer = () => $("[data-judge]");
const values = { good: true, bad: false, none: null };

function show(box, word) {
  box.dataset.mine = word === "none" ? "" : word;
  for (const thumb of $$(".thumb", box)) thumb.setAttribute("aria-pressed", String(thumb.value === word));
  $("[data-saved]", box).textContent = word === "none" ? "taken back" : "saved";
}

async function review(box, word, description) {
  const call = box.dataset.judge;
  const before = box.dataset.mine || "none";
  show(box, word);
  const score = { name: "review", value: values[word] };
  if (description) score.comment = description;
  try {
    await api("/api/feedback", { method: "POST", body: { call, scores: [score] } });
    told(call);
    return before;
  } catch (error) {
    show(box, before);
    say(error.message, "bad");
    throw error;
  }
}

function told(call) {
  forget(call);
  document.dispatchEvent(new CustomEvent("llmtap:judged", { detail: { id: call } }));
}

// Rate, and go on to the next call.
export async function rate(word) {
  const box = footer();
  if (!box) return false;
  const description = $("[name=description]", box)?.value.trim();
  const before = await review(box, word, description).catch(() => null);
  if (before === null) return;
  undone.push(() => review(box, before));
  const reviewing = $("[data-review] [data-next]");
  if (reviewing) next();
  else go(1);
}

const SENT = {
  expected: (call, form) => api("/api/feedback", { method: "POST", body: { call, expected: form.expected.value } }),
  comment: (call, form) => api("/api/feedback", { method: "POST", body: { call, comment: form.comment.value } }),
  tag: (call, form) => tags(call, form.add.value.split(",").map((tag) => tag.trim()).filter(Boolean), []),
  untag: (call, form) => tags(call, [], [$("button", form).value]),
  note: (call, form, pressed) => note(call, form, pressed?.name === "delete" ? "" : form.text.value.trim()),
};

async function tags(call, add, remove) {
  if (!add.length && !remove.length) return;
  await api(`/api/calls/${call}/tags`, { method: "POST", body: { add, remove } });
  undone.push(() => tags(call, remove, add).then(() => undone.pop()));
}

function note(call, form, text) {
  const id = form.note?.value;
  if (!id) return text ? api("/api/notes", { method: "POST", body: { call, text } }) : null;
  if (!text) return api(`/api/notes/${id}?call=${call}`, { method: "DELETE" });
  return api(`/api/notes/${id}`, { method: "PUT", body: { call, text } });
}

// What the page shows of it, before the store has it.
const SHOWN = {
  expected: (form) => marked(form),
  comment: (form) => marked(form),
  tag(form) {
    for (const tag of form.add.value.split(",").map((each) => each.trim()).filter(Boolean)) {
      const chip = elements('<form class="tag" method="post" data-judges="untag"><bdi></bdi><button class="plain" name="remove" aria-label="Take the tag off">×</button></form>');
      $("form", chip).action = form.action;
      $("bdi", chip).textContent = tag;
      $("button", chip).value = tag;
      form.before(chip);
    }
    form.add.value = "";
  },
  untag: (form) => form.remove(),
  note(form, pressed) {
    const text = form.text.value.trim();
    if (form.note) {
      const box = form.closest(".spoken");
      if (pressed?.name === "delete" || !text) return box.remove();
      $(".text", box).textContent = text;
      return form.closest("details").removeAttribute("open");
    }
    const box = elements('<div class="spoken"><span class="quiet">you, just now</span><div class="text" dir="auto"></div></div>');
    $(".text", box).textContent = text;
    form.before(box);
    form.text.value = "";
  },
};

function marked(form) {
  const summary = $("summary", form.closest("details"));
  ($(".quiet", summary) || summary.appendChild(Object.assign(document.createElement("span"), { className: "quiet" }))).textContent = " saved";
  form.closest("details").open = false;
}

async function sent(event, form) {
  event.preventDefault();
  const kind = form.dataset.judges;
  const call = (form.closest("[data-judge]") || footer() || form.closest("[data-call]"))?.dataset;
  const id = call.judge || call.call;
  if (kind === "review") return rateOnly(form, event.submitter?.value || "none");
  try {
    await SENT[kind](id, form, event.submitter);
    SHOWN[kind](form, event.submitter);
    told(id);
    say("Saved");
  } catch (error) {
    say(error.message, "bad");
  }
}

// By the mouse, the call stays: one may want to say why.
async function rateOnly(form, word) {
  const box = form.closest("[data-judge]");
  const again = box.dataset.mine === word ? "none" : word;
  const before = await review(box, again, $("[name=description]", form).value.trim()).catch(() => null);
  if (before !== null) undone.push(() => review(box, before));
  if (before !== null && box.classList.contains("large") && again !== "none") next();
}

async function undo() {
  const last = undone.pop();
  if (!last) return say("There is nothing to undo");
  await last().then(() => say("Undone"), () => {});
}

function write(name) {
  const box = footer() && $(`[data-${name}]`, footer());
  if (!box) return false;
  box.open = true;
  $("textarea", box).focus();
}

export function start() {
  on("submit", "[data-judges]", sent);
  key("+", "good, and on to the next call", () => rate("good"));
  key("-", "bad, and on to the next call", () => rate("bad"));
  key("z", "undo what was said last", undo);
  key("c", "write the improved answer", () => write("expected"));
  key("a", "comment", () => write("comment"));
}

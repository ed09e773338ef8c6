// Lists that are walked with j and k: the first link of a row is where Enter goes.

import { $, $$, on } from "./dom.js";
import { key } from "./keys.js";

const rows = () => $$(".walk tbody tr").filter((row) => $("a.row", row));

function move(by) {
  const all = rows();
  if (!all.length) return false;
  const at = all.findIndex((row) => row.classList.contains("at"));
  const next = all[Math.max(0, Math.min(all.length - 1, at < 0 ? 0 : at + by))];
  all[at]?.classList.remove("at");
  next.classList.add("at");
  next.scrollIntoView({ block: "nearest" });
  $("a.row", next).focus({ preventScroll: true });
}

export function start() {
  if (rows().length && !$("#step")) {
    key("j", "next line", () => move(1));
    key("k", "previous line", () => move(-1));
    const older = $(".pager [rel=next]");
    if (older) key("]", "older", () => older.click());
  }
  const field = $("[data-focus='/']");
  if (field) key("/", "filter", () => field.focus());
  on("focusin", ".walk a.row", (event, link) => {
    for (const row of $$(".walk .at")) row.classList.remove("at");
    link.closest("tr").classList.add("at");
  });
}

// Light or dark: as the system says, until somebody chooses.

import { on } from "./dom.js";

export function start() {
  on("click", "[data-does=theme]", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    document.cookie = `llmtap_theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=strict`;
  });
}

// What every module needs of the page: finding, listening, fetching pieces of pages, loading bundles.

export const $ = (selector, within = document) => within.querySelector(selector);
export const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

// One listener for all elements that match, also those that come later.
export function on(type, selector, listener, options) {
  document.addEventListener(type, (event) => {
    const found = event.target.closest?.(selector);
    if (found) listener(event, found);
  }, options);
}

// A piece of a page, as HTML; the server renders what X-Fragment names.
export async function fragment(url, name, options = {}) {
  const answer = await fetch(url, { ...options, headers: { "X-Fragment": name, ...options.headers } });
  if (!answer.ok) throw new Error(await said(answer));
  return answer.text();
}

// JSON from the API; body, when given, is sent as JSON.
export async function api(url, { method = "GET", body } = {}) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const answer = await fetch(url, { method, ...sent });
  if (!answer.ok) throw new Error(await said(answer));
  return answer.status === 204 ? null : answer.json();
}

async function said(answer) {
  const text = await answer.text();
  try {
    const problem = JSON.parse(text);
    return problem.detail || problem.title;
  } catch {
    return text || `${answer.status} ${answer.statusText}`;
  }
}

// Elements of trusted HTML (rendered by the server, which escapes).
export function elements(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

// A line at the bottom for some seconds; read out by screen readers.
export function say(text, kind = "") {
  const line = $("#said");
  line.textContent = text;
  line.className = kind;
  clearTimeout(line.timer);
  line.timer = setTimeout(() => { line.textContent = ""; }, 6000);
}

// The modules of a bundle that this page has not needed so far.
export async function load(bundle) {
  const paths = JSON.parse(document.documentElement.dataset.assets);
  await import(paths[bundle]);
  return globalThis.llmtap;
}

// Changes the query of the address: a step back undoes it, unless it is only what is selected.
export function address(changes, { replace = false } = {}) {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  history[replace ? "replaceState" : "pushState"](null, "", url);
  return url;
}

// A page names the bundle that it needs in data-bundle of its body.
export function start() {
  const { bundle } = document.body.dataset;
  if (bundle) load(bundle);
}

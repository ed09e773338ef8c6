// Charts with values under the pointer. The server has drawn them already; this takes their place.

import { $, $$ } from "./dom.js";

const paths = JSON.parse(document.documentElement.dataset.assets);
const HIGH = 150;

const SCALES = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];

function count(value) {
  const [unit, name] = SCALES.find(([size]) => Math.abs(value) >= size) || [1, ""];
  return `${+(value / unit).toPrecision(3)}${name}`;
}

function duration(us) {
  if (us < 1e6) return `${+(us / 1e3).toPrecision(3)}ms`;
  return us < 1e8 ? `${+(us / 1e6).toPrecision(3)}s` : `${Math.floor(us / 6e7)}m${String(Math.round(us / 1e6) % 60).padStart(2, "0")}s`;
}

const UNITS = {
  count,
  percent: (value) => `${+value.toPrecision(3)}%`,
  us: duration,
  usd: (nano) => `$${+(nano / 1e9).toPrecision(3)}`,
  speed: (value) => `${+value.toPrecision(3)}/s`,
};

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// A line needs two neighbours: values between two gaps are dots.
function alone(plot, place) {
  const values = plot.data[place];
  const known = (at) => values[at] !== null && values[at] !== undefined;
  const dots = [...values.keys()].filter((at) => known(at) && !known(at - 1) && !known(at + 1));
  return dots.length ? dots : null;
}

function line(series, place, bars) {
  const stroke = colour(series.dashed ? "--quiet" : `--s${place}`);
  return {
    label: series.label,
    stroke,
    width: series.dashed ? 1 : 1.5,
    dash: series.dashed ? [4, 4] : undefined,
    fill: bars && !series.dashed ? stroke : undefined,
    paths: bars && !series.dashed ? globalThis.uPlot.paths.bars({ size: [0.85] }) : undefined,
    points: { show: false, filter: bars && !series.dashed ? undefined : alone, size: 5, fill: stroke },
    spanGaps: false,
  };
}

// The day where it is another one, else the time.
function marked(_, seconds) {
  let day = "";
  return seconds.map((at) => {
    const date = new Date(at * 1000);
    const today = date.toLocaleDateString("en", { day: "numeric", month: "short" });
    const text = today === day && (date.getHours() || date.getMinutes()) ? date.toTimeString().slice(0, 5) : today;
    day = today;
    return text;
  });
}

function axis(unit) {
  const shared = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  return [
    { ...shared, grid: { show: false }, size: 22, space: 70, values: marked },
    { ...shared, size: 52, values: (_, marks) => marks.map((mark) => (mark === null ? "" : UNITS[unit](mark))) },
  ];
}

// A stretch that is drawn over becomes the period of the page.
function zoom(plot) {
  const { left, width } = plot.select;
  if (width < 4) return;
  const url = new URL(location.href);
  const at = (x) => new Date(plot.posToVal(x, "x") * 1000).toISOString();
  url.searchParams.set("since", at(left));
  url.searchParams.set("until", at(left + width));
  url.searchParams.delete("t");
  location.assign(url);
}

function when(seconds) {
  return new Date(seconds * 1000).toLocaleString("sv", { dateStyle: "short", timeStyle: "short" });
}

// What is under the pointer, in one line; charts without a value there say nothing.
function told(chart, place) {
  if (place === null || place === undefined) return "";
  const known = chart.series.filter(({ values }) => values[place] !== null);
  return [when(chart.at[place]), ...known.map(({ label, values }) => `${label} ${UNITS[chart.unit](values[place])}`)].join("  ·  ");
}

function draw(figure, links) {
  const chart = JSON.parse(figure.dataset.chart);
  const holder = document.createElement("div");
  const readout = document.createElement("p");
  readout.className = "readout";
  const options = {
    width: figure.clientWidth,
    height: HIGH,
    cursor: { sync: { key: "llmtap" }, drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
    legend: { show: false },
    scales: { y: { range: (_, low, high) => [Math.min(0, low || 0), high || 1] } },
    axes: axis(chart.unit),
    series: [{}, ...chart.series.map((series, place) => line(series, place, chart.bars))],
    hooks: { setSelect: [zoom], setCursor: [(plot) => { readout.textContent = told(chart, plot.cursor.idx); }] },
  };
  const plot = new globalThis.uPlot(options, [chart.at, ...chart.series.map((series) => series.values)], holder);
  holder.addEventListener("click", () => {
    const place = plot.cursor.idx;
    if (plot.select.width < 4 && place !== null && place !== undefined) location.assign(links[place]);
  });
  $("svg", figure).replaceWith(holder, readout);
  return () => plot.setSize({ width: figure.clientWidth, height: HIGH });
}

function carried() {
  const sheet = document.createElement("link");
  sheet.rel = "stylesheet";
  sheet.href = paths["uplot.css"];
  const script = document.createElement("script");
  script.src = paths.uplot;
  document.head.append(sheet, script);
  return new Promise((resolve, reject) => {
    script.onload = resolve;
    script.onerror = reject;
  });
}

export async function start() {
  const holder = $(".graphs");
  if (!holder) return;
  await carried();
  const links = JSON.parse(holder.dataset.links);
  const sized = $$(".graph", holder).map((figure) => draw(figure, links));
  addEventListener("resize", () => sized.forEach((size) => size()));
}

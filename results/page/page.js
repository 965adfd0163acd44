// The page's state and behaviour: pinned trials, buttons, light and dark. figures.js and table.js follow it.
"use strict";

let report, column, trials, places;
function read(text) {
  report = JSON.parse(text);
  column = Object.fromEntries(report.columns.map((name, k) => [name, k]));
  trials = new Map(report.rows.map((row) => [row[column.number], row]));
  places = new Map(report.rows.map((row, k) => [row, k]));
}
const pinned = new Set();
const label = (name) => name.replace(/^(metrics|params)\./, "");
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function show(value) {
  if (value === null) return "";
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(4))) : String(value);
}

function toggle(number) {
  if (!pinned.delete(number)) pinned.add(number);
  refresh();
}

function refresh() {
  for (const [plot, figure] of drawn()) kindOf(figure).highlight(plot, figure);
  for (const one of all("[data-mark]")) one.classList.toggle("pinned", pinned.has(Number(one.dataset.mark)));
  for (const one of all(".pin")) one.setAttribute("aria-pressed", pinned.has(Number(one.dataset.trial)));
  showPins();
}

function element(name, text, properties = {}) {
  const made = Object.assign(document.createElement(name), properties);
  if (text !== null) made.textContent = text;
  return made;
}

function pinButton(number) {
  const button = element("button", `#${number}`, { type: "button", className: "pin" });
  button.dataset.trial = number;
  button.setAttribute("aria-pressed", pinned.has(number));
  return button;
}

function rowOf(row, names) {
  const line = element("tr", null);
  line.dataset.mark = row[column.number];
  line.classList.toggle("pinned", pinned.has(row[column.number]));
  for (const name of names) {
    const value = row[column[name]];
    const cell = element("td", name === "number" ? null : show(value), { className: typeof value === "number" ? "n" : "" });
    if (name === "number") cell.append(pinButton(value));
    line.append(cell);
  }
  return line;
}

function showPins() {
  const tray = document.getElementById("pins");
  tray.hidden = pinned.size === 0;
  const names = ["number", "role", ...report.objectives.map((name) => `metrics.${name}`),
    ...report.columns.filter((name) => name.startsWith("params."))];
  const table = element("table", null);
  const head = element("tr", null);
  head.append(...names.map((name) => element("th", label(name), { scope: "col" })));
  table.append(head, ...[...pinned].filter((n) => trials.has(n)).map((n) => rowOf(trials.get(n), names)));
  const clear = element("button", "Unpin all (Esc)", { type: "button", id: "clear" });
  tray.replaceChildren(table, clear);
}

document.addEventListener("click", (event) => {
  const pin = event.target.closest(".pin");
  if (pin) toggle(Number(pin.dataset.trial));
  if (event.target.id === "clear") unpin();
  if (event.target.matches("[data-export]")) save(event.target);
  if (event.target.matches(".copy")) copy(event.target);
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && pinned.size) unpin(); });
function unpin() { pinned.clear(); refresh(); }

function save(button) {
  const plot = document.getElementById(button.dataset.figure);
  const paper = { paper_bgcolor: css("--paper") }; // the page's, so that its ink can be read
  Plotly.downloadImage({ data: plot.data, layout: { ...plot.layout, ...paper } }, { format: button.dataset.export,
    filename: `${report.name}-${plot.id}`, width: plot.clientWidth, height: plot.clientHeight,
    scale: button.dataset.export === "png" ? 2 : 1 });
}

async function copy(button) {
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch { // some browsers have no clipboard for a page opened from a file: select the text instead
    getSelection().selectAllChildren(code);
  }
}

const paper = matchMedia("print");
const night = matchMedia("(prefers-color-scheme: dark)");
let chosen = null;
function look() {
  const theme = paper.matches ? "light" : chosen ?? (night.matches ? "dark" : "light");
  document.documentElement.dataset.theme = theme;
  for (const [plot, figure] of drawn()) {
    Plotly.relayout(plot, ink(figure));
    kindOf(figure).highlight(plot, figure);
  }
}
document.getElementById("theme").addEventListener("click", () => {
  chosen = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  look();
});
night.addEventListener("change", look);
paper.addEventListener("change", look);

async function start() {
  read(document.getElementById("data").textContent);
  look();
  setTable();
  for (const [id, figure] of Object.entries(report.figures)) await draw(id, figure);
  document.documentElement.dataset.ready = "true";
}

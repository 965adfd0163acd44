// The report's behaviour: draws the figures, tells configurations on hover, pins trials in every figure at once,
// sorts and downloads the table, exports figures, follows the reader's light or dark.
"use strict";
(() => {
  const report = JSON.parse(document.getElementById("data").textContent);
  const column = Object.fromEntries(report.columns.map((name, k) => [name, k]));
  const trials = new Map(report.rows.map((row) => [row[column.number], row]));
  const pinned = new Set();
  const label = (name) => name.replace(/^(metrics|params)\./, "");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function show(value) {
    if (value === null) return "";
    return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(4))) : String(value);
  }

  // ---- figures -------------------------------------------------------------------------------------------------
  // A mark that stands for a trial has the trial's number as its customdata.

  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  function describe(number) {
    const row = trials.get(number);
    if (!row) return `trial ${number}`;
    const told = report.columns.filter((name) =>
      name.startsWith("params.") || report.objectives.includes(name.replace(/^metrics\./, "")));
    const lines = told.filter((name) => row[column[name]] !== null)
      .map((name) => escaped(`${label(name)} ${show(row[column[name]])}`));
    return [`<b>trial ${number}</b>, ${row[column.role]}`, ...lines.slice(0, 18)].join("<br>");
  }

  // The marks of the pinned trials in one figure, gathered from its traces into a trace of their own.
  function pinnedMarks(traces) {
    const marks = { x: [], y: [], z: [], base: [], customdata: [] };
    for (const trace of traces) {
      trace.customdata?.forEach((number, k) => {
        if (!pinned.has(number)) return;
        for (const key of ["x", "y", "z", "base"]) if (trace[key]) marks[key].push(trace[key][k]);
        marks.customdata.push(number);
      });
      for (const key of ["x", "y", "z"]) marks[key].push(null); // a gap, so that lines do not join traces
      marks.customdata.push(null);
    }
    return marks;
  }

  function pinTrace(type) {
    const marker = type === "bar" ? { color: "rgba(0,0,0,0)", line: { width: 3 } }
      : { symbol: "circle-open", size: type === "scatter3d" ? 12 : 15, line: { width: 3 } };
    return { type, name: "pinned", showlegend: false, hoverinfo: "skip", marker, x: [], y: [],
      ...(type === "bar" ? { orientation: "h" } : { mode: type === "scatter" ? "lines+markers" : "markers" }),
      ...(type === "scatter3d" ? { z: [] } : {}) };
  }

  const kinds = {
    points: {
      prepare(figure) {
        for (const trace of figure.data) {
          if (!trace.customdata) continue;
          trace.hovertext = trace.customdata.map(describe);
          trace.hovertemplate = "%{hovertext}<extra></extra>";
        }
        figure.marks = figure.data.slice();
        if (figure.marks.some((trace) => trace.customdata)) figure.data.push(pinTrace(figure.data[0].type));
      },
      highlight(plot, figure) {
        const last = figure.marks.length;
        if (figure.data.length === last) return;
        const update = Object.fromEntries(Object.entries(pinnedMarks(figure.marks)).map(([k, v]) => [k, [v]]));
        const ink = css("--ink");
        Plotly.restyle(plot, { ...update, "marker.line.color": ink,
          ...(figure.data[0].type === "bar" ? {} : { "marker.color": ink, "line.color": ink }) }, [last]);
      },
    },
    heatmap: {
      prepare(figure) {
        const trace = figure.data[0];
        const texts = trace.customdata[0].map(describe);
        trace.hovertext = trace.customdata.map(() => texts);
        trace.hovertemplate = "%{hovertext}<extra></extra>";
      },
      highlight(plot, figure) {
        const numbers = figure.data[0].customdata[0];
        const shapes = numbers.flatMap((number, k) => pinned.has(number)
          ? [{ type: "rect", x0: k - 0.5, x1: k + 0.5, y0: 0, y1: 1, yref: "paper", line: { color: css("--ink"), width: 3 } }]
          : []);
        Plotly.relayout(plot, { shapes });
      },
    },
    parcoords: {
      prepare(figure) { figure.levels = figure.data[0].line.color; },
      highlight(plot, figure) {
        const trace = figure.data[0];
        const scale = trace.line.colorscale.slice(0, -1).concat([[1, css("--ink")]]);
        const color = figure.levels.map((level, k) => (pinned.has(trace.customdata[k]) ? 2 : level));
        Plotly.restyle(plot, { "line.color": [color], "line.colorscale": [scale] });
      },
    },
  };
  const kindOf = (figure) => kinds[figure.data[0].type] ?? kinds.points;

  function ink(figure) {
    const change = { "font.color": css("--ink"), "hoverlabel.bgcolor": css("--raised"), "hoverlabel.font.color": css("--ink"),
      "hoverlabel.bordercolor": css("--line"), "hoverlabel.align": "left" };
    for (const key of Object.keys(figure.layout)) {
      if (/^[xy]axis\d*$/.test(key)) change[`${key}.gridcolor`] = change[`${key}.zerolinecolor`] = css("--grid");
    }
    if (figure.layout.scene) {
      for (const axis of ["xaxis", "yaxis", "zaxis"]) {
        change[`scene.${axis}.gridcolor`] = css("--line");
        change[`scene.${axis}.color`] = css("--ink");
      }
    }
    return change;
  }

  async function draw(id, figure) {
    const plot = document.getElementById(id);
    kindOf(figure).prepare(figure);
    if (matchMedia("(pointer: coarse)").matches && !figure.layout.scene) figure.layout.dragmode = false; // a finger scrolls
    if (figure.layout.scene && plot.clientWidth < 600) figure.layout.scene.camera = { eye: { x: 1.9, y: 1.9, z: 1.3 } };
    await Plotly.newPlot(plot, figure.data, figure.layout, { responsive: true, displaylogo: false, scrollZoom: false });
    await Plotly.relayout(plot, ink(figure));
    plot.on("plotly_click", (event) => {
      const number = event.points[0].customdata;
      if (Number.isInteger(number)) toggle(number);
    });
    kindOf(figure).highlight(plot, figure);
    plot.dataset.drawn = "true";
  }

  const drawn = () => Object.entries(report.figures).map(([id, figure]) => [document.getElementById(id), figure])
    .filter(([plot]) => plot.dataset.drawn);

  // ---- pins ----------------------------------------------------------------------------------------------------

  function toggle(number) {
    if (!pinned.delete(number)) pinned.add(number);
    refresh();
  }

  function refresh() {
    for (const [plot, figure] of drawn()) kindOf(figure).highlight(plot, figure);
    for (const one of all("[data-mark]")) one.classList.toggle("pinned", pinned.has(Number(one.dataset.mark)));
    for (const one of all(".pin")) one.setAttribute("aria-pressed", pinned.has(Number(one.dataset.trial)));
    tellPins();
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

  function tellPins() {
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
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && pinned.size) unpin(); });
  function unpin() { pinned.clear(); refresh(); }

  // ---- table ---------------------------------------------------------------------------------------------------

  const view = { sort: "number", down: false, role: "", page: 0, size: 50 };

  function visible() {
    const k = column[view.sort];
    const rows = report.rows.filter((row) => !view.role || row[column.role] === view.role);
    const sign = view.down ? -1 : 1;
    return rows.sort((a, b) => {
      if (a[k] === null || b[k] === null) return (a[k] === null) - (b[k] === null); // missing last, either way
      return sign * (a[k] < b[k] ? -1 : a[k] > b[k] ? 1 : 0);
    });
  }

  function fill() {
    const rows = visible();
    const pages = Math.max(1, Math.ceil(rows.length / view.size));
    view.page = Math.min(Math.max(view.page, 0), pages - 1);
    const some = rows.slice(view.page * view.size, (view.page + 1) * view.size);
    document.querySelector("#trials tbody").replaceChildren(...some.map((row) => rowOf(row, report.columns)));
    document.getElementById("page").textContent = `page ${view.page + 1} of ${pages}`;
    document.getElementById("previous").disabled = view.page === 0;
    document.getElementById("next").disabled = view.page === pages - 1;
    for (const head of all("#trials th")) {
      const mine = head.dataset.column === view.sort;
      head.setAttribute("aria-sort", mine ? (view.down ? "descending" : "ascending") : "none");
    }
  }

  function setTable() {
    const head = element("tr", null);
    for (const name of report.columns) {
      const cell = element("th", null, { scope: "col" });
      cell.dataset.column = name;
      const button = element("button", label(name), { type: "button" });
      button.addEventListener("click", () => {
        view.down = view.sort === name && !view.down;
        view.sort = name;
        view.page = 0;
        fill();
      });
      cell.append(button);
      head.append(cell);
    }
    document.querySelector("#trials thead").append(head);
    const roles = [...new Set(report.rows.map((row) => row[column.role]))].sort();
    document.getElementById("role").append(...roles.map((role) => element("option", role, { value: role })));
    document.getElementById("role").addEventListener("change", (event) => { view.role = event.target.value; view.page = 0; fill(); });
    document.getElementById("previous").addEventListener("click", () => { view.page -= 1; fill(); });
    document.getElementById("next").addEventListener("click", () => { view.page += 1; fill(); });
    document.getElementById("download").addEventListener("click", download);
    fill();
  }

  function download() {
    const cell = (value) => {
      const text = value === null ? "" : String(value);
      return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
    };
    const lines = [report.columns, ...visible()].map((row) => row.map(cell).join(","));
    const link = element("a", null, { href: URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" })),
      download: `${report.name}-trials.csv` });
    link.click();
    URL.revokeObjectURL(link.href);
  }

  // ---- buttons and looks -----------------------------------------------------------------------------------------

  for (const button of all("[data-export]")) {
    button.addEventListener("click", () => {
      const plot = document.getElementById(button.dataset.figure);
      Plotly.downloadImage(plot, { format: button.dataset.export, filename: `${report.name}-${plot.id}`,
        width: plot.clientWidth, height: plot.clientHeight, scale: button.dataset.export === "png" ? 2 : 1 });
    });
  }

  for (const button of all(".copy")) {
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch { // no clipboard for a page opened from a file in some browsers: select it instead
        getSelection().selectAllChildren(code);
      }
    });
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

  look();
  setTable();
  (async () => {
    for (const [id, figure] of Object.entries(report.figures)) await draw(id, figure);
    document.documentElement.dataset.ready = "true";
  })();
})();

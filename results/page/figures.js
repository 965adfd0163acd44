// The figures: drawing them, the text on hover, and the marks of pinned trials.
// A mark that stands for a trial has the trial's number as its customdata.
const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

// The 95 % interval of an objective, as " ± half its width"; nothing for what has none.
function interval(name, row) {
  const half = report.half_widths[label(name)]?.[places.get(row)] ?? null;
  return half === null || !name.startsWith("metrics.") ? "" : ` ± ${show(half)}`;
}

function describe(number) {
  const row = trials.get(number);
  if (!row) return `trial ${number}`;
  const names = report.columns.filter((name) => row[column[name]] !== null && (name === "p_front"
    || name.startsWith("params.") || report.objectives.includes(name.replace(/^metrics\./, ""))));
  const lines = names.map((name) => escaped(`${label(name)} ${show(row[column[name]])}${interval(name, row)}`));
  return [`<b>trial ${number}</b>, ${row[column.role]}`, ...lines.slice(0, 18)].join("<br>");
}

// The marks of the pinned trials in one figure, gathered from its traces into a trace of their own.
function pinnedMarks(traces) {
  const marks = { x: [], y: [], z: [], base: [], customdata: [] };
  for (const trace of traces) {
    let last = null;
    trace.customdata?.forEach((number, k) => {
      if (!pinned.has(number)) return;
      if (number !== last) for (const key of Object.keys(marks)) marks[key].push(null); // no line joins two trials
      last = number;
      for (const key of ["x", "y", "z", "base"]) if (trace[key]) marks[key].push(trace[key][k]);
      marks.customdata.push(number);
    });
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
      const trace = figure.data[figure.marks.length];
      if (!trace) return;
      const ink = css("--ink");
      Object.assign(trace, pinnedMarks(figure.marks));
      trace.marker.line.color = ink;
      if (trace.type !== "bar") { trace.marker.color = ink; trace.line = { color: ink }; }
      Plotly.redraw(plot); // restyle would guess the types of the axes again
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
    "hoverlabel.bordercolor": css("--line"), "hoverlabel.align": "left",
    "modebar.bgcolor": "rgba(0,0,0,0)", "modebar.color": css("--soft"), "modebar.activecolor": css("--ink") };
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

const touched = matchMedia("(pointer: coarse)").matches;

function prepare(plot, figure) {
  kindOf(figure).prepare(figure);
  for (const [path, value] of Object.entries(ink(figure))) {
    const keys = path.split(".");
    const owner = keys.slice(0, -1).reduce((part, key) => (part[key] ??= {}), figure.layout);
    owner[keys.at(-1)] = value;
  }
  if (touched && !figure.layout.scene) figure.layout.dragmode = false; // a finger scrolls
  if (figure.layout.scene && plot.clientWidth < 600) { // so that the titles of its axes fit
    figure.layout.height = 440;
    figure.layout.scene.camera = { eye: { x: 2.3, y: 2.3, z: 1.6 } };
  }
}

async function draw(id, figure) {
  const plot = document.getElementById(id);
  prepare(plot, figure);
  await Plotly.newPlot(plot, figure.data, figure.layout, { responsive: true, scrollZoom: false, displaylogo: false,
    displayModeBar: figure.layout.scene && !touched ? "hover" : false,
    modeBarButtonsToRemove: ["toImage", "sendChartToCloud"], plotlyServerURL: "" }); // the report sends nothing anywhere
  let pressed = false; // a 3-D scene repeats the click with every frame while the button is down
  plot.addEventListener("pointerdown", () => { pressed = true; }, true);
  plot.on("plotly_click", (event) => {
    const number = event.points[0].customdata;
    if (pressed && Number.isInteger(number)) toggle(number);
    pressed = false;
  });
  plot.dataset.drawn = "true";
}

const drawn = () => Object.entries(report.figures).map(([id, figure]) => [document.getElementById(id), figure])
  .filter(([plot]) => plot.dataset.drawn);

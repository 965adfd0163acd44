// The table of trials: sorted, filtered, paged, downloaded.

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

function setHead() {
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
  document.querySelector("#trials thead").replaceChildren(head);
  const roles = [...new Set(report.rows.map((row) => row[column.role]))].sort();
  const options = roles.map((role) => element("option", role, { value: role, selected: role === view.role }));
  document.getElementById("role").replaceChildren(element("option", "all", { value: "" }), ...options);
}

function setTable() {
  setHead();
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

// A page that follows what the service says: it fetches itself again when something has changed, and takes over what differs.
"use strict";

const now = document.getElementById("now");
const trouble = document.getElementById("trouble");

// Make `old` equal to `fresh`, keeping what is equal, so that focus, scrolling, open details and drawn figures stay.
function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || (old.id ?? "") !== (fresh.id ?? "")) {
    old.replaceWith(document.importNode(fresh, true));
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.matches(".plot, #trials, #role, #page, #pins, input, select")) return; // what scripts and readers fill in
  const kept = old.matches("[data-mark], .pin") ? ["class", "aria-pressed"] : ["hidden", "open"];
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !kept.includes(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) {
    if (!kept.includes(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const before = [...old.childNodes], after = [...fresh.childNodes];
  after.forEach((node, k) => (k < before.length ? morph(before[k], node) : old.append(document.importNode(node, true))));
  before.slice(after.length).forEach((node) => node.remove());
}

async function redraw(text) {
  read(text);
  setHead();
  fill();
  for (const [id, figure] of Object.entries(report.figures)) {
    const plot = document.getElementById(id);
    if (!plot.dataset.drawn) { await draw(id, figure); continue; }
    prepare(plot, figure);
    figure.layout.uirevision = "kept"; // zoom, hidden traces, the camera
    await Plotly.react(plot, figure.data, figure.layout);
  }
  refresh();
}

let busy = false, again = false;
async function update() {
  if (busy) { again = true; return; }
  busy = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const whole = (page) => page.getElementById("now")?.hasAttribute("data-whole");
    if (answer.redirected || !fresh.getElementById("now") || whole(fresh) !== whole(document)) {
      location.reload();
      return;
    }
    const data = fresh.getElementById("data");
    for (const name of ["header", "nav", "main"]) {
      const old = document.querySelector(name), next = fresh.querySelector(name);
      if (old && next && name !== "header") morph(old, next);
    }
    const lead = document.querySelector(".lead");
    if (lead) lead.textContent = fresh.querySelector(".lead").textContent;
    if (data) await redraw(data.textContent);
    showSession();
    document.documentElement.dataset.version = document.getElementById("now").dataset.version;
  } catch (error) {
    say(`The page could not be refreshed: ${error.message}`);
  } finally {
    busy = false;
    if (again) { again = false; update(); }
  }
}

function say(text) {
  trouble.textContent = text;
  trouble.hidden = !text;
}

function follow() {
  const source = new EventSource(now.dataset.events);
  source.addEventListener("standing", (event) => {
    const standing = JSON.parse(event.data);
    say(document.querySelector("#now > .warning") ? "" : standing.problem); // once is enough
    document.getElementById("told").textContent = standing.state;
    if (String(standing.version) !== document.getElementById("now").dataset.version) update();
  });
  source.addEventListener("error", () => say("The service does not answer; the page goes on as soon as it does."));
  source.addEventListener("open", () => say(""));
}

let hasToken = false;
function showSession() {
  for (const one of document.querySelectorAll("[data-with-token]")) one.hidden = !hasToken;
  for (const one of document.querySelectorAll("[data-without-token]")) one.hidden = hasToken;
}

async function send(form) {
  const fields = [...new FormData(form)].filter(([, value]) => value !== "");
  const number = (name) => form.elements[name].type === "number";
  const go = form.getAttribute("data-go"); // not form.dataset: a field may have that name
  const body = Object.fromEntries(fields.map(([name, value]) => [name, number(name) ? Number(value) : value]));
  const answer = await fetch(form.getAttribute("data-post"), { method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body) });
  if (answer.status === 401) { location.href = "/login"; return; }
  const said = await answer.json();
  say(answer.ok ? "" : said.error);
  if (answer.ok && go) location.href = go + said.name;
}

document.addEventListener("submit", (event) => {
  if (!event.target.hasAttribute("data-post")) return;
  event.preventDefault();
  const button = event.target.querySelector("[type=submit]");
  button.disabled = true;
  send(event.target).catch((error) => say(`The service does not answer: ${error.message}`))
    .finally(() => { button.disabled = false; });
});
document.getElementById("logout").addEventListener("click", async () => {
  await fetch("/logout", { method: "POST" });
  location.reload();
});

async function begin() {
  const answer = await fetch("/api/session").catch(() => null);
  if (answer?.ok) hasToken = (await answer.json()).has_token;
  showSession();
  if (document.getElementById("data")) await start();
  if (now) follow();
}
begin();

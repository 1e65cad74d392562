// The page of `dingocar sim view`: the link to the server, the controls, and what is shown of the figures.

import { Keys } from "/static/keys.js";
import { Map } from "/static/map.js";
import { Trace } from "/static/trace.js";

const RETRY_MS = 1000;
const $ = (id) => document.getElementById(id);
const map = new Map($("stage"), $("plan"), $("overlay"));
const trace = new Trace($("trace"));
let socket = null;
let world = null;
let paused = false;
let driver = "";

function send(message) {
  if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

const keys = new Keys($("pad"), (steering, throttle, first) => {
  if (first && driver !== "you") send({ type: "driver", name: "you" });
  send({ type: "drive", steering, throttle });
});

function connect() {
  socket = new WebSocket(`ws://${location.host}/ws`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => link("good", "live");
  socket.onclose = () => {
    link("bad", "the view has ended");
    setTimeout(connect, RETRY_MS);
  };
  socket.onmessage = ({ data }) => (typeof data === "string" ? hear(JSON.parse(data)) : look(data));
}

function link(tone, text) {
  $("link").dataset.tone = tone;
  $("link").textContent = text;
}

let forget = 0;
function complain(text) {
  $("message").textContent = text;
  $("message").hidden = !text;
  clearTimeout(forget);
  if (text) forget = setTimeout(() => complain(""), 8000);
}

function hear(message) {
  if (message.type === "error") complain(message.message);
  if (message.type !== "world") return;
  world = message;
  $("title").textContent = `${world.track} · ${world.look} · randomisation ${world.randomisation}`;
  for (const name of ["track", "look", "randomisation"]) fill($(name), world.lists[name], world[name]);
  fill($("speed"), world.speeds.map(String), $("speed").value || "1", (text) => `${text} ×`);
  drivers(world.lists.driver);
  map.open(world);
  trace.clear();
  parameters();
}

function fill(select, names, chosen, shown = (name) => name) {
  const kind = chosen.split(":")[0];
  const all = names.includes(chosen) || names.includes(kind) ? names : [...names, chosen];
  select.replaceChildren(
    ...all.map((name) => new Option(name === kind && chosen !== kind ? chosen : shown(name), name)),
  );
  select.value = all.includes(chosen) ? chosen : kind;
}

function drivers(names) {
  $("drivers").replaceChildren(
    ...names.map((name) => {
      const button = document.createElement("button");
      button.setAttribute("role", "radio");
      button.dataset.name = name;
      button.textContent = { expert: "expert drives", pilot: "pilot drives", you: "you drive" }[name] ?? name;
      button.onclick = () => send({ type: "driver", name });
      return button;
    }),
  );
  driver = "";
}

function parameters() {
  const only = $("only").checked;
  $("choices").textContent = `floor ${world.choices.floor}, backdrop ${world.choices.backdrop}, seed ${world.episode_seed}`;
  const rows = world.parameters
    .map((one) => ({ ...one, unusual: Math.abs(one.value - one.usual) > 1e-9 }))
    .filter((one) => !only || one.unusual)
    .map((one) => {
      const row = document.createElement("div");
      row.className = `parameter${one.unusual ? " unusual" : ""}${one.drawn ? " drawn" : ""}`;
      row.title = `${one.group}: ${one.low} to ${one.high}, usually ${one.usual}${one.drawn ? "; drawn" : ""}`;
      const [name, value, range, at] = ["span", "output", "div", "i"].map((tag) => document.createElement(tag));
      name.className = "name";
      name.textContent = one.name.replaceAll("_", " ");
      value.textContent = String(Number(one.value.toPrecision(3)));
      range.className = "range";
      at.style.left = `${(100 * (one.value - one.low)) / (one.high - one.low)}%`;
      range.append(at);
      row.append(name, value, range);
      return row;
    });
  $("parameters").replaceChildren(...rows);
}

// One picture is decoded at a time; of those that come meanwhile the newest is next.
let waiting = null;
let decoding = false;
async function look(data) {
  waiting = data;
  if (decoding) return;
  decoding = true;
  while (waiting) {
    const frame = waiting;
    waiting = null;
    const length = new DataView(frame).getUint32(0);
    const figures = JSON.parse(new TextDecoder().decode(new Uint8Array(frame, 4, length)));
    const picture = await createImageBitmap(new Blob([new Uint8Array(frame, 4 + length)], { type: "image/jpeg" }));
    const canvas = $("camera");
    if (canvas.width !== picture.width || canvas.height !== picture.height) {
      [canvas.width, canvas.height] = [picture.width, picture.height];
    }
    canvas.getContext("2d").drawImage(picture, 0, 0);
    picture.close();
    show(figures);
  }
  decoding = false;
}

function show(figures) {
  $("speed_mps").textContent = figures.speed_mps.toFixed(2);
  $("cte_m").textContent = signed(figures.cte_m, 3);
  $("heading").textContent = signed((figures.heading_error_rad * 180) / Math.PI, 0);
  $("time_s").textContent = figures.time_s.toFixed(1);
  $("laps").textContent = figures.laps;
  const part = world ? (100 * (figures.progress_m / world.length_m - figures.laps)).toFixed(0) : 0;
  $("lap-part").textContent = `+ ${part} %`;
  $("who").textContent = figures.driver;
  for (const name of ["steering", "throttle"]) {
    $(name).textContent = signed(figures[name], 2);
    const bar = $(`${name}-bar`).style;
    bar.left = `${50 + 50 * Math.min(0, figures[name])}%`;
    bar.width = `${50 * Math.abs(figures[name])}%`;
  }
  $("off").hidden = !figures.off_track;
  map.draw(figures);
  trace.add(figures);
  if (figures.paused !== paused || !$("pause").dataset.known) {
    paused = figures.paused;
    $("pause").dataset.known = "yes";
    $("pause").textContent = paused ? "Go on" : "Pause";
    $("pause").setAttribute("aria-pressed", String(paused));
    $("step").disabled = !paused;
  }
  if (String(figures.rate) !== $("speed").value && document.activeElement !== $("speed")) {
    $("speed").value = String(figures.rate);
  }
  if (figures.driver !== driver) {
    driver = figures.driver;
    for (const button of $("drivers").children) {
      button.setAttribute("aria-checked", String(button.dataset.name === driver));
    }
    $("pad").hidden = driver !== "you";
  }
}

function signed(value, digits) {
  const text = Math.abs(value).toFixed(digits);
  return (value < 0 && Number(text) !== 0 ? "−" : "+") + text;
}

$("pause").onclick = () => send({ type: "pause", on: !paused });
$("step").onclick = () => send({ type: "step" });
$("episode").onclick = () => send({ type: "episode" });
$("back").onclick = () => send({ type: "back" });
for (const name of ["track", "look", "randomisation"]) {
  $(name).onchange = () => send({ type: "choose", [name]: $(name).value });
}
$("speed").onchange = () => send({ type: "speed", value: Number($("speed").value) });
$("only").onchange = () => world && parameters();
$("lines").onchange = () => map.showLines($("lines").checked);
const short = { " ": "pause", ".": "step", n: "episode", b: "back" };
document.addEventListener("keydown", (event) => {
  const wanted = short[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!wanted || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (["SELECT", "INPUT", "BUTTON"].includes(event.target.tagName) && event.key === " ") return;
  event.preventDefault();
  $(wanted).click();
});
keys.listen();
connect();

// The drive page: controls -> link -> car, and what the car says -> the page.

import { BrowserGamepad } from "./controls/gamepad.js";
import { Keyboard } from "./controls/keyboard.js";
import { PointerPad } from "./controls/pointer.js";
import { Tilt } from "./controls/tilt.js";
import * as hud from "./hud.js";
import { Link, socketUrl } from "./link.js";
import { Models } from "./models.js";
import { $, clamp, count, ownsKey, say, setText } from "./page.js";
import { Paths } from "./paths.js";
import { Sticks } from "./sticks.js";
import { Video } from "./video.js";

/** The sign of life: without it the car stops. */
const BEAT_MS = 50;
/** Between two commands when a stick moves faster than that. */
const LEAST_MS = 20;
const MODES = ["user", "local_angle", "local"];

const link = new Link(socketUrl());
const sticks = new Sticks();
const paths = new Paths($("paths"));
const video = new Video($("video"), "/video", (live) => ($("no-picture").hidden = live));
const translated = new Video($("translated"), "/video/translated", (live) => ($("translated-picture").hidden = !live));
const models = new Models(link);
const tilt = new Tilt();

let state = null;
let own = { steering: 0, throttle: 0, held: false };
let sampledMs = performance.now();
let hurry = 0;
let recording = { on: false, askedMs: -Infinity };
let constant = { on: false, sinceMs: 0 };

// ---- commands

/** Reads the controls and tells the car: the sign of life. */
function beat() {
  clearTimeout(hurry);
  hurry = 0;
  const now = performance.now();
  const dtS = Math.min(0.1, (now - sampledMs) / 1000);
  if (document.hidden) return;
  sampledMs = now;
  own = link.isOpen ? sticks.sample(dtS) : { steering: 0, throttle: 0, held: false };
  link.drive(own.steering, own.throttle);
  if (constant.on && own.throttle < 0) setConstant(false, false);
  hud.showSticks(own, sticks.limit);
  hud.showDrivers(paths, own, state?.channels ?? {});
}

/** A control changed: tell it sooner than at the next beat. */
function changed() {
  const wait = LEAST_MS - (performance.now() - sampledMs);
  if (wait <= 0) beat();
  else if (!hurry) hurry = setTimeout(beat, wait);
}

/** Neutral now; what is held has to be let go first. */
function letGo() {
  sticks.release();
  own = { steering: 0, throttle: 0, held: false };
  link.drive(0, 0);
  if (constant.on) setConstant(false);
  hud.showSticks(own, sticks.limit);
}

function stop() {
  sticks.release();
  link.send({ type: "stop" });
  link.drive(0, 0);
  setConstant(false, false);
  say("Stopped");
}

function setMode(mode) {
  setConstant(false, false);
  link.send({ type: "mode", mode });
}

const nextMode = () => setMode(MODES[(MODES.indexOf(state?.channels["user/mode"]) + 1) % MODES.length]);

/** Pressed again before the car has answered, it takes back what was asked for. */
function record() {
  const asked = performance.now() - recording.askedMs < 1000;
  const on = !(asked ? recording.on : state?.channels.recording === true);
  if (link.send({ type: "record", on })) recording = { on, askedMs: performance.now() };
}

function erase() {
  const field = $("erase-n");
  const n = Math.round(clamp(Number(field.value) || 0, 0, 10000));
  if (n < 1) return say("Erase how many records? From 1 to 10,000", "bad");
  if (link.send({ type: "erase", n })) say(`The last ${count(n)} erased. The tub page can restore them`);
}

function setConstant(on, tell = true) {
  if (tell && (on || constant.on)) link.send({ type: "constant_throttle", throttle: on ? sticks.limit : null });
  constant = { on, sinceMs: performance.now() };
  $("constant").setAttribute("aria-pressed", String(on));
}

function showHelp() {
  letGo();
  $("help").showModal();
}

function setLimit(percent) {
  const value = clamp(percent, 5, 100);
  sticks.limit = value / 100;
  $("limit").value = value;
  setText($("limit-text"), `${value} %`);
  sessionStorage.setItem("limit", value);
  if (constant.on) setConstant(true);
}

// ---- controls

sticks.add(new Keyboard(changed));
sticks.add(new PointerPad($("pad"), changed, tilt));
sticks.add(new BrowserGamepad(
  (action) => ({ stop, record, erase, mode: nextMode })[action](),
  (name) => {
    $("pad-found").hidden = !name;
    setText($("pad-found"), name);
  },
));

const KEYS = {
  1: () => setMode("user"), 2: () => setMode("local_angle"), 3: () => setMode("local"),
  u: () => setMode("user"), m: nextMode, r: record, e: erase, g: () => link.send({ type: "launch" }),
  c: () => setConstant(!constant.on), "+": () => setLimit(Number($("limit").value) + 5),
  "=": () => setLimit(Number($("limit").value) + 5), "-": () => setLimit(Number($("limit").value) - 5),
  "?": showHelp,
};

// In the capture phase, and wherever the focus is: nothing may come between the key and the stop.
window.addEventListener("keydown", (event) => {
  const dialog = $("help").open;
  if (event.code === "Space" || (event.code === "Escape" && !dialog)) {
    event.preventDefault();
    if (!event.repeat) stop();
    return;
  }
  if (dialog || event.repeat || event.ctrlKey || event.metaKey || event.altKey || ownsKey(event.target, event.key)) return;
  const action = KEYS[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
}, { capture: true });
// A button under the focus would be pressed by the Space that was meant to stop the car.
window.addEventListener("keyup", (event) => event.code === "Space" && event.preventDefault(), { capture: true });

$("stop").addEventListener("pointerdown", stop); // at the touch, not when the finger leaves
$("stop").addEventListener("click", (event) => event.detail === 0 && stop());
$("record").addEventListener("click", record);
$("erase").addEventListener("click", erase);
$("constant").addEventListener("click", () => setConstant(!constant.on));
$("launch").addEventListener("click", () => link.send({ type: "launch" }));
$("limit").addEventListener("input", () => setLimit(Number($("limit").value)));
// After a drag the arrow keys are for driving again.
$("limit").addEventListener("pointerup", () => $("limit").blur());
for (const button of document.querySelectorAll("[data-mode]")) {
  button.addEventListener("click", () => setMode(button.dataset.mode));
}
$("help-open").addEventListener("click", showHelp);
$("help-close").addEventListener("click", () => $("help").close());
$("lost-retry").addEventListener("click", () => link.retry());
$("tilt").addEventListener("click", async () => {
  try {
    const on = await tilt.toggle();
    $("tilt").setAttribute("aria-pressed", String(on));
    setText($("pad-hint"), on ? "Hold, tilt to steer, push up to drive" : "Drag to drive");
  } catch (error) {
    say(error.message, "bad");
  }
});
if (matchMedia("(pointer: coarse)").matches) {
  $("tilt").hidden = false;
  if (!Tilt.isPossible) {
    $("tilt").disabled = true;
    setText($("tilt"), "Tilt steering needs https");
  }
}

// ---- the page comes and goes

window.addEventListener("blur", letGo);
document.addEventListener("freeze", letGo);
window.addEventListener("pagehide", () => {
  letGo();
  stopVideos();
  link.leave();
});
window.addEventListener("pageshow", (event) => event.persisted && location.reload());
document.addEventListener("visibilitychange", () => {
  letGo();
  if (document.hidden) stopVideos();
  else {
    video.start();
    link.retry();
  }
});

// ---- the car speaks

link.addEventListener("open", () => {
  letGo();
  hud.showLink(true);
  video.start();
  models.refresh();
});
link.addEventListener("lost", async () => {
  sticks.release();
  setConstant(false, false);
  hud.showLink(false, "The car stops by itself. Trying again …");
  showVerdict();
  hud.showSticks({ steering: 0, throttle: 0 }, sticks.limit);
  const answer = await fetch("/api/state").catch(() => null);
  if (answer && [401, 403].includes(answer.status)) {
    hud.showLink(link.isOpen, "The car wants its token: open the address that it printed at its start.");
  }
});
link.addEventListener("latency", (event) => hud.showLatency(event.detail));
link.addEventListener("problem", (event) => {
  say(event.detail, "bad");
  models.failed();
});
link.addEventListener("state", (event) => {
  const before = state;
  state = event.detail;
  if (state.message && state.message !== before?.message) say(state.message);
  hud.showState(state);
  showTranslated();
  models.show(state.channels);
  const old = performance.now() - constant.sinceMs > 600;
  if (constant.on && old && Math.abs(state.channels["user/throttle"] ?? 0) < 0.01) setConstant(false, false);
  showVerdict();
});

/** What the pilot sees, while a translator stands before it. */
function showTranslated() {
  if (state.translated && !document.hidden) return translated.start();
  translated.stop();
  $("translated-picture").hidden = true;
}

function stopVideos() {
  video.stop();
  translated.stop();
}

function showVerdict() {
  const page = { isOpen: link.isOpen, mustRelease: sticks.mustRelease, touch: matchMedia("(pointer: coarse)").matches };
  const [tone, text] = hud.verdict(state, page);
  $("status").dataset.tone = tone;
  setText($("status-text"), text);
  // Read out where the sentence changes, not where a figure in it does.
  if (text.replace(/[\d.]+/g, "") !== $("heard").textContent.replace(/[\d.]+/g, "")) setText($("heard"), text);
}

setLimit(Number(sessionStorage.getItem("limit")) || 30);
setInterval(beat, BEAT_MS);

// Shows what the car says: status line, figures, who drives, recording, pilot.

import { $, count, setText, signed } from "./page.js";

const MODE_TEXT = {
  user: "You drive",
  local_angle: "The pilot steers, you give the throttle",
  local: "The pilot drives",
};

const number = (value, digits = 0) => (Number.isFinite(value) ? value.toFixed(digits) : "–");

/** A figure in the strip below the picture; `poor` colours it. */
function figure(id, text, poor = false) {
  setText($(id), text);
  $(id).closest("div").classList.toggle("poor", poor);
}

/** What the status line says: [tone, text]. `page` is what this page knows by itself. */
export function verdict(state, page) {
  if (!page.isOpen) return ["bad", "No connection: the car stops by itself"];
  if (!state) return ["wait", "Waiting for the car …"];
  const channels = state.channels;
  const mode = channels["user/mode"];
  const held = channels["safety/state"];
  if (page.mustRelease) return ["wait", "Let go of the throttle once, then drive on"];
  if (!state.driver) return ["idle", "Somebody else has the wheel. Touch a control to take over"];
  const source = channels["user/source"];
  if (source && source !== "web") return ["idle", `The ${source} has the wheel. Touch a control to take over`];
  if (mode !== "user" && channels["pilot/name"] === "") return ["wait", "No pilot is loaded: choose a model"];
  if (held) return ["wait", `Held: ${held}`];
  if (mode !== "user" || Math.abs(channels.throttle ?? 0) > 0.01) return ["good", MODE_TEXT[mode] ?? "Driving"];
  return ["good", page.touch ? "Ready. Drag the pad to drive" : "Ready. Hold ↑ or drag the pad to drive"];
}

/** Shows a state message of the server. */
export function showState(state) {
  const channels = state.channels;
  figure("loop-hz", number(state.loop_hz, 1));
  figure("frame-age", number(state.frame_age_ms), !(state.frame_age_ms < 200));
  figure("viewers", number(state.viewers));
  const simulated = Number.isFinite(channels.laps);
  for (const box of document.querySelectorAll(".stats .sim")) box.hidden = !simulated;
  if (simulated) {
    figure("laps", number(channels.laps));
    figure("lap-s", channels.lap_s > 0 ? number(channels.lap_s, 1) : "–");
    figure("off-tracks", number(channels.off_tracks), channels.off_tracks > 0);
  }
  for (const button of document.querySelectorAll("[data-mode]")) {
    button.setAttribute("aria-pressed", String(button.dataset.mode === channels["user/mode"]));
  }
  showRecording(channels);
  setText($("pilot-name"), channels["pilot/name"] || "none");
  $("launch").disabled = channels["user/mode"] !== "local";
}

function showRecording(channels) {
  const on = channels.recording === true;
  $("rec").hidden = !on;
  $("record").setAttribute("aria-pressed", String(on));
  setText($("record-text"), on ? "Pause" : "Record");
  const dropped = channels["tub/dropped"] ? `, ${channels["tub/dropped"]} dropped` : "";
  setText($("records"), count(channels["tub/num_records"] ?? 0) + dropped);
}

/** Both drivers over the picture; the pilot only where it has an answer. */
export function showDrivers(paths, own, channels) {
  const user = { steering: own.steering, throttle: own.throttle };
  const pilotDrives = channels["user/mode"] !== "user" && Number.isFinite(channels["pilot/angle"]);
  paths.draw("user", user);
  paths.draw("pilot", pilotDrives ? { steering: channels["pilot/angle"], throttle: channels["pilot/throttle"] } : null);
  setText($("user-angle"), signed(user.steering));
  $("legend-pilot").hidden = !pilotDrives;
  if (pilotDrives) setText($("pilot-angle"), signed(channels["pilot/angle"]));
}

/** The pad's knob and its two figures. */
export function showSticks(own, limit) {
  const pad = $("pad");
  const reach = Math.min(pad.clientWidth, pad.clientHeight) / 2 - 32;
  const x = own.steering * reach;
  const y = (-own.throttle / limit) * reach;
  $("knob").style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
  pad.classList.toggle("moving", x !== 0 || y !== 0);
  setText($("out-steering"), signed(own.steering));
  setText($("out-throttle"), signed(own.throttle));
}

export function showLatency(ms) {
  figure("latency", number(ms), ms > 150);
}

/** The connection in the bar on top, and the sheet over the picture while there is none. */
export function showLink(isOpen, reason) {
  $("link").dataset.tone = isOpen ? "good" : "bad";
  setText($("link-text"), isOpen ? "Connected" : "No connection");
  $("lost").hidden = isOpen;
  if (reason) setText($("lost-text"), reason);
}

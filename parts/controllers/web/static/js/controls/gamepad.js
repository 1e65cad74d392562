// A gamepad in the browser (standard mapping). It has to be at rest once before its throttle counts.

import { clamp } from "../page.js";

const DEADZONE = 0.1;
const BUTTONS = { 0: "record", 1: "stop", 3: "erase", 9: "mode" };

/** 0 within the dead zone, then growing from 0 to 1. */
function outside(value) {
  const size = Math.abs(value);
  return size < DEADZONE ? 0 : clamp((Math.sign(value) * (size - DEADZONE)) / (1 - DEADZONE));
}

const stronger = (a, b) => (Math.abs(a) >= Math.abs(b) ? a : b);

export class BrowserGamepad {
  name = "gamepad";
  /** Its throttle is held since before the page let go of everything. */
  mustRelease = false;
  #atRest = false;
  #pressed = new Set();
  #id = "";

  /**
   * @param {(action: string) => void} onAction told of `record`, `stop`, `erase`, `mode`.
   * @param {(name: string) => void} onPad told the pad's name when it comes, "" when it goes.
   */
  constructor(onAction, onPad) {
    this.onAction = onAction;
    this.onPad = onPad;
  }

  #find() {
    const pads = navigator.getGamepads?.() ?? [];
    const pad = [...pads].find((one) => one?.connected && one.axes.length >= 2) ?? null;
    const id = pad?.id ?? "";
    if (id !== this.#id) {
      this.#id = id;
      this.#atRest = false;
      this.#pressed.clear();
      this.onPad(id.replace(/\s*\(.*$/, ""));
    }
    return pad;
  }

  sample() {
    const pad = this.#find();
    this.mustRelease = false;
    if (!pad) return { steering: 0, throttle: 0, held: false };
    this.#readButtons(pad);
    const steering = outside(pad.axes[0]);
    const triggers = (pad.buttons[7]?.value ?? 0) - (pad.buttons[6]?.value ?? 0);
    const throttle = stronger(outside(triggers), -outside(pad.axes[3] ?? 0));
    if (throttle === 0) this.#atRest = true;
    this.mustRelease = !this.#atRest;
    return { steering, throttle: this.#atRest ? throttle : 0, held: this.#atRest && (steering !== 0 || throttle !== 0) };
  }

  #readButtons(pad) {
    for (const [index, action] of Object.entries(BUTTONS)) {
      const down = pad.buttons[index]?.pressed ?? false;
      if (down && !this.#pressed.has(index) && this.#atRest) this.onAction(action);
      if (down) this.#pressed.add(index);
      else this.#pressed.delete(index);
    }
  }

  release() {
    this.#atRest = false;
  }
}

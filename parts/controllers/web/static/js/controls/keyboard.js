// Driving by keys: full while held, eased in; the throttle ends at once, the steering swings back.

import { ownsKey } from "../page.js";

const WAYS = {
  ArrowUp: "up", KeyW: "up", KeyI: "up",
  ArrowDown: "down", KeyS: "down", KeyK: "down",
  ArrowLeft: "left", KeyA: "left", KeyJ: "left",
  ArrowRight: "right", KeyD: "right", KeyL: "right",
};

const STEER_PER_S = 4;
const STRAIGHTEN_PER_S = 8;
const GAS_PER_S = 4;

/** Moves a value towards a goal, at most `step`. */
const ease = (value, goal, step) => (goal > value ? Math.min(goal, value + step) : Math.max(goal, value - step));

export class Keyboard {
  name = "keyboard";
  /** A key is held that was down before the page let go of all of them. */
  mustRelease = false;
  #down = new Map(); // key code -> way; a way may be held by two keys
  #steering = 0;
  #throttle = 0;

  /** `onChange` is told when a key goes down or up. */
  constructor(onChange) {
    this.onChange = onChange;
    window.addEventListener("keydown", (event) => this.#press(event));
    window.addEventListener("keyup", (event) => this.#lift(event.code));
  }

  #press(event) {
    const way = WAYS[event.code];
    if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
    if (ownsKey(event.target, event.key) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    // A key that repeats was held down before this page knew of it: it has to be pressed anew.
    if (this.#down.has(event.code)) return;
    this.mustRelease = event.repeat;
    if (event.repeat) return;
    this.#down.set(event.code, way);
    this.onChange();
  }

  #lift(code) {
    this.mustRelease = false;
    if (!this.#down.delete(code)) return;
    if (!this.#holds("up") && !this.#holds("down")) this.#throttle = 0;
    this.onChange();
  }

  #holds(way) {
    for (const held of this.#down.values()) if (held === way) return true;
    return false;
  }

  sample(dtS) {
    const aim = this.#holds("right") - this.#holds("left");
    const away = aim !== 0 && Math.sign(aim) !== -Math.sign(this.#steering);
    this.#steering = ease(this.#steering, aim, dtS * (away ? STEER_PER_S : STRAIGHTEN_PER_S));
    const gas = this.#holds("down") ? -1 : this.#holds("up") ? 1 : 0;
    if (gas === 0 || gas * this.#throttle < 0) this.#throttle = 0;
    this.#throttle = ease(this.#throttle, gas, dtS * GAS_PER_S);
    return { steering: this.#steering, throttle: this.#throttle, held: this.#down.size > 0 };
  }

  release() {
    this.#down.clear();
    this.#steering = this.#throttle = 0;
  }
}

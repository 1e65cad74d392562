// The pad, by mouse, pen or finger: wherever it is touched is the middle, so that a touch never jerks.

import { clamp } from "../page.js";

/** A push of so many pixels, or of this part of the pad's shorter half, is full. */
const REACH_PX = 110;
const REACH_PART = 0.8;

export class PointerPad {
  name = "pad";
  #pointer = null;
  #from = [0, 0];
  #steering = 0;
  #throttle = 0;

  /**
   * @param {HTMLElement} pad
   * @param {() => void} onChange told on each move and when let go.
   * @param {{steering: () => number|null, zero: () => void}} tilt steers instead of the finger while it is on.
   */
  constructor(pad, onChange, tilt) {
    this.pad = pad;
    this.onChange = onChange;
    this.tilt = tilt;
    pad.addEventListener("pointerdown", (event) => this.#start(event));
    pad.addEventListener("pointermove", (event) => this.#move(event));
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) {
      pad.addEventListener(type, (event) => event.pointerId === this.#pointer && this.#end());
    }
    pad.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  #start(event) {
    if (this.#pointer !== null || event.button !== 0) return;
    event.preventDefault();
    this.pad.focus({ preventScroll: true });
    this.#pointer = event.pointerId;
    this.#from = [event.clientX, event.clientY];
    this.pad.setPointerCapture(event.pointerId);
    this.pad.classList.add("held");
    this.tilt.zero();
    this.onChange();
  }

  #move(event) {
    if (event.pointerId !== this.#pointer) return;
    const reach = Math.min(REACH_PX, (REACH_PART * Math.min(this.pad.clientWidth, this.pad.clientHeight)) / 2);
    this.#steering = clamp((event.clientX - this.#from[0]) / reach);
    this.#throttle = clamp((this.#from[1] - event.clientY) / reach);
    this.onChange();
  }

  #end() {
    this.release();
    this.onChange();
  }

  sample() {
    const held = this.#pointer !== null;
    const tilted = held ? this.tilt.steering() : null;
    return { steering: tilted ?? this.#steering, throttle: this.#throttle, held };
  }

  release() {
    const pointer = this.#pointer;
    this.#pointer = null;
    this.#steering = this.#throttle = 0;
    this.pad.classList.remove("held");
    if (pointer !== null && this.pad.hasPointerCapture(pointer)) this.pad.releasePointerCapture(pointer);
  }
}

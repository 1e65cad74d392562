// Steering by tilting the phone like a wheel; the pad, held, gives the throttle.

import { clamp } from "../page.js";

const FULL_DEG = 30;

export class Tilt {
  isOn = false;
  #rollDeg = null;
  #zeroDeg = 0;

  /** Whether this device can tell how it is held. */
  static get isPossible() {
    return "DeviceOrientationEvent" in window && matchMedia("(pointer: coarse)").matches && window.isSecureContext;
  }

  #onTurn = (event) => {
    const turned = screen.orientation?.angle ?? window.orientation ?? 0;
    const { beta, gamma } = event;
    if (beta === null || gamma === null) return;
    this.#rollDeg = { 0: gamma, 90: beta, 180: -gamma, 270: -beta, "-90": -beta }[turned] ?? gamma;
  };

  /** Turns it on or off; iOS asks the user first. Returns whether it is on. */
  async toggle() {
    if (this.isOn) {
      window.removeEventListener("deviceorientation", this.#onTurn);
      this.isOn = false;
      return false;
    }
    const ask = DeviceOrientationEvent.requestPermission;
    if (ask && (await ask.call(DeviceOrientationEvent)) !== "granted") {
      throw new Error("The phone does not let this page read how it is held");
    }
    window.addEventListener("deviceorientation", this.#onTurn);
    this.isOn = true;
    return true;
  }

  /** The way the phone is held now is straight ahead. */
  zero() {
    this.#zeroDeg = this.#rollDeg ?? 0;
  }

  /** In [-1, 1]; null: off, or the phone has said nothing yet. */
  steering() {
    if (!this.isOn || this.#rollDeg === null) return null;
    return clamp((this.#rollDeg - this.#zeroDeg) / FULL_DEG);
  }
}

// Which of the page's controls drives: the one last touched. All of them must be let go after a loss.

const NEUTRAL = { steering: 0, throttle: 0 };

/**
 * A control has `name`, `sample(dtS)` -> {steering, throttle, held} with both in [-1, 1] and `held` true while
 * a person touches it, and `release()`: neutral, until it is pressed anew.
 */
export class Sticks {
  #controls = [];
  #active = null;
  #held = new Map();

  /** The part of full throttle that a fully pushed stick gives, in (0, 1]. */
  limit = 0.3;

  add(control) {
    this.#controls.push(control);
    this.#held.set(control, false);
    return control;
  }

  /** Name of the control that drives, or "". */
  get active() {
    return this.#active?.name ?? "";
  }

  /** A control is held that does not count before it has been let go. */
  get mustRelease() {
    return this.#controls.some((control) => control.mustRelease);
  }

  /** What to send to the car now. */
  sample(dtS) {
    let chosen = NEUTRAL;
    const samples = this.#controls.map((control) => [control, control.sample(dtS)]);
    for (const [control, sample] of samples) {
      if (sample.held && !this.#held.get(control)) this.#active = control;
      this.#held.set(control, sample.held);
    }
    for (const [control, sample] of samples) if (control === this.#active) chosen = sample;
    return { steering: chosen.steering, throttle: chosen.throttle * this.limit, held: chosen.held ?? false };
  }

  /** Neutral at once; whatever is held must be let go and pressed again. */
  release() {
    this.#active = null;
    for (const control of this.#controls) {
      control.release();
      this.#held.set(control, false);
    }
  }
}

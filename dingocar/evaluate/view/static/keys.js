// Driving by the arrow keys, or by the same keys on the screen. What is not held down is let go.

const PERIOD_MS = 50;
const STEERING_PER_TICK = 0.16;
const THROTTLE = 0.45;
const NAMES = { a: "ArrowLeft", d: "ArrowRight", w: "ArrowUp", s: "ArrowDown" };

export class Keys {
  constructor(pad, drive) {
    [this.pad, this.drive] = [pad, drive];
    this.down = new Set();
    this.steering = 0;
    this.timer = 0;
  }

  listen() {
    document.addEventListener("keydown", (event) => {
      const name = NAMES[event.key] ?? event.key;
      if (!name.startsWith("Arrow") || event.ctrlKey || event.metaKey || event.altKey) return;
      if (["SELECT", "INPUT"].includes(event.target.tagName)) return;
      event.preventDefault();
      this.press(name);
    });
    document.addEventListener("keyup", (event) => this.release(NAMES[event.key] ?? event.key));
    window.addEventListener("blur", () => this.releaseAll());
    document.addEventListener("visibilitychange", () => document.hidden && this.releaseAll());
    for (const button of this.pad.querySelectorAll("[data-key]")) {
      button.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        button.setPointerCapture(event.pointerId);
        this.press(button.dataset.key);
      });
      for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
        button.addEventListener(end, () => this.release(button.dataset.key));
      }
    }
  }

  press(name) {
    if (this.down.has(name)) return;
    this.down.add(name);
    this.mark(name, true);
    if (!this.timer) {
      this.timer = setInterval(() => this.tick(false), PERIOD_MS);
      this.tick(true);
    }
  }

  release(name) {
    this.down.delete(name);
    this.mark(name, false);
  }

  releaseAll() {
    for (const name of [...this.down]) this.release(name);
  }

  mark(name, down) {
    this.pad.querySelector(`[data-key="${name}"]`)?.classList.toggle("down", down);
  }

  tick(first) {
    const wanted = Number(this.down.has("ArrowRight")) - Number(this.down.has("ArrowLeft"));
    const change = Math.max(-STEERING_PER_TICK, Math.min(STEERING_PER_TICK, wanted - this.steering));
    this.steering += change;
    const throttle = THROTTLE * (Number(this.down.has("ArrowUp")) - Number(this.down.has("ArrowDown")));
    this.drive(this.steering, throttle, first);
    if (!this.down.size && Math.abs(this.steering) < 1e-6) {
      clearInterval(this.timer);
      this.timer = 0;
    }
  }
}

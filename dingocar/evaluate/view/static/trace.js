// The last seconds: where the car was beside the line, and how it was steered.

const SECONDS = 15;

export class Trace {
  constructor(canvas) {
    this.canvas = canvas;
    this.points = [];
  }

  clear() {
    this.points = [];
  }

  add({ time_s, cte_m, steering, half_width_m }) {
    const last = this.points.at(-1);
    if (last && time_s < last.time_s) this.clear();
    this.points.push({ time_s, cte: cte_m / half_width_m, steering });
    while (this.points[0].time_s < time_s - SECONDS) this.points.shift();
    this.draw();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const ratio = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * ratio)) this.canvas.width = Math.round(width * ratio);
    if (this.canvas.height !== Math.round(height * ratio)) this.canvas.height = Math.round(height * ratio);
    const context = this.canvas.getContext("2d");
    const style = getComputedStyle(this.canvas);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.strokeStyle = style.getPropertyValue("--line");
    context.lineWidth = 1;
    context.strokeRect(-1, height / 2, width + 2, height);
    const end = this.points.at(-1).time_s;
    for (const [name, colour] of [["steering", "--pilot"], ["cte", "--accent"]]) {
      context.beginPath();
      for (const point of this.points) {
        const x = width * (1 - (end - point.time_s) / SECONDS);
        const y = height / 2 - Math.max(-1, Math.min(1, point[name])) * (height / 2 - 3);
        context.lineTo(x, y);
      }
      context.strokeStyle = style.getPropertyValue(colour);
      context.lineWidth = 1.8;
      context.stroke();
    }
  }
}

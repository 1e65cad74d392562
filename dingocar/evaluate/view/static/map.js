// The world from above: the painted floor as a picture, and on it, sharp at every size, what moves.

const BODY = [[0.34, 0.05], [0.34, -0.05], [0.22, -0.1], [-0.08, -0.1], [-0.08, 0.1], [0.22, 0.1]];
const MAX_PATH = 4000;
const SMALLEST_CAR_PX = 22;

export class Map {
  constructor(stage, plan, overlay) {
    [this.stage, this.plan, this.overlay] = [stage, plan, overlay];
    this.path = [];
    this.lines = true;
    new ResizeObserver(() => this.draw()).observe(stage);
  }

  /** A new world or episode. */
  open(world) {
    this.world = world;
    this.path = [];
    this.figures = null;
    this.stage.style.aspectRatio = `${world.plan.width} / ${world.plan.height}`;
    this.plan.src = `/plan.jpg?version=${world.version}`;
    this.draw();
  }

  showLines(shown) {
    this.lines = shown;
    this.draw();
  }

  /** Draws the car where the figures say it is (none: as before). */
  draw(figures = null) {
    if (figures && this.world && figures.version === this.world.version) this.move(figures);
    const context = this.fitted();
    if (!this.world || !context) return;
    if (this.lines) this.drawLines(context);
    this.stroke(context, this.path, "#22c7ff", 3, false);
    if (!this.figures) return;
    const seen = this.world.seen_m.map((point) => this.placed(point));
    this.trail(context, seen, true);
    context.fillStyle = "rgb(255 216 77 / 22%)";
    context.fill();
    context.strokeStyle = "rgb(255 216 77 / 80%)";
    context.lineWidth = 1.5;
    context.stroke();
    const size = Math.max(1, SMALLEST_CAR_PX / (0.42 * this.scale()));
    this.trail(context, BODY.map((point) => this.placed(point.map((side) => side * size))), true);
    context.fillStyle = "#ff3b5c";
    context.fill();
    context.strokeStyle = "#fff";
    context.stroke();
  }

  move(figures) {
    const before = this.figures;
    // Put back by hand or by chance: a new path.
    if (before && Math.hypot(figures.x_m - before.x_m, figures.y_m - before.y_m) > 0.5) this.path = [];
    this.figures = figures;
    this.path.push([figures.x_m, figures.y_m]);
    if (this.path.length > MAX_PATH) this.path.splice(0, MAX_PATH / 4);
  }

  drawLines(context) {
    const { left, right, centre } = this.world.lines_m;
    for (const line of [left, right]) this.stroke(context, line, "rgb(255 90 200 / 70%)", 1, true);
    context.setLineDash([6, 6]);
    this.stroke(context, centre, "rgb(255 90 200 / 70%)", 1, true);
    context.setLineDash([]);
  }

  stroke(context, points, colour, width, closed) {
    if (points.length < 2) return;
    this.trail(context, points, closed);
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.lineJoin = "round";
    context.stroke();
  }

  trail(context, points, closed) {
    const { scale_px, x0_px, y0_px, width } = this.world.plan;
    const zoom = this.overlay.clientWidth / width;
    context.beginPath();
    for (const [x, y] of points) context.lineTo((x0_px + x * scale_px) * zoom, (y0_px - y * scale_px) * zoom);
    if (closed) context.closePath();
  }

  /** A point ahead and left of the car as a point of the world. */
  placed([ahead, left]) {
    const { x_m, y_m, yaw_rad } = this.figures;
    const [sine, cosine] = [Math.sin(yaw_rad), Math.cos(yaw_rad)];
    return [x_m + ahead * cosine - left * sine, y_m + ahead * sine + left * cosine];
  }

  scale() {
    return (this.world.plan.scale_px * this.overlay.clientWidth) / this.world.plan.width;
  }

  /** The overlay, empty, with a pixel for each of the screen's. */
  fitted() {
    const { clientWidth: width, clientHeight: height } = this.overlay;
    const ratio = window.devicePixelRatio || 1;
    if (!width) return null;
    if (this.overlay.width !== Math.round(width * ratio) || this.overlay.height !== Math.round(height * ratio)) {
      [this.overlay.width, this.overlay.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    }
    const context = this.overlay.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  }
}

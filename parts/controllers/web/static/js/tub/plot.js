// Steering and throttle over a tub, on two canvases: a part of it, zoomed, and below it the whole.

import { clamp } from "../page.js";

const LEAST_ROWS = 30;
const PAD_PX = 8;

/**
 * Rows `from` to `to` (exclusive, not whole numbers) are shown. Told to: `onGo(row)` a click;
 * `onMark(first, last)` a drag.
 */
export class Plot {
  #data = null;
  #row = 0;
  #mark = null;
  #from = 0;
  #to = 1;
  #due = false;

  constructor(plot, overview, { onGo, onMark }) {
    Object.assign(this, { plot, overview, onGo, onMark });
    this.#listen();
    const again = () => this.draw();
    new ResizeObserver(again).observe(plot);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  }

  /** Shows a tub; keeps the zoom if it is the same one, grown. */
  setData(data) {
    const same = this.#data?.name === data?.name && data;
    const wasAll = !same || (this.#from === 0 && this.#to >= this.#data.length);
    this.#data = data;
    if (wasAll) [this.#from, this.#to] = [0, Math.max(1, data?.length ?? 1)];
    this.draw();
  }

  /** Where the reader is, and what is marked: [first, last] rows or null. */
  setRow(row, mark) {
    this.#row = row;
    this.#mark = mark;
    if (this.#data && (row < this.#from || row >= this.#to)) {
      const half = (this.#to - this.#from) / 2;
      this.#show(row - half, row + half);
    }
    this.draw();
  }

  /** Zooms by a factor (below 1: in) around a row, or around the reader. */
  zoom(factor, around = this.#row) {
    if (!this.#data) return;
    const rows = this.#to - this.#from;
    const wanted = clamp(rows * factor, Math.min(LEAST_ROWS, this.#data.length), this.#data.length);
    const left = (around - this.#from) / rows;
    this.#show(around - left * wanted, around + (1 - left) * wanted);
  }

  zoomAll() {
    if (this.#data) this.#show(0, this.#data.length);
  }

  #show(from, to) {
    const rows = to - from;
    const least = clamp(from, 0, Math.max(0, this.#data.length - rows));
    this.#from = least;
    this.#to = Math.min(this.#data.length, least + rows);
    this.draw();
  }

  /** Draws at the next frame. */
  draw() {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      this.#drawPart();
      this.#drawWhole();
    });
  }

  #rowAt(event) {
    const box = this.plot.getBoundingClientRect();
    const part = clamp((event.clientX - box.left) / box.width, 0, 1);
    return clamp(Math.floor(this.#from + part * (this.#to - this.#from)), 0, this.#data.length - 1);
  }

  #listen() {
    const { plot, overview } = this;
    let start = null;
    plot.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.#data?.length) return;
      plot.setPointerCapture(event.pointerId);
      start = { x: event.clientX, row: this.#rowAt(event), moved: false };
    });
    plot.addEventListener("pointermove", (event) => {
      if (!start) return;
      start.moved ||= Math.abs(event.clientX - start.x) > 4;
      if (!start.moved) return;
      const row = this.#rowAt(event);
      this.onMark(Math.min(start.row, row), Math.max(start.row, row));
    });
    plot.addEventListener("pointerup", (event) => {
      if (start && !start.moved) this.onGo(this.#rowAt(event));
      start = null;
    });
    plot.addEventListener("pointercancel", () => (start = null));
    plot.addEventListener("wheel", (event) => {
      if (!this.#data?.length) return;
      event.preventDefault();
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.#pan(event.deltaX / plot.clientWidth);
      else this.zoom(Math.exp(clamp(event.deltaY, -200, 200) / 300), this.#rowAt(event));
    }, { passive: false });
    const move = (event) => {
      if (!this.#data?.length || !overview.hasPointerCapture(event.pointerId)) return;
      const box = overview.getBoundingClientRect();
      const middle = clamp((event.clientX - box.left) / box.width, 0, 1) * this.#data.length;
      const half = (this.#to - this.#from) / 2;
      this.#show(middle - half, middle + half);
    };
    overview.addEventListener("pointerdown", (event) => {
      overview.setPointerCapture(event.pointerId);
      move(event);
    });
    overview.addEventListener("pointermove", move);
  }

  #pan(part) {
    const by = part * (this.#to - this.#from);
    this.#show(this.#from + by, this.#to + by);
  }

  /** A canvas ready to draw on, in CSS pixels, with the page's colours. */
  #canvas(canvas) {
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    return { context, width, height, colour };
  }

  #drawPart() {
    const { context, width, height, colour } = this.#canvas(this.plot);
    const data = this.#data;
    if (!data?.length) return;
    const x = (row) => ((row - this.#from) / (this.#to - this.#from)) * width;
    const y = (value) => height / 2 - value * (height / 2 - PAD_PX);
    context.strokeStyle = colour("line");
    context.lineWidth = 1;
    for (const value of [-1, 0, 1]) line(context, 0, y(value), width, y(value));
    this.#shadeDeleted(context, x, height, colour("bad"));
    if (this.#mark) {
      context.fillStyle = colour("accent");
      context.globalAlpha = 0.18;
      context.fillRect(x(this.#mark[0]), 0, Math.max(2, x(this.#mark[1] + 1) - x(this.#mark[0])), height);
      context.globalAlpha = 1;
    }
    this.#pilotStrip(context, x, height, colour("good"));
    this.#curve(context, data.throttle, x, y, width, colour("pilot"));
    this.#curve(context, data.angle, x, y, width, colour("user"));
    this.#sessions(context, x, height, colour("soft"));
    const here = x(this.#row + 0.5);
    context.strokeStyle = colour("ink");
    context.lineWidth = 2;
    line(context, here, 0, here, height);
  }

  /** One line per pixel column from its least to its greatest value, so that 20,000 records stay true. */
  #curve(context, values, x, y, width, colour) {
    const first = Math.max(0, Math.floor(this.#from) - 1);
    const last = Math.min(values.length - 1, Math.ceil(this.#to));
    const perPixel = (this.#to - this.#from) / width;
    const step = Math.max(1, Math.floor(perPixel));
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.lineJoin = "round";
    context.beginPath();
    let pen = false;
    for (let row = first - (first % step); row <= last; row += step) {
      let low = Infinity;
      let high = -Infinity;
      for (let i = Math.max(0, row); i < Math.min(row + step, values.length); i++) {
        if (!Number.isFinite(values[i])) continue;
        low = Math.min(low, values[i]);
        high = Math.max(high, values[i]);
      }
      if (low > high) {
        pen = false;
        continue;
      }
      const at = x(row + step / 2);
      if (pen) context.lineTo(at, y(clamp(high)));
      else context.moveTo(at, y(clamp(high)));
      if (low !== high) context.lineTo(at, y(clamp(low)));
      pen = true;
    }
    context.stroke();
  }

  /** Calls `paint(firstRow, lastRow + 1)` for each run of rows for which `test` holds. */
  #runs(test, from, to, paint) {
    let start = -1;
    for (let row = from; row <= to; row++) {
      const holds = row < to && test(row);
      if (holds && start < 0) start = row;
      if (!holds && start >= 0) {
        paint(start, row);
        start = -1;
      }
    }
  }

  #shadeDeleted(context, x, height, colour) {
    const data = this.#data;
    const [from, to] = [Math.floor(this.#from), Math.min(data.length, Math.ceil(this.#to))];
    this.#runs((row) => data.isDeleted[row], from, to, (first, end) => {
      const [left, wide] = [x(first), Math.max(1, x(end) - x(first))];
      context.save();
      context.beginPath();
      context.rect(left, 0, wide, height);
      context.clip();
      context.fillStyle = context.strokeStyle = colour;
      context.globalAlpha = 0.1;
      context.fillRect(left, 0, wide, height);
      context.globalAlpha = 0.45;
      context.lineWidth = 1;
      const [least, most] = [Math.max(left, 0), Math.min(left + wide, x(to))];
      for (let at = least - height; at < most; at += 8) line(context, at, height, at + height, 0);
      context.restore();
    });
  }

  #pilotStrip(context, x, height, colour) {
    const data = this.#data;
    context.fillStyle = colour;
    const drives = (row) => data.mode[row] && data.mode[row] !== "user";
    const [from, to] = [Math.floor(this.#from), Math.min(data.length, Math.ceil(this.#to))];
    this.#runs(drives, from, to, (first, end) => context.fillRect(x(first), height - 4, Math.max(1, x(end) - x(first)), 4));
  }

  #sessions(context, x, height, colour) {
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = 1;
    context.font = "11px system-ui, sans-serif";
    let labelEnd = -Infinity;
    for (const row of this.#data.sessionStarts()) {
      const at = x(row);
      if (at < -200 || at > this.plot.clientWidth) continue;
      context.setLineDash([2, 3]);
      line(context, at + 0.5, 0, at + 0.5, height);
      context.setLineDash([]);
      const label = String(this.#data.session[row] ?? "");
      if (at < labelEnd) continue;
      context.fillText(label, at + 5, 12);
      labelEnd = at + context.measureText(label).width + 16;
    }
  }

  #drawWhole() {
    const { context, width, height, colour } = this.#canvas(this.overview);
    const data = this.#data;
    if (!data?.length) return;
    const whole = [this.#from, this.#to];
    [this.#from, this.#to] = [0, data.length];
    const x = (row) => (row / data.length) * width;
    this.#shadeDeleted(context, x, height, colour("bad"));
    this.#curve(context, data.angle, x, (value) => height / 2 - value * (height / 2 - 3), width, colour("soft"));
    [this.#from, this.#to] = whole;
    context.fillStyle = colour("ground");
    context.globalAlpha = 0.7;
    context.fillRect(0, 0, x(this.#from), height);
    context.fillRect(x(this.#to), 0, width - x(this.#to), height);
    context.globalAlpha = 1;
    context.strokeStyle = colour("accent");
    context.lineWidth = 2;
    context.strokeRect(x(this.#from) + 1, 1, Math.max(4, x(this.#to) - x(this.#from)) - 2, height - 2);
    context.fillStyle = colour("ink");
    context.fillRect(x(this.#row) - 1, 0, 2, height);
  }
}

function line(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

// Steering and throttle drawn over a picture: the way that the wheels would take on flat ground.

import { clamp } from "./page.js";

// An ordinary car: 1:10, a wide-angle camera 25 cm above the ground. Only the drawing depends on it.
const WHEELBASE_M = 0.25;
const MAX_STEERING_RAD = 0.5;
const HALF_TRACK_M = 0.09;
const CAMERA = { height: 0.25, pitch: 0.3, forward: 0.2, halfFov: 0.95, k1: -0.05 };

const WIDTH = 400;
const HEIGHT = 300;
const EDGE = Math.tan(CAMERA.halfFov);
const FOCAL = WIDTH / 2 / (EDGE * (1 + CAMERA.k1 * EDGE * EDGE));

/** Where a point on the ground, `x` m ahead and `y` m to the right of the rear axle, is seen; null: nowhere. */
function seen(x, y) {
  const ahead = x - CAMERA.forward;
  const cos = Math.cos(CAMERA.pitch);
  const sin = Math.sin(CAMERA.pitch);
  const depth = ahead * cos + CAMERA.height * sin;
  if (depth < 0.05) return null;
  const u = y / depth;
  const v = (CAMERA.height * cos - ahead * sin) / depth;
  const radial = FOCAL * (1 + CAMERA.k1 * Math.min(2, u * u + v * v));
  return [WIDTH / 2 + radial * u, HEIGHT / 2 + radial * v];
}

/** One wheel's way over the ground, as points of the picture. */
function way(steering, lengthM, sideM) {
  const curvature = Math.tan(clamp(steering) * MAX_STEERING_RAD) / WHEELBASE_M;
  const points = [];
  for (let m = 0.3; m <= lengthM && Math.abs(m * curvature) < 1.5; m += 0.03) {
    const turn = m * curvature;
    const flat = Math.abs(curvature) < 1e-3;
    const x = flat ? m : Math.sin(turn) / curvature;
    const y = flat ? 0 : (1 - Math.cos(turn)) / curvature;
    const point = seen(x - sideM * Math.sin(turn), y + sideM * Math.cos(turn));
    if (point) points.push(point.map((value) => value.toFixed(1)).join(" "));
  }
  return points;
}

const lineOf = (points) => (points.length > 1 ? `M${points.join("L")}` : "");

const node = (tag, attributes) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};

/** Draws drivers over a picture; each is {steering, throttle} in [-1, 1] or null. */
export class Paths {
  #ways = {};
  #bars = {};

  constructor(svg) {
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute("preserveAspectRatio", "none");
    for (const who of ["pilot", "user"]) {
      const [lane, under, over] = [`lane ${who}`, "under", who].map((kind) => node("path", { class: kind }));
      this.#ways[who] = { lane, under, over };
      svg.append(lane, under, over);
    }
    svg.append(node("rect", { class: "track", x: 378, y: 60, width: 12, height: 180, rx: 6 }));
    for (const [who, x] of [["user", 379.5], ["pilot", 385]]) {
      this.#bars[who] = node("rect", { class: `gas ${who}`, x, width: 4, rx: 2, height: 0, y: 150 });
      svg.append(this.#bars[who]);
    }
    svg.append(node("path", { class: "zero", d: "M375 150H393" }));
  }

  draw(who, driver) {
    const { lane, under, over } = this.#ways[who];
    const bar = this.#bars[who];
    if (!driver || !Number.isFinite(driver.steering)) {
      for (const path of [lane, under, over]) path.setAttribute("d", "");
      bar.setAttribute("height", 0);
      return;
    }
    const throttle = clamp(Number.isFinite(driver.throttle) ? driver.throttle : 0);
    const lengthM = 0.8 + 1.4 * Math.abs(throttle);
    const [left, right] = [-HALF_TRACK_M, HALF_TRACK_M].map((sideM) => way(driver.steering, lengthM, sideM));
    const both = lineOf(left) + lineOf(right);
    lane.setAttribute("d", lineOf([...left, ...right.reverse()]));
    over.setAttribute("d", both);
    under.setAttribute("d", who === "user" ? both : "");
    const height = 88 * Math.abs(throttle);
    bar.setAttribute("height", height.toFixed(1));
    bar.setAttribute("y", (throttle > 0 ? 150 - height : 150).toFixed(1));
  }
}

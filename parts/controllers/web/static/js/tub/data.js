// A tub as the car tells it: columns of equal length, one row per record, live and deleted ones alike.

import { fetchJson } from "../page.js";

/** The car takes so many in one request. */
const MOST_RANGES = 1000;

const tubPath = (name) => `/api/tubs/${encodeURIComponent(name)}`;

export const listTubs = () => fetchJson("/api/tubs");

export class TubData {
  constructor(name, answer) {
    this.name = name;
    this.index = answer.index;
    this.session = answer.session;
    this.angle = answer.angle;
    this.throttle = answer.throttle;
    this.mode = answer.mode;
    this.setDeleted(answer.deleted);
  }

  static async fetch(name) {
    return new TubData(name, await fetchJson(tubPath(name)));
  }

  get length() {
    return this.index.length;
  }

  setDeleted(indexes) {
    const deleted = new Set(indexes);
    this.isDeleted = this.index.map((index) => deleted.has(index));
    this.deletedCount = this.isDeleted.reduce((sum, one) => sum + one, 0);
  }

  imageUrl(row) {
    return `${tubPath(this.name)}/images/${this.index[row]}.jpg`;
  }

  /** Where sessions begin, as rows; the first one is 0. */
  sessionStarts() {
    const starts = [];
    for (let row = 0; row < this.length; row++) {
      if (row === 0 || this.session[row] !== this.session[row - 1]) starts.push(row);
    }
    return starts;
  }

  /** The rows between two, inclusive, that are (or are not) deleted, as ranges of indexes. */
  ranges(first, last, deleted) {
    const ranges = [];
    for (let row = first; row <= last; row++) {
      if (this.isDeleted[row] !== deleted) continue;
      if (row > first && this.isDeleted[row - 1] === deleted && ranges.length) ranges.at(-1)[1] = this.index[row];
      else ranges.push([this.index[row], this.index[row]]);
    }
    return ranges;
  }

  /** Marks ranges of indexes as deleted or restores them, at the car and here. */
  async change(action, ranges) {
    for (let at = 0; at < ranges.length; at += MOST_RANGES) {
      await fetchJson(`${tubPath(this.name)}/${action}`, { ranges: ranges.slice(at, at + MOST_RANGES) });
    }
    for (const [first, last] of ranges) {
      for (let row = this.rowOf(first); row < this.length && this.index[row] <= last; row++) {
        this.isDeleted[row] = action === "delete";
      }
    }
    this.deletedCount = this.isDeleted.reduce((sum, one) => sum + one, 0);
  }

  /** The first row whose index is not below `index`. */
  rowOf(index) {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.index[middle] < index) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

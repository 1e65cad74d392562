// The live picture: reads the car's MJPEG stream, draws the newest frame, knows when it has stalled.

const STALLED_MS = 2000;
const RETRY_MS = 700;

/** Index of a pattern of bytes at or after `from`, or -1. */
function find(bytes, pattern, from = 0) {
  outer: for (let at = from; at <= bytes.length - pattern.length; at++) {
    for (let i = 0; i < pattern.length; i++) if (bytes[at + i] !== pattern[i]) continue outer;
    return at;
  }
  return -1;
}

const BLANK_LINE = [13, 10, 13, 10];

/** Takes whole pictures out of a multipart stream, each with a Content-Length. */
class Parts {
  #bytes = new Uint8Array(0);

  /** Adds bytes; returns the newest whole picture in them, or null. */
  push(chunk) {
    const joined = new Uint8Array(this.#bytes.length + chunk.length);
    joined.set(this.#bytes);
    joined.set(chunk, this.#bytes.length);
    let rest = joined;
    let picture = null;
    for (;;) {
      const end = find(rest, BLANK_LINE);
      if (end < 0) break;
      const head = new TextDecoder().decode(rest.subarray(0, end));
      const length = Number(/content-length:\s*(\d+)/i.exec(head)?.[1]);
      if (!Number.isFinite(length)) throw new Error("a part of the video has no Content-Length");
      const start = end + BLANK_LINE.length;
      if (rest.length < start + length) break;
      picture = rest.slice(start, start + length);
      rest = rest.subarray(start + length);
    }
    this.#bytes = rest;
    return picture;
  }
}

export class Video {
  #abort = null;
  #timer = 0;
  #seenMs = 0;
  #drawing = false;

  /** Frames drawn so far. */
  frames = 0;

  /** Draws the stream at `path` into a canvas; `onLive` is told whether pictures are coming. */
  constructor(canvas, path, onLive) {
    this.canvas = canvas;
    this.path = path;
    this.onLive = onLive;
    setInterval(() => {
      if (this.#abort && performance.now() - this.#seenMs > STALLED_MS) this.#again();
    }, 500);
  }

  start() {
    if (this.#abort) return;
    clearTimeout(this.#timer);
    this.#abort = new AbortController();
    this.#seenMs = performance.now();
    this.#read(this.#abort);
  }

  /** Hangs up, so that the car encodes nothing for a page that nobody sees. */
  stop() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = null;
  }

  #again() {
    this.stop();
    this.onLive(false);
    this.#timer = setTimeout(() => this.start(), RETRY_MS);
  }

  async #read(abort) {
    try {
      const response = await fetch(this.path, { signal: abort.signal, cache: "no-store" });
      if (!response.ok) throw new Error(`video: ${response.status}`);
      const reader = response.body.getReader();
      const parts = new Parts();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const picture = parts.push(value);
        if (picture) this.#show(picture);
      }
    } catch { /* aborted, or the connection is lost: below */ }
    if (this.#abort === abort) this.#again();
  }

  async #show(bytes) {
    this.#seenMs = performance.now();
    if (this.#drawing) return; // a slow phone skips pictures instead of falling behind
    this.#drawing = true;
    try {
      const picture = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
      if (this.canvas.width !== picture.width || this.canvas.height !== picture.height) {
        this.canvas.width = picture.width;
        this.canvas.height = picture.height;
        this.canvas.parentElement.style.aspectRatio = `${picture.width} / ${picture.height}`;
      }
      this.canvas.getContext("2d").drawImage(picture, 0, 0);
      picture.close();
      this.frames += 1;
      this.onLive(true);
    } catch { /* a torn picture: the next one will do */ } finally {
      this.#drawing = false;
    }
  }
}

// The WebSocket to the car: reconnects, measures the latency, notices silence.

/** The car reports ten times a second; silent for so long, the picture of it is not true any more. */
const SILENT_MS = 1500;
const PING_MS = 1000;
const RETRY_MS = [200, 400, 800, 1500, 2000];
/** Commands that wait in the browser because the network is stuck would be driven late: they are dropped. */
const MAX_WAITING_BYTES = 512;

/**
 * Events: `open`; `lost` (detail: why); `state`, `problem` (detail: a message of the server);
 * `latency` (detail: ms, there and back).
 */
export class Link extends EventTarget {
  #socket = null;
  #tries = 0;
  #timer = 0;
  #heardMs = 0;
  #wanted = true;

  constructor(url) {
    super();
    this.url = url;
    setInterval(() => this.#watch(), PING_MS / 2);
    window.addEventListener("online", () => this.retry());
    this.#connect();
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Sends a message; false: there is no connection. */
  send(message) {
    if (!this.isOpen) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Sends the sticks: the sign of life. Left out while earlier ones are still waiting to get through. */
  drive(steering, throttle) {
    if (!this.isOpen) return;
    const moves = steering !== 0 || throttle !== 0;
    if (moves && this.#socket.bufferedAmount > MAX_WAITING_BYTES) return;
    this.send({ type: "drive", steering: round(steering), throttle: round(throttle) });
  }

  /** Tries again now. */
  retry() {
    this.#wanted = true;
    if (this.#socket) return;
    clearTimeout(this.#timer);
    this.#connect();
  }

  /** Leaves the car: the server lets go of it at once. */
  leave() {
    this.#wanted = false;
    clearTimeout(this.#timer);
    this.#drop("left");
  }

  #connect() {
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    this.#heardMs = performance.now();
    socket.onopen = () => {
      this.#tries = 0;
      this.#heardMs = performance.now();
      this.#tell("open");
      this.#ping();
    };
    socket.onmessage = (event) => this.#hear(event.data);
    socket.onclose = (event) => {
      if (this.#socket === socket) this.#drop(event.reason || "");
    };
  }

  #hear(text) {
    this.#heardMs = performance.now();
    const message = JSON.parse(text);
    if (message.type === "pong") this.#tell("latency", performance.now() - message.t);
    else if (message.type === "state") this.#tell("state", message);
    else if (message.type === "error") this.#tell("problem", message.message);
  }

  #ping() {
    if (this.isOpen && !document.hidden) this.send({ type: "ping", t: performance.now() });
  }

  #watch() {
    const silentMs = performance.now() - this.#heardMs;
    if (this.#socket && !document.hidden && silentMs > SILENT_MS + (this.isOpen ? 0 : 3000)) {
      this.#drop("no answer");
    }
    this.#ping();
  }

  #drop(reason) {
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
      this.#tell("lost", reason);
    }
    if (!this.#wanted) return;
    const wait = RETRY_MS[Math.min(this.#tries++, RETRY_MS.length - 1)];
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

const round = (value) => Math.round(value * 1000) / 1000;

/** Where the socket is, from the page's own address. */
export function socketUrl() {
  const url = new URL("/ws", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

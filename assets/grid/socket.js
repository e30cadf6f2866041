// The grid's own websocket: opens at once, comes back by itself, knows only text in, text and frames out.

const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 8000;
const SILENCE_MS = 6000;

/**
 * `url()` is asked before every attempt (it may be a promise: the ticket may need renewal).
 * Listeners: onOpen(), onClose(), onText(object), onFrame(ArrayBuffer).
 */
export class GridSocket {
  constructor(url, listeners) {
    this.url = url;
    this.listeners = listeners;
    this.attempts = 0;
    this.heardAt = 0;
    this.retryAt = 0;
    this.connected = false;
    this.socket = null;
    this.timer = null;
    setInterval(() => this.#watch(), 1000);
    window.addEventListener("online", () => this.retryNow());
  }

  async open() {
    this.timer = null;
    let socket;
    try {
      socket = new WebSocket(await this.url(this.attempts));
    } catch (error) {
      console.warn("grid: no address to connect to", error);
      this.#retryLater();
      return;
    }
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => this.#opened();
    socket.onclose = () => this.#closed(socket);
    socket.onmessage = (message) => {
      this.heardAt = performance.now();
      this.#heard(socket, message.data);
    };
  }

  send(message) {
    if (this.connected) this.socket.send(JSON.stringify(message));
  }

  retryNow() {
    if (this.timer === null) return;
    clearTimeout(this.timer);
    this.open();
  }

  /** Milliseconds since anything was heard; 0 while not connected. */
  silenceMs() {
    return this.connected ? performance.now() - this.heardAt : 0;
  }

  // what cannot be read leaves the grid behind the truth: begin again, from a whole window
  #heard(socket, data) {
    try {
      if (typeof data === "string") this.listeners.onText(JSON.parse(data));
      else this.listeners.onFrame(data);
    } catch (error) {
      console.error("grid: message not understood", error);
      socket.close();
    }
  }

  #opened() {
    this.connected = true;
    this.heardAt = performance.now();
    this.listeners.onOpen();
  }

  #closed(socket) {
    if (socket !== this.socket) return;
    if (this.connected) this.attempts = 0;
    this.connected = false;
    this.socket = null;
    this.listeners.onClose();
    this.#retryLater();
  }

  #retryLater() {
    const wait = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.attempts) * (0.75 + Math.random() / 2);
    this.attempts += 1;
    this.retryAt = performance.now() + wait;
    this.timer = setTimeout(() => this.open(), wait);
  }

  // a dead peer behind a pulled cable sends no close: the gateway speaks twice a second, so silence is death
  #watch() {
    if (this.silenceMs() < SILENCE_MS) return;
    const dead = this.socket;
    dead.onmessage = null;
    this.#closed(dead);
    dead.close();
  }
}

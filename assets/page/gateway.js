// The gateway as pages ask it beside their grids: with a ticket of the page server, which is renewed in time.

import { ApiError } from "./rest.js";

/** A ticket is renewed before it is this old. */
const TICKET_MS = 300_000;

export class Gateway {
  /** Fetch what a question needs, ahead of it. Raises `ApiError`: 403 for who is kept to clients. */
  async prepare() {
    if (this.way && Date.now() < this.renewAt) return this.way;
    const answer = await reach("/ticket");
    if (answer.status === 401) window.location.reload(); // the login is over: its page comes, and leads back here
    if (!answer.ok) throw new ApiError(answer.status, "", "The page server gives no ticket");
    const way = await answer.json();
    if (way.kept) throw new ApiError(403, "", "This is not shown to who is kept to some clients");
    this.way = way;
    this.renewAt = Date.now() + TICKET_MS;
    return this.way;
  }

  /** The JSON of an answer. Raises `ApiError`; `signal` ends it. */
  async ask(path, asked = {}, signal) {
    const { ticket, gateway_port: port } = await this.prepare();
    const base = `${window.location.protocol}//${window.location.hostname}:${port}`;
    const answer = await reach(`${base}${path}?${new URLSearchParams({ ticket, ...asked })}`, signal);
    if (answer.ok) return answer.json();
    if (answer.status === 403) this.way = null; // with a fresh ticket perhaps not
    const { detail } = await answer.json().catch(() => ({ detail: answer.statusText }));
    throw new ApiError(answer.status, "", detail);
  }
}

async function reach(address, signal) {
  try {
    return await fetch(address, { cache: "no-store", signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "", "The server does not answer");
  }
}

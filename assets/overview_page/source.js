// One thing that the page asks for now and then, and what it knows of it: the newest answer, how old it is, or why there is none.

import { ApiError } from "../page/rest.js";

/** What is not there, or not for this person, may be there when a newer version of the service is. */
const REFUSED_MS = 300_000;

export class Source {
  /** `ask()`: a promise; `everyMs`: not more often than this, unless something has rung. */
  constructor(ask, everyMs) {
    Object.assign(this, { ask, everyMs, answer: null, at: -Infinity, problem: null, dueAt: 0 });
  }

  /** "": there is an answer of now; else late, away, refused or missing. */
  get state() {
    if (this.problem) return this.problem;
    return this.answer ? "" : "waiting";
  }

  get absent() {
    return ["refused", "missing"].includes(this.problem);
  }

  /** Ask if it is time to, or `rung`. Never throws what an API can answer. */
  async renew(rung = false) {
    const now = performance.now();
    if (this.asking || now < this.dueAt * !(rung && !this.absent)) return this.asking;
    this.dueAt = now + this.everyMs;
    this.asking = this.#asked();
    try {
      await this.asking;
    } finally {
      this.asking = null;
    }
    return undefined;
  }

  async #asked() {
    try {
      this.answer = await this.ask();
      this.at = performance.now();
      this.problem = null;
      this.why = "";
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.problem = { 403: "refused", 404: "missing", 0: "away" }[error.status] ?? "late";
      this.why = error.message;
      if (this.absent) {
        this.answer = null;
        this.dueAt = performance.now() + REFUSED_MS;
      }
    }
  }
}

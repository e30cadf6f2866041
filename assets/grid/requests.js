// Questions to the gateway that have an answer of their own, told apart by a number.

const PATIENCE_MS = 10_000;

export class Requests {
  constructor(send) {
    this.send = send;
    this.number = 0;
    this.waiting = new Map();
  }

  /** A promise of the answer. Rejects when it is refused or does not come. */
  ask(message) {
    const r = (this.number = (this.number + 1) % 65536);
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => this.#end(r)?.reject(new Error("the gateway does not answer")), PATIENCE_MS);
      this.waiting.set(r, { resolve, reject, late });
      this.send({ ...message, r });
    });
  }

  answer(message) {
    this.#end(message.r)?.resolve(message);
  }

  /** Whether an error was the answer to one of ours. */
  refuse({ r, detail }) {
    const asked = r === undefined ? undefined : this.#end(r);
    asked?.reject(new Error(detail));
    return asked !== undefined;
  }

  /** Nothing that was asked will be answered. */
  fail(why) {
    for (const r of [...this.waiting.keys()]) this.#end(r).reject(new Error(why));
  }

  #end(r) {
    const asked = this.waiting.get(r);
    if (asked) clearTimeout(asked.late);
    this.waiting.delete(r);
    return asked;
  }
}

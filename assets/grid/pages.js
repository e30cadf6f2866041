// The page server, as the grid sees it: a fresh ticket, and a reload that never ends on the browser's error page.

/** Another page process answers within a second of the death of one. */
const POLL_MS = 250;

/** A ticket is renewed when it is this old, in half of the time for which it is good (app/tickets.py). */
export const TICKET_MS = 300_000;
const LOOK_MS = 5000;

/** The gateway's ticket of this page, renewed for as long as the person's login lasts. `onRenewed(text)`: there is a newer one. */
export class Ticket {
  constructor(text, onRenewed) {
    Object.assign(this, { text, onRenewed, at: Date.now() });
    setInterval(() => this.ready(), LOOK_MS);
  }

  /** By the clock on the wall: a machine that has slept has not counted. */
  get old() {
    return Date.now() - this.at > TICKET_MS;
  }

  /** A good one is there when this is done, unless nobody gives one. */
  async ready() {
    if (this.old) await this.renew().catch(() => {}); // the old one may do for as long as no page server answers
  }

  /** Fetch the next one. Throws when the page server cannot be reached. */
  renew() {
    this.renewing ??= this.#renew().finally(() => (this.renewing = null));
    return this.renewing;
  }

  async #renew() {
    this.text = await freshTicket();
    this.at = Date.now();
    this.onRenewed(this.text);
  }
}

/** A ticket that is good for minutes. Throws when the page server cannot be reached. */
export async function freshTicket() {
  const answer = await fetch("/ticket", { cache: "no-store" });
  if (answer.status === 401) window.location.reload(); // the login is over: its page comes, and leads back here
  if (!answer.ok) throw new Error(`no ticket: ${answer.status}`);
  return (await answer.json()).ticket;
}

let leaving = false;

/** Load the page anew, into the same view, as soon as its server answers. */
export async function reloadWhenServed() {
  if (leaving) return;
  leaving = true;
  for (;;) {
    try {
      await freshTicket();
      window.location.reload();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

// Securities by name, as the gateway and, for what only the security master knows, the API tell them.

import { Gateway } from "../page/gateway.js";
import { ApiError, query, Rest } from "../page/rest.js";

/** What could be an identifier that only the master knows: a RIC, a former name. */
const NAMES_ONE = /^[^\s@]{3,24}$/;

export class Securities {
  gateway = new Gateway();

  /** Fetch what a search needs before somebody types. Raises `ApiError`. */
  async prepare() {
    await this.gateway.prepare();
  }

  /** {found, total, why} of what is typed. `exact`: whole identifiers only. Raises `ApiError`; `signal` ends it. */
  async search(text, { limit = 12, exact = false, signal } = {}) {
    const told = await this.gateway.ask("/search", { q: text, limit, exact: exact ? "1" : "0" }, signal);
    if (told.total || !NAMES_ONE.test(text)) return told;
    const code = await this.#master(text);
    if (!code) return told;
    const known = await this.gateway.ask("/search", { q: code, limit: 1, exact: "1" }, signal);
    for (const hit of known.found) hit.matched = "other";
    return known.total ? known : told;
  }

  /** Our code of what the security master knows by another name; "" where nobody is known, or nobody can be asked. */
  async #master(text) {
    try {
      this.rest ??= new Rest("/api/v1", await session(), () => {});
      const { securities } = await this.rest.json("GET", `/securities${query({ name: text })}`);
      return securities[0] ?? "";
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return "";
    }
  }
}

/** What an open question has been told so far would be lost. */
const busy = () => document.querySelector("dialog[open]") !== null;

/** Follow another window to a security, where this page can without leaving what it shows. Whether somebody may have. */
export function hearSecurity(code) {
  if (busy()) return false;
  document.dispatchEvent(new CustomEvent("ims-open", { detail: { code, heard: true }, cancelable: true }));
  return true;
}

/** Open the drill-down of a security: on this page, where it has one; else on the page of all securities. */
export function openSecurity(code) {
  const event = new CustomEvent("ims-open", { detail: { code, heard: false }, cancelable: true });
  if (document.dispatchEvent(event)) window.location.assign(`/inventory?${new URLSearchParams({ sec: code })}`);
}

async function session() {
  const answer = await fetch("/token", { cache: "no-store" }).catch((error) => {
    throw new ApiError(0, "", error.message);
  });
  if (!answer.ok) throw new ApiError(answer.status, "", "The page server gives no token");
  return answer.json();
}

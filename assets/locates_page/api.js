// The API of locates, and of what stands behind one.

import { part, query, Rest } from "../page/rest.js";

export class Api extends Rest {
  constructor(session, onSession) {
    super("/api/v1", session, onSession);
  }

  status = () => this.json("GET", "/status");
  locates = (asked) => this.json("GET", `/locates${query(asked)}`);
  locate = (id) => this.json("GET", `/locates/${part(id)}`);
  evidence = (id) => this.json("GET", `/locates/${part(id)}/evidence`);
  totals = (asked) => this.json("GET", `/locates/totals${query(asked)}`);
  availability = (security) => this.json("GET", `/availability/${part(security)}`);
  request = (lines, key) => this.json("POST", "/locates", lines, { key });
  quote = (lines) => this.json("POST", "/locates/quotes", lines);
  /** `step`: approve, reject, ask, release or cancel. */
  step = (step, id, body) => this.json("POST", `/locates/${part(id)}/${step}`, body);
  steps = (action, ids, comment) => this.json("POST", "/locates/actions", { action, ids, comment });
}

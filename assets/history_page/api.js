// The API of numbers over time, of what happened, and of what was.

import { part, query, Rest } from "../page/rest.js";

export class Api extends Rest {
  constructor(session, onSession) {
    super("/api/v1", session, onSession);
  }

  status = () => this.json("GET", "/status");
  history = (security, asked) => this.json("GET", `/history/${part(security)}${query(asked)}`);
  /** `scope`: client or au. */
  limits = (scope, owner, security, asked) => this.json("GET", `/history/limits/${scope === "au" ? "au/" : ""}${part(owner)}/${part(security)}${query(asked)}`);
  marks = (security, asked) => this.json("GET", `/history/${part(security)}/marks${query(asked)}`);
  markets = (asked) => this.json("GET", `/utilisation${query(asked)}`);
  answers = (asked) => this.json("GET", `/latencies${query(asked)}`);
  asof = (security, time) => this.json("GET", `/asof${query({ security, time })}`);
}

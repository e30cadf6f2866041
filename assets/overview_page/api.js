// All that the overview asks for, of the API and of the gateway.

import { Gateway } from "../page/gateway.js";
import { query, Rest } from "../page/rest.js";

export class Api extends Rest {
  constructor(session, onSession) {
    super("/api/v1", session, onSession);
    this.gateway = new Gateway();
  }

  status = () => this.json("GET", "/status");
  sums = () => this.gateway.ask("/overview");
  totals = (asked) => this.json("GET", `/locates/totals${query(asked)}`);
  locates = (limit) => this.json("GET", `/locates${query({ limit })}`);
  orders = (limit) => this.json("GET", `/orders${query({ limit })}`);
  breaks = () => this.json("GET", "/breaks/summary");
  newBreaks = (limit) => this.json("GET", `/breaks${query({ order: "newest", limit })}`);
  alerts = () => this.json("GET", "/alerts");
  scarcity = () => this.json("GET", "/scarcity?by=classification");
}

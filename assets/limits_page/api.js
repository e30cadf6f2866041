// The API of limits and of the orders that take them.

import { part, query, Rest } from "../page/rest.js";

export class Api extends Rest {
  constructor(session, onSession) {
    super("/api/v1", session, onSession);
  }

  status = () => this.json("GET", "/status");
  orders = (asked) => this.json("GET", `/orders${query(asked)}`);
  order = (order) => this.json("GET", `/orders/${part(order)}`);
  limits = (asked) => this.json("GET", `/limits${query(asked)}`);
  /** `scope`: client or au. */
  why = (scope, owner, security) => this.json("GET", `/limits/${scope === "au" ? "au/" : ""}${part(owner)}/${part(security)}`);
}

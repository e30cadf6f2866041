// The API of feeds, of what waits and of what was set aside.

import { part, Rest } from "../page/rest.js";

export class Api extends Rest {
  constructor(session, onSession) {
    super("/api/v1", session, onSession);
  }

  status = () => this.json("GET", "/status");
  feed = (name) => this.json("GET", `/feeds/${part(name)}`);
  /** `where`: parked or quarantine; `asked`: {feed, cursor, limit}. */
  records = (where, asked) => this.json("GET", `/${where}?${new URLSearchParams(Object.entries(asked).filter(([, value]) => value))}`);
  retry = (where, ids) => this.json("POST", `/${where}/retry`, { ids });
  discard = (where, ids, comment) => this.json("POST", `/${where}/discard`, { ids, comment });
}

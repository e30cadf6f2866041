// The API of feeds, of what waits, of what was set aside, and of files.

import { part, query, Rest } from "../page/rest.js";

export class Api extends Rest {
  constructor(session, onSession) {
    super("/api/v1", session, onSession);
  }

  status = () => this.json("GET", "/status");
  feed = (name) => this.json("GET", `/feeds/${part(name)}`);
  /** `where`: parked or quarantine; `asked`: {feed, cursor, limit}. */
  records = (where, asked) => this.json("GET", `/${where}${query(asked)}`);
  files = (asked) => this.json("GET", `/files${query(asked)}`);
  file = (id) => this.json("GET", `/files/${part(id)}`);
  fileText = async (id) => (await this.ask("GET", `/files/${part(id)}/text`)).text();
  fileAnswers = async (id) => (await this.ask("GET", `/files/${part(id)}/answers`)).blob();
  force = (id, comment) => this.json("POST", `/files/${part(id)}/force`, { comment });
  retry = (where, ids) => this.json("POST", `/${where}/retry`, { ids });
  discard = (where, ids, comment) => this.json("POST", `/${where}/discard`, { ids, comment });
}

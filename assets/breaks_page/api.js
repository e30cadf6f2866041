// The API of breaks.

import { part, query, Rest } from "../page/rest.js";

export class Api extends Rest {
  constructor(session, onSession) {
    super("/api/v1", session, onSession);
  }

  status = () => this.json("GET", "/status");
  breaks = (asked) => this.json("GET", `/breaks${query(asked)}`);
  summary = () => this.json("GET", "/breaks/summary");
  one = (id) => this.json("GET", `/breaks/${part(id)}`);
  sides = (id) => this.json("GET", `/breaks/${part(id)}/sides`);
  adjustments = (state) => this.json("GET", `/breaks/adjustments${query({ state })}`);
  /** `step`: assign, comment, acknowledge, hold, return or adjust. */
  step = (step, id, body) => this.json("POST", `/breaks/${part(id)}/${step}`, body);
  /** `action`: assign, comment, acknowledge, group or ungroup. */
  steps = (action, ids, more) => this.json("POST", "/breaks/actions", { action, ids, ...more });
  groups = () => this.json("GET", "/breaks/groups");
  group = (ids, name, comment) => this.json("POST", "/breaks/groups", { ids, name, comment });
  match = (ids, comment, force) => this.json("POST", "/breaks/matches", { ids, comment, ...(force ? { force: true } : {}) });
  undo = (match, comment) => this.json("POST", `/breaks/matches/${part(match)}/undo`, { comment });
  /** `step`: approve, reject or withdraw. */
  decide = (step, id, comment) => this.json("POST", `/breaks/adjustments/${part(id)}/${step}`, { comment });
}

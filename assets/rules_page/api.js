// The API of rules.

import { part, query, Rest } from "../page/rest.js";

export { ApiError } from "../page/rest.js";

/** Older steps than these are for programs. */
const AUDIT_STEPS = 1000;
/** Lines of a dry run that a file has at most. */
const MOST_LINES = 100_000;
const dryRunPath = (document, version, { since, until }, limit) =>
  `/${part(document)}/versions/${version}/dry-run${query({ from: since, to: until, limit })}`;

export class Api extends Rest {
  constructor(session, onSession) {
    super("/api/v1/rules", session, onSession);
  }

  documents = () => this.json("GET", "");
  versions = (document) => this.json("GET", `/${part(document)}/versions`);
  version = (document, version) => this.json("GET", `/${part(document)}/versions/${version}`);
  audit = (document) => this.json("GET", `/audit?document=${part(document)}&limit=${AUDIT_STEPS}`);
  draft = (document, text, comment) => this.json("POST", `/${part(document)}/drafts`, { text, comment });
  revert = (document, to, comment) => this.json("POST", `/${part(document)}/revert`, { to, comment });
  test = (document, version) => this.json("POST", `/${part(document)}/versions/${version}/test`, {});
  /** `period`: {since, until}, days or "". */
  dryRun = (document, version, period) => this.json("GET", dryRunPath(document, version, period));
  dryRunLines = async (document, version, period) => (await this.ask("GET", dryRunPath(document, version, period, MOST_LINES), undefined, { accept: "text/csv" })).blob();
  /** `step`: submit, approve, reject or withdraw. */
  step = (step, document, version, comment) => this.json("POST", `/${part(document)}/versions/${version}/${step}`, { comment });
  import = (text, comment) => this.json("POST", "/import", { text, comment });
  export = async () => (await this.ask("GET", "/export")).blob();
}

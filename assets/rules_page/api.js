// The service's REST API as this page uses it: one short-lived token, renewed by the page server, and errors as one kind of error.

const RENEW_BEFORE_MS = 60_000;
/** Older steps than these are for programs. */
const AUDIT_STEPS = 1000;
const BASE = "/api/v1/rules";

/** A request that was not served. `status` 0: nobody answered. `problems`: [{document, line, column, message}]. */
export class ApiError extends Error {
  constructor(status, title, detail, problems = []) {
    super(detail || title);
    Object.assign(this, { status, title, detail, problems });
  }

  /** Nothing can be said about the rules at the moment: the engine or the page server is away. */
  get away() {
    return [0, 502, 503, 504].includes(this.status);
  }
}

export class Api {
  /** `session`: {token, valid_s, user, roles, open}, as the page server put it into the page. */
  constructor(session, onSession) {
    this.onSession = onSession;
    this.#take(session);
  }

  documents = () => this.#json("GET", "");
  versions = (document) => this.#json("GET", `/${part(document)}/versions`);
  version = (document, version) => this.#json("GET", `/${part(document)}/versions/${version}`);
  audit = (document) => this.#json("GET", `/audit?document=${part(document)}&limit=${AUDIT_STEPS}`);
  draft = (document, text, comment) => this.#json("POST", `/${part(document)}/drafts`, { text, comment });
  revert = (document, to, comment) => this.#json("POST", `/${part(document)}/revert`, { to, comment });
  test = (document, version) => this.#json("POST", `/${part(document)}/versions/${version}/test`, {});
  /** `step`: submit, approve, reject or withdraw. */
  step = (step, document, version, comment) => this.#json("POST", `/${part(document)}/versions/${version}/${step}`, { comment });
  import = (text, comment) => this.#json("POST", "/import", { text, comment });
  export = async () => (await this.#ask("GET", "/export")).blob();

  async #json(method, path, body) {
    return (await this.#ask(method, path, body)).json();
  }

  async #ask(method, path, body, again = true) {
    if (performance.now() > this.renewAt) await this.#renew();
    const headers = { Authorization: `Bearer ${this.token}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const answer = await reach(BASE + path, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
    if (answer.ok) return answer;
    if (answer.status === 401 && again) {
      await this.#renew();
      return this.#ask(method, path, body, false);
    }
    throw await refusal(answer);
  }

  async #renew() {
    const answer = await reach("/token", { cache: "no-store" });
    if (answer.status === 401) {
      window.location.reload(); // the login is over: its page comes in place of this one, and leads back here
      throw new ApiError(401, "Signed out", "Your login has ended");
    }
    if (!answer.ok) throw await refusal(answer);
    this.#take(await answer.json());
    this.onSession(this.session);
  }

  #take(session) {
    this.session = session;
    this.token = session.token;
    this.renewAt = performance.now() + session.valid_s * 1000 - RENEW_BEFORE_MS;
  }
}

const part = (text) => encodeURIComponent(text);

async function reach(address, options) {
  try {
    return await fetch(address, options);
  } catch (error) {
    throw new ApiError(0, "No connection", `The page server does not answer (${error.message})`);
  }
}

async function refusal(answer) {
  let told = {};
  try {
    told = await answer.json();
  } catch {
    told = { title: answer.statusText || `Status ${answer.status}` };
  }
  const problems = (told.errors ?? []).map(({ document = "", line = 0, column = 0, detail }) => ({ document, line, column, message: detail }));
  return new ApiError(answer.status, told.title ?? "", told.detail ?? "", problems);
}

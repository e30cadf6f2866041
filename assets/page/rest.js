// The service's REST API as a page uses it: one short-lived token, renewed by the page server, and errors as one kind of error.

const RENEW_BEFORE_MS = 60_000;

/** A request that was not served. `status` 0: nobody answered. `problems`: [{document, line, column, pointer, message}]. */
export class ApiError extends Error {
  constructor(status, title, detail, problems = []) {
    super(detail || title);
    Object.assign(this, { status, title, detail, problems });
  }

  /** Nothing can be said at the moment: the engine or the page server is away. */
  get away() {
    return [0, 502, 503, 504].includes(this.status);
  }
}

export class Rest {
  /** `base`: what all paths begin with; `session`: {token, valid_s, user, roles, open}, as the page server put it into the page. */
  constructor(base, session, onSession) {
    this.base = base;
    this.onSession = onSession;
    this.#take(session);
  }

  /** The token, renewed where it will soon be over. */
  async fresh() {
    if (performance.now() > this.renewAt) await this.#renew();
    return this.token;
  }

  async json(method, path, body, options) {
    return (await this.ask(method, path, body, options)).json();
  }

  /** `key`: of a POST that must not be done twice, however often it is sent; `accept`: the media type of the answer, where there are several. */
  async ask(method, path, body, { key = once(), accept = "" } = {}, again = true) {
    const headers = { Authorization: `Bearer ${await this.fresh()}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (accept) headers.Accept = accept;
    if (method === "POST") headers["Idempotency-Key"] = key;
    const answer = await reach(this.base + path, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
    if (answer.ok) return answer;
    if (answer.status === 401 && again) {
      await this.#renew();
      return this.ask(method, path, body, { key, accept }, false);
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

/** A key that no other request has: the same request sent again is the same request. */
export const once = () => [...crypto.getRandomValues(new Uint32Array(4))].map((word) => word.toString(16).padStart(8, "0")).join("");

/** A part of a path. */
export const part = (text) => encodeURIComponent(text);

/** What is asked for, without what is not: "" or "?client=C1". */
export function query(asked) {
  const text = new URLSearchParams(Object.entries(asked).filter(([, value]) => value)).toString();
  return text && `?${text}`;
}

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
  const problems = (told.errors ?? []).map(({ document = "", line = 0, column = 0, pointer = "", detail }) => ({ document, line, column, pointer, message: detail }));
  return new ApiError(answer.status, told.title ?? "", told.detail ?? "", problems);
}

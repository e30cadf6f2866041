// Where alerts come from: the service's stream, which knows what was missed while it was away, and its REST API.

import { ApiError, part, query, Rest } from "./rest.js";

const AGAIN_MS = [1_000, 2_000, 5_000, 15_000];

export class AlertsApi extends Rest {
  /** With the page's own login; null where there is nobody. */
  static async open() {
    const answer = await fetch("/token", { cache: "no-store" }).catch(() => null);
    return answer?.ok ? new AlertsApi("/api/v1/alerts", await answer.json(), () => {}) : null;
  }

  all = () => this.json("GET", "");
  words = () => this.json("GET", "/words");
  events = (asked) => this.json("GET", `/events${query(asked)}`);
  acknowledge = (body) => this.json("POST", "/events/acknowledge", body);
  test = (body) => this.json("POST", "/test", body);
  add = (body) => this.json("POST", "", body);
  change = (id, body) => this.json("POST", `/${part(id)}/change`, body);
  remove = (id) => this.json("POST", `/${part(id)}/remove`, {});
}

/**
 * `token()`: a promise of one that is good now. Follow the events: `snapshot(events)` all that is open, `delta(events)` what has become of some, `state("live" | "away")`,
 * `refused()` where they are not for this person. Goes on where it was when the connection comes back. Returns how to end it.
 */
export function follow(token, { snapshot, delta, state, refused }) {
  let failures = 0;
  let after = null;
  let taken = [];
  let socket = null;
  let due = null;
  let ended = false;
  const hear = ({ type, topic, sequence, lines, last, code }) => {
    if (type === "error" && topic === "alerts") {
      if (code !== "forbidden") return socket.close(); // the service cannot say at the moment: it is asked again
      end();
      return refused();
    }
    failures = 0;
    if (type === "snapshot") {
      taken.push(...lines.map(({ data }) => data));
      if (last) {
        snapshot(taken);
        taken = [];
        after = sequence;
        state("live");
      }
    } else if (type === "delta") {
      after = sequence;
      delta(lines.map(({ data }) => data));
    } else if (type === "heartbeat" && after !== null) state("live");
  };
  const again = () => {
    if (ended) return;
    state("away");
    due = setTimeout(connect, AGAIN_MS[Math.min(failures++, AGAIN_MS.length - 1)]);
  };
  const connect = async () => {
    let bearer;
    try {
      bearer = await token();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return again();
    }
    if (ended) return;
    socket = new WebSocket(`${window.location.origin.replace(/^http/, "ws")}/api/v1/stream`, ["ims.v1", `bearer.${bearer}`]);
    socket.addEventListener("open", () => {
      taken = [];
      socket.send(JSON.stringify({ op: "subscribe", topic: "alerts", ...(after === null ? {} : { after }) }));
    });
    socket.addEventListener("message", ({ data }) => hear(JSON.parse(data)));
    socket.addEventListener("close", again);
  };
  const end = () => {
    ended = true;
    clearTimeout(due);
    socket?.close();
  };
  connect();
  return end;
}

// The service's stream as a bell: it says at once that something has happened, and the page asks what. Without it, the page
// asks each second all the same.

const AGAIN_MS = [1_000, 5_000, 30_000];
/** So often at most, however much happens. */
const BETWEEN_MS = 500;

/** Call `ring` soon after a step of `topics` (one, or a list: locates, orders); `token()`: the page's token of now. */
export function bell(topics, token, ring) {
  let failures = 0;
  let due = null;
  let last = 0;
  const rung = () => {
    due ??= setTimeout(() => {
      due = null;
      last = performance.now();
      ring();
    }, Math.max(0, last + BETWEEN_MS - performance.now()));
  };
  const connect = () => {
    const address = `${window.location.origin.replace(/^http/, "ws")}/api/v1/stream`;
    const socket = new WebSocket(address, ["ims.v1", `bearer.${token()}`]);
    socket.addEventListener("open", () => [topics].flat().forEach((topic) => socket.send(JSON.stringify({ op: "subscribe", topic, snapshot: false }))));
    socket.addEventListener("message", ({ data }) => {
      failures = 0;
      if (JSON.parse(data).type === "delta") rung();
    });
    socket.addEventListener("close", () => setTimeout(connect, AGAIN_MS[Math.min(failures++, AGAIN_MS.length - 1)]));
  };
  connect();
}

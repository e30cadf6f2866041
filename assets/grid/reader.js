// Rows of a view that are not on screen, read over a socket of their own so that what is on screen goes on.

import { CHANGES, decode, TOTALS } from "./frames.js";
import { RowWindow } from "./rows.js";

const CHUNK = 500;
const PATIENCE_MS = 15_000;

/** Rows `first` to `first + count` of the view that `ask` names. Rejects when they do not come. */
export function readRows(address, ask, names, kinds, first, count) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(address);
    const windows = [];
    let next = first;
    socket.binaryType = "arraybuffer";
    const end = (settle, value) => {
      clearTimeout(late);
      socket.onclose = socket.onmessage = null;
      socket.close();
      settle(value);
    };
    const late = setTimeout(() => end(reject, new Error("the gateway does not answer")), PATIENCE_MS);
    const more = () => ({ first: next, count: Math.min(CHUNK, first + count - next) });
    socket.onopen = () => socket.send(JSON.stringify({ ...ask, ...more() }));
    socket.onclose = () => end(reject, new Error("the connection was lost"));
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") {
        const message = JSON.parse(data);
        if (message.t === "error") end(reject, new Error(message.detail));
        return;
      }
      const frame = decode(data, kinds);
      if (frame.kind === CHANGES || frame.kind === TOTALS || frame.first !== next) return;
      windows.push(new RowWindow(frame, names));
      next += frame.count;
      if (next >= first + count || frame.count === 0 || next >= frame.total) end(resolve, windows);
      else socket.send(JSON.stringify({ t: "window", v: ask.v, ...more() }));
    };
  });
}

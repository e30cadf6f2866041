// Binary frames of the gateway -> typed arrays. Little endian; the layout is described in app/gateway.

export const WINDOW = 1;
export const CHANGES = 2;
export const TREE = 3;
export const TOTALS = 4;
const HEADER_BYTES = 40;
const utf8 = new TextDecoder();

const padded = (bytes) => (bytes + 7) & ~7;

/** The header every frame begins with. `count`: rows of the window; `total`: rows of the view. */
function header(view) {
  return {
    kind: view.getUint8(0),
    view: view.getUint16(2, true),
    first: view.getUint32(4, true),
    count: view.getUint32(8, true),
    total: view.getUint32(12, true),
    asOfMs: view.getFloat64(16, true),
    sentMs: view.getFloat64(24, true),
    membership: view.getUint32(32, true),
    n: view.getUint32(36, true),
  };
}

function textColumn(buffer, at, count) {
  const offsets = new Uint32Array(buffer, at, count + 1);
  const bytes = at + padded(4 * (count + 1));
  const cells = new Array(count);
  for (let row = 0; row < count; row += 1) {
    cells[row] = utf8.decode(new Uint8Array(buffer, bytes + offsets[row], offsets[row + 1] - offsets[row]));
  }
  return [cells, bytes + padded(offsets[count])];
}

/** The five parts that tell what the rows of a tree stand for. */
function treeParts(buffer, start, count) {
  const rows = new Uint32Array(buffer, start, count);
  let at = start + padded(4 * count);
  const level = new Uint8Array(buffer, at, count);
  at += padded(count);
  const state = new Uint8Array(buffer, at, count);
  const [labels, end] = textColumn(buffer, at + padded(count), count);
  return [{ rows, level, state, labels }, end];
}

/**
 * One frame. Kinds 1 and 3 add `ids` (Int32Array) and `columns` (one Float64Array or string array per column of the view),
 * 3 also `tree` {rows, level, state, labels}; kind 2 adds `values`, `rows` (within the window) and `cells` (column numbers),
 * all of length n; kind 4 `values`, one per column. `kinds[c]` is "text" or "number". Throws RangeError when the frame is
 * shorter than it says.
 */
export function decode(buffer, kinds) {
  const frame = header(new DataView(buffer));
  let at = HEADER_BYTES;
  if (frame.kind === TOTALS) {
    frame.values = new Float64Array(buffer, at, frame.n);
    return frame;
  }
  if (frame.kind === CHANGES) {
    frame.values = new Float64Array(buffer, at, frame.n);
    at += 8 * frame.n;
    frame.rows = new Uint16Array(buffer, at, frame.n);
    frame.cells = new Uint8Array(buffer, at + padded(2 * frame.n), frame.n);
    return frame;
  }
  frame.ids = new Int32Array(buffer, at, frame.count);
  at += padded(4 * frame.count);
  if (frame.kind === TREE) [frame.tree, at] = treeParts(buffer, at, frame.count);
  frame.columns = [];
  for (let column = 0; column < frame.n; column += 1) {
    if (kinds[column] === "text") {
      const [cells, end] = textColumn(buffer, at, frame.count);
      frame.columns.push(cells);
      at = end;
    } else {
      frame.columns.push(new Float64Array(buffer, at, frame.count));
      at += 8 * frame.count;
    }
  }
  return frame;
}

/** Which view a frame is of: known before its columns can be. */
export const viewOf = (buffer) => new DataView(buffer).getUint16(2, true);

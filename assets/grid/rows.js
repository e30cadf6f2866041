// The rows that are known: one window of the view, as typed columns; of a tree also what each row stands for.

export class RowWindow {
  constructor(frame, names) {
    this.first = frame.first;
    this.count = frame.count;
    this.total = frame.total;
    this.ids = frame.ids;
    this.tree = frame.tree ?? null;
    this.columns = new Map(names.map((name, at) => [name, frame.columns[at]]));
  }

  static empty() {
    return new RowWindow({ first: 0, count: 0, total: 0, ids: new Int32Array(0), columns: [] }, []);
  }

  /** Position of a row of the view within the window; -1 when it is outside. */
  at(row) {
    const at = row - this.first;
    return at >= 0 && at < this.count ? at : -1;
  }

  value(column, at) {
    return this.columns.get(column)?.[at];
  }

  /** What a row of a tree stands for: {level, state, rows, label}; null in a flat view. */
  group(at) {
    const { tree } = this;
    return tree && { level: tree.level[at], state: tree.state[at], rows: tree.rows[at], label: tree.labels[at] };
  }

  /** Security id -> position, for telling what an old window knew of a row. */
  positions() {
    const positions = new Map();
    for (let at = 0; at < this.count; at += 1) positions.set(this.ids[at], at);
    return positions;
  }
}

/** States of a tree's rows, as frames carry them. */
export const DATA = 0;
export const CLOSED = 1;
export const OPEN = 2;

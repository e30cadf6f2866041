// What differs between two texts, by line; and inside a changed line, by piece.

/**
 * Lines of both -> a list of {kind, left, right, oldLine, newLine}: kind is same, removed, added or changed; lines count from 1.
 * A removed and an added line at the same place become one changed row.
 */
export function diffLines(before, after) {
  const [a, b] = [before.split("\n"), after.split("\n")];
  const rows = [];
  let gone = [];
  let come = [];
  const flush = () => {
    for (let i = 0; i < Math.max(gone.length, come.length); i++) rows.push(paired(gone[i], come[i]));
    gone = [];
    come = [];
  };
  for (const [op, i, j] of script(a, b)) {
    if (op === "removed") gone.push([a[i], i + 1]);
    else if (op === "added") come.push([b[j], j + 1]);
    else {
      flush();
      rows.push({ kind: "same", left: a[i], right: b[j], oldLine: i + 1, newLine: j + 1 });
    }
  }
  flush();
  return rows;
}

function paired(gone, come) {
  const kind = gone && come ? "changed" : gone ? "removed" : "added";
  return { kind, left: gone?.[0] ?? null, right: come?.[0] ?? null, oldLine: gone?.[1] ?? null, newLine: come?.[1] ?? null };
}

/** The shortest edit (Myers): steps [op, index in a, index in b] in order. */
function script(a, b) {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const steps = Array.from({ length: head }, (_, i) => ["same", i, i]);
  const middle = myers(a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  for (const [op, i, j] of middle) steps.push([op, i + head, j + head]);
  for (let i = tail; i > 0; i--) steps.push(["same", a.length - i, b.length - i]);
  return steps;
}

function myers(a, b) {
  const trace = furthest(a, b);
  const steps = [];
  let [x, y] = [a.length, b.length];
  for (let d = trace.length - 1; d >= 0; d--) {
    const reach = trace[d];
    const k = x - y;
    const down = k === -d || (k !== d && (reach.get(k - 1) ?? -1) < (reach.get(k + 1) ?? -1));
    const former = down ? k + 1 : k - 1;
    const fromX = d === 0 ? 0 : reach.get(former);
    const fromY = d === 0 ? 0 : fromX - former;
    while (x > fromX && y > fromY && a[x - 1] === b[y - 1]) steps.push(["same", --x, --y]);
    if (d === 0) break;
    if (down) steps.push(["added", x, --y]);
    else steps.push(["removed", --x, y]);
  }
  return steps.reverse();
}

/** How far each diagonal gets with d edits, as it was before step d, for each d up to the one that gets to the end. */
function furthest(a, b) {
  const trace = [];
  const reach = new Map([[1, 0]]);
  for (let d = 0; d <= a.length + b.length; d++) {
    trace.push(new Map(reach));
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && (reach.get(k - 1) ?? -1) < (reach.get(k + 1) ?? -1));
      let x = down ? reach.get(k + 1) : reach.get(k - 1) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      reach.set(k, x);
      if (x >= a.length && x - k >= b.length) return trace;
    }
  }
  return trace;
}

/** The part of two lines that differs: [start, end of left, end of right]. */
export function changedSpan(left, right) {
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start++;
  let end = 0;
  while (end < left.length - start && end < right.length - start && left.at(-1 - end) === right.at(-1 - end)) end++;
  return [start, left.length - end, right.length - end];
}

/** Rows with long equal stretches folded: {fold: count} in place of what is further than `around` lines from a change. */
export function folded(rows, around = 4) {
  const near = rows.map(() => false);
  rows.forEach((row, i) => {
    if (row.kind === "same") return;
    for (let j = Math.max(0, i - around); j <= Math.min(rows.length - 1, i + around); j++) near[j] = true;
  });
  const out = [];
  for (let i = 0; i < rows.length; ) {
    let end = i;
    while (end < rows.length && !near[end]) end++;
    if (end - i > 3) out.push({ fold: end - i, rows: rows.slice(i, end) });
    else out.push(...rows.slice(i, end));
    if (end < rows.length) out.push(rows[end]);
    i = end + 1;
  }
  return out;
}

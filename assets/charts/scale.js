// Round ticks for numbers and for times, in UTC as everything else.

const SECOND = 1000;
const STEPS_MS = [1, 2, 5, 10, 15, 30].map((n) => n * SECOND)
  .concat([1, 2, 5, 10, 15, 30].map((n) => n * 60 * SECOND))
  .concat([1, 2, 3, 6, 12].map((n) => n * 3600 * SECOND))
  .concat([1, 2, 4, 7, 14].map((n) => n * 86_400 * SECOND));
const DAY_MS = 86_400 * SECOND;

/** [low, high, step] around the numbers with about `count` ticks; never empty. */
export function nice(low, high, count) {
  if (low === high) [low, high] = low === 0 ? [0, 1] : [Math.min(low, low * 0.9, low * 1.1), Math.max(low, low * 0.9, low * 1.1)];
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 2.5, 5, 10].find((n) => n * power >= rough) ?? 10);
  return [Math.floor(low / step) * step, Math.ceil(high / step) * step, step];
}

/** Ticks of a nice scale. */
export function ticks([low, high, step]) {
  const made = [];
  for (let at = 0; low + at * step <= high + step / 1e6; at += 1) made.push(low + at * step);
  return made;
}

/** Times between two with about `count` of them, at whole steps. */
export function timeTicks(from, to, count) {
  const step = STEPS_MS.find((ms) => (to - from) / ms <= count) ?? STEPS_MS.at(-1);
  const made = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) made.push(at);
  return { step, ticks: made };
}

/** A tick as it is written; the first of a day says which. */
export function timeText(at, step) {
  const iso = new Date(at).toISOString();
  if (step >= DAY_MS) return iso.slice(5, 10);
  if (at % DAY_MS === 0) return iso.slice(5, 10);
  return step < 60 * SECOND ? iso.slice(11, 19) : iso.slice(11, 16);
}

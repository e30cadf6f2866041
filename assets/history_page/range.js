// Which stretch of time is shown: the last so many hours, or between two moments.

const HOUR_MS = 3_600_000;
const LAST = { "1h": HOUR_MS, "8h": 8 * HOUR_MS, "24h": 24 * HOUR_MS, "7d": 168 * HOUR_MS, "30d": 720 * HOUR_MS };

/** Milliseconds of both ends; `live`: it ends now, and goes on. */
export function range({ last, from, to }, now) {
  const [begin, end] = [Date.parse(from), Date.parse(to)];
  if (begin < end) return { from: begin, to: end, live: false };
  return { from: now - LAST[last], to: now, live: true };
}

/** For a query: UTC, without a doubt. */
export const moment = (ms) => new Date(ms).toISOString();

/** For a field of date and time, whose moments here are UTC; and back. */
export const local = (ms) => new Date(ms).toISOString().slice(0, 19);
export const utc = (text) => (text ? `${text.length === 16 ? `${text}:00` : text}Z` : "");

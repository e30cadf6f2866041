// Values -> what a person reads. Every function takes a float64 and returns text; NaN is "no value".

export const NONE = "–";
const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const TWO = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const FOUR = new Intl.NumberFormat("en-US", { minimumFractionDigits: 4, maximumFractionDigits: 4 });
const SIX = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 6 });
const COMPACT = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 2 });

export const quantity = (value) => (Number.isNaN(value) ? NONE : WHOLE.format(value));
/** Money in whole units: hundredths of a market value are nothing to look at. */
export const money = (value) => (Number.isNaN(value) ? NONE : Math.abs(value) < 1000 ? TWO.format(value) : WHOLE.format(value));
export const ratio = (value) => (Number.isNaN(value) ? NONE : SIX.format(value));
export const rate = (value) => (Number.isNaN(value) ? NONE : TWO.format(value));

/** A share; what is used of next to nothing is no figure to read. */
export function percent(value) {
  if (Number.isNaN(value)) return NONE;
  return value >= 1000 ? ">999%" : `${value.toFixed(1)}%`;
}

export const compact = (value) => (Number.isNaN(value) ? NONE : COMPACT.format(value));

/** Characters of a number that a column has room for: ten digits with their commas. */
const ROOM = 13;
/** A sum that is wider than its column in a shorter form; whoever shows it keeps the whole text in the tip. */
export const fitted = (text, value) => (text.length > ROOM ? compact(value) : text);

export function price(value) {
  if (Number.isNaN(value) || value === 0) return NONE;
  return Math.abs(value) < 1 ? FOUR.format(value) : TWO.format(value);
}

/** A length of time, as short as a glance needs: 0.4s, 12s, 3m, 2h, 5d. */
export function age(ms) {
  if (Number.isNaN(ms)) return NONE;
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 60) return `${Math.floor(seconds)}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86400)}d`;
}

/** An age with tenths below ten seconds, for the strip. */
export function fineAge(ms) {
  if (Number.isNaN(ms) || ms < 0 || ms >= 10000) return age(ms);
  return `${(ms / 1000).toFixed(1)}s`;
}

export const clock = (ms) => new Date(ms).toISOString().slice(11, 19);

// How pages of text and tables write numbers, times and rates.

import { NONE } from "../grid/formats.js";

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const RATE = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 4 });
const none = (value) => value === null || value === undefined;

export const shares = (value) => (none(value) ? NONE : WHOLE.format(value));
export const percent = (value) => (none(value) ? NONE : `${RATE.format(value)}%`);
/** A part of a whole: 0.25 -> 25%. */
export const portion = (value) => (none(value) ? NONE : `${Math.round(value * 100)}%`);
export const words = (name) => name.replaceAll("_", " ");
export const sentence = (name) => words(name).replace(/^./, (letter) => letter.toUpperCase());

/** Time of day in UTC; of another day than now's, with its date. */
export function moment(text, now) {
  if (!text) return NONE;
  const iso = new Date(text).toISOString();
  return iso.slice(0, 10) === new Date(now).toISOString().slice(0, 10) ? iso.slice(11, 19) : iso.slice(0, 16).replace("T", " ");
}

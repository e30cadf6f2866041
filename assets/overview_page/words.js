// How the overview writes its numbers: money and shares short enough for a glance, whole in the hint.

import { NONE } from "../grid/formats.js";

const SHORT = new Intl.NumberFormat("en-US", { notation: "compact", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const SHORTER = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export const brief = (value) => (value === null || value === undefined || Number.isNaN(value) ? NONE : Math.abs(value) < 1000 ? WHOLE.format(value) : SHORT.format(value));
export const briefer = (value) => (value === null || value === undefined ? NONE : SHORTER.format(value));
export const whole = (value) => (value === null || value === undefined ? NONE : WHOLE.format(value));
/** The page of all securities, sorted by a column, and kept to a market or temperature. */
export const inventory = (asked) => `/inventory?${new URLSearchParams(Object.entries(asked).filter(([, value]) => value))}`;
/** SD0, or the day on which a trade of today settles. */
export const day = (measure) => (measure.day === null ? "settles" : `SD${measure.day}`);

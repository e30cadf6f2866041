// How alerts are written.

import { make } from "../grid/dom.js";
import { NONE } from "../grid/formats.js";

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const FINE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 4 });

export const number = (value) => (value === null || value === undefined ? NONE : (Number.isInteger(value) ? WHOLE : FINE).format(value));
const named = (name) => name.replaceAll("_", " ");

/** "left 8,400 · fee 5.5" */
export const valuesOf = ({ values }) => Object.entries(values).map(([name, value]) => `${named(name)} ${number(value)}`).join(" · ");

/** The security as a link that opens it. */
export function security({ security: code, ticker, title, market }) {
  return make("a", { href: `/inventory?sec=${encodeURIComponent(code)}`, title: [title, code, market].filter(Boolean).join(" · ") }, ticker || code, market ? ` ${market}` : "");
}

// What each column of a table looks like. `show`: value -> text; `compare: true`: a change flashes.

import * as formats from "./formats.js";

const text = (id, header, width, more = {}) => ({ id, header, width, kind: "text", ...more });
const number = (id, header, width, show, more = {}) => ({
  id, header, width, show, kind: "number", compare: true, ...more,
});

const ladder = [0, 1, 2, 3, 4].map((day) =>
  number(`for_loan_${day}`, `SD${day}`, 102, formats.quantity, { group: "For loan", tip: `For loan on SD${day}` }),
);

/** `floor: true`: the number is "at least" this when the row's `at_least` is 1. `hidden`: sent, not shown. */
export const INVENTORY = [
  text("name", "Name", 212, { pinned: true, most: 420 }),
  text("ticker", "Symbol", 78),
  text("isin", "ISIN", 112, { mono: true }),
  text("sedol", "SEDOL", 70, { mono: true }),
  text("cusip", "CUSIP", 84, { mono: true }),
  text("market", "Mkt", 44),
  text("temperature", "Temp", 74, { chip: true }),
  number("fee", "Fee %", 66, formats.rate, { tip: "Borrow fee, percent a year" }),
  text("currency", "Ccy", 44, { muted: true }),
  number("price", "Price", 90, formats.price),
  ...ladder,
  number("pool", "Pool", 116, formats.quantity, { group: "Locate", floor: true, tip: "Locate pool on the day a short sale settles" }),
  number("located", "Located", 96, formats.quantity, { group: "Locate", tip: "Decrement of live locates" }),
  number("remaining", "Remaining", 120, formats.quantity, { group: "Locate", floor: true, strong: true, tip: "Pool less located" }),
  number("utilisation", "Util", 64, formats.percent, { hot: 90, tip: "Share of the inventory that is used; marked from 90%" }),
  number("updated_ms", "Age", 52, formats.age, { age: true, compare: false, tip: "Since the last event of the security" }),
  text("code", "Code", 0, { hidden: true }),
  number("at_least", "", 0, formats.quantity, { hidden: true, compare: false }),
];

// What each column of a table looks like, from what the gateway says of it. Which columns there are, the rules decide.

import * as formats from "./formats.js";

// By unit of the numbers: value -> text, and the width that such numbers need.
const UNITS = {
  shares: { show: formats.quantity, width: 102 },
  money: { show: formats.money, width: 108 },
  reporting: { show: formats.money, width: 108 },
  basis_points: { show: formats.percent, width: 60 },
  price: { show: formats.price, width: 84 },
  rate: { show: formats.rate, width: 60 },
  ratio: { show: formats.ratio, width: 84 },
  count: { show: formats.quantity, width: 96 },
  time: { show: formats.age, width: 46, age: true },
};
const FLOOR_SIGN = 14;
/** Units of numbers that prices are in: marked while a feed of prices is late. */
const PRICED = new Set(["money", "reporting", "price"]);

// What every table has of a security or a row, and needs a look of its own.
const LOOKS = {
  name: { pinned: true, width: 196, most: 420 },
  ticker: { width: 70 },
  isin: { mono: true, width: 106 },
  sedol: { mono: true, width: 66 },
  cusip: { mono: true, width: 78 },
  figi: { mono: true, width: 106 },
  code: { mono: true, width: 106 },
  security: { mono: true, width: 106 },
  market: { width: 40 },
  country: { width: 60 },
  temperature: { chip: true, width: 66 },
  currency: { muted: true, width: 46 },
  kind: { width: 132 },
  book: { width: 96 },
  depot: { width: 90 },
  client: { width: 90 },
};
const TITLE_LINES = 2;
const LETTER = 6.4;
const PADDING = 16;
/** The column that a tree's labels stand in. */
export const TREE = "\u00b7tree";

/** `info`: a column as the gateway's hello describes it. `show`: value -> text; `compare`: a change flashes. `at`: its place. */
export function column(info, at = 0) {
  const unit = UNITS[info.unit] ?? {};
  const width = LOOKS[info.id]?.width ?? Math.max((unit.width ?? 90) + (info.floor ? FLOOR_SIGN : 0), titleWidth(info.title, Boolean(info.group)));
  return {
    id: info.id,
    // columns of a pivot are called as what is in the data
    style: /^[\w.]+$/.test(info.id) ? info.id.replaceAll(".", "-") : `at-${at}`,
    kind: info.kind,
    header: info.title,
    family: info.family ?? "",
    day: info.day ?? null,
    group: info.group === info.title ? "" : (info.group ?? ""),
    tip: info.tip || info.title,
    shown: info.shown ?? false,
    floor: info.floor ?? false,
    strong: info.strong ?? false,
    sum: info.sum ?? false,
    hot: info.hot ?? Infinity,
    unit: info.unit ?? "",
    show: unit.show ?? formats.quantity,
    age: unit.age ?? false,
    priced: PRICED.has(info.unit),
    compare: info.kind === "number" && !unit.age,
    pinned: false,
    ...LOOKS[info.id],
    width,
  };
}

/** The column in which groups are opened; it is the browser's own. */
export function treeColumn(title) {
  return { ...column({ id: TREE, kind: "text", title }), style: "tree", tree: true, still: true, pinned: true, width: 250, most: 380 };
}

/** Room for a title: on one line below its group's name, else broken between words into two. */
function titleWidth(title, grouped) {
  const words = title.split(" ");
  let best = title.length;
  for (let at = 1; !grouped && at < words.length && TITLE_LINES > 1; at += 1) {
    best = Math.min(best, Math.max(words.slice(0, at).join(" ").length, words.slice(at).join(" ").length));
  }
  return Math.ceil(best * LETTER) + PADDING;
}

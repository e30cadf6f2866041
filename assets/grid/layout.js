// Which columns are shown, in what order, which of them stay in sight, and how wide they are. Kept as what differs from what
// the desk shows, so that a column of new rules appears by itself.

const DEFAULT_KEY = "ims-layout";

export const none = () => ({ choice: {}, order: [], pins: {}, widths: {} });

export const isNone = ({ choice, order, pins, widths }) =>
  order.length === 0 && [choice, pins, widths].every((part) => Object.keys(part).length === 0);

/** What this browser was last left with, for a table. */
export function kept(table) {
  try {
    return { ...none(), ...JSON.parse(localStorage.getItem(`${DEFAULT_KEY}-${table}`) ?? "{}") };
  } catch {
    return none();
  }
}

export function keep(table, layout) {
  localStorage.setItem(`${DEFAULT_KEY}-${table}`, JSON.stringify(layout));
}

/** The columns to show, from left to right: those that stay in sight first. */
export function arranged(columns, { choice, order, pins }) {
  const wanted = columns.filter((each) => choice[each.id] ?? each.shown);
  const shown = inOrder(wanted.length ? wanted : columns.slice(0, 1), order).map((each) => ({ ...each, pinned: pins[each.id] ?? each.pinned }));
  return [...shown.filter(({ pinned }) => pinned), ...shown.filter(({ pinned }) => !pinned)];
}

/** A column that was not there when a person gave the order goes behind its left neighbour of today. */
function inOrder(columns, order) {
  if (order.length === 0) return columns;
  const place = new Map(order.map((id, at) => [id, at]));
  let before = -1;
  const keyed = columns.map((column, at) => {
    const own = place.get(column.id);
    if (own !== undefined) before = own;
    return { column, key: own ?? before + 0.5, at };
  });
  return keyed.sort((one, other) => one.key - other.key || one.at - other.at).map(({ column }) => column);
}

/** The layout with a column put before another ("" : at the end). `shown`: the columns as they are arranged now. */
export function moved(layout, shown, id, before) {
  if (id === before) return layout;
  const order = shown.map((each) => each.id).filter((each) => each !== id);
  const at = before ? order.indexOf(before) : order.length;
  order.splice(at < 0 ? order.length : at, 0, id);
  const neighbour = shown.find((each) => each.id === (before || order.at(-2)));
  const own = shown.find((each) => each.id === id);
  const pins = neighbour && own && neighbour.pinned !== own.pinned ? { ...layout.pins, [id]: neighbour.pinned } : layout.pins;
  return { ...layout, order, pins };
}

const signed = (part) => Object.entries(part).map(([id, on]) => (on ? id : `-${id}`)).join(",");
const unsigned = (text) =>
  Object.fromEntries(text.split(",").filter(Boolean).map((each) => (each.startsWith("-") ? [each.slice(1), false] : [each, true])));

/** As parameters of an address. */
export function toQuery(layout, set) {
  set("show", signed(layout.choice));
  set("order", layout.order.join(","));
  set("pin", signed(layout.pins));
  set("w", Object.entries(layout.widths).map(([id, width]) => `${id}:${width}`).join(","));
}

export function fromQuery(given) {
  const widths = (given.get("w") ?? "").split(",").map((each) => each.split(":")).filter(([id, width]) => id && Number(width) > 0);
  return {
    choice: unsigned(given.get("show") ?? ""),
    order: (given.get("order") ?? "").split(",").filter(Boolean),
    pins: unsigned(given.get("pin") ?? ""),
    widths: Object.fromEntries(widths.map(([id, width]) => [id, Number(width)])),
  };
}

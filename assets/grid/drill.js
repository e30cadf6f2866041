// Where a person is in the drill-down, as the page's address has it: the number, its day, how it is told, the input, the line of a row.

export const KEYS = ["num", "day", "told", "of", "line"];

export const readPlace = (given) => Object.fromEntries(KEYS.map((name) => [name, given.get(name) ?? ""]));

export function writePlace(query, place) {
  for (const name of KEYS) if (place[name]) query.set(name, place[name]);
}

export const samePlace = (one, other) => KEYS.every((name) => (one[name] ?? "") === (other[name] ?? ""));

/** Families of columns whose numbers the drill-down takes apart. */
const EXPLAINED = ["Calculations", "Terms"];

/** The number of a table's column (see columns.js), on its day; any other column leaves the place as it is. */
export function placeOf(column, place) {
  if (!EXPLAINED.includes(column?.family)) return place;
  const day = column.day === null ? "" : String(column.day);
  return { ...place, num: column.id.split(".")[0], day, of: "", line: "" };
}

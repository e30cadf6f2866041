// Which groups of a tree are open: all down to a depth, but for those that a person has opened or closed.

const same = (one, other) => one.length === other.length && one.every((text, at) => text === other[at]);

/** The path of a group row, from the outermost group in; `valueAt(column)`: its text in a column. */
export const pathOf = (groups, level, valueAt) => groups.slice(0, level + 1).map((column) => valueAt(column) ?? "");

/** The paths with this one opened or closed. */
export function toggled(paths, path) {
  const others = paths.filter((each) => !same(each, path));
  return others.length < paths.length ? others : [...paths, path];
}

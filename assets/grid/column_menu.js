// What can be done with a column, and with the cell it was asked at: everything that the pointer does, for the keyboard too.

import { nextSort } from "./header.js";
import { moved } from "./layout.js";
import { quantity } from "./formats.js";
import { DATA } from "./rows.js";

const SHORT = 24;

/** The items of a cell: what is in it, and the range around it. `act`: see `columnItems`. */
export function cellItems(grid, column, row, act) {
  const { range } = grid.focus;
  const rows = range.lastRow - range.firstRow + 1;
  const many = rows > 1 || range.lastColumn > range.firstColumn;
  const group = grid.groupAt(row);
  const items = [
    { label: many ? `Copy ${quantity(rows)} × ${range.lastColumn - range.firstColumn + 1} cells` : "Copy", name: "copy", keys: "Ctrl+C", act: () => act.copy(false) },
    { label: "Copy with titles", name: "copy-titled", keys: "Ctrl+Alt+C", act: () => act.copy(true) },
  ];
  if (grid.codeAt(row) || (group && group.state !== DATA)) items.push({ label: "Open", name: "open", keys: "Enter", act: () => grid.open(row) });
  const value = grid.valueAt(row, column.id);
  if (column.kind === "text" && !column.tree && value !== undefined && !(group && group.state !== DATA)) {
    const short = value.length > SHORT ? `${value.slice(0, SHORT)}…` : value || "none";
    items.push({ label: `Only “${short}”`, name: "only", act: () => act.filter(column, [{ column: column.id, op: "in", value: [value] }]) });
    items.push({ label: `Without “${short}”`, name: "without", act: () => act.without(column, value) });
  }
  return [...items, null];
}

/**
 * The items of a column's title. `desk`: {state, shown, header}; `act`: sort, layout, filter, without, filterPanel, group, pivot,
 * highlights, copy: what a choice leads to.
 */
export function columnItems(column, { state, shown, header }, act) {
  if (column.tree) {
    return [{ label: "Close all groups", act: () => act.depth(0) }, { label: "Open all groups", act: () => act.depth(state.groups.length - (state.pivot ? 1 : 0)) }, { label: "Do not group", act: act.ungroup }];
  }
  const { layout } = state;
  const at = shown.findIndex(({ id }) => id === column.id);
  const direction = state.sort.find(([id]) => id === column.id)?.[1];
  const order = (to) => act.layout(moved(layout, shown, column.id, to));
  const items = [
    { label: "Sort ascending", name: "asc", checked: direction === "asc", act: () => act.sort([[column.id, "asc"]]) },
    { label: "Sort descending", name: "desc", checked: direction === "desc", act: () => act.sort([[column.id, "desc"]]) },
    { label: direction ? "Next direction, other keys kept" : "Add to the sort", name: "add-sort", keys: "Shift+Enter", act: () => act.sort(nextSort(state.sort, column, true)) },
    null,
  ];
  if (!state.pivot) {
    items.push({ label: "Filter…", name: "filter", checked: state.where.some((each) => each.column === column.id), act: () => act.filterPanel(column) });
    items.push({ label: "Highlight…", name: "highlight", act: () => act.highlights(column) });
    if (column.kind === "text") {
      items.push({ label: "Group by this", name: "group", disabled: state.groups.includes(column.id), act: () => act.group(column.id) });
      items.push({ label: "Spread across (pivot)", name: "pivot", act: () => act.pivot(column.id) });
    }
    items.push(null);
    items.push({ label: "Stay in sight", name: "pin", checked: Boolean(column.pinned), act: () => act.layout({ ...layout, pins: { ...layout.pins, [column.id]: !column.pinned } }) });
    items.push({ label: "Move left", name: "left", keys: "Ctrl+←", disabled: at <= 0, act: () => order(shown[at - 1].id) });
    items.push({ label: "Move right", name: "right", keys: "Ctrl+→", disabled: at >= shown.length - 1, act: () => order(shown[at + 2]?.id ?? "") });
  }
  items.push({ label: "Wider", name: "wider", keys: "Shift+→", act: () => header.widen(column.id, 2) });
  items.push({ label: "Narrower", name: "narrower", keys: "Shift+←", act: () => header.widen(column.id, -2) });
  items.push({ label: "The width it had", name: "width", disabled: !(column.id in layout.widths), act: () => header.release(column) });
  if (!state.pivot) items.push({ label: "Hide", name: "hide", disabled: shown.length < 2, act: () => act.hide(column) });
  return items;
}

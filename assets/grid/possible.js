// What of a view is possible for the columns that there are.

import { sound } from "./filter_panel.js";

/** Leave out of `state` what cannot be of these columns: of a link from elsewhere, or of before the rules changed. */
export function keepPossible(state, columns, table) {
  const kinds = new Map(columns.map(({ id, kind }) => [id, kind]));
  const isText = (id) => kinds.get(id) === "text";
  state.where = state.where.filter((each) => kinds.has(each.column) && sound(each, kinds.get(each.column)));
  state.groups = [...new Set(state.groups.filter(isText))];
  state.changedToday &&= table.today;
  const grouped = state.groups.length > 0;
  if (!isText(state.pivot) || !grouped || state.groups.includes(state.pivot)) state.pivot = "";
  if (!state.pivot) state.sort = state.sort.filter(([id]) => kinds.has(id) || (id === "rows" && grouped));
}

// What a pivot shows of each value: one summed column, or all that are shown.

const ALL = "*";

/** The columns that can be measured, as they are arranged now. */
export const measurable = (shown) => shown.filter(({ sum }) => sum);

/** Ids of the columns that a pivot asks for. `chosen`: an id, ALL, or "" for the first. */
export function measures(shown, chosen) {
  const possible = measurable(shown).map(({ id }) => id);
  if (chosen === ALL) return possible;
  return possible.includes(chosen) ? [chosen] : possible.slice(0, 1);
}

export const choices = (shown) => [...measurable(shown).map(({ id, group, header }) => [id, [group, header].filter(Boolean).join(" ")]), [ALL, "all that are shown"]];

// What the desk must know of each table beside what the gateway tells of its columns.

export const TABLES = {
  inventory: {
    title: "Inventory",
    one: "security",
    key: "code",
    /** Columns that are asked for whatever is shown: rows are opened by their code, and floors marked. */
    always: ["code", "at_least"],
    exported: { first: ["code"], last: ["at_least", "updated_ms"] },
    today: true,
    totals: false,
    bar: false,
    of: (stats) => stats?.securities,
  },
  positions: {
    title: "Positions",
    one: "position",
    key: "security",
    always: ["security"],
    exported: { first: ["security"], last: [] },
    today: false,
    totals: true,
    bar: true,
    of: (stats) => stats?.rows,
  },
};

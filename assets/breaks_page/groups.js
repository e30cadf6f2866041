// Breaks put together, each group under a line with what it comes to. The group that does most comes first.

import { SEVERITIES, kind } from "./words.js";

const NAMES = {
  security: (each) => [each.security, each.security ? [each.security, each.name].filter(Boolean).join(" · ") : "of no security"],
  depot: (each) => [each.depot, each.depot || "in no depot"],
  kind: (each) => [each.kind, kind(each.kind)],
  owner: (each) => [each.owner, each.owner || "nobody's"],
  market: (each) => [each.market, each.market || "of no market"],
  group: (each) => [each.group, each.group_name || each.group || "in no group"],
};

/** Lines and breaks as they are listed. `shut`: keys of groups whose breaks are not. */
export function grouped(breaks, by, shut) {
  const name = NAMES[by];
  if (!name) return breaks;
  const groups = new Map();
  for (const each of breaks) {
    const [key, title] = name(each);
    const group = groups.get(key) ?? { heading: true, id: `${by}:${key}`, key, title, breaks: [], affected: 0, sellable: 0, lendable: 0, located: 0, value: 0, unexplained: 0, held: 0, age_days: null, severity: "low" };
    group.breaks.push(each);
    group.affected += each.affected;
    group.sellable += each.sellable;
    group.lendable += each.lendable;
    group.located += each.located;
    group.held += each.held;
    group.value += Math.abs(each.value ?? 0);
    if (each.unit === "shares") group.unexplained += Math.abs(each.unexplained ?? 0);
    if (each.age_days !== null) group.age_days = Math.max(group.age_days ?? 0, each.age_days);
    if (SEVERITIES.indexOf(each.severity) < SEVERITIES.indexOf(group.severity)) group.severity = each.severity;
    groups.set(key, group);
  }
  const ordered = [...groups.values()].sort((one, other) => other.affected - one.affected || other.value - one.value || SEVERITIES.indexOf(one.severity) - SEVERITIES.indexOf(other.severity));
  return ordered.flatMap((group) => [group, ...(shut.has(group.id) ? [] : group.breaks)]);
}

// How bad something is: the same mark everywhere, for who does not tell colours apart.

export const SEVERITIES = ["critical", "high", "medium", "low"];
const MARKS = { critical: "■", high: "▲", medium: "◆", low: "○" };

/** The mark alone. */
export const mark = (severity) => MARKS[severity] ?? "";
export const severity = (name) => `${mark(name)} ${name}`;

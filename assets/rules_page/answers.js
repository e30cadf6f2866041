// The API's answers in this page's words: the one place to look when the API says something else.

export const document = (raw) => ({
  document: raw.document,
  title: raw.title || raw.document,
  markets: raw.markets,
  active: raw.active?.version ?? 0,
  open: raw.drafts.map(({ version, state }) => ({ version, state })),
});

/** The text is there only in a version that was asked for by its number. */
export const version = (raw) => ({
  document: raw.document,
  version: raw.version,
  state: raw.state,
  author: raw.author,
  comment: raw.comment,
  at: raw.created_at,
  effective_from: raw.effective_from,
  reverted_to: raw.reverted_to,
  submitter: raw.submitted_by,
  approver: raw.approved_by,
  approved_at: raw.approved_at,
  active_at: raw.active_at,
  retired_at: raw.retired_at,
  impact: raw.impact,
  text: raw.text,
});

export const step = (raw) => ({
  at: raw.at,
  user: raw.who,
  version: raw.version,
  step: raw.action,
  state: raw.state,
  comment: raw.comment,
  problems: raw.problems ?? [],
});

const listOf = (value) => (Array.isArray(value) ? value : null);
const countOf = (value) => (Array.isArray(value) ? value.length : (value ?? 0));

/** The lists are null where only sums were kept; `water`: how many securities would be under it, `overdrawn`: how many limits. */
export const impact = (raw) => ({
  ...raw,
  securities: listOf(raw.securities),
  under_water: listOf(raw.under_water),
  limits: listOf(raw.limits),
  water: countOf(raw.under_water),
  overdrawn: countOf(raw.limits),
});

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

/** `under_water` and `securities` are null where only sums were kept; `water` is how many would be under it. */
export const impact = (raw) => ({
  ...raw,
  securities: Array.isArray(raw.securities) ? raw.securities : null,
  under_water: Array.isArray(raw.under_water) ? raw.under_water : null,
  water: Array.isArray(raw.under_water) ? raw.under_water.length : (raw.under_water ?? 0),
});

// The API's answers in this page's words: the one place to look when the API says something else.

export const document = (raw) => ({
  document: raw.document ?? raw.name,
  title: raw.title ?? "",
  markets: raw.markets ?? [],
  active: raw.active?.version ?? raw.active ?? raw.active_version ?? 0,
  open: raw.drafts ?? raw.open ?? [],
});

export const version = (raw) => ({
  ...raw,
  at: raw.created_at ?? raw.created_ns ?? raw.at,
  submitter: raw.submitter ?? raw.submitted_by ?? "",
  approver: raw.approver ?? raw.approved_by ?? "",
});

export const entry = (raw) => ({
  at: raw.at ?? raw.at_ns ?? raw.time,
  user: raw.user ?? raw.actor ?? "",
  version: raw.version ?? 0,
  step: raw.step ?? raw.action ?? raw.state ?? "",
  comment: raw.comment ?? "",
});

/** `under_water` and `securities` are null where only sums were kept. */
export const impact = (raw) => ({
  ...raw,
  securities: Array.isArray(raw.securities) ? raw.securities : null,
  under_water: Array.isArray(raw.under_water) ? raw.under_water : null,
  water: Array.isArray(raw.under_water) ? raw.under_water.length : (raw.under_water ?? 0),
});

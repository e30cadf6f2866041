// What is on screen, kept in the page's address: a reload, a colleague's link and the browser's back button show the same.

export const VIEWS = ["text", "diff", "impact", "dry-run", "audit", "edit"];
const FIELDS = ["document", "version", "view", "from", "layout", "calculation", "since", "until", "theme"];
const DAY = /^\d{4}-\d\d-\d\d$/;

const whole = (text) => (/^[1-9]\d{0,8}$/.test(text ?? "") ? Number(text) : 0);

const day = (text) => (DAY.test(text ?? "") ? text : "");

/** `version` 0: the one in force; `from` 0: the one before; unknown words fall back to the plain view. */
export function read(query = window.location.search) {
  const given = new URLSearchParams(query);
  const view = given.get("view") ?? "";
  return {
    document: given.get("document") ?? "",
    version: whole(given.get("version")),
    view: VIEWS.includes(view) ? view : "text",
    from: whole(given.get("from")),
    layout: given.get("layout") === "unified" ? "unified" : "split",
    calculation: given.get("calculation") ?? "",
    since: day(given.get("since")),
    until: day(given.get("until")),
    theme: given.get("theme") ?? "",
  };
}

/** The address of a state, without what goes without saying. */
export function address(state) {
  const plain = { view: "text", layout: "split", version: 0, from: 0 };
  const query = new URLSearchParams();
  for (const name of FIELDS) if (state[name] && state[name] !== plain[name]) query.set(name, state[name]);
  const text = query.toString();
  return window.location.pathname + (text ? `?${text}` : "");
}

/** Show `state` in the address: as a new step of the browser's history, or in place of the present one. */
export function write(state, { step = true } = {}) {
  const target = address(state);
  if (target === window.location.pathname + window.location.search) return;
  window.history[step ? "pushState" : "replaceState"](null, "", target);
}

// What is on screen, kept in the page's address: a reload, a colleague's link and the browser's back button show the same.

export const VIEWS = ["service", "gaps", "parked", "quarantine"];
const FIELDS = ["view", "feed", "theme"];

/** `feed` "": all of them. */
export function read(query = window.location.search) {
  const given = new URLSearchParams(query);
  const view = given.get("view") ?? "";
  return { view: VIEWS.includes(view) ? view : "service", feed: given.get("feed") ?? "", theme: given.get("theme") ?? "" };
}

/** The address of a state, without what goes without saying. */
export function address(state) {
  const query = new URLSearchParams();
  for (const name of FIELDS) if (state[name] && !(name === "view" && state.view === "service")) query.set(name, state[name]);
  const text = query.toString();
  return window.location.pathname + (text ? `?${text}` : "");
}

/** Show `state` in the address: as a new step of the browser's history, or in place of the present one. */
export function write(state, { step = true } = {}) {
  const target = address(state);
  if (target === window.location.pathname + window.location.search) return;
  window.history[step ? "pushState" : "replaceState"](null, "", target);
}

// What is on screen, kept in the page's address: a reload, a colleague's link and the browser's back button show the same.

export class Address {
  /** `plain`: every field with what goes without saying; `among`: for some, all that they may be. */
  constructor(plain, among = {}) {
    Object.assign(this, { plain, among });
  }

  read(query = window.location.search) {
    const given = new URLSearchParams(query);
    const value = (name) => given.get(name) ?? this.plain[name];
    const good = (name) => (this.among[name]?.includes(value(name)) === false ? this.plain[name] : value(name));
    return Object.fromEntries(Object.keys(this.plain).map((name) => [name, good(name)]));
  }

  of(state) {
    const query = new URLSearchParams();
    for (const name of Object.keys(this.plain)) if (state[name] && state[name] !== this.plain[name]) query.set(name, state[name]);
    const text = query.toString();
    return window.location.pathname + (text ? `?${text}` : "");
  }

  /** As a new step of the browser's history, or in place of the present one. */
  write(state, { step = true } = {}) {
    const target = this.of(state);
    if (target === window.location.pathname + window.location.search) return;
    window.history[step ? "pushState" : "replaceState"](null, "", target);
  }
}

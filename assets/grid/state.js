// What a person chose, kept in the page's address so that a reload or a colleague's link shows the same.

const list = (text) => (text ? text.split(",") : []);

export function read(query = window.location.search) {
  const given = new URLSearchParams(query);
  return {
    text: given.get("q") ?? "",
    markets: list(given.get("m")),
    temperatures: list(given.get("t")),
    changedToday: given.get("today") === "1",
    sort: list(given.get("sort")).map((key) => {
      const [column, direction] = key.split(":");
      return [column, direction === "desc" ? "desc" : "asc"];
    }),
    selected: given.get("sec") ?? "",
    theme: given.get("theme") ?? "",
  };
}

export const sortText = (sort) => sort.map((key) => key.join(":")).join(",");

export function write(state) {
  const query = new URLSearchParams();
  const set = (name, value) => value && query.set(name, value);
  set("q", state.text);
  set("m", state.markets.join(","));
  set("t", state.temperatures.join(","));
  set("today", state.changedToday ? "1" : "");
  set("sort", sortText(state.sort));
  set("sec", state.selected);
  set("theme", state.theme);
  const text = query.toString();
  window.history.replaceState(null, "", text ? `?${text}` : window.location.pathname);
}

/** The filter of the wire. */
export const filter = (state) => ({
  text: state.text,
  markets: state.markets,
  temperatures: state.temperatures,
  changed_today: state.changedToday,
});

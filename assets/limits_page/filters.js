// Whose limits are shown, and of which security.

import { make } from "../grid/dom.js";

/** Fields in `host` that follow the page's state, and lead it. */
export function filters(host, page) {
  const text = (name, placeholder) => make("input", { name, placeholder, "aria-label": placeholder, autocomplete: "off", spellcheck: "false" });
  const fields = {
    scope: make("select", { name: "scope", "aria-label": "Client or aggregation unit" }, make("option", { value: "client" }, "Client"), make("option", { value: "au" }, "Aggregation unit")),
    owner: text("owner", "Its name"),
    security: text("security", "Security: code, ISIN, TICKER@MARKET"),
  };
  const clear = make("button", { type: "button", class: "plain", onclick: () => page.go({ owner: "", security: "", of: "" }) }, "Clear");
  host.append(...Object.values(fields), clear);
  const given = () => page.go({ ...Object.fromEntries(Object.entries(fields).map(([name, { value }]) => [name, value.trim()])), of: "" });
  host.addEventListener("submit", (event) => {
    event.preventDefault();
    given();
  });
  host.addEventListener("change", given);
  /** Show the page's state, except where somebody is typing. */
  return () => {
    for (const [name, input] of Object.entries(fields)) if (input !== document.activeElement && input.value !== page.state[name]) input.value = page.state[name];
    clear.hidden = !page.state.owner && !page.state.security;
  };
}

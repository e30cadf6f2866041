// Which locates are shown: by client, security, state and day.

import { make } from "../grid/dom.js";
import { words } from "../page/words.js";
import { STATES } from "./words.js";

/** Fields in `host` that follow the page's state, and lead it. */
export function filters(host, page) {
  const fields = {
    client: make("input", { name: "client", placeholder: "Client", "aria-label": "Client", autocomplete: "off", spellcheck: "false" }),
    security: make("input", { name: "security", placeholder: "Security: code, ISIN, TICKER@MARKET", "aria-label": "Security", autocomplete: "off", spellcheck: "false" }),
    state: make("select", { name: "state", "aria-label": "State" }, make("option", { value: "" }, "every state"), ...STATES.map((state) => make("option", { value: state }, words(state)))),
    date: make("input", { name: "date", type: "date", "aria-label": "Received on, UTC" }),
  };
  const clear = make("button", { type: "button", class: "plain", onclick: () => page.go({ client: "", security: "", state: "", date: "" }) }, "Clear");
  host.append(...Object.values(fields), clear);
  const given = () => page.go(Object.fromEntries(Object.entries(fields).map(([name, { value }]) => [name, value.trim()])));
  host.addEventListener("submit", (event) => {
    event.preventDefault();
    given();
  });
  host.addEventListener("change", given);
  /** Show the page's state, except where somebody is typing. */
  return () => {
    for (const [name, input] of Object.entries(fields)) if (input !== document.activeElement && input.value !== page.state[name]) input.value = page.state[name];
    for (const name of ["state", "date"]) fields[name].hidden = page.state.view === "queue";
    clear.hidden = !Object.keys(fields).some((name) => page.state[name]);
  };
}

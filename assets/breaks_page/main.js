// Entry of the page Breaks: the template loads it before Bokeh.

import { make } from "../grid/dom.js";
import { StatusChip } from "../grid/status.js";
import { Address } from "../page/address.js";
import { bell } from "../page/bell.js";
import { confirm } from "../page/dialog.js";
import { onHeard } from "../page/picked.js";
import { parts, session, start } from "../page/start.js";
import { STEPS } from "./actions.js";
import { Api } from "./api.js";
import { FILTERS, filters, GROUPS, ORDERS } from "./filters.js";
import { BreaksPage } from "./page.js";

const KEYS = [
  ["↑ ↓ PgUp PgDn", "walk through the list"], ["Enter", "open a break, or open and shut a group"], ["← →", "shut and open a group"], ["Esc", "close"], ["Space", "choose, for a step with many"], ["F", "find in the list"],
  ...Object.values(STEPS).map(({ key, name }) => [key, name.replace("…", "").toLowerCase()]),
];

const { breaks: root, status, filters: form, keys, ...rest } = parts("breaks", "status", "filters", "keys", "tabs", "sums", "tools", "list", "one", "notice", "facts");
const plain = { view: "breaks", ...Object.fromEntries(FILTERS.map((name) => [name, ""])), group: "", order: "rank", shut: "", id: "", theme: "" };
const address = new Address(plain, { view: ["breaks", "adjustments"], group: Object.keys(GROUPS), order: Object.keys(ORDERS) });
const api = new Api(session(), () => page.show());
const page = new BreaksPage(api, { root, ...rest }, new StatusChip(status, document.title), address);
page.follow = filters(form, page, page.me);
onHeard((security) => page.hear(security));
page.show();
bell("breaks", () => api.token, () => page.rung());
keys.addEventListener("click", () => confirm({
  title: "Keys, while the list has the focus", yes: "Close",
  body: make("dl", { class: "keys" }, ...KEYS.flatMap(([key, what]) => [make("dt", {}, key), make("dd", {}, what)])),
}));
start(page);

// Entry of the page Locates: the template loads it before Bokeh.

import { make } from "../grid/dom.js";
import { StatusChip } from "../grid/status.js";
import { Address } from "../page/address.js";
import { bell } from "../page/bell.js";
import { confirm } from "../page/dialog.js";
import { onHeard } from "../page/picked.js";
import { parts, session, start } from "../page/start.js";
import { Api } from "./api.js";
import { filters } from "./filters.js";
import { LocatesPage } from "./page.js";
import { request } from "./request.js";
import { STATES } from "./words.js";

const KEYS = [["↑ ↓ or J K", "walk through the list"], ["Enter", "open"], ["Esc", "close"], ["Space", "choose, for a step with many"], ["A", "approve"], ["P", "approve a part"], ["R", "reject"], ["Q", "ask a question"], ["L", "release"], ["C", "cancel"], ["N", "ask for locates"]];

const { locates: root, status, filters: form, request: ask, keys, ...rest } = parts("locates", "status", "filters", "request", "keys", "tabs", "tools", "list", "one", "notice", "facts");
const address = new Address({ view: "queue", client: "", security: "", state: "", date: "", id: "", theme: "" }, { view: ["queue", "all"], state: ["", ...STATES] });
const api = new Api(session(), () => page.show());
const page = new LocatesPage(api, { root, ...rest }, new StatusChip(status, document.title), address);
page.follow = filters(form, page);
onHeard((security) => page.hear(security));
page.show();
bell("locates", () => api.token, () => page.rung());

const why = page.may("trader", "ops") ? "" : "Only trader or ops may ask for locates";
ask.setAttribute("aria-disabled", String(Boolean(why)));
if (why) ask.title = why;
ask.addEventListener("click", () => request(page));
rest.list.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "n" || event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "INPUT") return;
  event.preventDefault();
  request(page);
});
keys.addEventListener("click", () => confirm({
  title: "Keys, while the list has the focus", yes: "Close",
  body: make("dl", { class: "keys" }, ...KEYS.flatMap(([key, what]) => [make("dt", {}, key), make("dd", {}, what)])),
}));
start(page);

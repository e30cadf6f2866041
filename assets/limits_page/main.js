// Entry of the page Limits: the template loads it before Bokeh.

import { StatusChip } from "../grid/status.js";
import { Address } from "../page/address.js";
import { bell } from "../page/bell.js";
import { onHeard } from "../page/picked.js";
import { parts, session, start } from "../page/start.js";
import { Api } from "./api.js";
import { filters } from "./filters.js";
import { LimitsPage } from "./page.js";

const { limits: root, status, filters: form, ...rest } = parts("limits", "status", "filters", "list", "why", "orders", "notice", "facts");
const plain = { scope: "client", owner: "", security: "", of: "", side: "short", theme: "" };
const address = new Address(plain, { scope: ["client", "au"], side: ["short", "long"] });
const api = new Api(session(), () => page.show());
const page = new LimitsPage(api, { root, ...rest }, new StatusChip(status, document.title), address);
page.follow = filters(form, page);
onHeard((security) => page.go({ security, of: "" }));
page.show();
bell("orders", () => api.token, () => page.rung());
start(page);

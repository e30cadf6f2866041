// Entry of the page History: the template loads it before Bokeh.

import { StatusChip } from "../grid/status.js";
import { Address } from "../page/address.js";
import { parts, session, start } from "../page/start.js";
import { Api } from "./api.js";
import { Filters } from "./filters.js";
import { HistoryPage } from "./page.js";

const { history: root, status, filters: form, ...rest } = parts("history", "status", "filters", "tabs", "chart", "marks", "beside", "notice", "facts");
const plain = { view: "security", scope: "client", owner: "", sec: "", num: "", day: "", last: "24h", from: "", to: "", at: "", all: "", theme: "" };
const address = new Address(plain, { view: ["security", "limits", "markets", "answers"], scope: ["client", "au"], day: ["", "0", "1", "2", "3", "4"], last: ["1h", "8h", "24h", "7d", "30d"] });
const api = new Api(session(), () => page.show());
const page = new HistoryPage(api, { root, ...rest }, new StatusChip(status, document.title), address);
page.filters = new Filters(form, page);
document.addEventListener("ims-open", (event) => {
  event.preventDefault();
  page.go(page.state.view === "limits" ? { sec: event.detail.code } : { ...page.leading("security"), sec: event.detail.code });
});
page.show();
start(page);

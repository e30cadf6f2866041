// Entry of the page Overview: the template loads it before Bokeh.

import { StatusChip } from "../grid/status.js";
import { Address } from "../page/address.js";
import { bell } from "../page/bell.js";
import { parts, session, start } from "../page/start.js";
import { Api } from "./api.js";
import { OverviewPage } from "./page.js";

const { overview: root, status, "by-market": byMarket, "markets-part": marketsPart, "scarcity-part": scarcityPart, ...rest } = parts(
  "overview", "status", "verdict", "notice", "facts", "tiles", "markets-part", "by-market", "scarcity-part", "scarcity", "activity", "side",
);
const api = new Api(session(), () => page.show());
const page = new OverviewPage(api, { root, byMarket, marketsPart, scarcityPart, ...rest }, new StatusChip(status, document.title), new Address({ theme: "" }));
page.show();
page.begin();
bell(["locates", "orders"], () => api.token, () => page.rung());
start(page);

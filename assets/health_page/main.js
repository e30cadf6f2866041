// Entry of the page Health: the template loads it before Bokeh.

import { StatusChip } from "../grid/status.js";
import { parts, session, start } from "../page/start.js";
import { walkable } from "../page/walk.js";
import { Api } from "./api.js";
import { HealthPage } from "./page.js";

const { health: root, status, ...rest } = parts("health", "status", "feeds", "verdict", "facts", "tabs", "view", "notice");
const api = new Api(session(), () => page.show());
const page = new HealthPage(api, { root, ...rest }, new StatusChip(status, document.title));
page.show();
walkable(rest.feeds);
start(page);

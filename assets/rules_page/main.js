// Entry of the page Rules: the template loads it before Bokeh, so the rules are there while Bokeh still loads.

import { StatusChip } from "../grid/status.js";
import { parts, session, start } from "../page/start.js";
import { exportAll, importFile } from "./actions.js";
import { Api } from "./api.js";
import { walkable } from "./lists.js";
import { RulesPage } from "./page.js";

const { rules: root, status, ...rest } = parts("rules", "status", "documents", "versions", "heading", "tabs", "view", "notice");
const files = parts("export", "import", "file");
const api = new Api(session(), () => page.show());
const page = new RulesPage(api, { root, ...rest }, new StatusChip(status, document.title));
page.show();
walkable(rest.documents);
walkable(rest.versions);

files.export.addEventListener("click", () => exportAll(page));
files.import.addEventListener("click", () => files.file.click());
files.file.addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  if (file) await importFile(page, file);
  target.value = "";
});
start(page);

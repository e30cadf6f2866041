// Entry of the page Rules: the template loads it before Bokeh, so the rules are there while Bokeh still loads.

import { reloadWhenServed } from "../grid/pages.js";
import { StatusChip } from "../grid/status.js";
import { exportAll, importFile } from "./actions.js";
import { Api } from "./api.js";
import { walkable } from "./lists.js";
import { RulesPage } from "./page.js";

/** A page that loses its session sooner would only go round in circles. */
const RELOAD_AFTER_MS = 5000;
const part = (name) => document.getElementById(name);
const parts = Object.fromEntries(["documents", "versions", "heading", "tabs", "view", "notice"].map((name) => [name, part(name)]));
parts.root = part("rules");

const { session } = JSON.parse(part("ims-page").textContent);
const api = new Api(session, () => page.show());
const page = new RulesPage(api, parts, new StatusChip(part("status"), document.title));
page.show();
walkable(parts.documents);
walkable(parts.versions);

part("export").addEventListener("click", () => exportAll(page));
part("import").addEventListener("click", () => part("file").click());
part("file").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  if (file) await importFile(page, file);
  target.value = "";
});
part("theme").addEventListener("click", () => {
  const theme = document.documentElement.dataset.theme === "light" ? "dark" : "light";
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("ims-theme", theme);
  page.go({ theme }, { step: false });
});

// the Panel session ends when the login does, or its server: load the page anew, unless it has hardly begun
window.imsPage = { page, detach: () => performance.now() > RELOAD_AFTER_MS && reloadWhenServed() };
document.dispatchEvent(new CustomEvent("ims-page", { detail: window.imsPage }));

// Entry of the page Health: the template loads it before Bokeh.

import { reloadWhenServed } from "../grid/pages.js";
import { StatusChip } from "../grid/status.js";
import { Api } from "./api.js";
import { HealthPage } from "./page.js";
import { walkable } from "./walk.js";

/** A page that loses its session sooner would only go round in circles. */
const RELOAD_AFTER_MS = 5000;
const part = (name) => document.getElementById(name);
const parts = Object.fromEntries(["feeds", "verdict", "facts", "tabs", "view", "notice"].map((name) => [name, part(name)]));
parts.root = part("health");

const { session } = JSON.parse(part("ims-page").textContent);
const api = new Api(session, () => page.show());
const page = new HealthPage(api, parts, new StatusChip(part("status"), document.title));
page.show();
walkable(parts.feeds);

part("theme").addEventListener("click", () => {
  const theme = document.documentElement.dataset.theme === "light" ? "dark" : "light";
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("ims-theme", theme);
  page.state.theme = page.state.theme ? theme : "";
  page.go({}, { step: false });
});

// the Panel session ends when the login does, or its server: load the page anew, unless it has hardly begun
window.imsPage = { page, detach: () => performance.now() > RELOAD_AFTER_MS && reloadWhenServed() };
document.dispatchEvent(new CustomEvent("ims-page", { detail: window.imsPage }));

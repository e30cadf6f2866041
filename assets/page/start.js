// What every page of text and tables does once it is there: its theme, and its end.

import { reloadWhenServed } from "../grid/pages.js";

/** A page that loses its session sooner would only go round in circles. */
const RELOAD_AFTER_MS = 5000;

/** The elements of the page by their ids. */
export const parts = (...ids) => Object.fromEntries(ids.map((id) => [id, document.getElementById(id)]));

/** Token and roles of who looks at it, as the page server put them into the page. */
export const session = () => JSON.parse(document.getElementById("ims-page").textContent).session;

/** `page`: has `state.theme` and `go(change, {step})`. */
export function start(page) {
  document.getElementById("theme").addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "light" ? "dark" : "light";
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("ims-theme", theme);
    page.go({ theme: page.state.theme && theme }, { step: false }); // in the address only where it was there
  });
  // the Panel session ends when the login does, or its server: load the page anew, unless it has hardly begun
  window.imsPage = { page, detach: () => performance.now() > RELOAD_AFTER_MS && reloadWhenServed() };
  document.dispatchEvent(new CustomEvent("ims-page", { detail: window.imsPage }));
}

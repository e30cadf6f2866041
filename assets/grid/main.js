// Entry of a page: the template loads it before Bokeh, so the grid has data while Bokeh still loads.

import { Desk } from "./desk.js";
import { makeSplit } from "./split.js";

const part = (name) => document.getElementById(name);

const desk = new Desk(JSON.parse(part("ims-page").textContent), {
  grid: part("grid"), controls: part("controls"), bar: part("view-bar"), strip: part("strip"), status: part("status"), message: part("message"),
});
part("detail-close").addEventListener("click", () => desk.select(""));
makeSplit(part("split"), part("detail"));

// Panel loads a component's script through a module shim, for which an import of this file would be another copy of it
window.imsDesk = desk;
document.dispatchEvent(new CustomEvent("ims-desk", { detail: desk }));

// What all pages have around them, once it is there: the way to other pages, the search, the market's clock, the data's age.

import { AgeOfData } from "./age.js";
import { Finder } from "./finder.js";
import { follow } from "./interop.js";
import { MarketClock } from "./market.js";
import { makeMenu } from "./menu.js";
import { Securities } from "./securities.js";

const part = (id) => document.getElementById(id);

const securities = new Securities();
const finder = new Finder(securities);
part("find").addEventListener("click", () => finder.open());
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, select, textarea, [contenteditable=true]");
  const asked = event.key === "/" ? !typing && !event.ctrlKey && !event.metaKey && !event.altKey : event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey;
  // a question on screen is answered first
  if (!asked || document.querySelector("dialog:modal")) return;
  event.preventDefault();
  finder.open();
});

makeMenu(part("menu"), part("pages"));
const market = new MarketClock(part("market"));
const age = new AgeOfData(part("age"));
market.begin();
age.begin();
window.imsFrame = { finder, market, age, interop: follow(securities) };
document.dispatchEvent(new CustomEvent("ims-frame", { detail: window.imsFrame }));

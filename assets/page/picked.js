// The security that a page is about: what a person picks is told to other windows (assets/frame/interop.js), and theirs is heard.

const KEPT = "ims-picked";
/** A page that is loaded anew, by a person or because its server is back, says nothing that it had said before. */
let before = performance.getEntriesByType("navigation")[0]?.type === "reload" ? sessionStorage.getItem(KEPT) : null;
let last = "";

/** What was picked last, for who comes later than that; "" for none. */
export const lastPicked = () => last;

/** This page is about the security `code` from now on, by a click, a link or the way back; "": about none. */
export function picked(code) {
  const again = code && code === before;
  last = again ? "" : code;
  if (!code) return;
  before = null;
  sessionStorage.setItem(KEPT, code);
  if (!again) document.dispatchEvent(new CustomEvent("ims-picked", { detail: { code } }));
}

/** Call `follow(code)` when another window is about another security; not while a person is in the middle of something. */
export function onHeard(follow) {
  document.addEventListener("ims-open", (event) => {
    if (!event.detail.heard) return;
    event.preventDefault();
    follow(event.detail.code);
  });
}

// What opens above the page: placed beside what it belongs to, and within the window.

const GAP_PX = 4;

/** Open a popover below an element, or at a point {x, y}. */
export function openBeside(panel, anchor) {
  panel.showPopover();
  const box = anchor instanceof Element ? anchor.getBoundingClientRect() : { left: anchor.x, right: anchor.x, top: anchor.y, bottom: anchor.y };
  panel.style.maxHeight = `${window.innerHeight - 2 * GAP_PX}px`;
  const { width, height } = panel.getBoundingClientRect();
  const left = Math.max(GAP_PX, Math.min(box.left, window.innerWidth - width - GAP_PX));
  const below = box.bottom + height + GAP_PX <= window.innerHeight;
  const top = below ? box.bottom : Math.max(GAP_PX, Math.min(box.top - height, window.innerHeight - height - GAP_PX));
  Object.assign(panel.style, { left: `${left}px`, top: `${top}px` });
}

/** When it closes, the focus goes back to where it was, unless a person has put it elsewhere. */
export function givesFocusBack(panel) {
  let before = null;
  panel.addEventListener("beforetoggle", ({ newState }) => {
    if (newState === "open") before = document.activeElement;
  });
  panel.addEventListener("toggle", ({ newState }) => {
    if (newState === "closed" && (document.activeElement === document.body || panel.contains(document.activeElement))) before?.focus?.({ preventScroll: true });
  });
}

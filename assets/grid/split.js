// The handle between grid and drill-down: by mouse or by arrow keys; the height is kept in this browser.

const KEY = "ims-detail-height";
const STEP = 24;

export function makeSplit(handle, panel) {
  const set = (height) => {
    const limited = Math.round(Math.min(Math.max(height, 160), window.innerHeight * 0.75));
    document.documentElement.style.setProperty("--detail-height", `${limited}px`);
    handle.setAttribute("aria-valuenow", Math.round((100 * limited) / window.innerHeight)); // percent of the window
    localStorage.setItem(KEY, limited);
  };
  const kept = Number(localStorage.getItem(KEY));
  if (kept) set(kept);
  handle.addEventListener("pointerdown", (down) => {
    const height = panel.offsetHeight + down.clientY;
    const move = (event) => set(height - event.clientY);
    handle.setPointerCapture(down.pointerId);
    handle.addEventListener("pointermove", move);
    handle.addEventListener("pointerup", () => handle.removeEventListener("pointermove", move), { once: true });
  });
  handle.addEventListener("keydown", (event) => {
    const by = { ArrowUp: STEP, ArrowDown: -STEP }[event.key];
    if (!by) return;
    event.preventDefault();
    set(panel.offsetHeight + by);
  });
}

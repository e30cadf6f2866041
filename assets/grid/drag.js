// Carrying a column's title by the pointer: a ghost follows it, a line shows where it would come to stand.

import { make } from "./dom.js";

const BEGINS_PX = 6;

/**
 * `over(x, y)`: {before, x} of the place under the pointer, or null; `drop(before)` when it is let go there;
 * `elsewhere(x, y, done)`: it is above something else; `done`: and let go. A press that does not move stays a click.
 */
export function dragged(down, host, title, { over, drop, elsewhere }) {
  let ghost = null;
  let line = null;
  const begin = () => {
    ghost = make("div", { class: "ghost" }, title);
    line = make("div", { class: "dropline", hidden: "" });
    document.body.append(ghost, line);
    document.documentElement.dataset.carrying = "column";
  };
  const move = (event) => {
    if (!ghost && Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) < BEGINS_PX) return;
    if (!ghost) begin();
    Object.assign(ghost.style, { left: `${event.clientX + 8}px`, top: `${event.clientY + 8}px` });
    const place = over(event.clientX, event.clientY);
    line.hidden = place === null;
    if (place) {
      const { top, height } = host.getBoundingClientRect();
      Object.assign(line.style, { left: `${place.x - 1}px`, top: `${top}px`, height: `${height}px` });
    } else elsewhere?.(event.clientX, event.clientY, false);
  };
  const end = (event, cancelled) => {
    window.removeEventListener("pointermove", move);
    window.removeEventListener("keydown", escape, true);
    if (!ghost) return;
    ghost.remove();
    line.remove();
    delete document.documentElement.dataset.carrying;
    // the click that may follow was never meant
    const swallow = (click) => click.stopPropagation();
    window.addEventListener("click", swallow, true);
    setTimeout(() => window.removeEventListener("click", swallow, true), 0);
    if (cancelled) return;
    const place = over(event.clientX, event.clientY);
    if (place) drop(place.before);
    else elsewhere?.(event.clientX, event.clientY, true);
  };
  const escape = (event) => {
    if (event.key !== "Escape" || !ghost) return;
    event.stopPropagation();
    end(event, true);
  };
  window.addEventListener("pointermove", move);
  window.addEventListener("pointerup", (event) => end(event, false), { once: true });
  window.addEventListener("keydown", escape, true);
}

// Colours of charts, read from the style sheet that everything else is in: a canvas cannot see it by itself.

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", "DejaVu Sans", sans-serif';

/** Line styles tell lines apart without colour, too. */
export const DASHES = [[], [7, 3], [2, 3], [10, 3, 2, 3], [4, 4], [1, 2], [12, 4], [6, 2, 2, 2]];

/** The theme of now: colours by their names in ims.css, those of lines, and a font by its size. */
export function look() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const light = document.documentElement.dataset.theme === "light";
  const names = ["bg", "panel", "grid", "line", "text", "muted", "faint", "accent", "good", "bad", "warn"];
  return {
    ...Object.fromEntries(names.map((name) => [name, colour(name)])),
    light,
    lines: DASHES.map((_, at) => colour(`line-${at}`)),
    font: (px, weight = 400) => `${weight} ${px}px ${FONT}`,
  };
}

/** Call `changed` when the theme does. */
export function onTheme(changed) {
  const watch = new MutationObserver(changed);
  watch.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  return () => watch.disconnect();
}

// A chart of Bokeh as a picture: its canvas, with our title, time and source around it.

import { savePng } from "./picture.js";

/** The view of the model with this name, wherever it is on the page. */
export function named(name, views = [...window.Bokeh.index]) {
  for (const view of views) {
    if (view.model.name === name) return view;
    const found = named(name, [...(view.children?.() ?? [])]);
    if (found) return found;
  }
  return null;
}

/** `subtitle`: what the chart is of. */
export async function saveBokeh({ chart, title, subtitle = "", source = "IMS" }) {
  const view = named(chart);
  if (!view) throw new Error(`no chart is called ${chart}`);
  const { canvas } = view.export("png", true);
  const { width, height } = view.el.getBoundingClientRect();
  await savePng({ title, subtitle, source, width, height, draw: (context) => context.drawImage(canvas, 0, 0, width, height) });
}

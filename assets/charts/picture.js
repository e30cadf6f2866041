// A chart as a picture to send on: with its title, when it was, and where it is from, so that nobody has to guess later.

import { keep } from "../page/keep.js";
import { look } from "./look.js";

const HEAD = 44;
const FOOT = 22;
const EDGE = 14;
const SCALE = 2;

/**
 * The picture as a canvas. `draw(context, width, height)`: the chart itself, in CSS pixels; `title`, `subtitle`, `source`: text.
 */
export function picture({ title, subtitle = "", source, width, height, draw, at = new Date() }) {
  const canvas = document.createElement("canvas");
  const wide = Math.max(width, 320);
  canvas.width = (wide + 2 * EDGE) * SCALE;
  canvas.height = (height + HEAD + FOOT) * SCALE;
  const context = canvas.getContext("2d");
  const theme = look();
  context.scale(SCALE, SCALE);
  context.fillStyle = theme.panel;
  context.fillRect(0, 0, wide + 2 * EDGE, height + HEAD + FOOT);
  const write = (text, x, y, px, colour, weight = 400, align = "left") => {
    context.font = theme.font(px, weight);
    context.fillStyle = colour;
    context.textAlign = align;
    context.textBaseline = "alphabetic";
    context.fillText(text, x, y, wide);
  };
  write(title, EDGE, 20, 14, theme.text, 650);
  if (subtitle) write(subtitle, EDGE, 36, 11, theme.muted);
  const when = `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  write(`${source} · ${when}`, EDGE, height + HEAD + FOOT - 8, 10, theme.muted);
  context.save();
  context.translate(EDGE, HEAD);
  draw(context, width, height);
  context.restore();
  return canvas;
}

/** Save it as a PNG file named after the title and the moment. */
export async function savePng(asked) {
  const at = asked.at ?? new Date();
  const canvas = picture({ ...asked, at });
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  const name = `${asked.title} ${at.toISOString().slice(0, 19)}`.replaceAll(/[^\p{L}\p{N}.-]+/gu, "-").toLowerCase();
  keep(blob, `${name}.png`);
}

// What all charts of ours have in common: a title, a button for a picture, a canvas as sharp as the screen that follows size and
// theme, a tip at the pointer, and a text for those who cannot see it.

import { make } from "../grid/dom.js";
import { look, onTheme } from "./look.js";
import { savePng } from "./picture.js";

export class Chart {
  /** `host`: any element with a height; `source`: what the picture says it is from. A subclass has `paint(context, width, height, look)`. */
  constructor(host, { title, source = "IMS", label = title }) {
    this.source = source;
    this.title = title;
    this.heading = make("h3", {}, title);
    this.tools = make("div", { class: "chart-tools" });
    this.png = make("button", { type: "button", class: "chart-png", title: "Save this chart as a picture", "aria-label": `Save ${title} as PNG`, onclick: () => this.save() }, "PNG");
    this.canvas = make("canvas", { role: "img", tabindex: 0, "aria-label": label });
    this.tip = make("div", { class: "chart-tip", hidden: "" });
    this.none = make("p", { class: "chart-none", role: "status", hidden: "" });
    this.body = make("div", { class: "chart-body" }, this.canvas, this.tip, this.none);
    this.root = make("figure", { class: "chart" }, make("header", {}, this.heading, this.tools, this.png), this.body);
    host.replaceChildren(this.root);
    this.width = this.height = 0;
    this.asked = 0;
    this.size = new ResizeObserver(() => this.#sized());
    this.size.observe(this.body);
    this.unthemed = onTheme(() => this.redraw());
    this.canvas.addEventListener("pointermove", (event) => this.pointed(event.offsetX, event.offsetY));
    this.canvas.addEventListener("pointerleave", () => this.left());
    this.canvas.addEventListener("blur", () => this.left());
  }

  /** Under the title, in the picture. */
  get subtitle() {
    return "";
  }

  setTitle(title) {
    if (this.title === title) return;
    this.title = title;
    this.heading.textContent = title;
    this.png.setAttribute("aria-label", `Save ${title} as PNG`);
  }

  /** Words in place of the chart; "" shows the chart. */
  say(text) {
    this.none.textContent = text;
    this.none.hidden = !text;
    this.canvas.hidden = Boolean(text);
    this.png.disabled = Boolean(text);
    if (text) this.left();
  }

  /** Paint anew with the next frame, once. */
  redraw() {
    this.asked ||= requestAnimationFrame(() => {
      this.asked = 0;
      this.#paint();
    });
  }

  save() {
    const { width, height } = this;
    return savePng({ title: this.title, subtitle: this.subtitle, source: this.source, width, height, draw: (context, w, h) => this.paint(context, w, h, look()) });
  }

  pointed() {}

  left() {
    this.tip.hidden = true;
  }

  /** Lines of text beside a place on the canvas. */
  tell(x, y, lines) {
    this.tip.replaceChildren(...lines.map((line, at) => make(at ? "div" : "b", {}, line)));
    this.tip.hidden = false;
    const { offsetWidth: w, offsetHeight: h } = this.tip;
    this.tip.style.left = `${Math.max(0, x + 14 + w > this.width ? x - w - 10 : x + 14)}px`;
    this.tip.style.top = `${Math.max(0, Math.min(y + 10, this.height - h - 2))}px`;
  }

  close() {
    this.size.disconnect();
    this.unthemed();
    if (this.asked) cancelAnimationFrame(this.asked);
  }

  #sized() {
    const { clientWidth, clientHeight } = this.body;
    if (clientWidth === this.width && clientHeight === this.height) return;
    [this.width, this.height] = [clientWidth, clientHeight];
    this.redraw();
  }

  #paint() {
    const { width, height, canvas } = this;
    if (!width || !height || canvas.hidden) return;
    const sharp = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(width * sharp), Math.round(height * sharp)];
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    const context = canvas.getContext("2d");
    context.setTransform(sharp, 0, 0, sharp, 0, 0);
    context.clearRect(0, 0, width, height);
    this.paint(context, width, height, look());
    this.root.dataset.painted = String(Number(this.root.dataset.painted ?? 0) + 1);
  }
}

// The tie between a table and its drill-down, which a Panel component makes: which security, row and place it is about.

import { KEYS, samePlace } from "./drill.js";

export class DrillLink {
  /** `state`: the desk's; `onMoved(step)`: the place in it has changed, `step` where a person went there; `onSelected(code)`. */
  constructor(state, { onMoved, onSelected }) {
    this.state = state;
    this.on = { onMoved, onSelected };
    this.model = null;
    document.addEventListener("ims-picture", (event) => this.#picture(event.detail));
  }

  attach(model) {
    const { state } = this;
    this.model = model;
    model.theme = document.documentElement.dataset.theme;
    model.row = state.row;
    model.place = { ...state.place, sec: state.selected };
    model.selected = state.selected;
    model.on("place", () => this.#moved(model.place));
    model.on("selected", () => model.selected !== state.selected && this.on.onSelected(model.selected));
  }

  theme(name) {
    if (this.model) this.model.theme = name;
  }

  /** Show what the state says. */
  show() {
    const { model, state } = this;
    document.documentElement.dataset.detail = state.selected ? "open" : "closed";
    if (!model) return;
    if (model.row !== state.row) model.row = state.row;
    if (!samePlace(model.place, state.place)) model.place = { ...state.place, sec: state.selected };
    if (model.selected !== state.selected) model.selected = state.selected;
  }

  // the drill-down is somewhere else: where a person went, the button back leads away again
  #moved(place) {
    if (!this.state.selected || samePlace(place, this.state.place)) return;
    this.state.place = Object.fromEntries(KEYS.map((name) => [name, place[name] ?? ""]));
    this.on.onMoved(place.step === "1");
  }

  #picture({ chart, title }) {
    const { selected, place } = this.state;
    const subtitle = [selected, place.num, place.day && `SD${place.day}`].filter(Boolean).join(" · ");
    import("../charts/bokeh.js").then(({ saveBokeh }) => saveBokeh({ chart, title, subtitle }));
  }
}

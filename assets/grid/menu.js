// A menu: made anew each time it opens, gone through with the arrows or by first letters.

import { make } from "./dom.js";
import { givesFocusBack, openBeside } from "./popover.js";

export class Menu {
  constructor(id, label) {
    this.host = make("div", { id, class: "menu", popover: "auto", role: "menu", "aria-label": label });
    this.host.addEventListener("keydown", (event) => this.#key(event));
    givesFocusBack(this.host);
    document.body.append(this.host);
  }

  /** `items`: {label, act, keys, checked, disabled} of what can be done, {heading} above some of them, null for a line between. */
  open(items, anchor) {
    this.host.replaceChildren(...items.map((item) => this.#item(item)));
    if (this.host.matches(":popover-open")) this.host.hidePopover();
    openBeside(this.host, anchor);
    this.#stops()[0]?.focus();
  }

  close() {
    if (this.host.matches(":popover-open")) this.host.hidePopover();
  }

  #item(item) {
    if (item === null) return make("hr", { role: "separator" });
    if (item.heading) return make("div", { class: "heading", role: "presentation" }, item.heading);
    const { label, act, keys = "", checked, disabled = false, name } = item;
    const kind = checked === undefined ? "menuitem" : "menuitemcheckbox";
    const button = make("button", { type: "button", role: kind, tabindex: -1, "aria-checked": checked === undefined ? null : String(checked), disabled, "data-item": name ?? label },
      make("span", { class: "check", "aria-hidden": "true" }, checked ? "✓" : ""), make("span", { class: "what" }, label), make("kbd", {}, keys));
    button.addEventListener("click", () => {
      this.close();
      act();
    });
    button.addEventListener("pointerenter", () => button.focus({ preventScroll: true }));
    return button;
  }

  #stops() {
    return [...this.host.querySelectorAll("button:not(:disabled)")];
  }

  #key(event) {
    const stops = this.#stops();
    const at = stops.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 + (at < 0 ? 1 : 0), Home: 0, End: -1 }[event.key];
    if (to !== undefined) stops.at(to % stops.length)?.focus();
    else if (event.key === "Tab") this.close();
    else if (event.key === "Escape") {
      event.stopPropagation(); // the browser closes it; nothing else is meant
      return;
    }
    else if (event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey) {
      const later = [...stops.slice(at + 1), ...stops.slice(0, at + 1)];
      later.find((stop) => stop.querySelector(".what").textContent.toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

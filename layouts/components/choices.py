"""A title and a few small choices beside it: one model on the page, whatever there is to choose."""

from typing import Any, ClassVar

import param
from panel.custom import JSComponent

_ESM = """
export function render({ model }) {
  const box = document.createElement("div");
  box.className = "choices";
  const choose = (name, value) => {
    if (model.chosen[name] !== value) model.chosen = { ...model.chosen, [name]: value };
  };
  const select = (field) => {
    const made = document.createElement("select");
    for (const [value, text] of field.options) made.add(new Option(text, value));
    made.addEventListener("change", () => choose(field.name, made.value));
    return made;
  };
  const buttons = (field) => {
    const made = document.createElement("span");
    made.setAttribute("role", "group");
    for (const [value, text] of field.options) {
      const button = document.createElement("button");
      button.type = "button";
      button.value = value;
      button.textContent = text;
      button.addEventListener("click", () => choose(field.name, value));
      made.append(button);
    }
    return made;
  };
  const mark = () => {
    for (const made of box.querySelectorAll("[data-name]")) {
      const value = model.chosen[made.dataset.name];
      if (made.tagName === "SELECT") made.value = value;
      else for (const button of made.children) button.setAttribute("aria-pressed", String(button.value === value));
    }
  };
  const draw = () => {
    const title = document.createElement("b");
    title.textContent = model.title;
    box.replaceChildren(title, ...model.fields.map((field) => {
      const made = field.buttons ? buttons(field) : select(field);
      made.dataset.name = field.name;
      made.setAttribute("aria-label", field.label);
      made.title = field.label;
      return made;
    }));
    if (model.picture) {
      const save = document.createElement("button");
      save.type = "button";
      save.className = "picture";
      save.textContent = "PNG";
      save.title = "Save this chart as a picture";
      save.setAttribute("aria-label", `Save ${model.title} as PNG`);
      save.addEventListener("click", () => {
        const detail = { chart: model.picture, title: model.title };
        document.dispatchEvent(new CustomEvent("ims-picture", { detail }));
      });
      box.append(save);
    }
    mark();
  };
  model.on("fields", draw);
  model.on("chosen", mark);
  draw();
  return box;
}
"""

_STYLE = """
:host { width: 100%; }
.choices { display: flex; flex-wrap: wrap; align-items: center; gap: 3px 6px; padding: 3px 4px; font: 10px/16px var(--font); }
b { font-size: 11px; font-weight: 600; color: var(--muted); white-space: nowrap; }
select, button {
  font: inherit; height: 18px; padding: 0 6px; border: 1px solid var(--line); background: var(--panel); color: var(--text);
}
select { flex: 1 1 90px; min-width: 70px; max-width: 190px; padding: 0 2px; border-radius: 2px; }
span { display: inline-flex; }
button { color: var(--muted); margin-left: -1px; cursor: pointer; }
button:hover { background: var(--hover); }
.picture { margin-left: auto; border-radius: 2px; }
button[aria-pressed="true"] { background: var(--accent); color: var(--on-accent); }
"""


class Choices(JSComponent):
    """`fields`: dicts of name, label, options (pairs of value and text) and, for a row of buttons, `buttons` True.

    `picture`: the name of the chart beneath, which can be saved; "" for none.
    `chosen`: the value of each field by its name; follows the person.
    """

    title = param.String(default="")
    picture = param.String(default="")
    fields = param.List(item_type=dict)
    chosen = param.Dict(default={})

    _esm: ClassVar[str] = _ESM
    _stylesheets: ClassVar[list[str]] = [_STYLE]

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)  # type: ignore[no-untyped-call]

    def offer(self, fields: list[dict[str, Any]], chosen: dict[str, str]) -> None:
        """Show these choices; only what differs is sent."""
        if fields != self.fields:
            self.fields = fields
        if chosen != self.chosen:
            self.chosen = chosen

"""A small table of text that is renewed in place: scrolling and selection stay where a person left them."""

from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from layouts.components.facts_style import FACTS

_ESM = """
export function render({ model }) {
  const box = document.createElement("div");
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  const body = table.createTBody();
  box.className = "facts";
  box.tabIndex = 0;
  const note = document.createElement("p");
  box.append(note, table);
  for (const [at, name] of model.titles.entries()) {
    const cell = document.createElement("th");
    cell.textContent = name;
    cell.className = model.sides[at];
    head.append(cell);
  }
  const pick = (line) => {
    if (line?.dataset.key) model.picked = model.picked === line.dataset.key ? "" : line.dataset.key;
  };
  body.addEventListener("click", (event) => {
    if (!document.getSelection()?.toString()) pick(event.target.closest("tr"));
  });
  body.addEventListener("keydown", (event) => {
    const line = event.target.closest("tr");
    const to = { ArrowDown: line?.nextElementSibling, ArrowUp: line?.previousElementSibling }[event.key];
    if (to) to.focus();
    else if (event.key === "Enter") pick(line);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const show = () => {
    const rows = model.rows;
    while (body.rows.length > rows.length) body.deleteRow(-1);
    rows.forEach((row, y) => {
      const line = body.rows[y] ?? body.insertRow();
      if (model.keys[y]) line.dataset.key = model.keys[y];
      else delete line.dataset.key;
      row.forEach((text, x) => {
        const cell = line.cells[x] ?? line.insertCell();
        if (cell.textContent !== text) cell.textContent = text;
        const shape = model.sides[x] + (model.sides[x] === "r" && text.startsWith("-") ? " neg" : text === "0" ? " zero" : "");
        if (cell.className !== shape) cell.className = shape;
      });
    });
    mark();
    box.dataset.rows = rows.length;
  };
  const mark = () => {
    const at = [...body.rows].find((line) => line.dataset.key && line.dataset.key === model.picked) ?? body.rows[0];
    [...body.rows].forEach((line, y) => {
      line.classList.toggle("picked", Boolean(line.dataset.key) && line.dataset.key === model.picked);
      if (line.dataset.key) line.tabIndex = line === at ? 0 : -1;
      else line.removeAttribute("tabindex");
      line.classList.toggle("marked", y === model.marked);
      if (y === model.marked) line.setAttribute("aria-current", "true");
      else line.removeAttribute("aria-current");
    });
  };
  const tell = () => {
    note.textContent = model.note;
    note.hidden = !model.note;
  };
  model.on("rows", show);
  model.on("keys", show);
  for (const name of ["marked", "picked"]) model.on(name, mark);
  model.on("note", tell);
  tell();
  show();
  return box;
}
"""

_STYLE = """
tr[data-key] { cursor: pointer; }
tr[data-key]:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }
tbody tr.picked { background: var(--select); }
tbody tr.marked { background: var(--select); box-shadow: inset 3px 0 0 var(--accent); font-weight: 650; }
.zero { color: var(--faint); }
"""


class FactTable(JSComponent):
    """`titles`: of the columns; `sides`: "l" or "r" for each; `rows`: texts, already as a person reads them;
    `note`: what stands above them; `marked`: the place of the row that stands out, -1 for none; `keys`: of the rows, where they
    can be picked; `picked`: the key of the one that is.
    """

    titles = param.List(item_type=str)
    sides = param.List(item_type=str)
    rows = param.List(item_type=list)
    note = param.String(default="")
    marked = param.Integer(default=-1)
    keys = param.List(item_type=str)
    picked = param.String(default="")

    _esm: ClassVar[str] = _ESM
    _stylesheets: ClassVar[list[str]] = [FACTS, _STYLE]

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)  # type: ignore[no-untyped-call]

    def put(self, rows: list[list[str]], keys: list[str], *, marked: int, picked: str) -> None:
        """Show these; only what differs is sent."""
        for name, value in (("keys", keys), ("rows", rows), ("marked", marked), ("picked", picked)):
            if getattr(self, name) != value:
                setattr(self, name, value)

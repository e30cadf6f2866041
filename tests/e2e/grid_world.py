"""A page of a table over a scripted gateway and a scripted store of views, for tests in a browser."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from tests.e2e.scripted_api import Answers, Refusal
from tests.e2e.scripted_api import Script as ApiScript
from tests.e2e.scripted_gateway import Script

HEADS = """[...document.querySelectorAll('#grid [data-head]')].sort((a, b) => a.ariaColIndex - b.ariaColIndex)
  .map((head) => head.dataset.head)"""
TREE = """() => [...document.querySelectorAll('#grid .body .row:not([hidden])')]
  .filter((row) => row.querySelector('[data-id]'))
  .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
  .map((row) => {
    const pinned = document.querySelector(`#grid .pinned [aria-rowindex="${row.ariaRowIndex}"]`);
    return [pinned.querySelector('.c-tree').textContent.trim(), row.ariaLevel, row.ariaExpanded,
      row.querySelector('[data-column^="td"]')?.textContent ?? ''];
  })"""
"""Label, level, whether it is open, and TD of the rows on screen."""


class ViewAnswers(Answers):
    """The store of views, for one page server."""

    script: "ViewScript"

    def answer(self, method: str, *parts: str) -> Any:
        views, who = self.script.views, self.who.user
        if parts[0] != "views":
            raise Refusal(404, "nothing here")
        if method == "GET":
            shown = [view | {"mine": view["owner"] == who} for view in views if view["owner"] == who or view["shared"]]
            return {"views": shown, "default": self.script.defaults.get(who)}
        if len(parts) == 1:
            number = len(views) + 1
            views.append({"id": f"V{number:012x}", "owner": who, "version": 1, "mine": True} | self.body)
            return views[-1]
        if parts[1] == "default":
            self.script.defaults[who] = self.body["view"]
            return {}
        view = next(view for view in views if view["id"] == parts[1])
        if view["version"] != self.body["version"]:
            raise Refusal(409, f"{view['name']} has been changed since")
        if parts[2:] == ("remove",):
            views.remove(view)
            return {}
        view |= self.body | {"version": view["version"] + 1}
        return view


@dataclass
class ViewScript(ApiScript):
    """Views that are saved, and what the page opens with for whom."""

    handler: ClassVar[type[Answers]] = ViewAnswers
    views: list[dict[str, Any]] = field(default_factory=list)
    defaults: dict[str, str] = field(default_factory=dict)


def whole(value: float) -> str:
    """A sum as a cell shows it."""
    return f"{value:,.0f}"


def total(script: Script, column: str, rows: Any = slice(None)) -> str:
    return whole(float(np.sum(script.tables["positions"].number[column][rows])))

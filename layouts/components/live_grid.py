"""The live table as a Panel component: Python's end of assets/grid. Its cells never pass through Python."""

from typing import Any, ClassVar

import param
from panel.custom import JSComponent

_ESM = """
export async function render({ model, view }) {
  const started = new Promise((resolve) => {
    document.addEventListener("ims-desk", (event) => resolve(event.detail), { once: true });
  });
  const desk = window.imsDesk ?? (await started);
  const { document: session } = view.model;
  session.config.notify_connection_status = false;
  session.on_event("connection_lost", () => desk.detach());
  desk.attach(model);
  return document.createElement("span");
}
"""


class LiveGrid(JSComponent):
    """Ties the page's grid, which the template has started before Bokeh was there, to the session.

    `selected` is the code of the security whose drill-down is open, "" for none; `row` the row of the position table at which
    it was opened, 0 for none; `place` is where a person is in it (see `layouts.place`); `theme` is dark or light. All follow
    the browser.
    """

    selected = param.String(default="")
    row = param.Integer(default=0)
    place = param.Dict(default={})
    theme: Any = param.Selector(default="dark", objects=["dark", "light"])

    _esm: ClassVar[str] = _ESM

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)  # type: ignore[no-untyped-call]

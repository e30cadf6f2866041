"""The only model of a page that is text and tables: it tells the page when its session has ended."""

from typing import Any, ClassVar

from panel.custom import JSComponent

_ESM = """
export async function render({ view }) {
  const started = new Promise((resolve) => {
    document.addEventListener("ims-page", (event) => resolve(event.detail), { once: true });
  });
  const page = window.imsPage ?? (await started);
  const { document: session } = view.model;
  session.config.notify_connection_status = false;
  session.on_event("connection_lost", () => page.detach());
  page.attached = true;
  return document.createElement("span");
}
"""


class SessionLink(JSComponent):
    """Its websocket is the one that the page server closes when the login is over."""

    _esm: ClassVar[str] = _ESM

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)  # type: ignore[no-untyped-call]

"""The drill-down: what one security's numbers are made of, renewed once a second while it is open."""

import asyncio
from collections.abc import Callable
from html import escape
from typing import Any, Final

import panel as pn
import structlog
from panel.io.state import set_curdoc

from engine.model import DAYS
from engine.views import SecurityDetail, SegmentMissingError, TornReadError
from layouts.charts import HistoryChart, LadderChart, Waterfall
from layouts.components.fact_table import FactTable
from layouts.components.live_grid import LiveGrid
from layouts.lookup import Lookup
from layouts.palette import PALETTES
from layouts.tables import EVENT_ALIGN, EVENT_HEAD, ROW_ALIGN, ROW_HEAD, latest_events, rows_by_book, words

log = structlog.get_logger()
PERIOD_MS: Final = 1000
_NONE: Final = "\N{EN DASH}"
_DAYS: Final = [f"SD{day}" for day in range(DAYS)]
_PANE: Final = {
    "flex": "1 1 0",
    "height": "100%",
    "border-left": "1px solid var(--line)",
    "padding": "0 4px",
}
_LEAST_PX: Final = 265
"""Below this, times its share, a pane cannot be read: the drill-down scrolls sideways."""
_TITLE: Final = {
    "font-size": "11px",
    "font-weight": "600",
    "color": "var(--muted)",
    "white-space": "nowrap",
    "font-family": "var(--font)",
}
_BUTTONS: Final = """
.bk-btn-group { background: transparent; }
.bk-btn-group > .bk-btn {
  font: 10px/16px var(--font) !important; padding: 0 6px !important; border: 1px solid var(--line) !important;
  background: var(--panel) !important; color: var(--muted) !important; box-shadow: none !important;
}
.bk-btn-group > .bk-btn.bk-active { background: var(--accent) !important; color: var(--on-accent) !important; }
"""


class Part:
    """One pane. What goes wrong in it is shown in it, and does not trouble the others."""

    def __init__(
        self, title: str, body: Any, show: Callable[[SecurityDetail], None], *, grow: float, beside: Any = None
    ) -> None:
        self._show = show
        self._body = body
        self._error = pn.pane.HTML(
            "", visible=False, styles={"color": "var(--bad)", "font-size": "12px", "padding": "8px"}
        )
        head = pn.Row(pn.pane.HTML(escape(title), styles=_TITLE, margin=(3, 4)), margin=0, height=24)
        if beside is not None:
            head.append(beside)
        styles = _PANE | {"flex-grow": str(grow), "min-width": f"{round(grow * _LEAST_PX)}px"}
        self.view = pn.Column(head, self._error, body, margin=0, sizing_mode="stretch_both", styles=styles)

    def show(self, detail: SecurityDetail) -> None:
        """Renew the pane."""
        try:
            self._show(detail)
        except Exception as error:  # a chart must not take the page along, whatever is wrong with it
            log.exception("a part of the drill-down failed", security=detail.text["code"])
            self._error.object = f"This could not be shown: {escape(str(error) or type(error).__name__)}"
        else:
            self._error.object = ""
        self._error.visible = bool(self._error.object)
        self._body.visible = not self._error.visible


class DrillDown:
    """Follows `link.selected` within one session. `view` is empty while nothing is open."""

    def __init__(self, link: LiveGrid, lookup: Lookup) -> None:
        self._link = link
        self._lookup = lookup
        self._parts: list[Part] = []
        self._detail: SecurityDetail | None = None
        self._head = pn.pane.HTML("", margin=(4, 90, 0, 10), height=22, sizing_mode="stretch_width")
        self._day = pn.widgets.RadioButtonGroup(options=_DAYS, margin=(3, 0), stylesheets=[_BUTTONS])
        self._day.param.watch(lambda _event: self._show(), "value")
        self.view = pn.Column(
            sizing_mode="stretch_both", margin=0, styles={"height": "100%", "background": "var(--panel)"}
        )
        self._document: Any = pn.state.curdoc
        self._timer: Any = None
        link.param.watch(self._selected, "selected")
        link.param.watch(self._rebuilt, "theme")

    def _selected(self, _event: Any) -> None:
        self._detail = None
        if not self._link.selected:
            self.close()
            return
        if not self._parts:
            self._head.object = _line("Opening…")
            self.view[:] = [self._head]
        # Bokeh's own callbacks hold the document until they end; Panel's let go of it at the first await
        self._document.add_next_tick_callback(self._renew)
        if self._timer is None:
            self._timer = self._document.add_periodic_callback(self._renew, PERIOD_MS)

    def _rebuilt(self, _event: Any) -> None:
        if self._parts and self._detail is not None:
            self._build(self._detail)

    def close(self) -> None:
        """Stop renewing and take everything off the page."""
        if self._timer is not None:
            self._document.remove_periodic_callback(self._timer)
            self._timer = None
        self._parts = []
        self.view.clear()

    def _build(self, detail: SecurityDetail) -> None:
        """Make all panes anew, filled: a chart without data has no axes to begin with."""
        palette = PALETTES[self._link.theme]
        fall, ladder, history = Waterfall(palette), LadderChart(palette), HistoryChart(palette)
        rows = FactTable(titles=list(ROW_HEAD), sides=list(ROW_ALIGN), sizing_mode="stretch_both")
        events = FactTable(titles=list(EVENT_HEAD), sides=list(EVENT_ALIGN), sizing_mode="stretch_both")

        def chart(made: Any) -> pn.pane.Bokeh:
            return pn.pane.Bokeh(made.figure, sizing_mode="stretch_both", margin=0)

        self._parts = [
            Part(
                "How it is made", chart(fall), lambda d: fall.update(d, self._shown_day()), grow=1.1, beside=self._day
            ),
            Part("Settlement ladder", chart(ladder), ladder.update, grow=0.9),
            Part("Last minutes", chart(history), history.update, grow=0.8),
            Part("Rows by book", rows, lambda d: setattr(rows, "rows", rows_by_book(d)), grow=1.85),
            Part("Latest events", events, lambda d: setattr(events, "rows", latest_events(d)), grow=1.45),
        ]
        for part in self._parts:
            part.show(detail)
        views = [part.view for part in self._parts]
        panes = pn.Row(*views, sizing_mode="stretch_both", margin=0, styles={"overflow": "auto hidden"})
        self.view[:] = [self._head, panes]

    async def _renew(self) -> None:
        """Read the selected security off the loop, then show it; a machine that is away or busy leaves what is shown."""
        code = self._link.selected
        detail, trouble = await asyncio.to_thread(self._read, code)
        if code and code == self._link.selected:
            with set_curdoc(self._document):
                self._take(detail, trouble)

    def _read(self, code: str) -> tuple[SecurityDetail | None, str]:
        try:
            return self._lookup.detail(code), ""
        except (SegmentMissingError, TornReadError) as error:
            return None, str(error)
        except KeyError as error:
            return None, str(error.args[0])

    def _take(self, detail: SecurityDetail | None, trouble: str) -> None:
        if detail is not None and (self._detail is None or self._detail.id != detail.id):
            self._day.value = _DAYS[detail.market.settle_days]
        self._detail = detail or self._detail
        if self._detail is not None and not self._parts:
            self._build(self._detail)
        elif not self._parts:
            self.view[:] = [self._head]
        self._show(trouble)

    def _shown_day(self) -> int:
        return _DAYS.index(self._day.value)

    def _show(self, trouble: str = "") -> None:
        self._head.object = _headline(self._detail, trouble)
        for part in self._parts:
            if self._detail is not None:
                part.show(self._detail)


def _headline(detail: SecurityDetail | None, trouble: str) -> str:
    """The security in one line of HTML."""
    told = f"<span style='color:var(--bad)'>{escape(trouble)}</span>" if trouble else ""
    if detail is None:
        return _line(told)
    text, dim = detail.text, "color:var(--muted)"
    names = " · ".join(escape(text[name]) for name in ("ticker", "isin", "cusip", "sedol", "figi") if text[name])
    facts = [
        f"{escape(detail.market.code)} {escape(text['currency'])}",
        words(detail.temperature) if len(detail.temperature) > len("WARM") else detail.temperature,
        "price " + (_NONE if detail.price is None else f"{detail.price:,.4f}"),
        "fee " + _percent(detail.fee_percent),
        "rebate " + _percent(detail.rebate_percent),
        *(["external availability is a floor (≥)"] if detail.at_least else []),
        f"rules {escape(detail.rules_version)}" if detail.rules_version else "",
    ]
    line = " &nbsp;·&nbsp; ".join(fact for fact in facts if fact)
    names = f"<span style='{dim}'>{names} &nbsp;·&nbsp; {line}</span>"
    return _line(f"<b style='font-size:13px'>{escape(text['name'])}</b> &nbsp;{names} &nbsp;{told}")


def _line(html: str) -> str:
    style = "color:var(--text);font-family:var(--font);white-space:nowrap;overflow:hidden;text-overflow:ellipsis"
    return f"<div style='{style}'>{html}</div>"


def _percent(rate: float | None) -> str:
    return _NONE if rate is None else f"{rate:.4f}%"

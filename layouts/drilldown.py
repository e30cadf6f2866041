"""The drill-down: what one security's numbers are made of, renewed once a second while it is open."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from html import escape
from typing import Any, Final

import panel as pn
import structlog
from panel.io.state import set_curdoc

from engine.model import DAYS
from engine.views import By, Explanation, SecurityDetail, SegmentMissingError, TornReadError, is_overborrow
from layouts import formats
from layouts.charts import LADDER, MINUTES, WATERFALL, HistoryChart, LadderChart, Waterfall
from layouts.components.choices import Choices
from layouts.components.event_list import EventList
from layouts.components.fact_table import FactTable
from layouts.components.live_grid import LiveGrid
from layouts.explain import CHAIN, choosable, inputs, rule_text, split_steps, steps, words
from layouts.lookup import Lookup
from layouts.palette import PALETTES
from layouts.place import SECURITY, Place, parts_of, resolved
from layouts.tables import (
    EVENT_ALIGN,
    EVENT_HEAD,
    ROW_ALIGN,
    ROW_HEAD,
    ROWS_SHOWN,
    latest_events,
    returned,
    returns_text,
    rows_by_book,
)

log = structlog.get_logger()
PERIOD_MS: Final = 1000
_NONE: Final = "\N{EN DASH}"
_DAY: Final = "SD"
_DAYS: Final = [f"{_DAY}{day}" for day in range(DAYS)]
_PANE: Final = {
    "flex": "1 1 0",
    "height": "100%",
    "border-left": "1px solid var(--line)",
    "padding": "0 4px",
}
_LEAST_PX: Final = 265
"""Below this, times its share, a pane cannot be read: the drill-down scrolls sideways."""
_STEPS: Final = "steps"
_VIEWS: Final = [[_STEPS, "Step by step"], *([by.value, f"By {by}"] for by in By)]
_ALL_ROWS: Final = ""
_RETURNS: Final = "returns"


class Part:
    """One pane. What goes wrong in it is shown in it, and does not trouble the others."""

    def __init__(self, head: Choices, body: Any, show: Callable[[SecurityDetail], None], *, grow: float) -> None:
        self._show = show
        self._body = body
        self._error = pn.pane.HTML(
            "", visible=False, styles={"color": "var(--bad)", "font-size": "12px", "padding": "8px"}
        )
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
        self._told: Explanation | None = None
        self._head = pn.pane.HTML("", margin=(4, 90, 0, 10), height=22, sizing_mode="stretch_width")
        self._place = Place.read(link.place)
        self._following = False
        """Choices are being put right by us: no step of a person."""
        self._made = _titled("How it is made", WATERFALL)
        self._from = _titled("Rows by book")
        for choices in (self._made, self._from):
            choices.param.watch(self._chosen, "chosen")
        self.view = pn.Column(
            sizing_mode="stretch_both", margin=0, styles={"height": "100%", "background": "var(--panel)"}
        )
        self._document: Any = pn.state.curdoc
        self._timer: Any = None
        link.param.watch(self._selected, "selected")
        link.param.watch(self._went, "place")
        link.param.watch(self._rebuilt, "theme")
        link.param.watch(lambda _event: self._show(), "row")

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

    def _went(self, _event: Any) -> None:
        """The browser is somewhere else: a number was clicked, or the button back."""
        place = Place.read(self._link.place)
        if place == self._place:
            return
        self._place = place
        of = self._link.place.get(
            SECURITY, self._link.selected
        )  # of another one: it comes next, and says what day is its own
        if self._detail is not None and self._detail.text["code"] == of:
            self._offer(self._detail)
            self._show()

    def _chosen(self, _event: Any) -> None:
        """A person chose something beside a title."""
        if self._following:
            return
        made = self._made.chosen
        number, day = made.get("calculation", ""), made.get("day", "").removeprefix(_DAY)
        of = self._from.chosen.get("input", _ALL_ROWS)
        other = (number, of) != (self._place.num, self._place.of)
        told = "" if made.get("view") == _STEPS else made.get("view", "")
        self._go(Place(number, day, told, of, "" if other else self._place.line), step=True)
        self._show()

    def _go(self, place: Place, *, step: bool) -> None:
        self._place = place
        if (written := place.written(step=step)) != self._link.place:
            self._link.place = written

    def _picked_row(self, table: FactTable) -> None:
        """A row was chosen, or let go: its events are shown."""
        if not self._following and table.picked != self._place.line:
            self._go(replace(self._place, line=table.picked), step=True)
            self._show()

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
        titles = [detail.catalogue.calculations[detail.catalogue.playing(role)].title for role in CHAIN]
        fall, ladder, history = Waterfall(palette, self._pick), LadderChart(palette), HistoryChart(palette, titles)
        rows = FactTable(titles=list(ROW_HEAD), sides=list(ROW_ALIGN), sizing_mode="stretch_both")
        rows.param.watch(lambda _event: self._picked_row(rows), "picked")
        events = EventList(titles=list(EVENT_HEAD), sides=list(EVENT_ALIGN), sizing_mode="stretch_both")

        def chart(made: Any) -> pn.pane.Bokeh:
            return pn.pane.Bokeh(made.figure, sizing_mode="stretch_both", margin=0)

        self._parts = [
            Part(self._made, chart(fall), lambda d: self._show_made(d, fall), grow=1.1),
            Part(_titled("Settlement ladder", LADDER), chart(ladder), ladder.update, grow=0.9),
            Part(_titled("Last minutes", MINUTES), chart(history), history.update, grow=0.8),
            Part(self._from, rows, lambda d: self._show_rows(d, rows), grow=1.85),
            Part(_titled("Events"), events, lambda d: self._show_events(d, events), grow=1.9),
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
            self._offer(detail)
        self._detail = detail or self._detail
        if self._detail is not None and not self._parts:
            self._build(self._detail)
        elif not self._parts:
            self.view[:] = [self._head]
        self._show(trouble)

    def _offer(self, detail: SecurityDetail) -> None:
        """What can be chosen of a security, and what is: as the address says, else as it was for the one before."""
        place = resolved(self._place, detail, self._made.chosen.get("calculation", ""))
        fields: list[dict[str, Any]] = [
            {"name": "day", "label": "Day", "options": [[day, day] for day in _DAYS], "buttons": True},
            {"name": "calculation", "label": "Number", "options": [list(each) for each in choosable(detail)]},
            {"name": "view", "label": "Told", "options": _VIEWS},
        ]
        view = place.told if place.told in dict(_VIEWS) else _STEPS
        self._follow(self._made, fields, {"day": f"{_DAY}{place.day}", "calculation": place.num, "view": view})
        self._go(replace(place, told="" if view == _STEPS else view), step=False)

    def _follow(self, choices: Choices, fields: list[dict[str, Any]], chosen: dict[str, str]) -> None:
        self._following = True
        try:
            choices.offer(fields, chosen)
        finally:
            self._following = False

    def _explained(self, detail: SecurityDetail) -> Explanation:
        """The number chosen."""
        if self._made.chosen["calculation"] not in dict(choosable(detail)):
            self._offer(detail)  # rules were published that no longer have it
        name, day = self._made.chosen["calculation"], _DAYS.index(self._made.chosen["day"])
        told = self._told
        if told is None or told.copy is not detail.copy or (told.calculation.name, told.day) != (name, day):
            self._told = told = detail.explain(detail.catalogue.calculation(name), day)
        return told

    def _show_made(self, detail: SecurityDetail, fall: Waterfall) -> None:
        explained, view = self._explained(detail), self._made.chosen["view"]
        shown = steps(explained) if view == _STEPS else split_steps(explained, By(view))
        unit, currencies = explained.calculation.unit, self._currencies(detail)
        picked = self._place.of
        fall.update(shown, lambda value: formats.number(value, unit, currencies), formats.scale(unit), picked)

    def _show_rows(self, detail: SecurityDetail, table: FactTable) -> None:
        explained = self._explained(detail)
        known = {key: (of, each) for key, of, each in inputs(explained)}
        options = [[_ALL_ROWS, "All rows"]]
        if is_overborrow(explained):
            options.append([_RETURNS, "Suggested returns"])
        options += [[key, f"{each.title} in {of.calculation.title}"] for key, (of, each) in known.items()]
        picked = self._place.of if self._place.of in dict(options) else _ALL_ROWS
        self._follow(self._from, [{"name": "input", "label": "Rows of", "options": options}], {"input": picked})
        if picked == _ALL_ROWS:
            note, (shown, keys, marked) = "", rows_by_book(detail, first=self._link.row)
        elif picked == _RETURNS:
            note, (shown, keys), marked = returns_text(detail, explained.day), returned(detail, explained.day), -1
        else:
            of, given = known[picked]
            more = f" · the largest {ROWS_SHOWN} of {len(given.rows)} rows" if len(given.rows) > ROWS_SHOWN else ""
            note = rule_text(of, given, self._currencies(detail)) + more
            shown, keys, marked = rows_by_book(detail, given, self._link.row)
        self._following = True
        try:
            table.note = note
            table.put(shown, keys, marked=marked, picked=self._place.line)
        finally:
            self._following = False

    def _show_events(self, detail: SecurityDetail, events: EventList) -> None:
        row = parts_of(self._place.line)
        rows, keys = latest_events(detail, self._lookup.topics, self._place.line)
        note = "" if row is None else f"Of the row {' · '.join(filter(None, (row[0], words(row[1]), row[2])))}"
        events.put(rows, keys, detail.text["code"], row, note)

    def _pick(self, key: str) -> None:
        """A bar of the waterfall was chosen."""
        if self._place.of != key:
            self._go(replace(self._place, of=key, line=""), step=True)
            self._show()

    def _currencies(self, detail: SecurityDetail) -> tuple[str, str]:
        return detail.text["currency"], self._lookup.reporting_currency

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
        f"rules {escape(detail.rules)}" if detail.rules else "",
    ]
    line = " &nbsp;·&nbsp; ".join(fact for fact in facts if fact)
    names = f"<span style='{dim}'>{names} &nbsp;·&nbsp; {line}</span>"
    return _line(f"<b style='font-size:13px'>{escape(text['name'])}</b> &nbsp;{names} &nbsp;{told}")


def _titled(title: str, picture: str = "") -> Choices:
    """`picture`: the name of the chart beneath it."""
    return Choices(title=title, picture=picture, sizing_mode="stretch_width", margin=0)


def _line(html: str) -> str:
    style = "color:var(--text);font-family:var(--font);white-space:nowrap;overflow:hidden;text-overflow:ellipsis"
    return f"<div style='{style}'>{html}</div>"


def _percent(rate: float | None) -> str:
    return _NONE if rate is None else f"{rate:.4f}%"

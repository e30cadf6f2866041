"""Charts of the drill-down: each is made once and then only its data changes."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from bokeh.core.properties import value
from bokeh.models import (
    ColumnDataSource,
    DatetimeTickFormatter,
    FactorRange,
    HoverTool,
    NumeralTickFormatter,
    Range1d,
    TapTool,
)
from bokeh.plotting import figure

from engine.views import SecurityDetail
from layouts.explain import CHAIN, Step, day_labels, ladder
from layouts.palette import FONT, Palette

WATERFALL: Final = "waterfall"
LADDER: Final = "ladder"
MINUTES: Final = "minutes"
"""Names of the charts, by which a browser finds the one that is to be a picture."""
_BAR_AND_TEXT_PX: Final = 150
"""About what a bar and its figure have between them on a small screen."""
_LETTER_PX: Final = 6
_SHORTEST_MS: Final = 60_000
"""The history's axis is never shorter than a minute."""
_SHARES: Final = "0,0"
_SHORT: Final = "0.[0]a"
_FINE: Final = "0.[000]a"
"""For an axis that does not begin at 0, where neighbouring ticks may differ by little."""
_LINES: Final = ("lend", "pool", "left")


class Waterfall:
    """How a number comes about. `chosen` is called with the key of the bar that a person picks, "" for none."""

    def __init__(self, palette: Palette, chosen: Callable[[str], None]) -> None:
        self._palette = palette
        self._chosen = chosen
        columns = ("label", "left", "right", "colour", "at", "text", "style", "note", "key")
        self._source = ColumnDataSource({name: [] for name in columns})
        self._source.selected.on_change("indices", self._picked)
        self._y = FactorRange(factors=[], range_padding=0.02)
        self._x = Range1d(start=0, end=1)
        self.figure = _figure(palette, name=WATERFALL, y_range=self._y, x_range=self._x)
        bars = self.figure.hbar(
            y="label",
            left="left",
            right="right",
            height=0.72,
            color="colour",
            nonselection_alpha=0.45,
            source=self._source,
        )
        self.figure.text(
            x="at", y="label", text="text", x_offset=5, text_baseline="middle", text_font=value(FONT), text_font_size="10px",
            text_font_style="style", text_color=palette.text, nonselection_text_alpha=1, source=self._source,
        )  # fmt: skip
        self.figure.vspan(x=0, line_color=palette.muted, line_width=1)
        tips = [("", "@label"), ("", "@text"), ("", "@note")]
        self.figure.add_tools(HoverTool(renderers=[bars], tooltips=tips), TapTool(renderers=[bars]))
        self.figure.xaxis[0].ticker.desired_num_ticks = 4
        self.figure.xaxis.formatter = NumeralTickFormatter(format=_SHORT)
        self.figure.ygrid.visible = False

    def _picked(self, _name: str, _before: list[int], indices: list[int]) -> None:
        keys = self._source.data["key"]
        self._chosen(keys[indices[0]] if indices and indices[0] < len(keys) else "")

    def update(self, steps: Sequence[Step], text: Callable[[int], str], scale: int, picked: str) -> None:
        """Show steps. `text`: an amount as a person reads it; `scale`: what one unit of the axis is; `picked`: a bar's key."""
        bars = _named_once([(step.label, step) for step in steps])
        colour = self._palette
        texts = [text(s.amount) if s.total or s.amount <= 0 else f"+{text(s.amount)}" for _, s in bars]
        _set(
            self._source,
            label=[label for label, _ in bars],
            left=[min(step.start, step.end) / scale for _, step in bars],
            right=[max(step.start, step.end) / scale for _, step in bars],
            colour=[colour.accent if s.total else colour.plus if s.amount >= 0 else colour.minus for _, s in bars],
            at=[max(step.start, step.end, 0) / scale for _, step in bars],
            text=texts,
            style=["bold" if step.total else "normal" for _, step in bars],
            note=[step.note for _, step in bars],
            key=[step.key for _, step in bars],
        )
        marked = [i for i, (_, step) in enumerate(bars) if picked and step.key == picked]
        if self._source.selected.indices != marked:
            self._source.selected.indices = marked
        factors = [label for label, _ in reversed(bars)]
        if self._y.factors != factors:
            self._y.factors = factors
        low = min(0, *(min(step.start, step.end) for _, step in bars)) / scale
        high = max(1, *(max(step.start, step.end) for _, step in bars)) / scale
        _span(self._x, low - (high - low) * 0.02, high + (high - low) * _room(texts))


class LadderChart:
    """Receipts and deliveries by settlement day, and the stock that they leave."""

    def __init__(self, palette: Palette) -> None:
        self._source = ColumnDataSource({name: [] for name in ("day", "receipts", "deliveries", "projected")})
        self._x = FactorRange(factors=[])
        self.figure = _figure(palette, name=LADDER, x_range=self._x)
        width: dict[str, Any] = {"width": 0.55, "source": self._source}
        bars = [
            self.figure.vbar(x="day", top="receipts", color=palette.plus, legend_label="Receipts", **width),
            self.figure.vbar(x="day", top="deliveries", color=palette.minus, legend_label="Deliveries", **width),
        ]
        line: dict[str, Any] = {"x": "day", "y": "projected", "source": self._source}
        self.figure.line(color=palette.accent, line_width=2, legend_label="Projected", **line)
        dots = self.figure.scatter(color=palette.accent, size=6, legend_label="Projected", **line)
        self.figure.hspan(y=0, line_color=palette.muted, line_width=1)
        tips = [(name.capitalize(), f"@{name}{{{_SHARES}}}") for name in ("receipts", "deliveries", "projected")]
        self.figure.add_tools(HoverTool(renderers=[*bars, dots], tooltips=[("", "@day"), *tips]))
        self.figure.yaxis.formatter = NumeralTickFormatter(format=_SHORT)
        self.figure.xaxis.major_label_text_font_size = "9px"
        self.figure.xgrid.visible = False
        _legend(self.figure, palette)

    def update(self, detail: SecurityDetail) -> None:
        shown, labels = ladder(detail), [label.replace(" ", "\n", 1) for label in day_labels(detail)]
        if self._x.factors != labels:
            self._x.factors = labels
        _set(self._source, day=labels, receipts=shown.receipts, deliveries=-shown.deliveries, projected=shown.projected)


class HistoryChart:
    """The last minutes of what can be lent, of the pool and of what is left of it. `titles`: of the three."""

    def __init__(self, palette: Palette, titles: Sequence[str]) -> None:
        self._source = ColumnDataSource({name: [] for name in ("time", *_LINES)})
        self._x = Range1d(start=0, end=_SHORTEST_MS)
        self.figure = _figure(palette, name=MINUTES, x_axis_type="datetime", x_range=self._x)
        colours, dashes = (palette.other, palette.accent, palette.plus), ("solid", "dashed", "solid")
        looks = list(zip(_LINES, titles, colours, dashes, strict=True))
        for name, label, colour, dash in looks:
            look: dict[str, Any] = {"color": colour, "line_dash": dash, "legend_label": label, "line_width": 2}
            self.figure.step(x="time", y=name, mode="after", source=self._source, **look)
        tips = [("", "@time{%H:%M:%S} UTC"), *((label, f"@{name}{{{_SHARES}}}") for name, label, _, _ in looks)]
        self.figure.add_tools(
            HoverTool(tooltips=tips, formatters={"@time": "datetime"}, mode="vline", line_policy="prev")
        )
        self.figure.yaxis.formatter = NumeralTickFormatter(format=_FINE)
        self.figure.xaxis[0].ticker.desired_num_ticks = 3
        self.figure.xaxis.formatter = DatetimeTickFormatter(
            milliseconds="%H:%M:%S",
            seconds="%H:%M:%S",
            minsec="%H:%M:%S",
            minutes="%H:%M",
            hourmin="%H:%M",
            hours="%H:%M",
        )
        _legend(self.figure, palette)

    def update(self, detail: SecurityDetail) -> None:
        """The samples since the machine knew anything, and the numbers of now as the newest point."""
        history, settlement = detail.history, detail.market.settle_days
        samples = history.lend, history.pool, history.left
        known = np.maximum.accumulate(np.any([sample != 0 for sample in samples], axis=0))
        now = [detail.value(role, day) for role, day in zip(CHAIN, (0, settlement, settlement), strict=True)]
        last = max(detail.as_of_ns, int(history.time_ns[-1]) if history.time_ns.size else 0)
        lines = {
            name: np.append(sample[known], latest) for name, sample, latest in zip(_LINES, samples, now, strict=True)
        }
        times = np.append(history.time_ns[known], last) / 1e6
        _set(self._source, time=times, **lines)
        _span(self._x, min(times[0], times[-1] - _SHORTEST_MS), times[-1])


def _figure(palette: Palette, **options: Any) -> Any:
    chart = figure(
        sizing_mode="stretch_both", min_width=120, min_height=80, toolbar_location=None, tools="",
        background_fill_color=palette.surface, border_fill_color=palette.surface, outline_line_color=None,
        min_border=4, **options,
    )  # fmt: skip
    for axis in chart.axis:
        axis.major_label_text_color = palette.muted
        axis.major_label_text_font = FONT
        axis.major_label_text_font_size = "10px"
        axis.axis_line_color = palette.line
        axis.major_tick_line_color = None
        axis.minor_tick_line_color = None
    chart.grid.grid_line_color = palette.line
    return chart


def _legend(chart: Any, palette: Palette) -> None:
    legend = chart.legend[0]
    chart.add_layout(legend, "above")
    legend.update(
        orientation="horizontal", background_fill_alpha=0, border_line_color=None, label_text_color=palette.muted,
        label_text_font=FONT, label_text_font_size="10px", glyph_width=14, glyph_height=10, spacing=10, padding=0, margin=0,
    )  # fmt: skip


def _room(texts: Sequence[str]) -> float:
    """What is left for the figures behind the bars, as a part of the longest way from bar to bar."""
    text_px = min(max(map(len, texts), default=0) * _LETTER_PX, _BAR_AND_TEXT_PX * 2 // 3)
    return max(0.8, text_px / (_BAR_AND_TEXT_PX - text_px))


def _named_once(bars: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Labels are the axis: a second one of the same name gets a blank more."""
    seen: dict[str, int] = {}
    result = []
    for label, bar in bars:
        result.append((label + "\N{ZERO WIDTH SPACE}" * seen.get(label, 0), bar))
        seen[label] = seen.get(label, 0) + 1
    return result


def _set(source: ColumnDataSource, **columns: Any) -> None:
    """Send the columns only if one of them changed."""
    if any(not np.array_equal(np.asarray(source.data[name]), np.asarray(now)) for name, now in columns.items()):
        source.data = columns


def _span(bounds: Range1d, start: float, end: float) -> None:
    if (bounds.start, bounds.end) != (start, end):
        bounds.update(start=start, end=end)

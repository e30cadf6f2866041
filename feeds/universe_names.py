"""Names of companies that do not exist, in the manner of their market, and names of invented clients.

A name is a coined first word (beginning + ending), a line of business and a legal form. Distinct numbers give distinct
names.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from feeds.universe_listing import Names


@dataclass(frozen=True, slots=True)
class Flavour:
    """The word lists of a market."""

    beginnings: tuple[str, ...]
    endings: tuple[str, ...]
    lines: tuple[str, ...]
    forms: tuple[str, ...]

    @property
    def names(self) -> int:
        """How many names there are before numbering begins."""
        return len(self.beginnings) * len(self.endings) * len(self.lines)


def flavour_of(names: Names) -> Flavour:
    """The words of a market's file."""
    return Flavour(
        tuple(names.beginnings.split()),
        tuple(names.endings.split()),
        tuple(line.strip() for line in names.lines.split("|")),
        tuple(form.strip() for form in names.forms.split("|")),
    )


_CLIENT_FIRST: Final = (
    "Larkspur Foxglove Harrier Kestrel Juniper Tamarisk Osprey Merlin Alder Rowan Sorrel Bracken Teasel Heron"
)
_CLIENT_LAST: Final = "Capital|Partners|Asset Mgmt|Investors|Macro|Quant|Global|Equity|Advisors|Long Short"


def companies(flavour: Flavour, numbers: Iterable[int]) -> list[str]:
    """The company names of the numbers, made of the words of `flavour`."""
    names = []
    for number in numbers:
        series, at = divmod(number, flavour.names)
        at, line = divmod(at, len(flavour.lines))
        beginning, ending = divmod(at, len(flavour.endings))
        form = flavour.forms[(beginning + 3 * ending + 5 * line) % len(flavour.forms)]
        name = f"{flavour.beginnings[beginning]}{flavour.endings[ending]} {flavour.lines[line]}"
        names.append(f"{name} {series + 1} {form}" if series else f"{name} {form}")
    return names


def clients(count: int) -> list[str]:
    """Names of `count` invented funds, at most 24 bytes each."""
    first, last = _CLIENT_FIRST.split(), _CLIENT_LAST.split("|")
    names = []
    for number in range(count):
        series, at = divmod(number, len(first) * len(last))
        name = f"{first[at % len(first)]} {last[at // len(first)]}"
        names.append(f"{name} {series + 1}" if series else name)
    return names

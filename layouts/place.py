"""Where a person is in the drill-down of a security: the number, its day, how it is told, the input, the row. All of it text,
because it is in the page's address."""

from dataclasses import asdict, dataclass, replace
from typing import Final, Self

from engine.model import DAYS
from engine.views import Role, SecurityDetail
from layouts.explain import CHAIN, choosable, first_choice, inputs

STEP: Final = "step"
SECURITY: Final = "sec"
"""What a browser says beside the place: which security it is of."""
_SEPARATOR: Final = "|"


@dataclass(frozen=True, slots=True)
class Place:
    """`num`: a calculation, or (as a column of a table names it) a term; `day`: 0 to 4; `told`: steps, or what it is split by;
    `of`: key of an input; `line`: key of a row. Empty: what goes without saying."""

    num: str = ""
    day: str = ""
    told: str = ""
    of: str = ""
    line: str = ""

    @classmethod
    def read(cls, given: dict[str, str]) -> Self:
        """Of what a browser sent."""
        return cls(**{name: str(given.get(name, "")) for name in cls.__slots__})

    def written(self, *, step: bool) -> dict[str, str]:
        """For a browser. `step`: a person went there, and the button back leads away again."""
        return asdict(self) | {STEP: "1" if step else ""}


def resolved(place: Place, detail: SecurityDetail, before: str) -> Place:
    """The same with a calculation that there is, and a day. `before`: the calculation that was shown last."""
    known = dict(choosable(detail))
    day = place.day if place.day.isdigit() and int(place.day) < DAYS else str(detail.market.settle_days)
    number = next((name for name in (place.num, before) if name in known), first_choice(detail))
    if not place.num or place.num in known:
        return replace(place, num=number, day=day)
    # a column of a term: the number that takes it in, and that input's rows
    chain = [detail.catalogue.calculations[detail.catalogue.playing(role)].name for role in reversed(CHAIN)]
    for name in dict.fromkeys((*chain, _of_utilisation(detail), *known)):
        explained = detail.explain(detail.catalogue.calculation(name), int(day))
        for key, _, given in inputs(explained):
            if given.name == place.num:
                return replace(place, num=name, day=day, of=place.of or key)
    return replace(place, num=number, day=day)


def _of_utilisation(detail: SecurityDetail) -> str:
    return detail.catalogue.calculations[detail.catalogue.playing(Role.UTILISATION)].name


def row_key(detail: SecurityDetail, row: int) -> str:
    """What a row is known by, in whatever order rows come."""
    rows = detail.rows
    return _SEPARATOR.join((rows.book[row], rows.kind[row], rows.depot[row]))


def parts_of(key: str) -> tuple[str, str, str] | None:
    """Book, kind and depot of a row; None where it is no key."""
    parts = key.split(_SEPARATOR)
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else None  # noqa: PLR2004  as `row_key` makes it

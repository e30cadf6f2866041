"""How late each feed may be (assets/feeds.yaml), and the words of a feed's health in the shared tables."""

from collections.abc import Sequence
from enum import IntEnum
from functools import cache
from importlib.resources import files
from typing import Annotated, Final, Literal

import msgspec
import yaml

from engine.model import Concern

NS_PER_S: Final = 1_000_000_000
_Seconds = Annotated[int, msgspec.Meta(ge=1, le=86_400)]


class FeedRulesError(ValueError):
    """assets/feeds.yaml cannot be used; the message says why."""


class FeedRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One feed. `limit_s`: since it was last known to be complete; `quiet_s`: since its newest record, 0: it may rest."""

    feed: Annotated[str, msgspec.Meta(pattern="^[a-z_]+$")]
    title: str
    limit_s: _Seconds
    concern: tuple[Literal["SHARES", "MONEY", "REFERENCE", "STATEMENTS"], ...]
    quiet_s: _Seconds | Literal[0] = 0
    required: bool = False

    @property
    def concerns(self) -> int:
        """Bits of `Concern`."""
        return sum(Concern[name] for name in set(self.concern))


class HealthWord(IntEnum):
    """What the engine adds to a feed's `FeedWord`s in `Tables.array["feed"]`."""

    STATE = 8
    SINCE_NS = 9
    """Since when it is in that state."""
    MILLI_RATE = 10
    """Thousandths of a record a second."""


class FeedState(IntEnum):
    """How a feed fares."""

    OFF = 0
    """Nobody reads it: it does not exist here, and need not."""
    STARTING = 1
    """It is being read for the first time."""
    LIVE = 2
    BEHIND = 3
    """Records wait, or its source does not answer, but not for longer than its limit."""
    STALE = 4
    """Later than its limit."""
    MISSING = 5
    """Nobody reads it, and the service is not complete without it."""


DOUBTFUL: Final = frozenset({FeedState.STALE, FeedState.MISSING})


def read(text: str, names: Sequence[str] | None = None) -> tuple[FeedRule, ...]:
    """Rules out of a document, for the feeds `names` in that order. Raises `FeedRulesError`."""
    try:
        rules = tuple(msgspec.convert(yaml.safe_load(text), list[FeedRule], strict=True))
    except (msgspec.ValidationError, yaml.YAMLError) as error:
        raise FeedRulesError(f"feeds.yaml: {error}") from error
    told = [rule.feed for rule in rules]
    if len(set(told)) != len(told):
        raise FeedRulesError("feeds.yaml: a feed is named twice")
    if names is not None and told != list(names):
        strange = sorted(set(told) ^ set(names)) or ["their order"]
        raise FeedRulesError(f"feeds.yaml does not name the feeds that there are: {', '.join(strange)}")
    return rules


@cache
def shipped(names: tuple[str, ...] | None = None) -> tuple[FeedRule, ...]:
    """The rules that the program comes with; a feed's place is its number. Raises `FeedRulesError`, see `read`."""
    return read(files("assets").joinpath("feeds.yaml").read_text(), names)

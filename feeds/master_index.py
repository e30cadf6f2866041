"""Who claims a name: texts of all securities, current, in doubt, and former."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from feeds.master_names import Names


class NameIndex:
    """By text. Small tuples, because there are hundreds of thousands, and nearly all have one member."""

    def __init__(self) -> None:
        self._owners: dict[str, tuple[str, ...]] = {}
        self._doubtful: dict[str, tuple[str, ...]] = {}
        self._former: dict[str, dict[str, dt.date]] = {}

    def replace(self, code: str, before: Names, now: Names) -> None:
        """The names of a security are others now."""
        _take(self._owners, code, before.current)
        _take(self._doubtful, code, before.disputed)
        for text in before.former:
            self._former[text].pop(code)
        for text in now.current:
            self._owners[text] = (*self._owners.get(text, ()), code)
        for text in now.disputed:
            self._doubtful[text] = (*self._doubtful.get(text, ()), code)
        for text, until in now.former.items():
            self._former.setdefault(text, {})[code] = until

    def owners(self, text: str) -> tuple[str, ...]:
        """Securities whose sources agree that it is a name of theirs."""
        return self._owners.get(text, ())

    def doubtful(self, text: str) -> tuple[str, ...]:
        """Securities whose sources do not agree, and nobody has decided."""
        return self._doubtful.get(text, ())

    def last(self, text: str) -> str:
        """Whose name it was last; "" for nobody's."""
        held: Mapping[str, dt.date] | None = self._former.get(text)
        return max(held, key=lambda code: (held[code], code)) if held else ""


def _take(index: dict[str, tuple[str, ...]], code: str, texts: Any) -> None:
    for text in texts:
        left = tuple(other for other in index[text] if other != code)
        if left:
            index[text] = left
        else:
            del index[text]

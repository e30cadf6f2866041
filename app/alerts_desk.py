"""What the API needs to take alerts from people: words under the rules in force, names of securities, and the analyst's eye."""

from collections.abc import Callable

from app.analyst.client import AlertTests
from app.outbox import Outbox
from engine.alert_words import Words, words_under
from engine.catalogue import Catalogue
from engine.views_columns import Column, columns_of


class AlertsDesk:
    """`catalogue`: of the rules in force; `markets`: their codes; `find`: the code of the security of any name, None for none;
    `test`: for what a condition holds now; `clock`: UTC nanoseconds."""

    def __init__(
        self,
        outbox: Outbox,
        catalogue: Callable[[], Catalogue],
        markets: tuple[str, ...],
        find: Callable[[str], str | None],
        test: AlertTests,
        clock: Callable[[], int],
    ) -> None:
        self.outbox = outbox
        self.find = find
        self.test = test
        self.clock = clock
        self._catalogue = catalogue
        self._markets = markets
        self._words: tuple[int, Words] | None = None

    @property
    def words(self) -> Words:
        """What can be named now; made anew only when the rules have changed."""
        catalogue = self._catalogue()
        if self._words is None or self._words[0] != catalogue.version:
            self._words = catalogue.version, words_under(catalogue, self._markets)
        return self._words[1]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the inventory now."""
        return columns_of(self._catalogue())

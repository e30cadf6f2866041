"""Rules, the classes of rows under them, and the sums that rows feed: what all of the machine's doors stand on."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine import kernel, rebuild
from engine.calc import recalculate
from engine.classes import Classifier
from engine.model import DAYS, HEAD_TOUCHED, Capacity, Decided, Market
from engine.programs import programs_of
from engine.ring import Message
from engine.row import KEY
from engine.rule_model import Measure, RuleBook, RulesError, Scope
from engine.rules import Compiled, compile_rules
from engine.tables import CALENDAR_DAYS, Tables, Word, no_room

_TOUCHED: Final = [int(np.uint64(1 << component).astype(np.int64)) for component in range(64)]
"""The bit of each component in `HEAD_TOUCHED`."""


class Sums:
    """The arrays the kernel works on, and how they follow rules and reference data. Call what changes them inside
    `Tables.writing`.
    """

    def __init__(
        self, tables: Tables, capacity: Capacity, markets: Sequence[Market], business_day: NDArray[np.int32]
    ) -> None:
        self.tables = tables
        self.capacity = capacity
        self.markets = tuple(markets)
        days = business_day[:, :CALENDAR_DAYS].astype(np.int32)
        tables.array["business_day"][:, : days.shape[1]] = days
        tables.array["clock"][:] = 1
        self._days = days
        self._dirty = np.zeros(capacity.securities + 1, np.int32)
        self._values = tables.array["values"].reshape(capacity.securities + 1, -1)
        self._book = self._arrays()

    def _arrays(self) -> kernel.Book:
        array, capacity = self.tables.array, self.capacity
        no_class: Any = np.zeros((1, 1), np.int64)  # until there is a classifier
        position = array["position"].view("<i8").reshape(capacity.rows, -1)
        position[:, 0] = 0  # the first touch of a page costs more than all later ones: pay it before the first event
        return kernel.Book(
            position=position,
            slots=array["index"],
            first_in_security=array["first_in_security"],
            first_in_book=array["first_in_book"],
            terms=self.tables.segment.arrays["terms"].reshape(capacity.securities + 1, -1),
            head=array["head"],
            market_of=np.zeros(capacity.securities + 1, np.uint8),
            business_day=self._days,
            today=self._today(),
            row_class=array["row_class"],
            entries=no_class,
            counts=no_class,
            combinations=no_class,
            security_group=no_class,
            book_group=no_class,
            depot_group=no_class,
            unclassified=np.empty(capacity.rows, np.int32),
            later_head=array["later_head"],
            later_nodes=array["later"],
            later_counters=self.tables.state[Word.LATER_USED : Word.LATER_FREE + 1],
            dirty=self._dirty,
        )

    def _today(self) -> NDArray[np.int32]:
        """Per market, see `kernel.Book.today`."""
        today, base = self.tables.array["today"], self.tables.base_date
        ordinals = self._days[np.arange(len(self._days)), today - base]
        quanto = [market.quanto_days for market in self.markets]
        return np.stack([today, np.full(len(today), base), ordinals, quanto], axis=1).astype(np.int32)

    def _compiled(self, book: RuleBook) -> Compiled:
        """Compiled for the days it is now. Raises `RulesError`, also where there is no room for them."""
        today = self._today()
        ordinals = today[:, 2, None] + np.arange(DAYS)
        dates = np.stack(
            [np.searchsorted(row, of, side="right") - 1 for row, of in zip(self._days, ordinals, strict=True)]
        )
        version = int(self.tables.state[Word.RULES]) + 1
        compiled = compile_rules(book, self.markets, (dates + self.tables.base_date).astype(np.int32), version)
        if problems := no_room(compiled.catalogue, self.capacity):
            raise RulesError(problems)
        return compiled

    def _take(self, book: RuleBook, compiled: Compiled, classifier: Classifier) -> None:
        """Hold to these rules from now on; numbers are not touched."""
        self.book, self.compiled, self._classifier = book, compiled, classifier
        calculations = compiled.catalogue.calculations
        chosen = [i for i, info in enumerate(calculations) if info.scope == Scope.SECURITY]
        self._programs = programs_of(compiled.programs, chosen, compiled.day_weights)
        self._decided = [
            (info.component, Decided[info.source.upper()])
            for info in compiled.catalogue.terms
            if info.measure == Measure.DECIDED.name.lower() and compiled.maintained[info.component]
        ]
        self._counted: dict[Decided, list[int]] = {}
        for component, what in self._decided:
            self._counted.setdefault(what, []).append(component)
        self._look_up_classes()
        self.tables.publish(compiled.catalogue)

    def _look_up_classes(self) -> None:
        """Let the kernel and readers see the classifier's tables as they are now."""
        classifier, array = self._classifier, self.tables.array
        array["class_entries"][: classifier.classes] = classifier.entries[: classifier.classes]
        array["class_counts"][: classifier.classes] = classifier.counts[: classifier.classes]
        self._book = self._book._replace(
            entries=classifier.entries,
            counts=classifier.counts,
            combinations=classifier.combinations,
            security_group=classifier.security_group,
            book_group=classifier.book_group,
            depot_group=classifier.depot_group,
        )

    def _adopt(self, rows: NDArray[np.int64]) -> None:
        """Give rows their class, and their sums what they hold; they have fed nothing so far."""
        self._book.row_class[rows] = self._classifier.classes_of(np.ascontiguousarray(self._book.position[rows, KEY]))
        self._look_up_classes()
        rebuild.adopt(rows, self._book)

    def _sum_again(self, ids: NDArray[np.int32]) -> None:
        """Make the sums of these securities from their rows, whose attributes have changed."""
        self._book.terms[ids] = 0
        self._book.head[ids, HEAD_TOUCHED] = 0
        self._adopt(rebuild.rows_of_securities(ids, self._book.first_in_security, self._book.position))
        self._place_decided(ids)
        self._recalculate(ids)

    def _make_anew(self, book: RuleBook) -> None:
        """Classes, sums and calculations of everything, under these rules. Raises as `Machine.publish` does."""
        compiled = self._compiled(book)
        classifier = Classifier(compiled, self.tables)
        rows = int(self.tables.state[Word.ROWS])
        classes = classifier.classes_of(np.ascontiguousarray(self._book.position[:rows, KEY]))
        with self.tables.writing():
            self._take(book, compiled, classifier)
            count = int(self.tables.state[Word.SECURITIES]) + 1
            self._book.row_class[:rows] = classes
            self._book.terms[:count] = 0
            self._book.head[:count, HEAD_TOUCHED] = 0
            rebuild.adopt(np.arange(rows), self._book)
            everybody = np.arange(1, count, dtype=np.int32)
            self._place_decided(everybody)
            self._recalculate(everybody)

    def _recalculate(self, ids: NDArray[np.int32]) -> None:
        book = self._book
        clock = self.tables.array["clock"]
        recalculate(ids, book.market_of, self._programs, book.terms, book.head, clock, self._values)

    def _place_decided(self, ids: NDArray[np.int32]) -> None:
        """Carry what decisions hold into the sums of their terms."""
        decided, terms, head = self.tables.array["decided"], self.tables.array["terms"], self._book.head
        for component, what in self._decided:
            quantities = decided[ids, what]
            terms[ids, component, :] = quantities[:, None]
            head[ids[quantities != 0], HEAD_TOUCHED] |= np.uint64(1 << component).astype(np.int64)

    def _place_decision(self, security: int, what: Decided, quantity: int) -> bool:
        """The same of one security and one sort of decision: there are thousands a second. Whether any sum has it."""
        terms, head = self.tables.array["terms"], self._book.head
        components = self._counted.get(what, ())
        for component in components:
            terms[security, component] = quantity
            if quantity:
                head[security, HEAD_TOUCHED] |= _TOUCHED[component]
        return bool(components)

    def _changed_securities(self, ids: NDArray[np.int32]) -> None:
        self._book.market_of[ids] = self.tables.array["security"]["market"][ids]
        moved = self._classifier.regroup_securities(ids)
        held = moved & (self._book.first_in_security[ids] != 0)
        self._recalculate(ids[~held])
        if held.any():
            self._sum_again(ids[held])

    def _regroup(self, kind: Message, ids: NDArray[np.int64]) -> None:
        """Books or depots have come or changed: what rows of the changed ones feed may be another thing now."""
        classifier, book = self._classifier, self._book
        if kind == Message.BOOKS:
            moved = ids[classifier.regroup_books(ids)]
            concerned = np.zeros(len(book.first_in_security), np.bool_)
            for number in moved.tolist():
                rebuild.securities_of_book(number, book.first_in_book, book.position, concerned)
            chosen = np.flatnonzero(concerned)
        else:
            moved = ids[classifier.regroup_depots(ids)]
            rows = book.position[: int(self.tables.state[Word.ROWS]), KEY]
            chosen = np.unique(rows[np.isin(rows >> 8 & 0xFFFF, moved)] >> 40) if moved.size else moved
        if chosen.size:
            self._sum_again(chosen.astype(np.int32))

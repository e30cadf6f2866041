"""The security master: records of many sources in, one golden record of each security out. Pure: time and day come with calls.

Golden records are a function of what every source says now, of what people have decided, and of the day; in which order
sources said it does not matter. Names are told in two steps: which names of a security its own sources agree on, and then
which security has a name that several claim.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import structs

from feeds import master_cases
from feeds.master_cases import Case, CaseState
from feeds.master_clean import RefusedError, clean, clean_composition, clean_counterparty
from feeds.master_decisions import Decided, DecisionKind, decision_of
from feeds.master_golden import Rules, golden, listed
from feeds.master_index import NameIndex
from feeds.master_names import NOTHING, Claim, Names, dated, given_up, names_of, texts_of
from feeds.master_records import (
    Composition,
    Counterparty,
    Fault,
    FaultKind,
    IdentifierType,
    Merge,
    Security,
    Split,
)
from feeds.master_rulings import DecisionError, Rulings, undoes
from feeds.quarantine import Reason
from feeds.vocabulary import Vocabulary

FEED: Final = "feed"
"""Who decides what a source sends as a merge or a split."""


class Golden(msgspec.Struct, frozen=True):
    """A security as everybody sees it; `version` counts its changes, from 1."""

    record: Security
    version: int


@dataclass(slots=True)
class Change:
    """What a call has changed: to be written down, and to be told to the machine."""

    claims: dict[tuple[str, str], Claim] = field(default_factory=dict)
    golden: dict[str, Golden] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Text -> code it leads to now, "" for nobody."""
    cases: dict[str, Case] = field(default_factory=dict)
    moves: list[Decided] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    compositions: list[Composition] = field(default_factory=list)
    counterparties: dict[str, Counterparty] = field(default_factory=dict)
    refused: list[tuple[int, Reason, str]] = field(default_factory=list)

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to write and nothing to tell."""
        return not (
            self.claims or self.golden or self.names or self.cases or self.decided or self.compositions
            or self.counterparties or self.moves
        )  # fmt: skip


@dataclass(slots=True)
class Kept:
    """What a master was made of before, as it was written down."""

    claims: dict[str, dict[str, Claim]] = field(default_factory=dict)
    golden: dict[str, Golden] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    decided: list[Decided] = field(default_factory=list)
    """In the order in which they were carried out."""
    leads: dict[str, str] = field(default_factory=dict)
    compositions: list[Composition] = field(default_factory=list)
    counterparties: dict[str, Counterparty] = field(default_factory=dict)


class Master:
    """One thread's. Every call that changes anything says what in a `Change`."""

    def __init__(self, rules: Rules, words: Vocabulary, today: dt.date, kept: Kept | None = None) -> None:
        kept = kept or Kept()
        self.rules, self.words, self.today = rules, words, today
        self.claims = kept.claims
        self.golden = kept.golden
        self.cases = kept.cases
        self.compositions = {(one.security, one.kind, one.source): one for one in kept.compositions}
        self.counterparties = kept.counterparties
        self.rulings = Rulings(kept.decided)
        self.leads: dict[str, str] = kept.leads
        """Text -> code; names that lead nowhere are not there."""
        self._names: dict[str, Names] = {}
        self._index = NameIndex()
        self._conflicts = frozenset(rules.conflicts)
        self._order = rules.order()
        self._dated = {code for code, claims in self.claims.items() if any(map(dated, claims.values()))}
        self._conflicting: dict[str, set[IdentifierType]] = {}
        """Types on which a security's sources differ, decided or not."""
        self._faulty: set[tuple[str, str]] = set()
        self._shared: set[str] = set()
        for case in self.cases.values():
            if case.state == CaseState.CLOSED:
                continue
            if case.kind == FaultKind.CONFLICT:
                self._conflicting.setdefault(case.security, set()).add(IdentifierType(case.field))
            elif case.kind == FaultKind.SHARED:
                self._shared.add(case.field)
            elif case.kind != FaultKind.INCOMPLETE:
                self._faulty.add((case.security, case.values[0][1][0]))

    def begin(self, at_ns: int) -> Change:
        """Make everything from what was kept: changes are what the day, or another program, made of it."""
        change = Change()
        self._renew(self.claims, change, at_ns, texts={*self.claims, *self._shared, *self.leads})
        return change

    def everything(self) -> Change:
        """All golden records and names, for a machine that knows nothing yet."""
        return Change(
            golden={code: one for code, one in self.golden.items() if code not in self.rulings.merged},
            names=dict(self.leads),
            counterparties=dict(self.counterparties),
            moves=[*self._recent_splits(), *self.rulings.merges.values()],
        )

    def _recent_splits(self) -> list[Decided]:
        """Splits that a machine which has come back may not have heard of: of today and yesterday."""
        since = dt.datetime.combine(self.today - dt.timedelta(days=1), dt.time(), dt.UTC).timestamp() * 1e9
        return [one for one in self.rulings.splits if one.at_ns >= since]

    def take(self, records: Sequence[tuple[int, object]], at_ns: int) -> Change:
        """Use records in order; each with its number."""
        change = Change()
        dirty: dict[str, None] = {}
        for number, record in records:
            try:
                match record:
                    case Security():
                        if self._say(record, change, at_ns):
                            dirty[record.code] = None
                    case Composition():
                        self._compose(record, change)
                    case Counterparty():
                        self._know(record, change, at_ns)
                    case Merge() | Split():
                        self._renew(dirty, change, at_ns)
                        dirty.clear()
                        self._carry_out(Decided(0, at_ns, FEED, decision_of(record)), change, at_ns)
            except RefusedError as error:
                change.refused.append((number, error.reason, str(error)))
            except DecisionError as error:
                change.refused.append((number, Reason.INVALID, str(error)))
        self._renew(dirty, change, at_ns)
        return change

    def roll(self, today: dt.date, at_ns: int) -> Change:
        """Another day: names begin and end."""
        change = Change()
        self.today = today
        self._renew(self._dated, change, at_ns)
        return change

    def decide(self, decided: Decided, at_ns: int) -> Change:
        """Carry out a person's decision. Raises `DecisionError`, and nothing has changed."""
        change = Change()
        self._carry_out(decided, change, at_ns)
        return change

    # what sources say

    def _say(self, record: Security, change: Change, at_ns: int) -> bool:
        """Whether the source says anything new of the security."""
        of_code = self.claims.get(record.code)
        before = of_code.get(record.source) if of_code is not None else None
        if before is not None:
            if before.said == record:
                return False
            if self._is_older(record.source, record.version, before.said.version):
                return False
        cleaned = clean(record, self.words)
        former = given_up(before, cleaned.record, self.today) if before is not None else ()
        claim = Claim(record, cleaned, former)
        self.claims.setdefault(record.code, {})[record.source] = claim
        change.claims[record.code, record.source] = claim
        self._fault(record.code, record.source, cleaned.faults, change, at_ns)
        if dated(claim):
            self._dated.add(record.code)
        return True

    def _is_older(self, source: str, version: int | None, before: int | None) -> bool:
        """Whether a source has said something newer before. Raises `RefusedError` where it says two things under one version:
        which of them holds is not ours to choose.
        """
        if version is None or before is None:
            return False
        if version == before:
            name = self.rules.name(source)
            raise RefusedError(Reason.INVALID, f"version {version} of {name} came before and said something else")
        return version < before

    def _compose(self, record: Composition, change: Change) -> None:
        clean_composition(record)
        place = record.security, record.kind, record.source
        before = self.compositions.get(place)
        if before is not None and (before == record or self._is_older(record.source, record.version, before.version)):
            return
        self.compositions[place] = record
        change.compositions.append(record)

    def _know(self, record: Counterparty, change: Change, at_ns: int) -> None:
        cleaned, faults = clean_counterparty(record, self.words)
        if self.counterparties.get(record.code) == cleaned:
            return
        self.counterparties[record.code] = cleaned
        change.counterparties[record.code] = cleaned
        self._fault(record.code, "counterparty", faults, change, at_ns)

    def _fault(self, code: str, source: str, faults: Iterable[Fault], change: Change, at_ns: int) -> None:
        """Raise what cannot be used of a source's record, and close what can be again."""
        name, place = self.rules.name(source), (code, self.rules.name(source))
        now = {case.id: case for case in master_cases.of_faults(code, name, faults, at_ns)}
        if place in self._faulty:
            for key in master_cases.fault_ids(code, name):
                if key not in now:
                    self._close(key, change, at_ns)
            self._faulty.discard(place)
        for case in now.values():
            self._faulty.add(place)
            self._put(case, change)

    # what follows

    def _renew(self, codes: Iterable[str], change: Change, at_ns: int, texts: Iterable[str] = ()) -> None:
        """Make names, then golden records, of these securities and of those they share names with. `texts`: to be looked at
        in any case."""
        touched = set(texts)
        affected: dict[str, None] = {}
        home = self.rulings.home
        for code in codes:
            before, now = self._names.get(code, NOTHING), self._named(code)
            affected[home(code)] = None
            if now != before:
                touched.update(before.current, before.former, before.disputed, now.current, now.former, now.disputed)
                self._index.replace(code, before, now)
                self._names[code] = now
            if self._shared:
                touched.update(text for text in (*now.current, *now.disputed) if text in self._shared)
            self._dispute(code, now, change, at_ns)
            if code not in self.golden:
                touched.add(code)
        for text in touched:
            lead, was = self._lead(text, change, at_ns), self.leads.get(text, "")
            if lead != was:
                if lead:
                    self.leads[text] = lead
                else:
                    del self.leads[text]
                change.names[text] = lead
                affected |= dict.fromkeys(home(code) for code in (lead, was) if code)
                affected |= dict.fromkeys(map(home, self._index.owners(text)))
        for code in affected:
            self._gild(code, change, at_ns)

    def _named(self, code: str) -> Names:
        claims = self.claims[code]
        sources = sorted(claims, key=self._order) if len(claims) > 1 else list(claims)
        rulings = {
            kind: ruling
            for kind in self._conflicts
            if self.rulings.chosen
            and (ruling := self.rulings.chosen.get(master_cases.conflict_id(code, kind))) is not None
        }
        return names_of([(source, claims[source]) for source in sources], self.today, self._conflicts, rulings)

    def _lead(self, text: str, change: Change, at_ns: int) -> str:
        """Whom a text leads to, "" for nobody; raises, settles or closes its case."""
        home, owners, doubtful = self.rulings.home, self._index.owners(text), self._index.doubtful(text)
        own = text in self.claims
        homes = set(map(home, (*owners, *doubtful, *([text] if own else ()))))
        if len(homes) > 1:
            return self._divided(text, homes, change, at_ns)
        if text in self._shared:
            self._shared.discard(text)
            self._close(master_cases.shared_id(text), change, at_ns)
        if own:
            return home(text)
        if doubtful:
            return ""
        last = next(iter(homes), "") or self._index.last(text)
        return home(last) if last else ""

    def _divided(self, text: str, homes: set[str], change: Change, at_ns: int) -> str:
        """Whom a text leads to that several securities have."""
        key = master_cases.shared_id(text)
        ruling = self.rulings.chosen.get(key)
        settled = ruling is not None and homes.issubset(ruling.considered)
        chosen = ruling.value if ruling is not None and settled and ruling.value in homes else ""
        if text in self.claims:
            chosen = self.rulings.home(text)  # our own codes always lead home: positions are booked by them
        codes = sorted(
            {*self._index.owners(text), *self._index.doubtful(text), *([text] if text in self.claims else ())}
        )
        claimed = {
            code: sorted(
                self.rules.name(s) for s, claim in self.claims[code].items() if text in texts_of(claim, self.today)
            )
            for code in codes
        }
        self._shared.add(text)
        self._put(master_cases.shared(text, claimed, settled=settled, chosen=chosen, at_ns=at_ns), change)
        agreed = {text} if text in self.claims else set(self._index.owners(text))
        return chosen if chosen in map(self.rulings.home, agreed) else ""  # its own sources may still differ on it

    def _gild(self, code: str, change: Change, at_ns: int) -> None:
        """Make the golden record anew; a version is counted where it is another."""
        if code in self.rulings.merged:
            return
        claims, names = self.claims[code], self._names.get(code, NOTHING)
        own = {text: kind for text, kind in names.current.items() if self.leads.get(text) == code}
        members = {member: self.claims[member] for member in (code, *self.rulings.absorbed.get(code, ()))}
        record = golden(code, claims, self.rules, self.today, own, names, listed(code, members, self.leads))
        before = self.golden.get(code)
        if not record.market:
            self._put(master_cases.incomplete(code, sorted(map(self.rules.name, claims)), at_ns), change)
            if before is None:
                return
            record = structs.replace(record, market=before.record.market)  # it is traded: it stays where it was
        else:
            self._close(master_cases.incomplete_id(code), change, at_ns)
        if before is None:
            change.names |= {text: lead for text in (*names.current, *names.former) if (lead := self.leads.get(text))}
        if before is None or before.record != record:
            self.golden[code] = change.golden[code] = Golden(record, before.version + 1 if before else 1)

    def _dispute(self, code: str, names: Names, change: Change, at_ns: int) -> None:
        """Raise, settle and close the conflicts of one security's sources."""
        if not names.disputes and not self._conflicting.get(code):
            return
        told = {dispute.type for dispute in names.disputes}
        for dispute in names.disputes:
            values = [(value, tuple(map(self.rules.name, sources))) for value, sources in dispute.values]
            self._put(master_cases.conflict(code, dispute.type, values, dispute.chosen, at_ns), change)
        for kind in self._conflicting.get(code, set()) - told:
            self._close(master_cases.conflict_id(code, kind), change, at_ns)
        self._conflicting[code] = told

    # cases

    def _put(self, case: Case, change: Change) -> None:
        """Keep a case; one that is known keeps its beginning, and says nothing where nothing is new."""
        before = self.cases.get(case.id)
        if before is not None:
            case = structs.replace(case, first_seen_ns=before.first_seen_ns)
            if structs.replace(case, changed_ns=before.changed_ns) == before:
                return
        self.cases[case.id] = change.cases[case.id] = case

    def _close(self, key: str, change: Change, at_ns: int) -> None:
        case = self.cases.get(key)
        if case is not None and case.state != CaseState.CLOSED:
            self._put(structs.replace(case, state=CaseState.CLOSED, changed_ns=at_ns), change)

    # what people decide

    def _carry_out(self, decided: Decided, change: Change, at_ns: int) -> None:
        what, rulings = decided.decision, self.rulings
        if what.kind == DecisionKind.MERGE and rulings.merged.get(what.source) == what.target:
            return
        rulings.check(what, self.claims, self.cases)
        if what.kind == DecisionKind.DECIDE:
            case = self.cases[what.case]
            considered = tuple(value for value, _ in case.values)
            decided = structs.replace(decided, considered=considered, subject=case.security or case.field)
        rulings.remember(decided)
        change.decided.append(decided)
        if what.kind == DecisionKind.DECIDE:
            shared = case.kind == FaultKind.SHARED
            self._renew([] if shared else [case.security], change, at_ns, [case.field] if shared else [])
            return
        change.moves.append(decided)
        if what.kind == DecisionKind.MERGE or undoes(what):
            texts = {what.source, what.target}
            for code in (what.source, what.target):
                names = self._names.get(code, NOTHING)
                texts.update(names.current, names.former, names.disputed)
            self._renew([what.source, what.target], change, at_ns, texts)

"""In place of the security master while a file is only being checked: it says what that would, and writes nothing down."""

from collections.abc import Sequence

from feeds.files_faults import Fault
from feeds.master_clean import RefusedError, clean, clean_composition, clean_counterparty
from feeds.master_door import Answer, Taken
from feeds.master_records import Composition, Counterparty, Record, Security
from feeds.master_records import Fault as Unusable
from feeds.quarantine import Reason
from feeds.vocabulary import Vocabulary


class Trial:
    """What of a record can be known from the record alone; what depends on others is known when it is loaded. `noted`: what
    can be used but for some of it, by the record's offset; whoever reads it clears it."""

    def __init__(self, words: Vocabulary) -> None:
        self._words = words
        self.noted: list[tuple[int, Fault]] = []

    def take(self, records: Sequence[Taken]) -> Answer:
        """See `feeds.master_door.Door`. Tells nothing to the machine."""
        refused: list[tuple[int, Reason, str]] = []
        for one in records:
            try:
                unusable = self._tried(one.record)
            except RefusedError as error:
                refused.append((one.number, error.reason, str(error)))
                continue
            for each in unusable:
                detail = f"{each.detail}: it is left out, and the rest of the record is used"
                offset = one.number if one.at is None else one.at[2]
                self.noted.append((offset, Fault(0, detail, each.field, each.value)))
        return Answer(refused=refused)

    def _tried(self, record: Record) -> tuple[Unusable, ...]:
        match record:
            case Security():
                return clean(record, self._words).faults
            case Counterparty():
                return clean_counterparty(record, self._words)[1]
            case Composition():
                clean_composition(record)
        return ()

    def own(self, text: str) -> str:
        """Any name may be one: whom it leads to is seen when the file is used."""
        return text

    def used(self, feed: int, partition: int) -> int:
        """Nothing."""
        del feed, partition
        return 0

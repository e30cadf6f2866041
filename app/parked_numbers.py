"""Which of the records that wait has which number of its source, and which of them are corrections."""

from app.parked_record import Numbered
from app.parking_store import Parked


class Numbers:
    """Of all records that wait, and of the corrections among them what they are about."""

    def __init__(self) -> None:
        self._of: dict[Numbered, int] = {}
        self._corrections: dict[int, Numbered] = {}

    def put(self, parked: Parked) -> None:
        """It waits from now on."""
        for own in parked.concerns.numbers:
            self._of[own] = parked.id
        if parked.concerns.corrects is not None:
            self._corrections[parked.id] = parked.concerns.corrects

    def take(self, parked: Parked) -> None:
        """It waits no longer."""
        for own in parked.concerns.numbers:
            if self._of.get(own) == parked.id:
                del self._of[own]
        self._corrections.pop(parked.id, None)

    def find(self, number: Numbered) -> int | None:
        """The id of the record that has a number."""
        return self._of.get(number)

    def free(self) -> list[int]:
        """Ids of corrections of what waits no longer."""
        return [each for each, original in self._corrections.items() if original not in self._of]

    def __len__(self) -> int:
        return len(self._of)

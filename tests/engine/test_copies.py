"""Batches are copied whole, whatever they hold."""

import numpy as np
import pytest

from engine import copies
from engine.events import CORRECTION, DEAL_STEP, EVENT


@pytest.mark.parametrize("dtype", [EVENT, CORRECTION, DEAL_STEP])
def test_copies_joins_and_choices_are_those_of_numpy(dtype: np.dtype[np.void]) -> None:
    random = np.random.default_rng(7)
    records = random.integers(0, 256, 50 * dtype.itemsize, dtype=np.uint8).view(dtype)
    which = random.integers(0, 2, 50).astype(np.bool_)
    for cut in (0, 1, 50):
        assert copies.copied(records[cut:]).tobytes() == records[cut:].tobytes()
        assert copies.joined([records[:cut], records[cut:]]).tobytes() == records.tobytes()
        assert copies.chosen(records[cut:], which[cut:]).tobytes() == records[cut:][which[cut:]].tobytes()


@pytest.mark.parametrize("dtype", [CORRECTION, DEAL_STEP])
def test_a_record_begins_with_its_event(dtype: np.dtype[np.void]) -> None:
    records = np.random.default_rng(7).integers(0, 256, 5 * dtype.itemsize, dtype=np.uint8).view(dtype)
    assert copies.beginnings(records, EVENT).tobytes() == np.ascontiguousarray(records["event"]).tobytes()


def test_a_copy_has_memory_of_its_own() -> None:
    records = np.zeros(2, EVENT)
    copy = copies.copied(records)
    records["seq"] = 1
    assert not copy["seq"].any()

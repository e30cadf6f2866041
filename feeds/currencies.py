"""What currencies are worth in one of them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_FX_UNIT: Final = 1_000_000_000


def in_units_of(currencies: NDArray[np.void], code: str) -> NDArray[np.void]:
    """The same currencies (dtype `CURRENCY`) with `fx` in billionths of `code`, to the nearest; what is unknown stays so.

    Raises ValueError where the worth of `code` itself is not known.
    """
    worth = dict(zip(currencies["code"].tolist(), currencies["fx"].tolist(), strict=True))
    unit = worth.get(code.encode(), 0)
    if not unit:
        known = ", ".join(sorted(found.decode() for found, fx in worth.items() if fx))
        raise ValueError(f"what currencies are worth in {code} is not known; it is in {known}")
    made = currencies.copy()
    made["fx"] = [(fx * _FX_UNIT + unit // 2) // unit for fx in currencies["fx"].tolist()]
    return made

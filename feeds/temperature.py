"""What a borrow fee says about a security's temperature (domain.md 1), where nobody states it. Fees in RATE_UNIT."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.model import RATE_UNIT, RATE_UNKNOWN, Temperature

GC_FEE_MAX: Final = 1 * RATE_UNIT
"""The highest fee of general collateral: 1% a year."""
WARM_FEE_MAX: Final = 5 * RATE_UNIT
"""Above 5% a year a security is hard to borrow."""
_BANDS: Final = np.array([Temperature.GC, Temperature.WARM, Temperature.HTB], np.uint8)


def temperature_of(fee: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Values of `Temperature`, UNKNOWN where the fee is `RATE_UNKNOWN`. Shape of `fee`."""
    band = (fee > GC_FEE_MAX).astype(np.intp) + (fee > WARM_FEE_MAX)
    return np.where(fee == RATE_UNKNOWN, np.uint8(Temperature.UNKNOWN), _BANDS[band])

"""What the desk of rules asks of others."""

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from app.analyst.dry_run import DryRunRequest
from engine.rule_model import Document, RuleBook


@dataclass(frozen=True, slots=True)
class Doors:
    """Its doors, as functions."""

    check: Callable[[Sequence[Document]], RuleBook]
    """Reads documents together; called in another thread. Raises `RulesError`."""
    publish: Callable[[RuleBook], None]
    """Holds the machine to a book. Raises `RulesError`: then the machine holds to what it held before."""
    today: Callable[[Sequence[str]], dt.date]
    """The newest date that it is in any of these markets; of none: in any at all."""
    impact: Callable[[Sequence[Document]], Awaitable[dict[str, Any]]]
    """What would change with these documents."""
    dry_run: Callable[[DryRunRequest], Awaitable[bytes]]
    """What they would have decided on requests for locates."""
    clock: Callable[[], int]
    """UTC nanoseconds."""

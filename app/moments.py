"""Moments as a person types them: `2026-11-20T14:31:07.25`, `14:31` (of today), with `Z` or an offset, or none: UTC."""

import datetime as dt


def moment_ns(text: str, now: dt.datetime) -> int:
    """Nanoseconds since 1970. Raises ValueError, naming what was typed."""
    try:
        if "-" in text or "T" in text:
            at = dt.datetime.fromisoformat(text)
        else:
            at = dt.datetime.combine(now.astimezone(dt.UTC).date(), dt.time.fromisoformat(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is no moment: try 2026-11-20T14:31:07 or 14:31 (UTC)") from error
    if at.tzinfo is None:
        at = at.replace(tzinfo=dt.UTC)
    since = at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (since // dt.timedelta(microseconds=1)) * 1_000

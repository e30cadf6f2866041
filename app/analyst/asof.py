"""`POST /asof`: what the inventory of a security was at a moment, from snapshots and the archive."""

from functools import partial

import msgspec
from msgspec import Struct

from app.analyst.handlers import Guarded, Refusal
from app.settings import Settings


class AsOfRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`security`: code or identifier; `at_ns`: the moment, UTC."""

    security: str
    at_ns: int


class AsOfHandler(Guarded):
    """Answers as `ims asof --json` does."""

    async def post(self) -> None:
        """404 where the archive does not know; 429 and 503: come again."""
        try:
            asked = msgspec.json.decode(self.request.body, type=AsOfRequest)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refusal(400, str(error)) from error
        await self.answer(partial(found, self.context.settings, asked))


def found(settings: Settings, asked: AsOfRequest) -> bytes:
    """The answer, made in the jobs' thread. Raises `Refusal`."""
    import sqlite3  # noqa: PLC0415  the archive takes a second to import: after the port is open

    from app.archive_answer import answer  # noqa: PLC0415  the same
    from app.archive_asof import asof  # noqa: PLC0415  the same
    from app.archive_names import NothingError  # noqa: PLC0415  the same
    from app.archive_place import folder_of, snapshots_of  # noqa: PLC0415  the same
    from feeds.archive_files import DamagedError  # noqa: PLC0415  the same

    try:
        was = asof(folder_of(settings), asked.at_ns, asked.security, snapshots_of(settings))
    except (NothingError, FileNotFoundError) as error:
        raise Refusal(404, str(error)) from error
    except (DamagedError, sqlite3.Error) as error:
        raise Refusal(503, str(error)) from error
    return msgspec.json.encode(answer(was, asked.at_ns))

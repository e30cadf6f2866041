"""A database's file, made for its owner only, before SQLite makes it for everybody."""

import contextlib
import os
from pathlib import Path


def make_private(path: Path) -> None:
    """Make an empty file where there is none; one that is there is not even opened.

    Whoever closes a file gives up every lock that his process has on it: connections of his that are open then hold it no
    more, and another process that closes the file takes itself for the last one and removes the log that they go on to write
    to. What they commit is lost with them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

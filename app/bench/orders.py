"""`ims bench orders`: sell orders over REST, decided and on disk, while events are applied (see `app.bench.desk`)."""

import argparse

from app.bench import desk


def add(parser: argparse.ArgumentParser) -> None:
    """The sizes."""
    desk.add(parser, requests=5_000)


def run(args: argparse.Namespace) -> dict[str, object]:
    """The figures."""
    return desk.run(args, "orders")

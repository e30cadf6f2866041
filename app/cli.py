"""The command `ims`. A command's module is imported only when it is asked for, so that `ims` answers at once."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final

from app.compiled import keep_kernels_by_source

COMMANDS: Final = {
    "run": "start the service: engine, decode workers, gateway and pages",
    "simulate": "send a believable day to Kafka, or through the decoder in memory",
    "rules": "list, show, test, submit, approve, export and import the rules of a running service",
    "database": "show the versions of the databases, and bring them to the newest",
    "users": "add, list and remove the people who may log in",
    "token": "make a token for the API, good for a while",
    "securities": "show securities, their history and open exceptions; decide, merge and split",
    "files": "list, show, load and force batch files; what their columns are",
    "webhooks": "list, add, replay and remove those who are told of decisions",
    "parked": "list, retry and discard records that wait for reference data",
    "quarantine": "list or export records that could not be used",
    "archive": "what is archived, how far it is, and what is missing",
    "replay": "a past moment again: in a machine of its own, or as events on a Kafka topic",
    "asof": "what the inventory of a security was at a moment",
    "bench": "measure this machine",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (2: the command line is wrong)."""
    keep_kernels_by_source()
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="ims", description="A real-time inventory desk for a prime broker.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=summary)
        if arguments[:1] == [name]:
            module = importlib.import_module(f"app.commands.{name}")
            module.add(sub)
            sub.set_defaults(run=module.run)
    args = parser.parse_args(arguments)
    return int(args.run(args))


if __name__ == "__main__":
    sys.exit(main())

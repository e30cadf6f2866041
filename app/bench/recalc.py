"""`ims bench recalc`: how long the writer stands still while everything is made anew."""

import argparse
import dataclasses
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from app.bench import kernel
from app.bench.measure import medians, own_peak_mb
from engine.rule_model import Rule, RuleBook
from engine.state import Machine
from engine.tables import Word

_CONDITION: Final = "temperature <> 'HTB' AND depot <> 'X'"


def add(parser: argparse.ArgumentParser) -> None:
    """Sizes."""
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows (2,000,000)")
    parser.add_argument("--securities", type=int, default=50_000, help="securities (50,000)")
    parser.add_argument("--books", type=int, default=2_000, help="books (2,000)")
    parser.add_argument("--runs", type=int, default=3, help="runs of which the median counts (3)")


def run(args: argparse.Namespace) -> dict[str, object]:
    """`publish_ms`: other weights; `publish_conditional_ms`: a rule that splits rows anew; `roll_ms`: the next business day."""
    events = kernel.trades(2 * args.rows, args.rows, args.books, args.securities, "uniform")
    machine = kernel.made(args.books, args.securities, args.rows + 16 * args.securities)
    try:
        for at in range(0, events.size, 100_000):
            machine.apply(events[at : at + 100_000])
        figures = medians(lambda: _once(machine), args.runs)
        return {
            "bench": "recalc",
            **figures,
            "rows": machine.tables.count(Word.ROWS),
            "securities": args.securities,
            "rss_mb": own_peak_mb(),
        }
    finally:
        machine.close()


def _once(machine: Machine) -> dict[str, float]:
    book = machine.book
    heavier = dataclasses.replace(book, rules=tuple(_halved(rule) for rule in book.rules))
    conditional = dataclasses.replace(book, rules=(*book.rules, _narrowed(book)))
    return {
        "publish_ms": _took_ms(lambda: machine.publish(heavier)),
        "publish_conditional_ms": _took_ms(lambda: machine.publish(conditional)),
        "publish_back_ms": _took_ms(lambda: machine.publish(book)),
        "roll_ms": _took_ms(lambda: machine.roll((machine.tables.array["today"] + 1).astype(np.int32))),
    }


def _halved(rule: Rule) -> Rule:
    return dataclasses.replace(rule, weight=rule.weight // 2)


def _narrowed(book: RuleBook) -> Rule:
    """The first rule, for some rows only, before itself."""
    first = book.rules[0]
    return dataclasses.replace(
        first, id=f"{first.id}.bench", condition=_CONDITION, priority=first.priority + 1, weight=0
    )


def _took_ms(step: Callable[[], None]) -> float:
    began = time.perf_counter()
    step()
    return (time.perf_counter() - began) * 1e3

"""Priorities and words of the security master, as they come with the program."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import msgspec

from engine.model import Market
from feeds.master_golden import Rules
from feeds.vocabulary import Vocabulary, Words


@cache
def master_rules() -> Rules:
    """assets/master.yaml."""
    return msgspec.yaml.decode(files("assets").joinpath("master.yaml").read_bytes(), type=Rules)


def vocabulary(markets: Sequence[Market]) -> Vocabulary:
    """assets/vocabulary.yaml."""
    return Vocabulary.of(_words(), markets)


@cache
def _words() -> Words:
    return msgspec.yaml.decode(files("assets").joinpath("vocabulary.yaml").read_bytes(), type=Words)

"""Priorities and words of the security master, as they come with the program."""

from collections.abc import Sequence
from importlib.resources import files

import msgspec

from engine.model import Market
from feeds.master_golden import Rules
from feeds.vocabulary import Vocabulary, Words


def master_rules() -> Rules:
    """assets/master.yaml."""
    return msgspec.yaml.decode(files("assets").joinpath("master.yaml").read_bytes(), type=Rules)


def vocabulary(markets: Sequence[Market]) -> Vocabulary:
    """assets/vocabulary.yaml."""
    raw = files("assets").joinpath("vocabulary.yaml").read_bytes()
    return Vocabulary.of(msgspec.yaml.decode(raw, type=Words), markets)

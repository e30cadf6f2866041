"""How the markets of the demo universe list, read from assets/markets: a file and a name below for each."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

import msgspec

from feeds.universe_listing import Listing

_FILES: Final = ("us", "tw", "jp", "kr", "hk", "gb", "de", "fr", "plain")


class ListingError(ValueError):
    """A file of assets/markets cannot be used; the message names it and says why."""


def listings() -> Mapping[str, Listing]:
    """By code of market; under "" the manner of all others. Raises `ListingError`."""
    return {listing.code: listing for listing in map(_read, _FILES)}


def _read(name: str) -> Listing:
    text = files("assets").joinpath("markets", f"{name}.yaml").read_bytes()
    try:
        return msgspec.yaml.decode(text, type=Listing)
    except msgspec.DecodeError as error:
        raise ListingError(f"assets/markets/{name}.yaml: {error}") from error

"""The shipped document of breaks as builtins, and changes of it."""

import copy
from importlib.resources import files
from typing import Any, Final

import yaml

SHIPPED: Final[dict[str, Any]] = yaml.safe_load(files("assets").joinpath("breaks.yaml").read_text())


def changed(document: dict[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    """A copy with that value at that place; without it where it is None."""
    made = copy.deepcopy(document)
    at: Any = made
    for name in path[:-1]:
        at = at[name]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return made

"""Fixtures that every test may ask for."""

import itertools
import os
from collections.abc import Iterator

import hypothesis
import pytest

from app.compiled import keep_kernels_by_source
from engine import segment
from tests.services.external import chromium_path, kafka, postgres_url, redis_server, redis_url

__all__ = ["chromium_path", "instance", "kafka", "postgres_url", "redis_server", "redis_url"]

# A shared machine stalls now and then: time is measured by the benches, not by properties.
hypothesis.settings.register_profile("ims", deadline=None, print_blob=True)
hypothesis.settings.load_profile("ims")

keep_kernels_by_source()  # before a test imports numba

_numbers = itertools.count()

_SERVICES = {"chromium_path", "kafka", "postgres_url", "redis_server", "redis_url"}
_WHOLE = ("bench", "e2e", "services", "test_readme.py")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where tests run in several processes: all that need a service or a browser in one of them, one after the other.

    Two services at once, each with a browser, wait for each other on two cores; and a broker is started once, not per
    process. Every other file is a group of its own, so that it keeps its fixtures.
    """
    for item in items:
        place = item.path.relative_to(config.rootpath / "tests")
        whole = place.parts[0] in _WHOLE or _SERVICES.intersection(getattr(item, "fixturenames", ()))
        item.add_marker(pytest.mark.xdist_group("services" if whole else place.as_posix()))


@pytest.fixture
def instance() -> Iterator[str]:
    """A name for shared memory that nobody else uses; whatever was made under it is removed afterwards."""
    name = f"test-{os.getpid()}-{next(_numbers)}"
    yield name
    for path in segment.folder().glob(f"ims.{name}.*"):
        path.unlink(missing_ok=True)

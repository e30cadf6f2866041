"""Fixtures that every test may ask for."""

import itertools
import os
from collections.abc import Iterator

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from app.compiled import keep_kernels_by_source
from engine import segment
from tests.services.external import chromium_path, kafka, postgres_url, redis_server, redis_url

__all__ = ["chromium_path", "instance", "kafka", "postgres_url", "redis_server", "redis_url"]

# A shared machine stalls now and then: time is measured by the benches, not by properties.
hypothesis.settings.register_profile("ims", deadline=None, print_blob=True)
hypothesis.settings.load_profile("ims")

keep_kernels_by_source()  # before a test imports numba

_numbers = itertools.count()

_BROWSERS = ("bench", "e2e", "services", "test_readme.py")
"""Folders and files whose tests open a browser, or run the whole desk."""


class _Lanes(LoadScopeScheduling):  # type: ignore[misc]
    """Two processes of tests: whatever opens a browser is one lane, in its order; of the rest each file is one.

    Two desks at once, each with a browser, wait for each other on two cores. A file stays whole, and so keeps its fixtures.
    xdist's own groups (`loadgroup`) are not seen by pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0].removeprefix("tests/")
        return "browsers" if path.partition("/")[0] in _BROWSERS else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _Lanes:
    """Asked for where tests run in several processes (`-n`)."""
    return _Lanes(config, log)


class _Aloud:
    """Says what failed at once: a gate that is cut off before its end has then said it, too."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            where = getattr(report.longrepr, "reprcrash", None)
            terminal.ensure_newline()
            terminal.write_line(
                f"FAILED {report.nodeid} ({report.when}): {where or report.longreprtext[-500:]}", red=True
            )


def pytest_configure(config: pytest.Config) -> None:
    """Called in the controller and in every worker; the controller speaks."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Aloud(config))


@pytest.fixture
def instance() -> Iterator[str]:
    """A name for shared memory that nobody else uses; whatever was made under it is removed afterwards."""
    name = f"test-{os.getpid()}-{next(_numbers)}"
    yield name
    for path in segment.folder().glob(f"ims.{name}.*"):
        path.unlink(missing_ok=True)

"""Fixtures of real services, started when the first test asks and stopped with the session.

Where a service cannot be had the test is skipped on a workbench, and fails where CI=true.
"""

import contextlib
import os
from collections.abc import Iterator

import pytest

from app.bench import services


@contextlib.contextmanager
def _or_skip() -> Iterator[None]:
    try:
        yield
    except services.ServiceUnavailableError as error:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap address of a real broker; topics must be created (names of your own: it is shared)."""
    with contextlib.ExitStack() as stack:
        with _or_skip():
            address = stack.enter_context(services.kafka())
        yield address


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """URL of a real Redis, shared by the session."""
    with contextlib.ExitStack() as stack:
        with _or_skip():
            url = stack.enter_context(services.redis())
        yield url


@pytest.fixture
def redis_server() -> Iterator[tuple[str, services.Server]]:
    """URL and process of a Redis of the test's own, which it may stop and start."""
    with contextlib.ExitStack() as stack:
        with _or_skip():
            server = stack.enter_context(services.redis_server())
        yield server


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """SQLAlchemy URL (psycopg) of a real PostgreSQL, shared by the session."""
    with contextlib.ExitStack() as stack:
        with _or_skip():
            url = stack.enter_context(services.postgres(durable=False))
        yield url


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Path of a real Chromium."""
    with _or_skip():
        return services.chromium()
    raise AssertionError("unreachable: the service was had, skipped or failed")

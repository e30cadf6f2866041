"""The API against its own document, asked by a stranger (schemathesis): whatever is sent, the answer is one that the document
promises for that operation, in the form it promises, and never a fault of the server."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.bench.services import free_port
from app.identity import Identity, Role, issue_token
from app.settings import Settings
from tests.app.api.engine_process import CAPACITY, EngineProcess

CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 6
KNOWN = {"security": "L1", "client": "FUND1"}
ANSWERED_BY_OTHERS = (
    "/asof",
    "/dry-run",
    "/test",
    "/impact",
    "/history/{security}",
    "/marks",
    "/utilisation",
    "/events/{security}",
)
"""What the analyst answers, which does not run here: 503 is then the right answer."""


@pytest.fixture
def service(instance: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("document")
    made = Settings(instance=instance, port=free_port(), data=str(folder), capacity=CAPACITY, api_rate=0)
    with EngineProcess(made, rate=1_000, securities=50, shares=1_000) as engine, breaks_process(made):
        engine.wait_ready()
        yield made


@contextmanager
def breaks_process(made: Settings) -> Iterator[None]:
    """Looks for breaks beside the engine, which hands requests about them on to it."""
    command = [sys.executable, "-m", "app.child", "breaks"]
    environment = os.environ | {"IMS_SETTINGS": made.to_json()}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"READY"
        try:
            yield
        finally:
            process.kill()


def test_every_answer_is_one_that_the_document_promises(service: Settings, subtests: pytest.Subtests) -> None:
    base = f"http://127.0.0.1:{service.api_port}"
    schema = schemathesis.openapi.from_url(f"{base}/api/v1/openapi.json")
    token = issue_token(service.secret, Identity("local", frozenset(Role)), 3_600, time.time())
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) > 60
    answered: set[int] = set()
    for operation in operations:
        with subtests.test(operation.label):
            answered |= ask(operation, {"Authorization": f"Bearer {token}"})
    assert {200, 404, 422} <= answered
    with urllib.request.urlopen(f"{base}/health/live") as answer:
        assert answer.status == 200


def ask(operation: Any, headers: dict[str, str]) -> set[int]:
    """The statuses that came."""
    came: set[int] = set()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), known=st.booleans())
    def every(case: Any, known: bool) -> None:
        if known:
            name_what_is_there(case)
        response = case.call(headers=headers)
        came.add(response.status_code)
        if response.status_code == 503 and operation.path.endswith(ANSWERED_BY_OTHERS):
            return
        if response.headers["content-type"][0].startswith("application/yaml"):
            assert list(yaml.safe_load_all(response.content))  # several documents, which the stranger cannot read
            return
        case.validate_response(response, checks=CHECKS)

    every()
    return came


def name_what_is_there(case: Any) -> None:
    """Names made up lead nowhere: put in those of a security and a client that are there."""
    for given_to in (case.path_parameters, case.query):
        for name in KNOWN.keys() & (given_to or {}).keys():
            given_to[name] = KNOWN[name]
    for line in case.body if isinstance(case.body, list) else [case.body]:
        if isinstance(line, dict):
            line.update({name: value for name, value in KNOWN.items() if name in line})

"""The services that tests ask for are real, and gone afterwards."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
import redis
import sqlalchemy
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.bench import kafka_broker, services


async def test_kafka_gives_back_what_was_sent(kafka: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic("external", 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        await producer.send_and_wait("external", b"hello")
    async with AIOKafkaConsumer("external", bootstrap_servers=kafka, auto_offset_reset="earliest") as consumer:
        record = await consumer.getone()
    assert record.value == b"hello"


def test_redis_answers(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set("external", "1")
        assert client.get("external") == b"1"


def test_redis_comes_back_on_the_same_address(redis_server: tuple[str, services.Server]) -> None:
    url, server = redis_server
    server.kill()
    with redis.Redis.from_url(url) as client:
        with pytest.raises(redis.ConnectionError):
            client.ping()
        server.start()
        assert client.ping()


def test_postgres_answers(postgres_url: str) -> None:
    engine = sqlalchemy.create_engine(postgres_url)
    with engine.connect() as connection:
        assert "PostgreSQL" in str(connection.scalar(sqlalchemy.text("select version()")))
    engine.dispose()


def test_chromium_is_a_browser(chromium_path: str) -> None:
    answer = subprocess.run([chromium_path, "--version"], capture_output=True, text=True, check=True)
    assert "Chrom" in answer.stdout


def test_a_given_address_is_used_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMS_TEST_KAFKA", "broker:9092")
    with services.kafka() as address:
        assert address == "broker:9092"


def test_nothing_is_left_behind_by_a_user_that_is_killed(tmp_path: Path) -> None:
    """kill -9 of the process that started a service takes the service along."""
    script = textwrap.dedent("""
        from app.bench import kafka_broker, services
        with services.redis_server() as (url, server):
            print(url, flush=True)
            input()
    """)
    user = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert user.stdout is not None
    port = int(user.stdout.readline().rsplit(":", 1)[1].split("/")[0])
    children = psutil.Process(user.pid).children(recursive=True)
    os.kill(user.pid, signal.SIGKILL)
    user.communicate()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert children
    assert not alive
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_service_that_does_not_start_says_why(tmp_path: Path) -> None:
    with services.redis_server() as (url, _):
        port = url.rsplit(":", 1)[1].split("/")[0]
        second = services.Server(["redis-server", "--port", port], tmp_path, lambda _: False)
        with pytest.raises(services.ServiceUnavailableError, match="in use"):
            second.start()


def test_a_docker_that_brings_no_broker_up_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`docker version` and the image are there, `docker run` fails: the broker is started by Java."""
    asked = tmp_path / "asked"
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n[ "$1" != run ]\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("IMS_TEST_KAFKA", raising=False)

    def instead(_folder: Path, port: int, _controller: int) -> list[str]:
        script = (
            f"import socket; s = socket.create_server(('127.0.0.1', {port})); print('Kafka Server started', flush=True)"
        )
        return [sys.executable, "-c", f"{script}; s.accept(); s.accept()"]

    monkeypatch.setattr(kafka_broker, "java_command", instead)
    with services.kafka() as address:
        assert address.startswith("127.0.0.1:")
    calls = asked.read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["version", "image", "run"]
    port = address.split(":")[1]
    assert f"-p 127.0.0.1:{port}:{port}" in calls[2]
    assert calls[2].split()[-1].startswith("apache/kafka:4.")

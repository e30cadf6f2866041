"""Real services for tests and benches: Apache Kafka, Redis, PostgreSQL, Chromium; started here, gone with their user.

Each is a context manager that gives an address. A service runs in a process group of its own, on free ports of
127.0.0.1, with its data in a temporary folder; the kernel kills it when we die without saying goodbye.
`IMS_TEST_KAFKA`, `IMS_TEST_REDIS` and `IMS_TEST_POSTGRES` name a service to use instead.
`deploy/services/install.sh` brings the programs.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from app.bench import kafka_broker

_READY_S: Final = 90.0
_STOP_S: Final = 15.0
_PORTS: Final = (15_000, 32_000)


class ServiceUnavailableError(RuntimeError):
    """A service that cannot be had on this machine; the message says what is missing."""


class Server:
    """One service process: `start`, `stop`, `kill`, and start again on the same port with the same data.

    `ready` is given the log and asked until it answers True or the process ends; `stop_signal` is its orderly stop;
    `death` is what the kernel sends it when we are gone. It runs in `cwd`, or else in `folder`, where its log is.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        ready: Callable[[Path], bool],
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        death: signal.Signals = signal.SIGKILL,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._command = [*dies_with_us(death), *command]
        self._ready = ready
        self._stop_signal = stop_signal
        self._cwd = cwd or folder
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None
        self.log = folder / "service.log"

    def start(self) -> Self:
        """Returns once the service serves. Raises `ServiceUnavailableError` with the end of its log."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self._cwd,
                env=self._env,
                start_new_session=True,
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Orderly, then by force after some seconds."""
        if self._process is None:
            return
        self._signal(self._stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_S)
        self.kill()

    def kill(self) -> None:
        """kill -9 of the whole process group."""
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _READY_S
        while not self._ready(self.log):
            if process.poll() is not None or time.monotonic() > deadline:
                tail = self.log.read_text(errors="replace")[-2000:]
                raise ServiceUnavailableError(f"did not start: {' '.join(self._command)}\n{tail}")
            time.sleep(0.05)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


@contextlib.contextmanager
def kafka(port: int | None = None) -> Iterator[str]:
    """Bootstrap address of a broker (KRaft, one node; topics are not made by themselves), on `port` or a free one."""
    given = os.environ.get("IMS_TEST_KAFKA")
    if given:
        yield given
        return
    with kafka_server(port) as (bootstrap, _):
        yield bootstrap


@contextlib.contextmanager
def kafka_server(port: int | None = None) -> Iterator[tuple[str, Server]]:
    """The same, and the process, so that a test can kill it and start it again."""
    with _folder("kafka") as folder:
        port = port or free_port()
        server = _start_kafka(folder, port, free_port())
        try:
            yield f"127.0.0.1:{port}", server
        finally:
            server.stop()


def _start_kafka(folder: Path, port: int, controller: int) -> Server:
    """By a running Docker; where there is none, or it does not bring the broker up, by Java."""

    def started(log: Path) -> bool:
        return b"Kafka Server started" in log.read_bytes() and _accepts(port)

    try:
        command = kafka_broker.docker_command(kafka_broker.docker_image(), folder, port, controller)
        # a killed client leaves its container running; one that is asked to stop takes it along
        return Server(command, folder, started, death=signal.SIGTERM).start()
    except (kafka_broker.NoKafkaError, ServiceUnavailableError) as error:
        by_docker = str(error)
    try:
        return Server(kafka_broker.java_command(folder, port, controller), folder, started).start()
    except kafka_broker.NoKafkaError as error:
        raise ServiceUnavailableError(f"{error} (by Docker: {by_docker})") from error


@contextlib.contextmanager
def redis_server() -> Iterator[tuple[str, Server]]:
    """URL of a Redis that keeps nothing on disk, and the process, so that a test can stop and start it."""
    with _folder("redis") as folder:
        port = free_port()
        command = [
            _program("redis-server"),
            "--bind",
            "127.0.0.1",
            "--port",
            str(port),
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        server = Server(command, folder, lambda _: _accepts(port))
        try:
            server.start()
            yield f"redis://127.0.0.1:{port}/0", server
        finally:
            server.stop()


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """URL of a Redis."""
    given = os.environ.get("IMS_TEST_REDIS")
    if given:
        yield given
        return
    with redis_server() as (url, _):
        yield url


@contextlib.contextmanager
def postgres(*, durable: bool = True) -> Iterator[str]:
    """SQLAlchemy URL of an empty database of a PostgreSQL of its own (run as another user where we are root).

    Not `durable`: what it has committed outlives it, but not the machine.
    """
    given = os.environ.get("IMS_TEST_POSTGRES")
    if given:
        yield given
        return
    binaries = _postgres_binaries()
    with _folder("postgres") as folder:
        port, data, as_user = free_port(), folder / "data", _as_postgres(folder)
        initdb = [
            str(binaries / "initdb"),
            "-D",
            str(data),
            "-U",
            "ims",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "-N",
        ]
        done = subprocess.run([*as_user, *initdb], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServiceUnavailableError(f"initdb failed: {done.stderr[-2000:]}")
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "fsync": "on" if durable else "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        ready = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        server = Server(
            [*as_user, str(binaries / "postgres"), "-D", str(data), *options],
            folder,
            lambda _: subprocess.run(ready, check=False).returncode == 0,
            stop_signal=signal.SIGINT,
        )
        try:
            server.start()
            yield f"postgresql+psycopg://ims@127.0.0.1:{port}/postgres"
        finally:
            server.stop()


def chromium() -> str:
    """Path of the browser."""
    return _program("chromium", "chromium-browser", "google-chrome")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody has, and none of the four after it.

    Below the ports that the kernel gives to outgoing connections, or one of those could take it before its server does.
    """
    while True:
        port = random.randrange(*_PORTS)  # noqa: S311  any will do
        if all(_can_bind(port + i) for i in range(5)):
            return port


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _program(*names: str) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    raise ServiceUnavailableError(f"{names[0]} is not installed (run: make services)")


def _postgres_binaries() -> Path:
    """Debian keeps the server's programs off the PATH, and what is on it may be a wrapper."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        raise ServiceUnavailableError("PostgreSQL is not installed (run: make services)")
    return found[-1].parent if found else Path(str(on_path)).resolve().parent


def _as_postgres(folder: Path) -> list[str]:
    """The command's beginning that makes it run as another user when we are root; that user gets the folder."""
    if os.geteuid() != 0:
        return []
    shutil.chown(folder, "postgres", "postgres")
    return [_program("setpriv"), "--reuid=postgres", "--regid=postgres", "--init-groups", *dies_with_us()[1:]]


def dies_with_us(death: signal.Signals = signal.SIGKILL) -> list[str]:
    """The command's beginning that has the kernel kill it when we go, however we go (Linux)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", death.name.removeprefix("SIG")] if setpriv else []


@contextlib.contextmanager
def _folder(name: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"ims-{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)

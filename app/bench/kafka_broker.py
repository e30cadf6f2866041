"""How a Kafka broker is had: a running Docker's image, else jars that Maven resolves into the checkout's cache folder.

Both run the same version (pom.xml) with the same server.properties, under deploy/services/kafka.
"""

import fcntl
import hashlib
import re
import shutil
import subprocess
import tempfile
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Final

_CHECKOUT: Final = Path(__file__).resolve().parents[2]
_SOURCES: Final = _CHECKOUT / "deploy" / "services" / "kafka"
_CACHE: Final = _CHECKOUT / ".cache" / "kafka"
_OLDEST_JAVA: Final = 17
_PULL_S: Final = 600


class NoKafkaError(RuntimeError):
    """No broker can be had this way; the message says what is missing."""


def docker_image() -> str:
    """The image of the broker, pulled if need be. Raises `NoKafkaError` where no Docker runs or it cannot be pulled."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "version"], capture_output=True, check=False, timeout=20).returncode:
        raise NoKafkaError("no Docker is running")
    version = re.search(r"<kafka.version>(.+)</kafka.version>", _source("pom.xml").read_text())
    assert version is not None, "pom.xml names a version"
    image = f"apache/kafka:{version[1]}"
    if subprocess.run([docker, "image", "inspect", image], capture_output=True, check=False).returncode:
        _call([docker, "pull", "--quiet", image], _PULL_S)
    return image


def docker_command(image: str, folder: Path, port: int, controller: int) -> list[str]:
    """The command that runs the image with the port published on 127.0.0.1; the container goes when it ends."""
    config = folder / "config"
    config.mkdir()
    _write_properties(config / "server.properties", "", port, controller, Path("/tmp/data"))  # noqa: S108 - the container's
    folder.chmod(0o755)  # the container's user is another one
    published = f"127.0.0.1:{port}:{port}"
    mount = f"{config}:/mnt/shared/config:ro"
    return ["docker", "run", "--rm", "-p", published, "-v", mount, "-e", "KAFKA_HEAP_OPTS=-Xms256m -Xmx1g", image]


def java_command(folder: Path, port: int, controller: int) -> list[str]:
    """Format storage under `folder` and return the command of a broker on `port`. Raises `NoKafkaError`."""
    jars, java = resolve_jars(), find_java()
    properties = folder / "server.properties"
    _write_properties(properties, "127.0.0.1", port, controller, folder / "data")
    logging = f"-Dlog4j2.configurationFile={_SOURCES / 'log4j2.properties'}"
    classes = ["-cp", f"{jars}/*"]
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # the tool is a short-lived process: the first compiler is enough for it
    storage = [java, "-XX:TieredStopAtLevel=1", logging, *classes, "kafka.tools.StorageTool", "format"]
    _call([*storage, f"--cluster-id={cluster}", "-c", str(properties)])
    return [java, "-Xms256m", "-Xmx1g", logging, *classes, "kafka.Kafka", str(properties)]


def resolve_jars() -> Path:
    """The folder of jars for this pom.xml, resolved by Maven when it is not there yet (which can take minutes)."""
    pom = _source("pom.xml")
    jars = _CACHE / hashlib.sha256(pom.read_bytes()).hexdigest()[:12]
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs must not resolve at once
        if not jars.is_dir():
            maven = shutil.which("mvn")
            if maven is None:
                raise NoKafkaError("Maven, which resolves Kafka's jars, is not installed (run: make services)")
            draft = Path(tempfile.mkdtemp(dir=_CACHE))
            goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={draft}"]
            try:
                _call([maven, "-B", "-q", "-f", str(pom), *goal])
                draft.rename(jars)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    return jars


def find_java() -> str:
    """A Java of at least 17, the one the broker is meant for first. Raises `NoKafkaError`."""
    candidates = [*sorted(Path("/usr/lib/jvm").glob("*17*/bin/java")), Path(shutil.which("java") or "/nonexistent")]
    for java in candidates:
        if java.exists():
            answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
            version = re.search(r'version "(\d+)', answer.stderr)
            if version and int(version[1]) >= _OLDEST_JAVA:
                return str(java)
    raise NoKafkaError(f"no Java {_OLDEST_JAVA} or newer (run: make services)")


def _source(name: str) -> Path:
    path = _SOURCES / name
    if not path.is_file():
        raise NoKafkaError(f"a broker is started from a checkout of the repository: no {path}")
    return path


def _write_properties(target: Path, host: str, port: int, controller: int, data: Path) -> None:
    """The settings of every broker, and what differs from start to start. `host` "" listens on all addresses."""
    target.write_text(
        _source("server.properties").read_text()
        + f"listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}\n"
        + f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n"
        + f"controller.quorum.voters=1@127.0.0.1:{controller}\n"
        + f"log.dirs={data}\n"
    )


def _call(command: list[str], timeout_s: float | None = None) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise NoKafkaError(f"{Path(command[0]).name} took more than {timeout_s} s") from error
    if done.returncode:
        raise NoKafkaError(f"{Path(command[0]).name} failed: {(done.stdout + done.stderr)[-2000:]}")

"""The broker's jars, resolved once by Maven into the checkout's cache folder, and the command that starts it."""

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


class NoKafkaError(RuntimeError):
    """No broker can be made here; the message says what is missing."""


def prepare(folder: Path, port: int, controller: int) -> list[str]:
    """Format storage under `folder` and return the command of a broker on `port`. Raises `NoKafkaError`."""
    jars, java = resolve(), find_java()
    properties = folder / "server.properties"
    properties.write_text(
        (_SOURCES / "server.properties").read_text()
        + f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n"
        + f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n"
        + f"controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n"
        + f"log.dirs={folder / 'data'}\n"
    )
    logging = f"-Dlog4j2.configurationFile={_SOURCES / 'log4j2.properties'}"
    classes = ["-cp", f"{jars}/*"]
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # the tool is a short-lived process: the first compiler is enough, and halves its time
    storage = [java, "-XX:TieredStopAtLevel=1", logging, *classes, "kafka.tools.StorageTool", "format", "--standalone"]
    _call([*storage, "-t", cluster, "-c", str(properties)])
    return [java, "-Xms256m", "-Xmx1g", logging, *classes, "kafka.Kafka", str(properties)]


def resolve() -> Path:
    """The folder of jars for this pom.xml, resolved by Maven when it is not there yet (minutes without a Maven cache)."""
    pom = _SOURCES / "pom.xml"
    if not pom.is_file():
        raise NoKafkaError(f"a broker is started from a checkout of the repository: no {pom}")
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
            _call([maven, "-B", "-q", "-f", str(pom), *goal])
            draft.rename(jars)
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


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoKafkaError(f"{Path(command[0]).name} failed: {(done.stdout + done.stderr)[-2000:]}")

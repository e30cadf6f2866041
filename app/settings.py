"""What a service is started with. Environment first (`IMS_*`), then the command line; children get it whole."""

import os
import secrets
from pathlib import Path
from typing import Any, Self

import msgspec

from engine.model import Capacity


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a process of the service needs to know. Ports, one after the other: pages, API, gateway, analyst, breaks."""

    instance: str = "main"
    """Names the shared memory: two services on one machine need two names (and two ports)."""
    host: str = "127.0.0.1"
    port: int = 5006
    data: str = ".ims"
    """Folder of journal, quarantine, token, secret and caches."""
    capacity: Capacity = Capacity()
    kafka: str | None = None
    """Bootstrap servers. None: the embedded simulator feeds the engine."""
    events_topic: str = "ims.events"
    reference_topic: str = "ims.reference"
    workers: int = 1
    """Decode workers; each takes its share of the partitions."""
    rate: int = 5_000
    """Events per second of the embedded simulator."""
    seed: int = 1
    securities: int = 12_000
    """Securities of the simulated universe."""
    reporting_currency: str = "USD"
    """The currency that values of all securities can be added up in; rates of `currency` records are in it."""
    availability: str | None = None
    """A published stock-loan availability file."""
    break_rules: str | None = None
    """What counts as a break here, in the form of assets/breaks.yaml; None: as the program comes with it."""
    database: str | None = None
    """SQLAlchemy URL of the locate journal; None: SQLite in the data folder."""
    redis: str | None = None
    """Publish changed inventory to this Redis; None: do not."""
    archive: bool = True
    """Write everything that is applied to Parquet files in the data folder."""
    archive_days: int = 7
    """How long files of the archive are kept."""
    archive_gb: float = 20.0
    """The oldest days go earlier where all of it is larger than this."""
    archive_flush_s: float = 5.0
    """What is applied is on disk so much later at the latest, if the disk takes it."""
    archive_ring_mb: int = 256
    """How much the archive may be behind before it has a gap: at 300,000 events a second 13 s."""
    history_s: float = 60.0
    """Every so many seconds the numbers that differ are written down, where there is an archive; 0: never."""
    history_days: int = 30
    """How long they are kept."""
    history_gb: float = 20.0
    """The oldest days of them go earlier where all of it is larger than this: numbers of securities, and those of limits."""
    snapshot_s: float = 30.0
    """Seconds between two snapshots of what Kafka has given; 0: none, and a restart reads Kafka from its beginning."""
    api_rate: int = 10_000
    """Requests a second that each token may make of the API; 0: as many as it likes."""
    locate_shrink_minutes: int = 10
    """How long before the market's close a locate shrinks to what is sold on it, or is about to be; 0: never."""
    webhook_origins: str = ""
    """Where webhooks may be sent to: `https://hooks.example.com, http://10.0.0.5:8080`; empty: nowhere."""
    frame_ms: int = 50
    """The least time between two frames of one grid."""
    quiet: bool = False

    @property
    def api_port(self) -> int:
        return self.port + 1

    @property
    def gateway_port(self) -> int:
        return self.port + 2

    @property
    def analyst_port(self) -> int:
        """Of 127.0.0.1 only."""
        return self.port + 3

    @property
    def breaks_port(self) -> int:
        """Of 127.0.0.1 only."""
        return self.port + 4

    @property
    def folder(self) -> Path:
        return Path(self.data)

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.folder / 'journal.db'}"

    @property
    def api_token(self) -> str:
        """The bearer token of order systems: IMS_API_TOKEN, or made at first use and kept in the data folder, 0600."""
        return os.environ.get("IMS_API_TOKEN") or _kept_secret(self.folder / "api-token")

    @property
    def secret(self) -> str:
        """Signs page sessions and grid tickets: IMS_SECRET, or made at first use and kept in the data folder, 0600."""
        return os.environ.get("IMS_SECRET") or _kept_secret(self.folder / "secret")

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str) -> Self:
        return msgspec.json.decode(text, type=cls)

    @classmethod
    def load(cls, given: dict[str, Any]) -> Self:
        """Defaults, then IMS_* variables, then `given` (None means not given). Raises `SettingsError` naming the setting."""
        values: dict[str, Any] = {}
        for field in msgspec.structs.fields(cls):
            text = os.environ.get(f"IMS_{field.name.upper()}")
            if text is not None and field.name != "capacity":
                values[field.name] = text
        values |= {name: value for name, value in given.items() if value is not None}
        try:
            return msgspec.convert(values, cls, strict=False)
        except (msgspec.ValidationError, ValueError) as error:
            raise SettingsError(f"settings: {error}") from error


def _kept_secret(path: Path) -> str:
    """The text of `path`; made (43 characters) if it is missing, and never readable by others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(file, "w") as out:
        out.write(secret := secrets.token_urlsafe(32))
    return secret

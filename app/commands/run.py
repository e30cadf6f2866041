"""`ims run`: the whole service on this machine."""

import argparse
import asyncio
import signal
import socket
import sys
from pathlib import Path
from typing import Final

import msgspec
import structlog

from app.settings import Settings, SettingsError
from app.supervisor import StartError, Supervisor
from app.users_store import FILE
from engine.model import Capacity

_OWN_MACHINE: Final = ("127.0.0.1", "::1", "localhost")


def add(parser: argparse.ArgumentParser) -> None:
    """What can be set, each with its default."""
    capacity = Capacity()
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument(
        "--port", type=int, help="pages; API, gateway of the grids, analyst and breaks are on the next four (5006)"
    )
    parser.add_argument("--instance", help="name of the shared memory: one per service on a machine (main)")
    parser.add_argument("--data", help="folder of journal, quarantine and keys (.ims)")
    parser.add_argument(
        "--kafka", metavar="HOST:PORT", help="bootstrap servers; without it an embedded simulator feeds the desk"
    )
    parser.add_argument("--events-topic", help="topic of events (ims.events)")
    parser.add_argument("--reference-topic", help="topic of reference data (ims.reference)")
    parser.add_argument("--workers", type=int, help="decode workers, each for its share of the partitions (1)")
    parser.add_argument("--rate", type=int, help="events per second of the embedded simulator (5000)")
    parser.add_argument("--seed", type=int, help="seed of the embedded simulator (1)")
    parser.add_argument("--securities", type=int, help="securities of the simulated universe (12000)")
    parser.add_argument(
        "--availability", metavar="FILE", help="a published stock-loan availability file; read again when it changes"
    )
    parser.add_argument(
        "--break-rules",
        metavar="FILE",
        help="tolerances and severities of breaks, in the form of assets/breaks.yaml, over those shipped; read again when "
        "it changes",
    )
    parser.add_argument("--database", metavar="URL", help="journal of locates (SQLite in the data folder)")
    parser.add_argument("--redis", metavar="URL", help="publish changed inventory to this Redis")
    parser.add_argument(
        "--archive",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="write everything that is applied to Parquet files in the data folder (yes)",
    )
    parser.add_argument("--archive-days", type=int, help="how long these are kept (7)")
    parser.add_argument(
        "--archive-gb", type=float, help="the oldest days go earlier where they are larger than this (20)"
    )
    parser.add_argument(
        "--history-s", type=float, metavar="S", help="seconds between two samples of every number; 0: none (60)"
    )
    parser.add_argument("--history-days", type=int, help="how long these are kept (30)")
    parser.add_argument(
        "--history-gb", type=float, help="the oldest days go earlier where they are larger than this (20)"
    )
    parser.add_argument(
        "--snapshot-s", type=float, metavar="S", help="seconds between two snapshots, with Kafka; 0: none (30)"
    )
    parser.add_argument("--rows", type=int, help=f"capacity in position rows ({capacity.rows:,})")
    parser.add_argument("--capacity-securities", type=int, help=f"capacity in securities ({capacity.securities:,})")
    parser.add_argument("--capacity-books", type=int, help=f"capacity in books ({capacity.books:,})")
    parser.add_argument("--capacity-depots", type=int, help=f"capacity in depots ({capacity.depots:,})")
    parser.add_argument(
        "--capacity-components", type=int, help=f"capacity in sums that rules keep or ask for ({capacity.components:,})"
    )
    parser.add_argument(
        "--capacity-calculations", type=int, help=f"capacity in calculations ({capacity.calculations:,})"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM. Exit code 2 for settings that cannot be used, 1 for a process that did not start."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        settings = _settings(args)
        _check_ports(settings)
        _check_availability(settings)
        _check_break_rules(settings)
    except (SettingsError, ValueError) as error:
        print(f"ims run: {error}", file=sys.stderr)  # noqa: T201
        return 2
    if settings.host not in _OWN_MACHINE and not (settings.folder / FILE).exists():
        told = f"nobody has a login yet (see `ims users add`): whoever reaches {settings.host} may look at the pages"
        print(f"ims run: {told}", file=sys.stderr)  # noqa: T201
    return asyncio.run(_serve(settings))


def _settings(args: argparse.Namespace) -> Settings:
    given = {field.name: getattr(args, field.name, None) for field in msgspec.structs.fields(Settings)}
    limits = {
        "rows": args.rows,
        "securities": args.capacity_securities,
        "books": args.capacity_books,
        "depots": args.capacity_depots,
        "components": args.capacity_components,
        "calculations": args.capacity_calculations,
    }
    given["capacity"] = Capacity(**{name: limit for name, limit in limits.items() if limit is not None})
    for name in ("availability", "break_rules"):
        if (path := given[name]) is not None:
            given[name] = str(Path(path).resolve())
    return Settings.load(given)


def _check_ports(settings: Settings) -> None:
    """Say which port is taken before anything starts."""
    seen = settings.port, settings.api_port, settings.gateway_port
    own = settings.analyst_port, settings.breaks_port
    for host, port in [*((settings.host, port) for port in seen), *((_OWN_MACHINE[0], port) for port in own)]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise SettingsError(
                    f"{host}:{port} cannot be used ({error.strerror}); choose another --port"
                ) from error


def _check_availability(settings: Settings) -> None:
    """Refuse a file that cannot be used before anything starts."""
    if settings.availability is None:
        return
    from feeds.availability import AvailabilityError, load  # noqa: PLC0415  only where there is a file

    try:
        load(Path(settings.availability))
    except (AvailabilityError, OSError) as error:
        raise SettingsError(str(error)) from error


def _check_break_rules(settings: Settings) -> None:
    """The same of rules of breaks."""
    if settings.break_rules is None:
        return
    from app import world  # noqa: PLC0415  only where there is a file
    from app.breaks.rules import BreakRulesError, RulesFile  # noqa: PLC0415

    try:
        RulesFile(settings.break_rules, [market.code for market in world.markets()]).current()
    except BreakRulesError as error:
        raise SettingsError(str(error)) from error


async def _serve(settings: Settings) -> int:
    settings.folder.mkdir(parents=True, exist_ok=True)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    supervisor = Supervisor(settings)
    try:
        starting = asyncio.ensure_future(supervisor.start())
        asked = asyncio.ensure_future(stopping.wait())
        await asyncio.wait([starting, asked], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            if not settings.quiet:
                _say_where(settings)
            await asked
        starting.cancel()
    except StartError as error:
        print(f"ims run: {error}; its messages are above", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        await supervisor.stop()
    return 0


def _say_where(settings: Settings) -> None:
    page = f"http://{settings.host}:{settings.port}/"
    print(f"\n  Desk       {page}", flush=True)  # noqa: T201
    print(f"  API        http://{settings.host}:{settings.api_port}/api/v1/docs", flush=True)  # noqa: T201
    print(f"  API token  {settings.folder / 'api-token'}  (or IMS_API_TOKEN)\n", flush=True)  # noqa: T201

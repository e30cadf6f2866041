"""`ims bench latency`: from the moment an event is produced to its number in a cell, everything on this machine.

A real broker, a producer that keeps the load up, the whole service with its decode worker, and a browser on the Inventory
page whose visible rows are traded like all others. Beside the load, a probe changes the price of one visible security at
odd moments; a MutationObserver in the page notes when the cell shows it. Both clocks are this machine's.
"""

import argparse
import asyncio
import contextlib
import threading
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import aiokafka
import msgspec
import numpy as np
import pyarrow as pa

from app import world
from app.bench import running, services
from app.bench.measure import PeakMemory, medians, percentiles
from app.bench.start import ROW
from engine.model import PRICE_UNIT, Op
from feeds import reference
from feeds.simulator_kafka import Producer

if TYPE_CHECKING:
    from playwright.sync_api import Page

LOADS: Final = {"arrow": 300_000, "json": 30_000}
_CODE: Final = "PROBE"
_SOURCE: Final = "probe"
_EVENTS, _REFERENCE = "ims.events", "ims.reference"
_PARTITIONS: Final = 4
_LOOK: Final = """
() => {
  window.seen = [];
  const note = () => {
    const cell = document.querySelector('[data-column="price"][data-id="ID"]');
    const text = cell ? cell.textContent : "";
    if (text === window.last) return;
    window.last = text;
    window.seen.push([text, performance.timeOrigin + performance.now()]);
  };
  new MutationObserver(note).observe(document.body, {subtree: true, childList: true, characterData: true});
}
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Sizes."""
    parser.add_argument("--encoding", choices=[*LOADS, "both"], default="both", help="load to measure under (both)")
    parser.add_argument("--rate", type=int, help="events per second (arrow 300,000, json 30,000)")
    parser.add_argument("--probes", type=int, default=200, help="probes of a run (200)")
    parser.add_argument("--securities", type=int, default=12_000, help="securities of the load (12,000)")
    parser.add_argument("--settle", type=float, default=10.0, help="seconds under load before the first probe (10)")
    parser.add_argument("--runs", type=int, default=3, help="runs of which the median counts (3)")


def run(args: argparse.Namespace) -> dict[str, object]:
    """`{encoding}_p50_ms`, `{encoding}_p99_ms` and the load that was really applied, `{encoding}_events_per_s`."""
    figures: dict[str, object] = {}
    with PeakMemory() as peak:
        for encoding in LOADS if args.encoding == "both" else (args.encoding,):
            found = _under_load(encoding, args)
            figures |= {f"{encoding}_{name}": value for name, value in found.items()}
    return {"bench": "latency", **figures, "probes": args.probes, "rss_mb": peak.mb}


def _under_load(encoding: str, args: argparse.Namespace) -> dict[str, float]:
    size = ("--rate", str(args.rate or LOADS[encoding]), "--securities", str(args.securities))
    load = ("--to", "kafka", "--encoding", encoding, *size, "--faults", "off", "--kafka")
    with (
        services.kafka() as broker,
        _probe(broker, encoding) as probe,
        running.background("simulate", *load, broker),
        running.service("--kafka", broker) as service,
        running.browser() as browser,
    ):
        service.wait_ready()
        page = browser.new_page(viewport={"width": 1720, "height": 980})
        page.goto(f"{service.page}?sort=name:asc")
        page.wait_for_selector(ROW, timeout=60_000)
        _observe(page)
        time.sleep(args.settle)

        def once() -> dict[str, float]:
            before, began = _applied(service), time.monotonic()
            latencies = probe.measure(page, args.probes)
            applied = (_applied(service) - before) / (time.monotonic() - began)
            return percentiles(latencies) | {"events_per_s": applied}

        return medians(once, args.runs)


def _observe(page: "Page") -> None:
    """Note every change of the probe's price from now on."""
    name = page.locator("[role=gridcell][data-column=name][data-id]", has_text=f"{_CODE} SECURITY").first
    page.evaluate(_LOOK.replace("ID", str(name.get_attribute("data-id", timeout=60_000))))


def _applied(service: running.Service) -> int:
    with urllib.request.urlopen(f"{service.api}/metrics") as answer:  # noqa: S310  our own service
        lines = answer.read().decode().splitlines()
    return int(float(next(line for line in lines if line.startswith("ims_events_total")).split()[1]))


def seen_after(sent: Sequence[tuple[str, float]], seen: Mapping[str, float]) -> list[float]:
    """Milliseconds from each moment of `sent` (text, moment; in order) to when its text or a later one of them was `seen`.

    Raises `KeyError` if the last text was not seen.
    """
    found: list[float] = []
    at = seen[sent[-1][0]]
    for text, since in reversed(sent):
        at = seen.get(text, at)
        found.append(at - since)
    return found[::-1]


class _Probe:
    """Sends prices of the probe security and matches them with what the page saw."""

    def __init__(self, call: Callable[[Coroutine[Any, Any, None]], None], producer: Any, encoding: str) -> None:
        self._call = call
        self._producer = producer
        self._encoding = encoding
        self._seq = 0

    def measure(self, page: "Page", probes: int) -> Sequence[float]:
        """Milliseconds from produce to cell: until it, or a later price that took its place within one frame, was seen.

        A price that was overtaken counts with the time of the one that overtook it: leaving it out would hide every
        stall of the service (a stall is when prices overtake each other). Raises Playwright's `TimeoutError` when the
        last one does not come within 30 s.
        """
        rng = np.random.default_rng(self._seq)
        sent: list[tuple[str, float]] = []
        page.evaluate("() => { window.seen = []; }")
        for _ in range(probes):
            self._seq += 1
            cents = 10_000 + self._seq
            self._call(self._send(cents * PRICE_UNIT // 100))
            sent.append((f"{cents / 100:.2f}", self._sent_ms))
            time.sleep(rng.uniform(0.11, 0.29))
        page.wait_for_function(f"() => window.last === '{sent[-1][0]}'", timeout=30_000)
        return seen_after(sent, dict(page.evaluate("() => window.seen")))

    async def _send(self, price: int) -> None:
        value = self._json(price) if self._encoding == "json" else self._arrow(price)
        self._sent_ms = time.time() * 1e3
        await self._producer.send(_EVENTS, value, key=_CODE.encode(), headers=[("enc", self._encoding.encode())])

    def _json(self, price: int) -> bytes:
        event = {"src": _SOURCE, "seq": self._seq, "ts": time.time_ns(), "op": "PRICE", "sec": _CODE, "book": ""}
        more = {"depot": "", "kind": "FIRM", "trade": None, "settle": None, "qty": price, "flags": 0}
        return msgspec.json.encode(event | more)

    def _arrow(self, price: int) -> bytes:
        text = {"src": _SOURCE, "sec": _CODE, "book": "", "depot": ""}
        columns = {name: pa.array([value]) for name, value in text.items()}
        columns |= {"op": pa.array([int(Op.PRICE)], pa.uint8()), "kind": pa.array([0], pa.uint8())}
        columns |= {
            name: pa.array([v], pa.int64()) for name, v in (("seq", self._seq), ("ts", time.time_ns()), ("qty", price))
        }
        columns |= {name: pa.array([None], pa.date32()) for name in ("trade", "settle")}
        columns |= {"flags": pa.array([0], pa.uint8())}
        batch = pa.RecordBatch.from_pydict(columns)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        encoded: bytes = sink.getvalue().to_pybytes()
        return encoded


@contextlib.contextmanager
def _probe(broker: str, encoding: str) -> Iterator[_Probe]:
    """A producer of its own, after the probe's security and source have been announced."""
    # a loop of its own thread: Playwright keeps the one of this thread
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="probe", daemon=True)
    thread.start()

    def call(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    async def start() -> Any:
        market = world.markets()[0]
        security = reference.Security(
            code=_CODE,
            ticker=_CODE,
            name=f" {_CODE} SECURITY",
            currency=market.currency,
            market=market.code,
            temperature="GC",
            fee=2_500,
        )
        async with Producer(broker) as announcer:
            await announcer.make_topics(_EVENTS, _REFERENCE, _PARTITIONS)
            known: list[reference.Record] = [security, reference.Source(code=_SOURCE, name="latency probe")]
            await announcer.send_reference(_REFERENCE, known, time.time_ns() // 1_000_000)
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=broker, linger_ms=0)
        await producer.start()
        return producer

    producer = call(start())
    try:
        yield _Probe(call, producer, encoding)
    finally:
        call(producer.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

"""`ims simulate`: what it says it sent is what arrives, in memory and in a real Kafka."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from app import world
from app.cli import main
from feeds import reference
from feeds.json_events import Event
from feeds.partitions import partitions_of
from feeds.quarantine import Origin
from feeds.registry import feed_named, topics
from feeds.simulator_kafka import _number
from feeds.simulator_routes import APART, Route, Spread

SMALL = ("--securities", "300", "--seed", "3", "--rate", "0")


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Calendars are computed once for all of these tests."""
    monkeypatch.setenv("IMS_DATA", str(tmp_path_factory.getbasetemp() / "simulate"))


def simulate(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, dict[str, Any]]:
    code = main(["simulate", *SMALL, *args])
    return code, json.loads(capsys.readouterr().out or "{}")


@pytest.mark.parametrize("encoding", ["json", "arrow"])
@pytest.mark.parametrize("partitions", ["1", "3"])
def test_in_memory_the_engines_counts_equal_what_was_sent(
    capsys: pytest.CaptureFixture[str], encoding: str, partitions: str
) -> None:
    code, said = simulate(capsys, "--events", "20000", "--encoding", encoding, "--partitions", partitions)
    assert code == 0
    assert said["equal"] is True
    assert said["observed"] == said["expected"]
    assert said["rejected"] == 0
    assert min(said["expected"][name] for name in ("duplicates", "missing", "unreadable", "unknown")) > 0


def test_the_same_seed_says_the_same_and_faults_can_be_turned_off(capsys: pytest.CaptureFixture[str]) -> None:
    _, one = simulate(capsys, "--events", "9000")
    _, same = simulate(capsys, "--events", "9000", "--rate", "1000000")
    _, clean = simulate(capsys, "--events", "9000", "--faults", "off")
    assert one["expected"] == same["expected"]
    assert [clean["expected"][name] for name in ("duplicates", "missing", "unreadable", "unknown")] == [0, 0, 0, 0]


def test_an_availability_file_takes_part(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "availability.txt"
    line = "A|USD|AGILENT TECHNOLOGIES INC|1715006|XXXXXXXU1016|1.9119|0.4081|>10000000|"
    head = "#BOF|2022.08.06|22:30:03\n#SYM|CUR|NAME|CON|ISIN|REBATERATE|FEERATE|AVAILABLE|\n"
    file.write_text(f"{head}{line}\n#EOF|1\n")
    code, said = simulate(capsys, "--events", "1000", "--availability", str(file))
    assert (code, said["equal"]) == (0, True)
    assert "availability" in said["sources"]
    file.write_text(f"{head}{line}\n#EOF|2\n")
    assert main(["simulate", *SMALL, "--availability", str(file)]) == 2
    assert "availability.txt, line 4: #EOF counts 2 records, the file has 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--securities", "1"), "--securities must be at least 8"),
        (("--batch", "100000"), "--batch must be at most 65536"),
        (("--availability", "nowhere.txt"), "nowhere.txt"),
        (("--securities", "300", "--to", "kafka", "--kafka", "127.0.0.1:1"), "127.0.0.1:1"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    capsys: pytest.CaptureFixture[str], args: tuple[str, ...], said: str
) -> None:
    assert main(["simulate", *args]) == 2
    assert said in capsys.readouterr().err


def test_ctrl_c_ends_with_the_accounting() -> None:
    command = [sys.executable, "-m", "app.cli", "simulate", "--securities", "300", "--rate", "2000"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy()
    )
    assert process.stderr is not None
    assert "events" in process.stderr.readline(), "it says every second how far it is"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out)["equal"] is True


async def stored(bootstrap: str, topic: str, partitions: int) -> dict[int, list[Any]]:
    """All records of a topic by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        records: dict[int, list[Any]] = {place.partition: [] for place in places}
        while any(len(records[place.partition]) < ends[place] for place in places):
            for place, some in (await consumer.getmany(timeout_ms=1000)).items():
                records[place.partition] += some
    finally:
        await consumer.stop()
    return records


def test_to_kafka_everything_is_stored_once_keyed_and_in_order(capsys: pytest.CaptureFixture[str], kafka: str) -> None:
    topics = ("--events-topic", "simulate.json", "--reference-topic", "simulate.json.ref")
    to_kafka = ("--to", "kafka", "--kafka", kafka, "--partitions", "3", "--one-topic", *topics)
    code, said = simulate(capsys, *to_kafka, "--events", "8000")
    assert code == 0
    records = asyncio.run(stored(kafka, "simulate.json", 3))
    assert set(records) == {0, 1, 2}
    counts: Counter[str] = Counter()
    numbers: dict[str, list[int]] = {}
    for partition, some in records.items():
        for record in some:
            assert record.headers == (("enc", b"json"),)
            assert partitions_of_key(record.key, 3) == partition
            try:
                event = msgspec.json.decode(record.value, type=Event)
            except (msgspec.DecodeError, UnicodeDecodeError):
                counts["unreadable"] += 1
                continue
            if event.src.startswith("stray"):
                counts["unknown"] += 1
            else:
                assert event.src == f"sim-{partition}"
                numbers.setdefault(event.src, []).append(event.seq)
    expected = said["expected"]
    sent = sum(expected[name] for name in ("events", "duplicates", "unreadable", "unknown"))
    assert sum(map(len, records.values())) == sent
    assert counts["unknown"] == expected["unknown"]
    distinct = sum(len(set(some)) for some in numbers.values())
    assert distinct == expected["events"]
    assert sum(max(some) for some in numbers.values()) - distinct == expected["missing"]
    names = {record.key for record in asyncio.run(stored(kafka, "simulate.json.ref", 1))[0]}
    assert len(names) > 300 + 500
    second_run_goes_on(capsys, to_kafka, {source: max(some) for source, some in numbers.items()})


def second_run_goes_on(capsys: pytest.CaptureFixture[str], to_kafka: tuple[str, ...], last: dict[str, int]) -> None:
    for encoding in ("arrow", "arrow"):
        _, said = simulate(capsys, *to_kafka, "--events", "3000", "--encoding", encoding, "--batch", "100")
        assert [said["after"][f"sim-{partition}"] for partition in range(3)] == [last[f"sim-{at}"] for at in range(3)]
        bootstrap = to_kafka[3]
        values = asyncio.run(stored(bootstrap, "simulate.json", 3))
        last = {f"sim-{partition}": newest(some, f"sim-{partition}") for partition, some in values.items()}


def newest(records: list[Any], source: str) -> int:
    """By reading every record, where the producer reads the end only."""
    return max(_number(record.value, dict(record.headers)["enc"], source) for record in records)


def partitions_of_key(key: bytes, partitions: int) -> int:
    return int(partitions_of(np.array([key]), partitions)[0])


def test_reference_data_arrives_as_the_reference_reader_wants_it(
    capsys: pytest.CaptureFixture[str], kafka: str
) -> None:
    topics = ("--events-topic", "simulate.few", "--reference-topic", "simulate.few.ref")
    simulate(capsys, "--to", "kafka", "--kafka", kafka, "--partitions", "1", "--one-topic", *topics, "--events", "0")
    records = asyncio.run(stored(kafka, "simulate.few.ref", 1))[0]
    values = [record.value for record in records]
    decoded = reference.decode(values, world.markets(), Origin.of("simulate.few.ref", len(values)))
    assert not decoded.unreadable
    assert sum(array.size for _, array in decoded.messages) == len(values)


def test_every_feed_has_a_topic_and_all_that_is_in_it_is_accounted_for(
    capsys: pytest.CaptureFixture[str], kafka: str
) -> None:
    to_kafka = ("--to", "kafka", "--kafka", kafka, "--partitions", "3", "--events-topic", "each.events")
    code, said = simulate(
        capsys, *to_kafka, "--reference-topic", "each.reference", "--events", "30000", "--batch", "50"
    )
    assert code == 0
    counts = dict(zip(Route, Spread.of(3, apart=True).partitions, strict=True))
    topics_of = topics("each.events", "each.reference")
    sent: Counter[Route] = Counter()
    for route in Route:
        if counts[route]:
            feed = feed_named(route.feed)
            some = asyncio.run(stored(kafka, topics_of[feed.index], counts[route]))
            sent[route] = sum(map(len, some.values()))
            if route in APART:
                numbers_grow(said["sources"], route, some)
    assert min(sent[route] for route in Route if counts[route]) > 0
    expected = said["expected"]
    asides = sum(
        len(records)
        for records in asyncio.run(stored(kafka, topics_of[feed_named("corporate_actions").index], 1)).values()
    )
    assert asides > 0
    numbered = sum(sent[route] for route in APART)
    announced = numbered - sum(expected[name] for name in ("events", "duplicates", "unreadable", "unknown"))
    assert 0 <= announced <= 5, "announcements are not numbered with the rest"


NAMES = {route: "sim-ca-" if route == Route.CORPORATE_ACTIONS else f"sim-{route.feed}-" for route in APART}


def numbers_grow(sources: list[str], route: Route, records: dict[int, list[Any]]) -> None:
    """What has a number in a partition comes of its own source, in order but for what is sent again."""
    for partition, some in records.items():
        source = NAMES[route] + str(partition)
        assert source in sources
        newest = [number for record in some if (number := _number(record.value, b"json", source))]
        again = sum(later <= max(newest[:at]) for at, later in enumerate(newest) if at)
        assert again <= 0.02 * len(newest) + 5, (route, partition)

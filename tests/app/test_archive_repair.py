from pathlib import Path

from app.archive_asof import asof
from app.archive_manifest import Manifest
from app.archive_repair import Record, repair
from feeds.registry import topics
from tests.app.archived import archived, now, seen
from tests.engine.machines import TODAY, events

_FAR_NS = 2**62


def _record(offset: int) -> bytes:
    """What was sent at an offset of the topic of events, in the form of `feeds.json_events`."""
    ts = 1_000 + offset
    text = f'"src":"s1","seq":{offset + 1},"ts":{ts},"op":"BUY","sec":"S2","book":"B1","depot":"","kind":"FIRM"'
    day = "2024-10-04"
    return f'{{{text},"trade":"{day}","settle":"{day}","qty":{offset + 1},"flags":0}}'.encode()


async def test_what_is_missing_comes_from_kafka_and_the_past_is_whole_again(tmp_path: Path) -> None:
    asked: list[tuple[str, int, int, int]] = []

    async def fetch(topic: str, partition: int, first: int, stop: int) -> list[Record]:
        asked.append((topic, partition, first, stop))
        return [(offset, _record(offset), ()) for offset in range(first, stop)]

    assert TODAY == 20_000
    with archived(tmp_path, "repair-live", ring_bytes=1 << 17) as of:
        count = 0
        for turn in range(80):
            rows = [
                {"op": 0, "quantity": count + i + 1, "offset": count + i, "time_ns": 1_000 + count + i}
                for i in range(50)
            ]
            of.machine.apply(events(*rows, first_seq=count + 1))
            count += 50
            of.machine.tables.array["applied"][0, 0] = count
            if turn in (10, 60):
                of.drain.step(at_once=True)
        of.drain.step(at_once=True)
        had = now(of.machine, 2)
        (gap,) = of.manifest.gaps()
        assert seen(asof(tmp_path, _FAR_NS, "S2").copy) != had
        found = await repair(tmp_path, of.manifest, gap, topics(), fetch, 1)
        assert not of.manifest.gaps()
    answer = asof(tmp_path, _FAR_NS, "S2")
    assert seen(answer.copy) == had
    assert not answer.gaps
    assert found == sum(stop - first for _, _, first, stop in asked)
    assert asked[0][:2] == ("ims.events", 0)
    manifest = Manifest(tmp_path)
    assert len(manifest.gaps(repaired=True)) == 1
    manifest.close()

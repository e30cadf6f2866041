"""Records as a sender makes them that puts any bytes into the name of a header."""

from collections.abc import Sequence

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.producer import message_accumulator
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy


class Odd(str):
    """The name of a header that is no text."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        return b"\xff\xfe" + super().encode()


async def send_batch(
    bootstrap: str,
    topic: str,
    records: Sequence[tuple[bytes, Sequence[tuple[str, bytes]]]],
    monkeypatch: pytest.MonkeyPatch,
    stamp_ms: int | None = None,
) -> None:
    """Values with their headers into partition 0, all in one batch; returns when the broker has it."""
    with monkeypatch.context() as patch:
        patch.setattr(message_accumulator, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            batch = producer.create_batch()
            for at, (value, headers) in enumerate(records):  # a topic that is compacted wants keys
                key = str(at).encode()
                assert batch.append(key=key, value=value, timestamp=stamp_ms, headers=list(headers)) is not None
            await (await producer.send_batch(batch, topic, partition=0))

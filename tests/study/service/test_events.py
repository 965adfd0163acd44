"""Streams: an event at once and at every change, a bounded number, an end when the service ends."""

import asyncio
import json

import pytest

from study.service import events
from study.service.events import Streams


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "INTERVAL_S", 0.01)


def said(event: str) -> object:
    kind, data = event.strip().splitlines()
    assert kind == "event: standing"
    return json.loads(data.removeprefix("data: "))


def test_an_event_comes_at_once_and_at_each_change() -> None:
    looks = iter([1, 1, 1, 2, 2, 3])
    closing = [False]
    streams = Streams(lambda: closing[0])

    async def collect() -> list[object]:
        found = []
        async for event in streams.follow(lambda: {"version": next(looks)}):
            found.append(said(event))
            assert streams.count == 1
            closing[0] = len(found) == 3
        return found

    assert asyncio.run(collect()) == [{"version": 1}, {"version": 2}, {"version": 3}]
    assert streams.count == 0


def test_a_silent_stream_says_that_it_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PING_S", 0.05)

    async def second() -> str:
        stream = Streams(lambda: False).follow(dict)
        await anext(stream)
        found = await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        return found

    assert asyncio.run(second()).startswith(":")


def test_a_stream_ends_after_its_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LIFE_S", 0.03)

    async def all_of() -> int:
        return len([event async for event in Streams(lambda: False).follow(dict)])

    assert asyncio.run(all_of()) == 1


def test_a_client_that_leaves_is_not_counted() -> None:
    streams = Streams(lambda: False)

    async def leave() -> None:
        stream = streams.follow(dict)
        await anext(stream)
        assert streams.count == 1
        await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(leave())
    assert streams.count == 0


def test_streams_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_STREAMS", 1)
    streams = Streams(lambda: False)
    assert not streams.is_full
    streams.count = 1
    assert streams.is_full

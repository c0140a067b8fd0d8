"""Streams: given up at once, and cut off when nobody reads on."""

import asyncio
import time
from threading import Event

import anyio
from anyio import Semaphore

from aitwin.server import streams
from aitwin.server.streams import SLICE, Streamed, by_turns


def test_whoever_makes_a_piece_is_told_at_once_that_nobody_waits_for_it():
    """S4: not at the next piece, which may be a long sentence away."""
    halt, turn = Event(), Semaphore(1)
    begun, told = Event(), []

    def pieces():
        begun.set()
        told.append(halt.wait(60))
        yield b"late"

    async def run():
        chunks = pieces()
        reading = asyncio.ensure_future(anext(by_turns(chunks, iter(()), turn, halt)))
        while not begun.is_set():
            await asyncio.sleep(0.01)
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()

    anyio.run(run)
    assert told == [True]
    assert turn.value == 1


def answered(pieces, send):
    """What is sent of an answer in these pieces; and whether it was closed."""
    closed = []

    async def run():
        async def content():
            try:
                for piece in pieces:
                    yield piece
            finally:
                closed.append(True)

        async def receive():
            await anyio.sleep_forever()

        source = content()
        scope = {"type": "http", "asgi": {"spec_version": "2.3"}}
        await Streamed(source, [source])(scope, receive, send)

    anyio.run(run)
    return closed


def test_a_reader_who_reads_no_more_is_cut_off(monkeypatch):
    """S3: a player that was paused and forgotten keeps no place in the line."""
    monkeypatch.setattr(streams, "PATIENCE", 0.05)
    sent = []

    async def send(message):
        sent.append(message)
        if len(sent) > 2:
            await anyio.sleep_forever()

    began = time.monotonic()
    assert answered([b"one", b"two", b"three"], send) == [True]
    assert time.monotonic() - began < 30
    # No end: what is missing is not taken for the end of the text.
    assert all(message.get("more_body", True) for message in sent)


def test_a_slow_reader_has_as_long_for_each_slice(monkeypatch):
    """S3: a sentence of a megabyte is no reason to cut somebody off."""
    monkeypatch.setattr(streams, "PATIENCE", 0.5)
    sent = []

    async def send(message):
        await anyio.sleep(0.1)
        sent.append(message)

    piece = bytes(range(256)) * (SLICE // 256) * 7 + b"rest"
    assert answered([piece], send) == [True]
    bodies = [message.get("body", b"") for message in sent]
    assert b"".join(bodies) == piece
    assert max(map(len, bodies)) == SLICE
    assert [message.get("more_body") for message in sent[1:]] == [True] * (len(sent) - 2) + [False]

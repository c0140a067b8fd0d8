"""Blocking iterators as asynchronous ones: pulled from threads, in turns, given up at once.

Knows nothing of what flows through them.
"""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any, TypeVar

from anyio import CancelScope, Semaphore, fail_after, to_thread
from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from aitwin.server.problems import ClientGoneError
from aitwin.server.queueing import Line

_Item = TypeVar("_Item")

THREADS = ThreadPoolExecutor(64, "twin-stream")
"""Apart from anyio's forty, in which requests are worked on: none of those is held by a stream.

As many as may be served or wait in all lines; those who wait for a turn hold none."""


PATIENCE = 30.0
"""Seconds that a slice of a streamed answer may wait for its reader, who is cut off then: a player
that was paused and forgotten would keep its place for ever."""
SLICE = 1 << 16
"""Bytes that are sent at once: a sentence is more, and a slow reader takes minutes over it."""


@dataclass(frozen=True)
class _End:
    failure: BaseException | None


async def pumped(
    items: Generator[_Item], line: Line, halt: Event, *, turns: bool = True, who: str = ""
) -> AsyncGenerator[_Item]:
    """What a blocking generator gives, made ahead in a thread when it is its turn in `line`.

    The turn ends with the generator, not with the reader: who reads slowly keeps nobody waiting.
    When the reader leaves, `halt` is set, and the generator is closed at its next item. The place
    in the line, which `who` holds, is kept until the reader has all. Raises Problem when the line
    is full.
    """
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[_Item | _End] = asyncio.Queue()

    def tell(item: _Item | _End) -> None:
        with suppress(RuntimeError):  # the loop was closed: nobody is there to be told
            loop.call_soon_threadsafe(arrived.put_nowait, item)

    def pump() -> None:
        failure: BaseException | None = None
        try:
            with closing(items):
                for item in items:
                    if halt.is_set():
                        break
                    tell(item)
        except BaseException as error:  # noqa: BLE001 (raised again where it is awaited)
            failure = error
        tell(_End(failure))

    with line.place(who):
        if turns:
            await line.turn.acquire()
        work = loop.run_in_executor(THREADS, pump)
        if turns:
            work.add_done_callback(lambda _: line.turn.release())
        try:
            while not isinstance(item := await arrived.get(), _End):
                yield item
            if item.failure is not None:
                raise item.failure
        finally:
            halt.set()
            with CancelScope(shield=True):
                await work


async def by_turns(
    chunks: Iterator[bytes], utterances: Iterator[object], turn: Semaphore, halt: Event
) -> AsyncGenerator[bytes]:
    """Pull what is made of `utterances` from a thread, each piece in its own turn.

    When the client goes away, `halt` is set at once, whatever the thread is at: whoever makes the
    utterances looks at it.
    """
    end = object()
    try:
        while True:
            async with turn:
                chunk = await _unless_left(partial(next, chunks, end), halt)
            if chunk is end:
                return
            yield chunk
    finally:
        with CancelScope(shield=True):
            for items in (chunks, utterances):
                await to_thread.run_sync(getattr(items, "close", lambda: None))


async def _unless_left(work: Callable[[], _Item], halt: Event) -> _Item:
    """What a thread makes; `halt` is set as soon as nobody waits for it."""
    made = asyncio.get_running_loop().run_in_executor(THREADS, work)
    try:
        return await asyncio.shield(made)
    except asyncio.CancelledError:
        halt.set()
        # The turn is not given on before the thread is out of the engine.
        with CancelScope(shield=True):
            await asyncio.wait([made])
        if not made.cancelled():
            made.exception()  # of one that nobody waits for, nobody is told
        raise


async def while_there(request: Request, wanted: Awaitable[_Item]) -> _Item:
    """What is awaited, given up when the client hangs up before.

    Raises ClientGoneError then. The body of the request must have been read.
    """
    with CancelScope() as scope:

        async def watch() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            scope.cancel()

        watching = asyncio.create_task(watch())
        try:
            return await wanted
        finally:
            watching.cancel()
    raise ClientGoneError


class Streamed(StreamingResponse):
    """A streamed answer that closes what it is made of, also when nobody ever reads it."""

    def __init__(
        self, content: AsyncIterator[Any], sources: Iterable[AsyncGenerator[Any]], **how: Any
    ) -> None:
        """`sources`: what `content` reads."""
        super().__init__(content, **how)
        self._sources = tuple(sources)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, then close."""
        try:
            await super().__call__(scope, receive, _patient(send))
        except* _StalledError:
            # Without its end, which tells the reader, if it ever reads on, that some is missing.
            pass
        finally:
            # A generator that was never begun closes nothing, so each is closed by itself.
            with CancelScope(shield=True):
                for source in self._sources:
                    await source.aclose()


class _StalledError(Exception):
    """The reader has not read for too long."""


def _patient(send: Send) -> Send:
    """The same, which hands on slice by slice, and waits for none longer than `PATIENCE`."""

    async def patient(message: Message) -> None:
        body = message.get("body", b"")
        for start in range(0, max(1, len(body)), SLICE):
            last = start + SLICE >= len(body)
            piece = message
            if not last or start:
                more = message.get("more_body", False) or not last
                piece = {**message, "body": body[start : start + SLICE], "more_body": more}
            try:
                with fail_after(PATIENCE):
                    await send(piece)
            except TimeoutError:
                raise _StalledError from None

    return patient


async def after(first: _Item, rest: AsyncGenerator[_Item]) -> AsyncIterator[_Item]:
    """The piece that was waited for, then the rest."""
    yield first
    async for piece in rest:
        yield piece


async def whole(pieces: AsyncGenerator[_Item], add: Callable[[_Item], object]) -> None:
    """Hand every piece to `add`, and close."""
    try:
        async for piece in pieces:
            add(piece)
    finally:
        with CancelScope(shield=True):
            await pieces.aclose()

"""Blocking iterators as asynchronous ones: pulled from a thread, in turns, closed at once.

Knows nothing of what flows through them.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, nullcontext
from typing import TypeVar

from anyio import CancelScope, Semaphore, to_thread

_Item = TypeVar("_Item")


async def from_thread(
    items: Iterator[_Item], turn: Semaphore | None = None
) -> AsyncGenerator[_Item]:
    """Pull a blocking iterator from a thread, when it is its turn.

    When the client goes away, it is closed at once, and the turn is free.
    """
    end = object()
    async with turn or nullcontext():
        try:
            while (item := await to_thread.run_sync(next, items, end)) is not end:
                yield item  # type: ignore[misc]  # not the sentinel
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(getattr(items, "close", lambda: None))


async def by_turns(
    chunks: Iterator[bytes], utterances: Iterator[object], turn: Semaphore
) -> AsyncGenerator[bytes]:
    """Pull what is made of `utterances` from a thread, each piece in its own turn.

    When the client goes away, the sentence under way is the last one.
    """
    end = object()
    try:
        while True:
            async with turn:
                chunk = await to_thread.run_sync(next, chunks, end)
            if chunk is end:
                return
            yield chunk  # type: ignore[misc]  # not the sentinel
    finally:
        with CancelScope(shield=True):
            for items in (chunks, utterances):
                await to_thread.run_sync(getattr(items, "close", lambda: None))


async def joined(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    """The piece that was waited for, then the rest, which is closed with it."""
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece

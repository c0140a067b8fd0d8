"""Forms: bounded memory, bounded disk, nothing left behind, and every fault named."""

import shutil
import tracemalloc
from collections import namedtuple

import anyio
import pytest
from fastapi import Request

from aitwin.server import forms
from aitwin.server.forms import Bounds, received
from aitwin.server.problems import ClientGoneError, Problem

EDGE = "----edge"
BOUNDS = Bounds("audio", frozenset({"name", "emotion"}), most=1_000_000)


def request(chunks, *, headers=(), boundary=EDGE, gone=False):
    """A request whose body comes in these pieces; `gone`: the sender hangs up behind them."""
    waiting = iter(chunks)

    async def receive():
        chunk = next(waiting, None)
        if chunk is not None:
            return {"type": "http.request", "body": chunk, "more_body": True}
        if gone:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"", "more_body": False}

    kind = f"multipart/form-data; boundary={boundary}".encode()
    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(b"content-type", kind), *headers],
    }
    return Request(scope, receive)


def part(name, content, more=""):
    head = f'--{EDGE}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + content + b"\r\n"


END = f"--{EDGE}--\r\n".encode()


def sent(tmp_path, chunks, bounds=BOUNDS, **how):
    """What is received: fields, and the file's content."""

    async def take():
        async with received(request(chunks, **how), tmp_path, bounds) as form:
            return dict(form.fields), form.file and form.file.read_bytes(), form.size

    return anyio.run(take)


def test_a_form_is_the_same_however_its_bytes_come(tmp_path):
    """A4: cut anywhere, also within a boundary and within a letter of two bytes."""
    sound = bytes(range(256)) * 8 + f"\r\n--{EDGE[:-1]}".encode()
    body = part("name", "Añá".encode()) + part("audio", sound, '; filename="../../x.wav"') + END
    for size in (1, 7, 64, len(body)):
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        assert sent(tmp_path, pieces) == ({"name": "Añá"}, sound, len(sound))
    assert list(tmp_path.iterdir()) == []


def test_two_hundred_megabytes_take_a_few_of_memory(tmp_path):
    """A4: flat, whatever the size; what is counted is all that Python and its libraries hold."""
    block = b"\x55" * 65_536
    count = 200_000_000 // len(block)

    def body():
        yield part("audio", b"")[:-2]
        for _ in range(count):
            yield block
        yield b"\r\n" + END

    bounds = Bounds("audio", frozenset(), most=200_000_000)

    async def take():
        async with received(request(body()), tmp_path, bounds) as form:
            return form.size, form.file.stat().st_size

    tracemalloc.start()
    try:
        assert anyio.run(take) == (count * len(block),) * 2
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


BODY = part("audio", b"sound") + END


@pytest.mark.parametrize(
    ("chunks", "how", "kind"),
    [
        ([BODY[:-8]], {}, "truncated"),
        ([BODY[:40]], {}, "truncated"),
        ([b""], {}, "truncated"),
        ([b"no form at all" * 9], {}, "malformed"),
        ([part("audio", b"1"), part("audio", b"2"), END], {}, "malformed"),
        ([part("name", b"\xff\xfe"), END], {}, "malformed"),
        ([part("name", b"x")] * 40 + [END], {}, "malformed"),
        ([BODY], {"boundary": ""}, "malformed"),
        ([BODY], {"headers": [(b"content-length", b"99999999")]}, "too-large"),
        ([part("audio", b"")[:-2], *[b"1" * 300_000] * 4], {}, "too-large"),
        ([part("name", b"1"), part("name", b"2"), END], {}, "malformed"),
        ([part("other", b"")[:-2], *[b"1" * 300_000] * 8], {}, "invalid-request"),
        ([part("name", b"1" * 5_000), END], {}, "too-large"),
    ],
)
def test_what_is_wrong_has_a_name_and_leaves_nothing(tmp_path, chunks, how, kind):
    with pytest.raises(Problem) as caught:
        sent(tmp_path, chunks, **how)
    assert caught.value.kind == kind
    assert list(tmp_path.iterdir()) == []


def test_what_is_too_large_is_refused_before_it_is_read(tmp_path):
    def never():
        raise AssertionError("the body was read")
        yield

    with pytest.raises(Problem) as caught:
        sent(tmp_path, never(), headers=[(b"content-length", b"99999999")])
    assert caught.value.kind == "too-large"


def test_whoever_hangs_up_leaves_nothing(tmp_path):
    with pytest.raises(ClientGoneError):
        sent(tmp_path, [BODY[:50]], gone=True)
    assert list(tmp_path.iterdir()) == []


def test_whoever_stalls_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(forms, "PATIENCE", 0.05)

    async def take():
        stalled = request([])

        async def receive():
            await anyio.sleep(30)

        stalled = Request(stalled.scope, receive)
        async with received(stalled, tmp_path, BOUNDS):
            pass

    with pytest.raises(Problem) as caught:
        anyio.run(take)
    assert caught.value.kind == "truncated"


def test_whoever_sends_a_byte_now_and_then_is_not_waited_for_either(tmp_path, monkeypatch):
    """A4: each byte comes in time, and the form would never be whole."""
    monkeypatch.setattr(forms, "PATIENCE", 0.5)
    whole = part("audio", b"\x55" * 5_000)

    async def take():
        rest = iter(whole)

        async def receive():
            await anyio.sleep(0.02)
            return {"type": "http.request", "body": bytes([next(rest)]), "more_body": True}

        async with received(Request(request([]).scope, receive), tmp_path, BOUNDS):
            pass

    with pytest.raises(Problem) as caught:
        anyio.run(take)
    assert caught.value.kind == "truncated"
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_nobody_knows_is_refused_by_the_name_of_the_one_that_is_meant(tmp_path):
    """A2: a clip under another name was passed over, and another voice spoke."""
    with pytest.raises(Problem) as caught:
        sent(tmp_path, [part("zuccanary", b"sound"), END])
    assert "called `audio`" in caught.value.detail
    assert "zuccanary" not in str(caught.value.document())


def test_a_clip_is_not_read_where_it_was_not_agreed_to(tmp_path):
    """A2: whoever says so before the clip is told before it comes."""
    bounds = Bounds("clip", frozenset({"consent"}), most=1_000_000, agreed="consent")

    def body(said):
        yield part("consent", said) + part("clip", b"")[:-2]
        assert said == b"true", "the clip was read"
        yield b"sound\r\n" + END

    assert sent(tmp_path, body(b"true"), bounds)[1] == b"sound"
    with pytest.raises(Problem) as caught:
        sent(tmp_path, body(b"false"), bounds)
    assert caught.value.kind == "no-consent"


def test_only_texts_may_be_long(tmp_path):
    """S3: a form of thirty fields takes no megabytes of memory."""
    bounds = Bounds(
        "clip", frozenset({"text", "seed"}), 1_000_000, texts=frozenset({"text"}), most_text=50_000
    )
    long = b"1" * 10_000
    assert sent(tmp_path, [part("text", long), END], bounds)[0]["text"] == long.decode()
    with pytest.raises(Problem) as caught:
        sent(tmp_path, [part("seed", long), END], bounds)
    assert caught.value.kind == "too-large"


def test_a_disk_that_is_nearly_full_takes_nothing(tmp_path, monkeypatch):
    """Before a byte comes where the length is known, and on the way where it is not."""
    usage = namedtuple("usage", "total used free")
    free = [forms.SPARE + 100]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, free[0]))
    length = [(b"content-length", b"5000")]
    with pytest.raises(Problem) as caught:
        sent(tmp_path, [BODY], headers=length)
    assert caught.value.kind == "disk-full"
    assert sent(tmp_path, [BODY])[1] == b"sound"

    def body():
        yield part("audio", b"")[:-2]
        while True:
            free[0] -= 100
            yield b"\x55" * 1_000_000

    with pytest.raises(Problem) as caught:
        sent(tmp_path, body(), Bounds("audio", frozenset(), most=50_000_000))
    assert caught.value.kind == "disk-full"
    assert list(tmp_path.iterdir()) == []

"""What drives the page: a home of the sample owner, `twin serve` over it, and Chromium.

Everything is real: FastAPI, the gateway on Deno, the language model and the voice. The adapter has
small random weights; the tests that train make one of their own.
"""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.pages import browser as browsers
from tests.test_docs import THOTA, World, environment, set_up

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

REPOSITORY = Path(__file__).parents[2]
LOADED = 20_000
"""Milliseconds for what a model has to be loaded for, on a busy machine."""


@dataclass(frozen=True)
class Stack:
    """A running twin."""

    home: Path
    """HOME of its owner; TWIN_HOME is .aitwin in it."""
    address: str

    def twin(self, *command: str) -> str:
        """What a command of this owner's prints."""
        done = subprocess.run(
            ["twin", *command],
            env=environment(self.home),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def stack(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("pages")
    shutil.copytree(THOTA, home / "Mail")
    set_up(World(home, ""), smollm2)
    log = home / "serve.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            ["twin", "serve", "--port", "0"],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=home,
            env=environment(home),
        )
        try:
            yield Stack(home, _address(server, log))
        finally:
            server.terminate()
            assert server.wait(30) == 0
    # Neither what was pasted nor what was written is in what it printed.
    assert "zuccanary" not in log.read_text()


def _address(server: "subprocess.Popen[bytes]", log: Path) -> str:
    until = time.monotonic() + 120
    while server.poll() is None and time.monotonic() < until:
        if found := re.search(r"(http://127\.0\.0\.1:\d+)/login#\S+", log.read_text()):
            return found[1]
        time.sleep(0.2)
    raise AssertionError(log.read_text())


# Not longer than its module: while Playwright is open, an event loop runs in this thread, and no
# test of the server can run one of its own.
@pytest.fixture(scope="module")
def chromium(shared_recording: Path) -> "Iterator[Browser]":
    """Chromium with a microphone that plays a WAV."""
    from playwright.sync_api import sync_playwright

    program = browsers.find()
    if program is None:
        pytest.skip("no Chromium on this machine, and none could be fetched")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(program),
            env=browsers.environment(program),
            args=[
                "--no-sandbox",
                "--autoplay-policy=no-user-gesture-required",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={shared_recording}",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shared_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the microphone hears: the bundled voice, reading."""
    from aitwin.voice.engines import Bundled
    from aitwin.voice.speech import Speech

    path = tmp_path_factory.mktemp("microphone") / "reading.wav"
    spoken = (
        "The kettle is on, and nobody has moved the van. The ferry does not wait for anyone, "
        "so bring the spare parts on Thursday, before the rain comes in from the west."
    )
    Speech(Bundled()).save(spoken, path)
    return path


@pytest.fixture(scope="module")
def session(chromium: "Browser", stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cookies of a browser that followed the link once."""
    link = re.search(r"http://\S+/login#\S+", stack.twin("login"))
    assert link
    context = chromium.new_context()
    page = context.new_page()
    page.goto(link[0])
    page.get_by_role("heading", name="Write", exact=True).wait_for()
    # The link is used up, and not in the history.
    assert "#" not in page.url
    path = tmp_path_factory.mktemp("session") / "state.json"
    context.storage_state(path=path)
    context.close()
    return path


@pytest.fixture
def refusals() -> list[str]:
    """Parts of what the browser says of answers that a test expects to be refusals."""
    return []


@pytest.fixture
def page(chromium: "Browser", stack: Stack, session: Path, refusals: list[str]) -> "Iterator[Page]":
    """A page that is signed in. Fails on errors of the page, and on any request to elsewhere."""
    context = chromium.new_context(
        base_url=stack.address, storage_state=session, permissions=["microphone"]
    )
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(LOADED)
    wrong: list[str] = []
    own = (f"{stack.address}/", "blob:", "data:")
    page.on(
        "console",
        lambda message: wrong.append(message.text) if message.type == "error" else None,
    )
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request",
        lambda request: None if request.url.startswith(own) else wrong.append(request.url),
    )
    yield page
    context.close()
    assert [one for one in wrong if not any(said in one for said in refusals)] == []

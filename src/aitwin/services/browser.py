"""A browser of this machine that opens pages without a window, and writes down what they ask for.

Chromium, or Chrome; others have no net log. Does not judge what it finds: see traces.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
_QUIET = (
    *("--headless", "--disable-gpu", "--no-first-run", "--no-default-browser-check"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-domain-reliability", "--disable-breakpad", "--mute-audio"),
)
_SETTLED = 8000
"""Milliseconds of the page's own time that it gets to ask for everything."""


def find() -> Path | None:
    """The program, or None."""
    found = [path for name in NAMES if (path := shutil.which(name))]
    return next((path for path in map(Path, (*found, *MAC)) if os.access(path, os.X_OK)), None)


def opening(
    browser: Path, address: str, *, profile: Path, log: Path, nested: bool
) -> Sequence[str]:
    """The command that opens an address, prints its document, and ends.

    `nested`: it runs in a sandbox of the system already, and cannot make its own.
    """
    return (
        str(browser),
        *_QUIET,
        *(("--no-sandbox",) if nested else ()),
        f"--user-data-dir={profile}",
        f"--log-net-log={log}",
        f"--virtual-time-budget={_SETTLED}",
        "--dump-dom",
        address,
    )

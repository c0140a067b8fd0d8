"""Which browser drives the pages: the machine's own Chromium, else one that `make test` fetched.

python -m tests.pages.browser    exit code 0 where one is there already
"""

import os
import shutil
import sys
from pathlib import Path

FETCHED = Path(__file__).parents[2] / ".cache" / "chromium"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MAC = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


def find() -> Path | None:
    """The program, or None."""
    own = [found for name in _NAMES if (found := shutil.which(name))]
    candidates = [*map(Path, own), *map(Path, _MAC), FETCHED / "chromium"]
    return next((path for path in candidates if os.access(path, os.X_OK)), None)


def environment(browser: Path) -> dict[str, str]:
    """What the fetched one needs besides: its libraries and fonts lie beside it."""
    if browser.parent != FETCHED:
        return dict(os.environ)
    libraries = FETCHED / "al2023" / "lib"
    return {
        **os.environ,
        "LD_LIBRARY_PATH": str(libraries),
        "FONTCONFIG_PATH": str(FETCHED / "fonts"),
    }


if __name__ == "__main__":
    sys.exit(0 if find() else 1)

"""Pictures of the page for the documentation, taken of the real twin.

    python -m tests.pages.pictures ADDRESS LINK    writes docs/images/{write,training,...}.png

of a twin that is served (`twin serve`), signed in by a link (`twin login`). Take the demo's home:
no picture then shows anybody's mail.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.pages import browser as browsers

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES = Path(__file__).parents[2] / "docs" / "images"
DESKTOP = {"width": 1200, "height": 780}


def write(page: "Page") -> None:
    page.goto("/")
    page.get_by_label("What came in").fill(
        "Hi Thota,\n\ncan we move the review of the lock gates to Thursday at three? "
        "Tom cannot make Wednesday.\n\nMeera"
    )
    page.get_by_label("What I want to say").fill("Thursday works, and Tom brings the drawings")
    page.get_by_text("Short", exact=True).click()
    page.get_by_role("button", name="Write a draft").click()
    page.get_by_role("button", name="Hear it").wait_for(timeout=120_000)
    page.get_by_role("button", name="As the base model writes").click()
    page.get_by_role("button", name="Hear it").nth(1).wait_for(timeout=120_000)
    page.wait_for_timeout(6_000)
    page.get_by_role("button", name="Hear it").first.click()
    page.get_by_role("slider", name="Where it plays").wait_for(timeout=120_000)
    page.wait_for_timeout(3_000)


def training(page: "Page") -> None:
    page.goto("/training/main")
    page.get_by_role("img").first.wait_for()


def data(page: "Page") -> None:
    page.goto("/data/sets/main")
    page.get_by_role("heading", name="From messages to pairs").wait_for()


def health(page: "Page") -> None:
    page.goto("/health")
    page.get_by_role("heading", name="What it takes").wait_for()
    page.get_by_role("button", name="Look now").click()
    page.get_by_text("checks found well").wait_for(timeout=120_000)


ROOMS: dict[str, Callable[["Page"], None]] = {
    "write": write,
    "training": training,
    "data": data,
    "health": health,
}


def take(address: str, link: str, names: list[str]) -> None:
    """One picture of each room, by day."""
    from playwright.sync_api import sync_playwright

    program = browsers.find()
    if program is None:
        raise SystemExit("no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(program),
            env=dict(browsers.environment(program)),
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        context = browser.new_context(base_url=address, viewport=DESKTOP, color_scheme="light")
        page = context.new_page()
        page.goto(link)
        page.get_by_role("heading", name="Write", exact=True).wait_for()
        for name in names:
            ROOMS[name](page)
            page.wait_for_timeout(1_500)
            page.screenshot(path=IMAGES / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    take(sys.argv[1], sys.argv[2], sys.argv[3:] or [*ROOMS])

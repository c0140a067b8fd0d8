"""Which of the two did you write? A page on which the owner guesses, and its score.

A server of the standard library on the loopback address alone, with a random token in its address:
no other program's page can read it or guess for the owner. Which side is whose stays in the server
until the guess is made. Scores go to blind.json, without a word of a text. Does not write drafts.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.style.evaluation.statistics import wilson
from aitwin.style.nearest import words

FILE = "blind.json"
LONGEST_REQUEST = 1024
"""Bytes of a guess."""
FEWEST = 3
"""Rounds without which there is nothing to guess."""

MORE = 40
"""Prompts to ask for when there are too few."""

Side = Literal["left", "right"]


@dataclass(frozen=True)
class Round:
    """One reply of the owner's and one of the twin's, to the same prompt."""

    id: str
    """Of the example."""
    instruction: str = field(repr=False)
    incoming: str = field(repr=False)
    owner: str = field(repr=False)
    twin: str = field(repr=False)

    @property
    def fair(self) -> bool:
        """Whether there is anything to tell apart."""
        texts = words(self.owner), words(self.twin)
        return all(texts) and texts[0] != texts[1]


class Game:
    """The rounds of one sitting, and the score of all sittings with this adapter.

    A round that was guessed is over: who has seen whose is whose guesses no more, and the interval
    of the score takes guesses for independent. Raises TwinError when there are too few rounds, or
    none is left.
    """

    def __init__(self, rounds: Sequence[Round], adapter: str, scores: Path) -> None:
        fair = [one for one in rounds if one.fair]
        if len(fair) < FEWEST:
            raise TwinError(
                f"only {len(fair)} of {len(rounds)} held-out prompts have a whole draft of the "
                "twin's beside your reply; ask for more: `twin eval --blind --prompts "
                f"{max(MORE, 2 * len(rounds))}`"
            )
        self._adapter, self._scores, self._lock = adapter, scores, Lock()
        self._guesses: list[dict[str, Any]] = _earlier(scores, adapter)
        guessed = {guess["example"] for guess in self._guesses}
        self.rounds = [one for one in fair if one.id not in guessed]
        if not self.rounds:
            score = self.score()
            raise TwinError(
                f"all {len(fair)} rounds were guessed already, {score['right']} of "
                f"{score['guesses']} recognised; more of them: `twin eval --blind --prompts "
                f"{max(MORE, 2 * len(rounds))}`, as far as the test part has any"
            )
        self._own: list[Side] = [secrets.choice(("left", "right")) for _ in self.rounds]
        self._done: set[int] = set()

    def shown(self) -> list[dict[str, str]]:
        """The rounds as the page gets them: without whose is which."""
        return [
            {
                "instruction": one.instruction,
                "incoming": one.incoming,
                "left": one.owner if own == "left" else one.twin,
                "right": one.twin if own == "left" else one.owner,
            }
            for one, own in zip(self.rounds, self._own, strict=True)
        ]

    def guess(self, number: int, side: Side) -> dict[str, Any]:
        """Was `side` of round `number` the owner's? Counted once, and kept at once."""
        with self._lock:
            own = self._own[number]
            if number not in self._done:
                self._done.add(number)
                right = side == own
                self._guesses.append({"example": self.rounds[number].id, "right": right})
                self._save()
            return {"own": own, "score": self.score()}

    def score(self) -> dict[str, Any]:
        """Guesses so far, right ones among them, and the binomial interval of that share."""
        right = sum(guess["right"] for guess in self._guesses)
        share = wilson(right, len(self._guesses))
        return {"right": right, "guesses": len(self._guesses), "share": share.as_json()}

    def _save(self) -> None:
        told = {"adapter": self._adapter, **self.score(), "each": self._guesses}
        artifact.write_private(self._scores, json.dumps(told, indent=2))


def _earlier(scores: Path, adapter: str) -> list[dict[str, Any]]:
    """Guesses of earlier sittings with the same adapter."""
    try:
        told = json.loads(scores.read_text())
        if told["adapter"] != adapter:
            return []
        first: dict[str, bool] = {}
        for one in told["each"]:
            # Of rounds that an earlier version asked twice, the second guess is none.
            first.setdefault(str(one["example"]), bool(one["right"]))
        return [{"example": example, "right": right} for example, right in first.items()]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def render(game: Game, nonce: str) -> str:
    """The page."""
    pages = Environment(
        loader=PackageLoader("aitwin.style.evaluation", "."),
        autoescape=True,
        undefined=StrictUndefined,
    )
    return pages.get_template("blind.html.jinja").render(
        rounds=game.shown(), score=game.score(), nonce=nonce
    )


class BlindServer(ThreadingHTTPServer):
    """Serves one game on the loopback address, at a port that is free."""

    daemon_threads = True

    def __init__(self, game: Game) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.game = game
        self.token = secrets.token_urlsafe(24)

    @property
    def origin(self) -> str:
        """Where the page comes from."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        """What to open; nobody else knows it."""
        return f"{self.origin}/{self.token}/"


class _Handler(BaseHTTPRequestHandler):
    server: BlindServer

    def do_GET(self) -> None:
        if not self._admitted("/"):
            return
        nonce = secrets.token_urlsafe(16)
        self._answer(
            render(self.server.game, nonce),
            "text/html; charset=utf-8",
            {
                "Content-Security-Policy": (
                    f"default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-{nonce}'; "
                    "connect-src 'self'; base-uri 'none'; form-action 'none'; "
                    "frame-ancestors 'none'"
                )
            },
        )

    def do_POST(self) -> None:
        if not self._admitted("/guess"):
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LONGEST_REQUEST:
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        guess = _parse(self.rfile.read(int(length)), len(self.server.game.rounds))
        if guess is None:
            self._refuse(HTTPStatus.BAD_REQUEST)
        else:
            self._answer(json.dumps(self.server.game.guess(*guess)), "application/json", {})

    def _admitted(self, path: str) -> bool:
        """Whether the request is from the page itself, to it, and by its secret address.

        A foreign page that has bound its own name to this address sends that name as Host.
        """
        origin = self.headers.get("Origin", self.server.origin)
        host = self.headers.get("Host")
        known = secrets.compare_digest(
            self.path.encode("latin-1", "replace"), f"/{self.server.token}{path}".encode()
        )
        if known and origin == self.server.origin and f"http://{host}" == self.server.origin:
            return True
        self._refuse(HTTPStatus.NOT_FOUND)
        return False

    def _answer(self, body: str, kind: str, headers: Mapping[str, str]) -> None:
        data = body.encode("utf-8", "replace")
        self.send_response(HTTPStatus.OK)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(data)),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the address holds the token."""


def _parse(body: bytes, rounds: int) -> tuple[int, Side] | None:
    """Round and side of a guess; None when it is none."""
    try:
        told = json.loads(body)
        number, side = told["round"], told["side"]
    except (ValueError, KeyError, TypeError):
        return None
    if type(number) is not int or not 0 <= number < rounds or side not in ("left", "right"):
        return None
    return number, side

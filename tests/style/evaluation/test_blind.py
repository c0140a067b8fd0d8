"""The blind page over real HTTP: what it tells, what it keeps, whom it refuses."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from aitwin.errors import TwinError
from aitwin.style.evaluation.blind import FILE, BlindServer, Game, Round

ADAPTER = "a" * 64


def rounds(count: int = 5) -> list[Round]:
    return [
        Round(f"e{n}", "Reply to Ana.", "the roof?", f"No. </script> {n}", f"Thank you, {n}!")
        for n in range(count)
    ]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[BlindServer]:
    with BlindServer(Game(rounds(), ADAPTER, tmp_path / FILE)) as served:
        thread = Thread(target=served.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def ask(server: BlindServer, method: str, path: str, body: str = "", **headers: str) -> Any:
    connection = HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    try:
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers
    finally:
        connection.close()


def test_the_page_holds_both_texts_and_not_whose_they_are(server: BlindServer) -> None:
    status, page, headers = ask(server, "GET", f"/{server.token}/")
    assert status == 200
    assert "Thank you, 3!" in page
    assert "</script> 3" not in page  # a reply cannot end the script
    told = json.loads(page.partition("const rounds = ")[2].partition(";\n")[0])
    assert [set(one) for one in told] == [{"instruction", "incoming", "left", "right"}] * 5
    assert "http" not in page  # nothing is fetched from anywhere
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"


def test_guesses_are_counted_once_and_kept_without_a_word(
    server: BlindServer, tmp_path: Path
) -> None:
    path = f"/{server.token}/guess"
    first = json.loads(ask(server, "POST", path, '{"round": 0, "side": "left"}')[1])
    right = first["own"] == "left"
    assert first["score"]["right"] == int(right)
    again = json.loads(ask(server, "POST", path, '{"round": 0, "side": "right"}')[1])
    assert again["score"]["guesses"] == 1
    second = json.loads(ask(server, "POST", path, '{"round": 1, "side": "left"}')[1])
    assert second["score"]["guesses"] == 2
    kept = (tmp_path / FILE).read_text()
    assert json.loads(kept)["guesses"] == 2
    assert "Thank" not in kept
    assert "No." not in kept
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_nobody_without_the_token_gets_anything(server: BlindServer) -> None:
    for path in ("/", "/guess", "/wrong/", f"/{server.token}", f"/{server.token}/other"):
        assert ask(server, "GET", path)[0] == 404
    assert ask(server, "POST", "/x/guess", '{"round": 0, "side": "left"}')[0] == 404
    assert server.game.score()["guesses"] == 0


def test_a_foreign_page_is_refused(server: BlindServer) -> None:
    path = f"/{server.token}/guess"
    guess = '{"round": 0, "side": "left"}'
    assert ask(server, "POST", path, guess, Origin="http://evil.example")[0] == 404
    assert ask(server, "GET", f"/{server.token}/", Host="evil.example")[0] == 404
    assert ask(server, "POST", path, guess, Origin=server.origin)[0] == 200


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", '{"round": 99, "side": "left"}', '{"round": true, "side": "left"}',
     '{"round": 0, "side": "up"}', '{"round": -1, "side": "left"}', " " * 5000],
)  # fmt: skip
def test_what_is_no_guess_is_refused(server: BlindServer, body: str) -> None:
    assert ask(server, "POST", f"/{server.token}/guess", body)[0] == 400
    assert server.game.score()["guesses"] == 0


def test_the_score_goes_on_in_the_next_sitting_with_what_was_not_seen(tmp_path: Path) -> None:
    scores = tmp_path / FILE
    first = Game(rounds(), ADAPTER, scores)
    for number in (0, 1):
        first.guess(number, "left")
    second = Game(rounds(), ADAPTER, scores)
    assert second.score()["guesses"] == 2
    assert [one.id for one in second.rounds] == ["e2", "e3", "e4"]
    assert Game(rounds(), "b" * 64, scores).score()["guesses"] == 0  # another adapter


def test_when_all_rounds_were_guessed_more_are_to_be_asked_for(tmp_path: Path) -> None:
    scores = tmp_path / FILE
    first = Game(rounds(3), ADAPTER, scores)
    for number in range(3):
        first.guess(number, "left")
    right = first.score()["right"]
    with pytest.raises(TwinError, match=rf"all 3 .* {right} of 3 recognised.*--prompts 40"):
        Game(rounds(3), ADAPTER, scores)
    assert len(Game(rounds(5), ADAPTER, scores).rounds) == 2


def test_a_round_that_was_guessed_twice_before_counts_once(tmp_path: Path) -> None:
    twice = [{"example": "e0", "right": False}, {"example": "e0", "right": True}]
    (tmp_path / FILE).write_text(json.dumps({"adapter": ADAPTER, "each": twice}))
    score = Game(rounds(), ADAPTER, tmp_path / FILE).score()
    assert (score["right"], score["guesses"]) == (0, 1)


def test_sides_are_drawn_anew_each_time(tmp_path: Path) -> None:
    games = [Game(rounds(20), ADAPTER, tmp_path / FILE) for _ in range(3)]
    lefts = [tuple(one["left"].startswith("No") for one in game.shown()) for game in games]
    assert len(set(lefts)) > 1
    assert 0 < sum(map(sum, lefts)) < 60


def test_rounds_without_a_difference_are_left_out_and_too_few_are_refused(tmp_path: Path) -> None:
    same = [Round(f"s{n}", "", "", "Ok.", "ok") for n in range(9)]
    empty = [Round("x", "", "", "Ok.", "")]
    assert len(Game([*same, *empty, *rounds()], ADAPTER, tmp_path / FILE).rounds) == 5
    with pytest.raises(TwinError, match="only 0 of 10 held-out prompts"):
        Game([*same, *empty], ADAPTER, tmp_path / FILE)

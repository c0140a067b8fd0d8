import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import style_models
from style_samples import PERSONA, example

from aitwin import prompt
from aitwin.errors import TwinError
from aitwin.prompt import ChatMessage, Task
from aitwin.style.adapter import StyleAdapter
from aitwin.style.engine import LlamaCpp, Loading, Sampling, TooLongError, _trade

GREEDY = Sampling(24, temperature=0.0)
LONG = Sampling(2000, temperature=1.5, repeat_penalty=1.5)
MESSAGES = prompt.messages(PERSONA, Task("Thank Ana for the spare parts."))
OTHERS = prompt.messages(PERSONA, Task("Tell my neighbour that I cannot come on Saturday."))


def text(engine: LlamaCpp, messages: list[ChatMessage], **options: bool) -> str:
    return "".join(engine.stream(messages, GREEDY, **options))


@pytest.fixture(scope="module")
def twin(smollm2: Path, finished: tuple[StyleAdapter, object, object]) -> Iterator[LlamaCpp]:
    """The base with a trained adapter."""
    with LlamaCpp(smollm2, finished[0].gguf, threads=2) as engine:
        yield engine


# --- Text -----------------------------------------------------------------------------------------


def test_text_comes_in_pieces(engine: LlamaCpp) -> None:
    """W2."""
    pieces = list(engine.stream(MESSAGES, GREEDY))
    assert len(pieces) > 5
    written = [piece for piece in pieces if piece]
    assert pieces[-len(written) :] == written  # empty ones come while the prompt is read alone
    assert "".join(pieces) == text(engine, MESSAGES)


def test_whoever_asks_may_leave_while_the_prompt_is_read(engine: LlamaCpp) -> None:
    """S4: a step of 128 tokens is the last one, not the 500 of the prompt."""
    long = prompt.messages(PERSONA, Task("Thank Ana.", "word and " * 250))
    with closing(engine.stream(long, GREEDY)) as pieces:
        assert [next(pieces), next(pieces), next(pieces)] == ["", "", ""]
    assert text(engine, MESSAGES)


def test_a_seed_gives_the_same_text_and_another_seed_another(engine: LlamaCpp) -> None:
    drawn = [
        "".join(engine.stream(MESSAGES, Sampling(24, temperature=1.0, seed=seed)))
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_greedy_knows_no_seed(engine: LlamaCpp) -> None:
    texts = {
        "".join(engine.stream(MESSAGES, Sampling(16, temperature=0.0, seed=seed)))
        for seed in (1, 2, 3)
    }
    assert len(texts) == 1


def test_at_most_so_many_tokens(engine: LlamaCpp) -> None:
    drawn = "".join(engine.stream(MESSAGES, Sampling(7, temperature=0.0)))
    assert 0 < len(engine.tokenize(drawn)) <= 7


def test_the_marks_of_turns_are_no_text(engine: LlamaCpp) -> None:
    """W3: the draft ends where the turn ends."""
    drawn = "".join(engine.stream(MESSAGES, Sampling(300, temperature=0.0)))
    assert "<|" not in drawn


# --- Base and twin --------------------------------------------------------------------------------


def test_base_and_twin_in_turn_answer_as_each_alone(
    twin: LlamaCpp, engine: LlamaCpp, smollm2: Path, finished: tuple[StyleAdapter, object, object]
) -> None:
    """llama.cpp reuses a stale cache when the scale of the adapter changes between requests.

    Each is held against an engine that was never asked anything else; scores come between.
    """
    with LlamaCpp(smollm2, finished[0].gguf, threads=2) as fresh:
        alone = {(True, 0): text(fresh, MESSAGES)}
    with LlamaCpp(smollm2, finished[0].gguf, threads=2) as fresh:
        alone[True, 1] = text(fresh, OTHERS)
    alone[False, 0], alone[False, 1] = text(engine, MESSAGES), text(engine, OTHERS)
    assert alone[True, 0] != alone[False, 0]
    asked = (MESSAGES, OTHERS)
    for adapted, which in ((1, 0), (0, 0), (0, 1), (1, 1), (1, 0), (0, 1), (1, 1), (0, 0)):
        assert text(twin, asked[which], adapted=bool(adapted)) == alone[bool(adapted), which]
        twin.score(asked[1 - which], "No. T.", adapted=not adapted)


@pytest.mark.parametrize("adapted", [True, False])
def test_a_prompt_of_before_is_not_remembered_under_the_other_scale(
    smollm2: Path, finished: tuple[StyleAdapter, object, object], adapted: bool
) -> None:
    """llama.cpp kept long prompts for later without the scale under which it had read them.

    A by one, B by the other, A by the other: as if the first had never been asked.
    """
    long = [
        prompt.messages(PERSONA, Task(f"{name}: " + f"{name} saw the roof. " * 60))
        for name in ("Ana", "Jonas")
    ]
    scores = []
    for first in ([(long[0], adapted)], []):
        with LlamaCpp(smollm2, finished[0].gguf, threads=2) as fresh:
            for messages, which in (*first, (long[1], not adapted)):
                text(fresh, messages, adapted=which)
            scores.append(fresh.score(long[0], "No. T.", adapted=not adapted).log_probability)
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_scores_of_base_and_twin_in_turn_are_those_of_each_alone(
    twin: LlamaCpp, engine: LlamaCpp
) -> None:
    alone = engine.score(MESSAGES, "No. T.").log_probability
    first = twin.score(MESSAGES, "No. T.").log_probability
    assert twin.score(MESSAGES, "No. T.", adapted=False).log_probability == pytest.approx(
        alone, abs=1e-3
    )
    assert twin.score(MESSAGES, "No. T.").log_probability == pytest.approx(first, abs=1e-3)
    assert abs(first - alone) > 0.1


# --- Scores ---------------------------------------------------------------------------------------


def test_a_score_is_the_sum_of_its_steps(engine: LlamaCpp) -> None:
    """Against the model asked for one token at a time with its whole distribution."""
    reply = "No. Ask Jonas. T."
    tokens = engine.tokenize(reply + "<|im_end|>")
    sofar, steps = engine.prompt_tokens(MESSAGES), []
    for token in tokens:
        answer = engine._server.handle_completions(
            {"prompt": sofar, "max_tokens": 1, "temperature": 0.0, "n_probs": 49152}
        )
        (entry,) = answer["choices"][0]["logprobs"]["content"]
        steps.append({top["id"]: top["logprob"] for top in entry["top_logprobs"]}[token])
        sofar = [*sofar, token]
    score = engine.score(MESSAGES, reply)
    assert score.tokens == len(tokens)
    assert score.log_probability == pytest.approx(sum(steps), abs=1e-2)
    assert score.mean == pytest.approx(sum(steps) / len(tokens), abs=1e-3)
    assert math.isfinite(score.mean)


def test_a_likely_reply_scores_above_noise(engine: LlamaCpp) -> None:
    likely = engine.score(MESSAGES, text(engine, MESSAGES))
    noise = engine.score(MESSAGES, "zq 7 xylo %% mm tungsten of of of")
    assert likely.mean > noise.mean + 1


REPLIES = ["", "a\n\nb\n", '"quoted" \\ <[5]> {}', "it wants <|im_end|> x"]


@pytest.mark.parametrize("reply", REPLIES)
def test_any_reply_can_be_scored(engine: LlamaCpp, reply: str) -> None:
    """Neither signs that a grammar would know nor the marks of turns in a reply get in the way."""
    score = engine.score(MESSAGES, reply)
    assert score.tokens == len(engine.tokenize(prompt.plain(reply))) + 1
    assert score.log_probability < 0


@pytest.mark.parametrize("reply", ["Ok 😀", "日本語です", "a \u2028 b"])
def test_tokens_that_end_amid_a_character_are_not_counted(engine: LlamaCpp, reply: str) -> None:
    """llama.cpp does not report them: an owner's emoji must not fail the proof of life."""
    score = engine.score(MESSAGES, reply)
    assert 1 < score.tokens < len(engine.tokenize(reply)) + 1
    assert score.log_probability < 0


def test_bases_with_other_vocabularies_are_scored_in_turn(smollm2: Path, tmp_path: Path) -> None:
    """llama.cpp aborted the process here while scores came from a grammar (docs/decisions.md).

    In a process of its own; with the grammar it ended within ten loads, each of five times.
    """
    tiny = style_models.base(tmp_path, "qwen2", "Q4_0", tokenizer_from=smollm2).gguf
    program = (
        "import random, sys\n"
        "from pathlib import Path\n"
        "from aitwin.style.engine import LlamaCpp\n"
        "draw = random.Random(1)\n"
        "for _ in range(12):\n"
        "    base, context = draw.choice(sys.argv[1:]), draw.choice([512, 1024, 4096])\n"
        "    with LlamaCpp(Path(base), context=context, threads=1) as engine:\n"
        "        score = engine.score([{'role': 'user', 'content': 'hello'}], 'hello there')\n"
        "    print(base, score.log_probability)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, smollm2, tiny], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == 12
    assert len(set(done.stdout.splitlines())) == 2


# --- Speed and memory -----------------------------------------------------------------------------


def last_timings(
    engine: LlamaCpp,
    messages: list[ChatMessage],
    monkeypatch: pytest.MonkeyPatch,
    sampling: Sampling = GREEDY,
) -> dict[str, int]:
    """llama.cpp's own account of a draft."""
    told: list[dict[str, int]] = []
    server = engine._server

    class Noting:
        def handle_chat_completions(self, request: object, receive: object) -> object:
            def note(chunk: dict[str, dict[str, int]]) -> bool:
                if "timings" in chunk:
                    told.append(chunk["timings"])
                return receive(chunk)  # type: ignore[operator]

            return server.handle_chat_completions(request, note)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "_server", Noting())
        list(engine.stream(messages, sampling))
    return told[-1]


def test_the_standing_instruction_is_read_once(
    engine: LlamaCpp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second request of another task reads its own words alone."""
    text(engine, MESSAGES)
    timings = last_timings(engine, OTHERS, monkeypatch)
    tokens = engine.prompt_tokens(MESSAGES), engine.prompt_tokens(OTHERS)
    same = next(place for place, (a, b) in enumerate(zip(*tokens, strict=False)) if a != b)
    system = len(engine.prompt_tokens(MESSAGES[:1]))
    assert same > system / 2
    assert timings["cache_n"] >= same - 1
    assert timings["cache_n"] + timings["prompt_n"] == len(tokens[1])


QUOTING = prompt.messages(
    PERSONA,
    Task(
        "Write this again, word for word.",
        "The twelve hydraulic seals of type NBR-70 leave Rotterdam on 14 March and arrive at the "
        "warehouse on 19 March. Please confirm the address of the warehouse and the number.",
    ),
)


def test_guessing_what_is_quoted_changes_no_text(
    smollm2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Greedy and drawn alike, from the same state; and it is on, or this would compare nothing."""
    greedy, drawn = Sampling(30, 0.0, repeat_penalty=1.0), Sampling(10, seed=3)
    texts = []
    for quoting in (True, False):
        loading = Loading(quoting=quoting)
        with LlamaCpp(smollm2, context=512, threads=1, loading=loading) as engine:
            timings = last_timings(engine, QUOTING, monkeypatch, greedy)
            assert (timings.get("draft_n_accepted", 0) > 0) == quoting
            asked = ((QUOTING, greedy), (MESSAGES, drawn), (QUOTING, drawn))
            texts.append(["".join(engine.stream(*one)) for one in asked])
    assert texts[0] == texts[1]


def test_what_is_quoted_is_scored_as_anything_else(smollm2: Path) -> None:
    """llama.cpp reports other log-probabilities for words that it had guessed from the prompt.

    The sum is that of a reply asked about word by word; an engine that guesses refuses to score.
    """
    mail = QUOTING[-1]["content"]
    quoted = " ".join(mail.split()[-30:])
    with LlamaCpp(smollm2, context=1024, threads=1) as engine:
        whole = engine.score(QUOTING, quoted)
        tokens, sofar, steps = engine.tokenize(quoted + "<|im_end|>"), [], 0.0
        sofar = engine.prompt_tokens(QUOTING)
        for token in tokens:
            answer = engine._server.handle_completions(
                {"prompt": sofar, "max_tokens": 1, "temperature": 0.0, "n_probs": 49152}
            )
            (entry,) = answer["choices"][0]["logprobs"]["content"]
            steps += {top["id"]: top["logprob"] for top in entry["top_logprobs"]}[token]
            sofar = [*sofar, token]
    assert whole.tokens == len(tokens)
    assert whole.log_probability == pytest.approx(steps, rel=0.02)
    with (
        LlamaCpp(smollm2, context=1024, threads=1, loading=Loading(quoting=True)) as guessing,
        pytest.raises(RuntimeError, match="does not score"),
    ):
        guessing.score(QUOTING, quoted)


def test_large_models_are_not_copied_into_another_order() -> None:
    """R1: 4.9 GB instead of 8.0 GB for a 7B."""
    import xllamacpp

    def parameters(loading: Loading, size: int) -> Any:
        made = xllamacpp.CommonParams()
        _trade(made, loading, size)
        return made

    assert parameters(Loading(), 98_000_000).no_extra_bufts is False
    assert parameters(Loading(), 4_700_000_000).no_extra_bufts is True
    assert parameters(Loading(repack=True), 4_700_000_000).no_extra_bufts is False
    q8_0 = xllamacpp.ggml_type.GGML_TYPE_Q8_0
    assert parameters(Loading(), 1).cache_type_k != q8_0
    small = parameters(Loading(small_cache=True), 1)
    assert small.cache_type_k == small.cache_type_v == q8_0


def test_a_small_cache_writes_too(smollm2: Path) -> None:
    loading = Loading(small_cache=True, repack=False)
    with LlamaCpp(smollm2, context=256, threads=1, loading=loading) as engine:
        assert text(engine, MESSAGES)


# --- Refusals -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def narrow(smollm2: Path) -> Iterator[LlamaCpp]:
    with LlamaCpp(smollm2, context=256, threads=2) as engine:
        yield engine


def test_a_prompt_that_is_too_long_is_refused_with_counts(narrow: LlamaCpp) -> None:
    long = example("secret " * 600).messages[:-1]
    count = len(narrow.prompt_tokens(long))
    for attempt in (
        lambda: list(narrow.stream(long, GREEDY)),
        lambda: narrow.score(long, "No."),
        lambda: narrow.score(MESSAGES, "secret " * 300),
    ):
        with pytest.raises(TooLongError, match=r"has \d+ tokens, the context holds 256") as error:
            attempt()
        assert "secret" not in str(error.value)
    with pytest.raises(TooLongError, match=f"has {count} tokens"):
        list(narrow.stream(long, GREEDY))
    assert text(narrow, MESSAGES)


def test_what_llama_cannot_read_is_no_leak(
    narrow: LlamaCpp, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its own error quotes the request, which is a mail."""
    with pytest.raises(TwinError) as error:
        list(narrow.stream([{"role": "user", "content": "my secret \ud83d"}], GREEDY))
    assert "secret" not in str(error.value)
    assert "secret" not in "".join(capfd.readouterr())
    assert text(narrow, MESSAGES)


def test_files_that_are_missing_or_damaged(smollm2: Path, tmp_path: Path) -> None:
    missing, damaged = tmp_path / "missing.gguf", tmp_path / "damaged.gguf"
    with smollm2.open("rb") as whole:
        damaged.write_bytes(whole.read(5_000_000))
    for base, adapter, named in (
        (missing, None, missing),
        (smollm2, missing, missing),
        (damaged, None, damaged),
        (smollm2, damaged, damaged),
        (tmp_path, None, tmp_path),
    ):
        with pytest.raises(TwinError) as error:
            LlamaCpp(base, adapter, threads=1)
        assert str(named) in str(error.value)
        assert "twin " in str(error.value)


def test_a_template_without_a_system_turn_is_refused(
    narrow: LlamaCpp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reply in the shape that llama.cpp gives when the template raises; made by hand."""
    answer = {"error": {"code": 500, "type": "server_error", "message": "secret"}}
    monkeypatch.setattr(narrow, "_post", lambda path, body: answer)
    with pytest.raises(TwinError, match="may not know a system message") as error:
        narrow.prompt_tokens(MESSAGES)
    assert "secret" not in str(error.value)


# --- Manners --------------------------------------------------------------------------------------


def test_closing_the_iterator_frees_the_engine(
    engine: LlamaCpp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 2,000 tokens asked for, only those until the close are made, and no thread stays."""
    made = 0
    server = engine._server

    class Counting:
        def handle_chat_completions(self, request: object, receive: object) -> object:
            def count(chunk: dict[str, object]) -> bool:
                nonlocal made
                made += 1
                return receive(chunk)  # type: ignore[operator]

            return server.handle_chat_completions(request, count)

    monkeypatch.setattr(engine, "_server", Counting())
    with closing(engine.stream(MESSAGES, LONG)) as pieces:
        for _ in range(3):
            next(pieces)
    monkeypatch.undo()
    assert made < 200
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("llama.cpp")]
    assert text(engine, OTHERS)


def test_requests_from_many_threads_wait_for_each_other(engine: LlamaCpp) -> None:
    expected = {"a": text(engine, MESSAGES), "b": text(engine, OTHERS)}
    got: list[tuple[str, str]] = []

    def ask(name: str, messages: list[ChatMessage]) -> None:
        got.append((name, text(engine, messages)))

    threads = [
        threading.Thread(target=ask, args=args) for args in (("a", MESSAGES), ("b", OTHERS)) * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 6
    assert all(expected[name] == answer for name, answer in got)


def inet_sockets() -> set[str]:
    """Inodes of the internet sockets that this process holds."""
    held = set()
    for handle in Path("/proc/self/fd").iterdir():
        try:
            held.add(str(handle.readlink()))
        except OSError:
            continue  # the handle of the listing itself
    rows = [
        line.split()[9]
        for name in ("tcp", "tcp6", "udp", "udp6")
        if (table := Path("/proc/self/net") / name).exists()
        for line in table.read_text().splitlines()[1:]
    ]
    return {inode for inode in rows if f"socket:[{inode}]" in held}


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="reads Linux's socket tables")
def test_no_internet_socket_is_opened(smollm2: Path) -> None:
    """W4, P1: it listens on a Unix socket in a directory of its own, and nowhere else."""
    before = inet_sockets()
    with LlamaCpp(smollm2, context=256, threads=1) as engine:
        assert text(engine, MESSAGES)
        engine.prompt_tokens(MESSAGES)
        assert inet_sockets() == before
        folder = engine._socket.parent
        assert folder.stat().st_mode & 0o777 == 0o700
        assert [path.is_socket() for path in folder.iterdir()] == [True]
    assert not folder.exists()


def test_nothing_is_printed(smollm2: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No word of a prompt or draft, nor anything else, gets into a terminal or a service's log."""
    with LlamaCpp(smollm2, context=256, threads=1) as engine:
        text(engine, MESSAGES)
        engine.score(MESSAGES, "No.")
        with pytest.raises(TwinError):
            text(engine, example("secret " * 600).messages[:-1])
    assert capfd.readouterr() == ("", "")


def test_closed_is_closed(smollm2: Path) -> None:
    engine = LlamaCpp(smollm2, context=256, threads=1)
    engine.close()
    engine.close()
    for attempt in (
        lambda: text(engine, MESSAGES),
        lambda: engine.score(MESSAGES, "No."),
        lambda: engine.prompt_tokens(MESSAGES),
    ):
        with pytest.raises(RuntimeError, match="closed"):
            attempt()


def test_a_sampling_is_what_llama_is_told() -> None:
    assert Sampling(5, 0.1, 0.2, 1.3, 4).as_request() == {
        "max_tokens": 5,
        "temperature": 0.1,
        "top_p": 0.2,
        "repeat_penalty": 1.3,
        "seed": 4,
    }

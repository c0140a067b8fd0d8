"""twin voice: recordings in, made ready, shown, kept elsewhere, deleted (V1 to V4, P4)."""

import io
import json
import os
import signal
import stat
import threading
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aitwin import artifact
from aitwin.cli import at_work, choosing
from aitwin.home import VOICES_MARKER, Home
from aitwin.voice import consent, sealed, voices
from aitwin.voice.consent import Consent
from aitwin.voice.engines import Bundled
from aitwin.voice.voices import Voice
from tests.cli.conftest import CANARY, Twin

OPENS = "four words and more"
SENTENCES = (
    "The kettle is on and the boat has not come back yet.",
    "Nobody has moved the van since Thursday, and it rains.",
    "Please bring the blue folder when you come to see us tomorrow.",
)


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirteen seconds of clean speech."""
    speaker, rate = Bundled(), 24_000
    rest = np.zeros(rate // 2, np.float32)
    parts = [rest]
    for seed, sentence in enumerate(SENTENCES):
        parts += [speaker.speak(sentence, seed=seed).samples, rest]
    sound = np.concatenate(parts)
    sound += np.random.default_rng(0).normal(0, 5e-4, len(sound)).astype(np.float32)
    path = tmp_path_factory.mktemp("spoken") / "spoken.wav"
    soundfile.write(path, sound, rate, "PCM_24")
    return path


def recording(path: Path, seed: int = 0, seconds: float = 3.5, rate: int = 16_000) -> Path:
    """A file that may be added; not worth preparing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate))
    soundfile.write(path, sound.astype(np.float32), rate)
    return path


@pytest.fixture
def ana(owner: Twin, tmp_path: Path) -> Twin:
    """An owner with a voice of two takes, not prepared yet."""
    for seed in range(2):
        recording(tmp_path / "takes" / f"{seed}.wav", seed)
    result = owner(
        *("voice", "add", tmp_path / "takes", "--emotion", "sad", "--name", "Ana"), "--no-prepare"
    )
    assert result.code == 0, result
    return owner


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(f"{OPENS}\n")
    return path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that lies open: age takes a second and a gigabyte to seal one, on purpose."""
    from pyrage import passphrase

    monkeypatch.setattr(passphrase, "encrypt", lambda key, _: key)
    monkeypatch.setattr(passphrase, "decrypt", lambda key, _: key)


def opened(home: Path, voice_id: str = "ana") -> Voice:
    return voices.open_(home / "voices", voice_id)


def exposed(home: Path) -> list[str]:
    """What in a directory others could read."""
    return [
        str(path)
        for path in home.rglob("*")
        if stat.S_IMODE(path.stat().st_mode) != (0o700 if path.is_dir() else 0o600)
    ]


# --- Looking --------------------------------------------------------------------------------------


def test_without_a_voice_of_ones_own_both_ways_to_one_are_told(twin: Twin, home: Path) -> None:
    result = twin("voice", "list")
    assert result.code == 0
    assert "bundled" in result.out
    assert "twin voice record" in result.err
    assert "twin voice add" in result.err
    assert not home.exists()
    twin("voice", "show").refused("no voice yet", "twin voice record")


def test_list_and_show_are_plain_values(ana: Twin, home: Path) -> None:
    """Neither a path, nor a device, nor a word of a prompt."""
    sound = recording(home.parent / "prompted.wav", 7)
    opened(home).add(
        sound,
        {"emotion": "happy", "seconds": 3.5, "sample_rate": 16_000, "channels": 1}
        | {"prompt": CANARY, "prompt_id": "happy-1", "device": CANARY},
    )
    _, row = ana("voice", "list", "--json").json
    assert (row["id"], row["name"], row["takes"], row["grades"]) == ("ana", "Ana", 3, {})
    assert row["minutes"] == round(3 * 3.5 / 60, 2)
    assert (row["consent"], row["profile"], row["ready"]) == (None, False, False)
    assert any("twin voice prepare ana" in step for step in row["missing"])
    result = ana("voice", "show", "Ana", "--json")
    shown = result.json
    assert {one["emotion"]: one["takes"] for one in shown["emotions"]}["sad"] == 2
    assert len(shown["emotions"]) == 9
    assert [take["prompted"] for take in shown["takes"]] == [False, False, True]
    for printed in (result.out, ana("voice", "show").out, ana("voice", "list").out):
        assert CANARY not in printed
        assert str(home) not in printed


def test_a_damaged_take_holds_nothing_else_up(ana: Twin, home: Path) -> None:
    """It is told, with exit code 1, by whatever looks at the voice; all the rest is shown."""
    take, other = opened(home).takes()
    (take.path / "manifest.json").write_text(f'{{"seconds": "many", "prompt": "{CANARY}"}}')
    voices.create(home / "voices", "Bo")
    for command in ("list", "show ana", "report ana", "prepare ana"):
        result = ana("voice", *command.split())
        result.refused(take.id, "twin voice drop ana")
        shown = {"list": "bo", "show ana": other.id, "report ana": "report.html"}
        assert shown.get(command, "") in result.out
    assert [row["id"] for row in ana("voice", "list", "--json").json[1:]] == ["ana", "bo"]
    assert ana("voice", "prepare", "ana", "--json").json["takes"] == 1
    assert opened(home).prepared(other) is not None
    again = ana("voice", "add", take.path, "--emotion", "sad", "--voice", "ana", "--no-prepare")
    assert again.code == 0, again
    assert ana("voice", "drop", "ana", take.id).code == 0
    assert len(opened(home).takes()) == 1


def test_a_damaged_voice_hides_no_other_and_can_be_deleted(ana: Twin, home: Path) -> None:
    voices.create(home / "voices", "Bo")
    (home / "voices" / "bo" / "manifest.json").write_text('{"name": 5}')
    result = ana("voice", "list")
    result.refused("bo/manifest.json", "twin voice delete bo")
    assert "ana" in result.out
    assert ana("voice", "show").code == 0
    ana("voice", "show", "bo").refused("bo/manifest.json", "backup")
    asked = ana("voice", "delete", "bo", stdin="y\n")
    assert asked.code == 0, asked
    assert "Delete bo with 0 takes" in asked.out + asked.err
    assert ana("voice", "list").code == 0


# --- Adding ---------------------------------------------------------------------------------------


def test_the_first_voice_is_called_as_its_owner(owner: Twin, home: Path, tmp_path: Path) -> None:
    file = recording(tmp_path / "a.wav")
    result = owner("voice", "add", file, "--emotion", "neutral", "--no-prepare", "--json")
    assert result.code == 0
    assert (result.json["id"], result.json["takes"]) == ("thota", 1)
    assert exposed(home) == []


def test_before_init_a_name_is_asked_for(twin: Twin, tmp_path: Path) -> None:
    file = recording(tmp_path / "a.wav")
    add = ("voice", "add", file, "--emotion", "neutral", "--no-prepare")
    twin(*add).refused("--name NAME")
    assert twin(*add, "--name", "Ana").code == 0
    assert "ana" in twin("voice", "list").out


def test_every_file_that_cannot_be_used_is_told_and_the_others_are_added(
    owner: Twin, home: Path, tmp_path: Path
) -> None:
    """V2: under 16 kHz is refused, with the reason."""
    folder = tmp_path / "takes"
    recording(folder / "good.wav", 1)
    recording(folder / "deeper" / "good.flac", 2)
    recording(folder / ".hidden" / "x.wav", 3)
    recording(folder / "phone.wav", 4, rate=8_000)
    recording(folder / "short.wav", 5, seconds=1.0)
    (folder / "broken.mp3").write_bytes(CANARY.encode() * 100)
    (folder / "notes.txt").write_text(CANARY)
    gone = tmp_path / "gone.wav"
    result = owner("voice", "add", folder, gone, "--emotion", "sad", "--no-prepare", "--name", "A")
    assert result.code == 1
    assert result.err.count("twin: ") == 4
    for said in ("phone.wav", "8,000", "short.wav", "broken.mp3", "gone.wav", "added 2 recordings"):
        assert said in result.err
    for silent in (CANARY, "Traceback", "notes.txt", ".hidden"):
        assert silent not in result.err
    assert len(opened(home, "a").takes()) == 2


def test_nothing_usable_makes_no_voice(owner: Twin, home: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    add = ("voice", "add", "--emotion", "sad", "--no-prepare", "--name", "Ana")
    owner(*add, tmp_path / "empty").refused("no recording")
    owner(*add, tmp_path / "gone.wav").refused("gone.wav")
    assert not (home / "voices").exists()


def test_a_recording_that_is_here_already_is_not_added_twice(ana: Twin, tmp_path: Path) -> None:
    add = ("voice", "add", tmp_path / "takes", "--no-prepare")
    again = ana(*add, "--emotion", "sad")
    assert "added 0 recordings" in again.err
    assert "2 were here already" in again.err
    assert "is here as sad" in ana(*add, "--emotion", "happy").err


def test_which_voice_and_which_emotion_must_be_clear(ana: Twin, home: Path, tmp_path: Path) -> None:
    file = recording(tmp_path / "x.wav", 9)
    wrong = ana("voice", "add", file, "--emotion", "bored")
    assert wrong.code == 2
    assert "playful" in wrong.err
    assert ana("voice", "add", file, "--emotion", "sad", "--voice", "a", "--name", "b").code == 2
    voices.create(home / "voices", "Bo")
    add = ("voice", "add", file, "--emotion", "sad", "--no-prepare")
    ana(*add).refused("which voice", "ana, bo")
    ana(*add, "--voice", "cy").refused("'cy'", "ana, bo")
    assert ana(*add, "--voice", "bo").code == 0
    assert [len(opened(home, one).takes()) for one in ("ana", "bo")] == [2, 1]


def test_a_name_that_is_known_goes_on_with_its_voice(ana: Twin, home: Path, tmp_path: Path) -> None:
    """As `twin voice record --name` does."""
    file = recording(tmp_path / "x.wav", 9)
    result = ana("voice", "add", file, "--emotion", "sad", "--no-prepare", "--name", "ANA")
    assert result.code == 0, result
    assert len(opened(home).takes()) == 3


def test_the_same_sound_in_another_format_is_not_added_twice(
    ana: Twin, home: Path, tmp_path: Path
) -> None:
    sound, rate = soundfile.read(tmp_path / "takes" / "0.wav", dtype="int16")
    soundfile.write(tmp_path / "same.flac", sound, rate)
    soundfile.write(tmp_path / "shorter.flac", sound[:-1], rate)
    add = ("voice", "add", "--emotion", "sad", "--no-prepare")
    result = ana(*add, tmp_path / "same.flac")
    assert "added 0 recordings" in result.err
    assert "1 were here already" in result.err
    assert "added 1 recordings" in ana(*add, tmp_path / "shorter.flac").err
    assert len(opened(home).takes()) == 3


def test_what_a_cut_off_file_lacks_is_told_when_it_is_added(
    ana: Twin, home: Path, tmp_path: Path
) -> None:
    whole = recording(tmp_path / "x.wav", 9, seconds=8.0)
    cut = tmp_path / "cut.wav"
    cut.write_bytes(whole.read_bytes()[: 44 + 2 * 16_000 * 5])
    result = ana("voice", "add", cut, "--emotion", "sad", "--no-prepare")
    assert result.code == 0
    assert "cut.wav was cut off: 3.0 seconds are missing" in result.err
    assert opened(home).takes()[-1].seconds == 5.0


def test_without_a_terminal_a_bar_leaves_nothing_on_stderr(ana: Twin, tmp_path: Path) -> None:
    file = recording(tmp_path / "x.wav", 9)
    result = ana("voice", "add", file, "--emotion", "sad", "--no-prepare")
    assert "" not in result.err.splitlines()


# --- Made ready -----------------------------------------------------------------------------------


def test_from_a_recording_to_grades_and_a_page(
    owner: Twin, home: Path, spoken: Path, tmp_path: Path
) -> None:
    result = owner(
        *("voice", "add", spoken, "--emotion", "neutral", "--name", "Ana"),
        *("--i-am-the-speaker", "--json"),
    )
    assert result.code == 0, result
    assert sum(result.json["grades"].values()) == 1
    assert result.json["consent"] == "stated"
    assert result.json["profile"] is True
    assert result.json["problems"] == []
    [take] = owner("voice", "show", "--json").json["takes"]
    assert take["grade"] in "ABCD"
    before = {path: path.stat().st_mtime_ns for path in home.rglob("prepared.flac")}
    again = owner("voice", "prepare", "--json")
    assert again.code == 0
    assert {path: path.stat().st_mtime_ns for path in home.rglob("prepared.flac")} == before
    page = owner("voice", "report", "ana")
    assert page.code == 0
    assert Path(page.out.strip()).read_text().startswith("<!doctype html>")
    assert exposed(home) == []
    # The last take gone, nothing that was made of it stays.
    owner("voice", "drop", "ana", take["id"])
    assert not list(home.rglob("*.flac"))
    assert not list(home.rglob("embeddings.npz"))


def test_with_the_encoder_the_profile_knows_who_speaks(
    owner: Twin, home: Path, spoken: Path, shared: Path
) -> None:
    weights = shared / "golden" / "ref_encoder" / "ref_enc_openvoice_v2.safetensors"
    with (home / "twin.toml").open("a") as settings:
        settings.write(f'\n[voice]\nencoder = "{weights}"\n')
    result = owner("voice", "add", spoken, "--emotion", "neutral", "--name", "Ana", "--json")
    assert result.code == 0, result
    assert not any("embedding" in step for step in result.json["missing"])


def test_who_else_speaks_is_told_after_adding_and_whenever_it_is_looked_at(
    owner: Twin, home: Path, spoken: Path, shared: Path
) -> None:
    """Another reader's clips among the owner's takes: named, left out, and what to do about it."""
    place = shared / "golden" / "ref_encoder"
    with (home / "twin.toml").open("a") as settings:
        settings.write(f'\n[voice]\nencoder = "{place / "ref_enc_openvoice_v2.safetensors"}"\n')
    add = ("voice", "add", "--emotion")
    assert owner(*add, "neutral", "--name", "Ana", spoken).code == 0
    result = owner(*add, "sad", *(place / f"spk3331_{clip}.wav" for clip in "ab"))
    assert result.code == 0
    ids = [take.id for take in opened(home).takes() if take.emotion == "sad"]
    assert "ana: sad: 2 takes left out, unlike your other takes (0.4" in result.err
    assert "twin voice drop ana " in result.err
    assert all(take in result.err for take in ids)
    for looked in (owner("voice", "list"), owner("voice", "show")):
        assert "sad: 2 takes left out" in looked.err
    shown = owner("voice", "show", "--json").json
    assert {take["id"] for take in shown["takes"] if not take["usable"]} == set(ids)
    assert {take["standing"]["verdict"] for take in shown["takes"]} == {"like", "unlike"}
    assert any("sad: 2 takes left out" in step for step in shown["advice"])
    dropped = owner("voice", "drop", "ana", *ids)
    assert dropped.code == 0
    assert "left out" not in dropped.err
    assert owner("voice", "list", "--json").json[1]["advice"] == []


def test_base_speakers_that_the_encoder_cannot_be_compared_with_are_none(
    owner: Twin, home: Path, tmp_path: Path
) -> None:
    """A profile says nothing of its nearest base rather than something that is not so."""
    import torch

    from aitwin.home import Home
    from aitwin.rooms import open_base_speakers

    with (home / "twin.toml").open("a") as settings:
        settings.write(f'\n[voice]\nencoder = "{tmp_path / "checkpoint.pth"}"\n')
    (tmp_path / "speakers").mkdir()
    torch.save(torch.ones(1, 3, 1), tmp_path / "speakers" / "en-us.pth")
    here = Home.from_environment()
    assert [*open_base_speakers(here, 3)] == ["en-us"]
    assert open_base_speakers(here, 256) == {}


def test_an_encoder_that_is_not_there_is_told_and_holds_nothing_up(
    owner: Twin, home: Path, spoken: Path
) -> None:
    with (home / "twin.toml").open("a") as settings:
        settings.write('\n[voice]\nencoder = "/nowhere/enc.pth"\n')
    result = owner("voice", "add", spoken, "--emotion", "neutral", "--name", "Ana")
    assert result.code == 0
    assert "/nowhere/enc.pth" in result.err
    assert "usable minutes" in result.err


def test_a_take_that_cannot_be_prepared_is_told_and_stays(
    ana: Twin, home: Path, spoken: Path
) -> None:
    broken = opened(home).takes()[0]
    broken.original.write_bytes(b"no sound any more")
    assert ana("voice", "add", spoken, "--emotion", "sad", "--no-prepare").code == 0
    result = ana("voice", "prepare")
    result.refused(broken.id)
    assert len(opened(home).takes()) == 3
    assert sum(opened(home).prepared(take) is not None for take in opened(home).takes()) == 2


def test_ctrl_c_loses_nothing_and_says_what_goes_on(
    ana: Twin, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*asked: object, **how: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("aitwin.voice.prepare.prepare_all", interrupted)
    result = ana("voice", "prepare")
    assert result.code == 130
    assert "what is done is kept: `twin voice prepare` goes on" in result.err
    assert len(opened(home).takes()) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_it_clears_up_as_ctrl_c_does(
    ana: Twin, home: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = signal.getsignal(number)

    def ended(voice: Voice, *asked: object, **how: object) -> None:
        with artifact.building(voice.path / "prepared" / "x"):
            os.kill(os.getpid(), number)

    monkeypatch.setattr("aitwin.voice.prepare.prepare_all", ended)
    result = ana("voice", "prepare")
    assert result.code == 128 + number
    assert "what is done is kept: `twin voice prepare` goes on" in result.err
    assert list((opened(home).path / "prepared").iterdir()) == []
    assert signal.getsignal(number) == before


# --- Consent, names, deletion ---------------------------------------------------------------------


def test_consent_is_shown_or_given(ana: Twin, home: Path) -> None:
    ana("voice", "consent").refused("nobody has allowed", "--i-am-the-speaker", "--consent")
    assert ana("voice", "consent", "--json").json["kind"] is None
    given = ana("voice", "consent", "ana", "--i-am-the-speaker")
    assert given.code == 0
    assert ana("voice", "consent", "--json").json["kind"] == "stated"
    assert ana("voice", "list", "--json").json[1]["consent"] == "stated"
    assert exposed(home) == []


def test_a_spoken_consent_is_not_replaced_by_a_stated_one(ana: Twin, home: Path) -> None:
    spoken = Consent("spoken", date(2026, 5, 4), CANARY, words=0.9)
    consent.store(opened(home).path / "consent", spoken)
    result = ana("voice", "consent", "ana", "--i-am-the-speaker")
    assert "read aloud already" in result.err
    assert consent.load(opened(home).path / "consent") == spoken
    assert CANARY not in result.out + result.err


def test_a_damaged_consent_is_given_anew(ana: Twin, home: Path) -> None:
    place = opened(home).path / "consent"
    place.mkdir()
    (place / "manifest.json").write_text("{")
    ana("voice", "consent").refused("cannot be read", "--i-am-the-speaker")
    assert ana("voice", "consent", "ana", "--i-am-the-speaker").code == 0
    assert ana("voice", "consent", "--json").json["kind"] == "stated"


def test_a_consent_is_taken_back(ana: Twin, home: Path) -> None:
    """Damaged or not, and with what it was on the machine that it came from."""
    place = opened(home).path
    consent.store(place / consent.IMPORTED, consent.stated("Ana", date(2026, 5, 4)))
    assert ana("voice", "consent", "ana", "--i-am-the-speaker").code == 0
    result = ana("voice", "consent", "ana", "--withdraw")
    assert result.code == 0
    assert "can no longer be cloned" in result.err
    assert list(place.glob("*consent*")) == []
    ana("voice", "consent").refused("nobody has allowed")
    (place / "consent").mkdir()
    (place / "consent" / "manifest.json").write_text("{")
    assert ana("voice", "consent", "--withdraw", "--json").json["kind"] is None
    assert ana("voice", "consent", "ana", "--withdraw", "--i-am-the-speaker").code == 2


def test_a_consent_that_is_taken_back_stays_in_no_profile(
    owner: Twin, home: Path, spoken: Path
) -> None:
    add = ("voice", "add", spoken, "--emotion", "neutral", "--name", "Ana", "--i-am-the-speaker")
    assert owner(*add).code == 0
    manifest = home / "voices" / "ana" / "profile" / "manifest.json"
    assert '"stated"' in manifest.read_text()
    assert owner("voice", "consent", "ana", "--withdraw").code == 0
    assert '"stated"' not in manifest.read_text()
    assert any("consent" in step for step in owner("voice", "show", "--json").json["missing"])


def made_of(voice: Voice) -> None:
    """What a stopped fine-tune, an evaluation and a page to listen to leave."""
    for name in voices.UNDER_WAY | voices.DERIVED:
        (voice.path / name).mkdir(exist_ok=True)
        (voice.path / name / "sound").write_text("sound")
    (voice.path / voices.LISTENING).write_text("sound")


CLONES = {*voices.UNDER_WAY, *voices.DERIVED, voices.LISTENING}


def test_with_the_consent_goes_all_that_speaks_in_the_voice(
    ana: Twin, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V1, P4: and what is at work in another window has ended before."""
    voice = opened(home)
    assert ana("voice", "consent", "ana", "--i-am-the-speaker").code == 0
    made_of(voice)
    begun, waiting, told = threading.Event(), threading.Event(), list[str]()
    monkeypatch.setattr(at_work, "say", lambda text: (told.append(text), waiting.set()))

    def evaluates() -> None:
        with artifact.holding(voice.path), artifact.holding(voice.path / voices.LEARNING):
            begun.set()
            assert waiting.wait(30)
            (voice.path / voices.LISTENING).write_text("its last sentence")

    other = threading.Thread(target=evaluates)
    other.start()
    begun.wait()
    result = ana("voice", "consent", "ana", "--withdraw")
    other.join()
    assert result.code == 0
    assert told[0] == "waiting for another window, which is at work on the voice ana …"
    assert not CLONES & {path.name for path in voice.path.iterdir()}
    assert len(voice.takes()) == 2


def test_what_goes_with_a_dropped_take_is_told(ana: Twin, home: Path) -> None:
    """P4: a whole fine-tune stays, with a word on how to delete it."""
    voice = opened(home)
    first = voice.takes()[0].id
    made_of(voice)
    (voice.path / "finetune" / "sound").unlink()
    (voice.path / "finetune" / "checkpoint.safetensors").write_bytes(b"12345")
    data = {"spk2id": {"neutral": 0}, "n_speakers": 1}
    (voice.path / "finetune" / "config.json").write_text(json.dumps({"data": data}))
    tune = {"version": 1, "size": 5, "metrics": {}, "takes": [first], "sha256": "0" * 64}
    (voice.path / "finetune" / "manifest.json").write_text(json.dumps(tune))
    assert "fine-tune: there is one" in ana("voice", "show", "ana").err
    result = ana("voice", "drop", "ana", first)
    for what in ("a fine-tune that was stopped", "the evaluation", "the page to listen to"):
        assert f"deleted with them: {what}" in result.err
    assert CLONES & {path.name for path in voice.path.iterdir()} == {"finetune"}
    delete = "twin voice finetune ana --delete"
    assert "fine-tune stays: it has learned from 1 takes that are dropped; " in result.err
    assert delete in result.err
    assert delete in ana("voice", "show", "ana").err
    assert "1 takes" in ana("voice", "show", "ana", "--json").json["finetune"]
    (voice.path / voices.LEARNING).mkdir()
    assert ana(*delete.split()[1:]).code == 0
    assert not CLONES & {path.name for path in voice.path.iterdir()}


@pytest.mark.parametrize("command", ["drop", "delete", "finetune"])
def test_nothing_is_deleted_under_a_fine_tune(ana: Twin, home: Path, command: str) -> None:
    """It would write it again."""
    voice = opened(home)
    made_of(voice)
    take = voice.takes()[0]
    rest = {"drop": (take.id,), "delete": ("--yes",), "finetune": ("--delete",)}[command]
    with artifact.holding(voice.path / voices.LEARNING):
        ana("voice", command, "ana", *rest).refused("is learning the voice ana in another window")
    assert take in voice.takes()
    assert {path.name for path in voice.path.iterdir()} >= CLONES


def test_a_voice_is_renamed(ana: Twin) -> None:
    assert ana("voice", "rename", "ana", "Ana Bell").code == 0
    assert ana("voice", "list", "--json").json[1]["name"] == "Ana Bell"
    ana("voice", "rename", "ana", " ").refused("letters")
    ana("voice", "rename", "ana", "bundled").refused("no name for a voice")


def test_takes_are_dropped_by_id(ana: Twin, home: Path) -> None:
    first, second = opened(home).takes()
    result = ana("voice", "drop", "ana", first.id, "0123456789abcdef")
    result.refused("0123456789abcdef", "twin voice show ana")
    assert "dropped 1 takes" in result.err
    assert [take.id for take in opened(home).takes()] == [second.id]


def test_the_page_goes_with_a_take_that_is_dropped(ana: Twin, home: Path) -> None:
    """P4: it holds seconds of the recording."""
    page, (first, second) = opened(home).page, opened(home).takes()
    assert "the page" not in ana("voice", "drop", "ana", first.id).err
    page.write_text("x")
    ana("voice", "drop", "ana", "0123456789abcdef").refused("has no take")
    assert page.exists()
    result = ana("voice", "drop", "ana", second.id)
    assert "`twin voice report ana` makes it anew" in result.err
    assert not page.exists()


CHANGES = [
    ("drop", "ana", "0123456789abcdef"), ("rename", "ana", "Bo"), ("delete", "ana", "--yes"),
    ("export", "ana", "{}/ana.voice", "--passphrase-file", "{}/passphrase"),
]  # fmt: skip


@pytest.mark.parametrize("command", CHANGES, ids=lambda command: command[0])
def test_a_voice_that_is_being_recorded_is_left_alone(
    ana: Twin, home: Path, tmp_path: Path, passphrase: Path, command: tuple[str, ...]
) -> None:
    sessions = artifact.make_private_dir(opened(home).path / "sessions")
    with artifact.holding(sessions):
        result = ana("voice", *(part.format(tmp_path) for part in command))
    result.refused("ana is being recorded in another window")
    assert opened(home).name == "Ana"
    assert not (tmp_path / "ana.voice").exists()


@pytest.mark.parametrize(
    "command", [("prepare", "ana"), *(one for one in CHANGES if one[0] != "rename")],
    ids=lambda command: command[0],
)  # fmt: skip
def test_a_voice_that_is_being_prepared_is_left_alone(
    ana: Twin, home: Path, tmp_path: Path, passphrase: Path, command: tuple[str, ...]
) -> None:
    """Or a preparation would outlive the take that it was made of."""
    with artifact.holding(opened(home).path):
        result = ana("voice", *(part.format(tmp_path) for part in command))
    result.refused("ana is at work in another window")
    assert len(opened(home).takes()) == 2


def test_deleting_asks_first_and_leaves_nothing(ana: Twin, home: Path) -> None:
    (opened(home).path / "report.html").write_text("x")
    assert ana("voice", "delete", "ana", stdin="n\n").code == 1
    assert len(opened(home).takes()) == 2
    asked = ana("voice", "delete", "ana", stdin="y\n")
    assert asked.code == 0
    assert "exports and backups" in asked.err
    assert list((home / "voices").iterdir()) == []
    ana("voice", "delete", "ana", "--yes").refused("no voice yet")


# --- Kept elsewhere -------------------------------------------------------------------------------


def test_a_voice_is_exported_and_comes_back(
    ana: Twin, home: Path, tmp_path: Path, passphrase: Path, quick: None
) -> None:
    file = tmp_path / "ana.voice"
    asked = ("--passphrase-file", passphrase)
    result = ana("voice", "export", "ana", file, *asked, "--json")
    assert result.json == {"id": "ana", "file": str(file), "files": 5}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    ana("voice", "import", file, *asked).refused("ana already", "--name NAME")
    assert ana("voice", "import", file, *asked, "--name", "Ana of old", "--json").json["takes"] == 2
    ana("voice", "delete", "ana", "--yes")
    assert ana("voice", "import", file, *asked).code == 0
    assert {row["id"] for row in ana("voice", "list", "--json").json[1:]} == {"ana", "ana-of-old"}
    assert exposed(home) == []


def test_an_export_replaces_nothing_unless_it_is_told_to(
    ana: Twin, tmp_path: Path, passphrase: Path, quick: None
) -> None:
    file = tmp_path / "thesis.doc"
    file.write_text("two years")
    export = ("voice", "export", "ana", "--passphrase-file", passphrase)
    ana(*export, file).refused("thesis.doc is there already", "--force")
    assert file.read_text() == "two years"
    ana(*export, tmp_path, "--force").refused("is a directory; name a file")
    assert ana(*export, file, "--force").code == 0
    assert file.stat().st_size > 10_000


def test_a_damaged_take_is_dropped_before_the_voice_is_exported(
    ana: Twin, home: Path, tmp_path: Path, passphrase: Path, quick: None
) -> None:
    take = opened(home).takes()[0]
    (take.path / "manifest.json").write_text("{")
    export = ("voice", "export", "ana", tmp_path / "a.voice", "--passphrase-file", passphrase)
    ana(*export).refused("nothing was exported", f"twin voice drop ana {take.id}")
    assert ana("voice", "drop", "ana", take.id).code == 0
    assert ana(*export).code == 0


def test_an_imported_consent_is_shown_and_allows_nothing(
    ana: Twin, home: Path, tmp_path: Path, passphrase: Path, quick: None
) -> None:
    spoken = Consent("spoken", date(2026, 5, 4), "I am Bo \x1b[2J.", words=0.9)
    consent.store(opened(home).path / "consent", spoken)
    file, asked = tmp_path / "ana.voice", ("--passphrase-file", passphrase)
    ana("voice", "export", "ana", file, *asked)
    result = ana("voice", "import", file, *asked, "--name", "Cy")
    assert result.code == 0
    for said in ("spoken on 04 May 2026", '"I am Bo [2J."', "twin voice consent cy"):
        assert said in result.err
    assert "\x1b" not in result.err
    assert {row["id"]: row["consent"] for row in ana("voice", "list", "--json").json[1:]} == {
        "ana": "spoken",
        "cy": None,
    }
    ana("voice", "consent", "cy").refused("counts where it was given", "--i-am-the-speaker")
    assert ana("voice", "consent", "cy", "--i-am-the-speaker").code == 0
    assert ana("voice", "consent", "cy", "--json").json["kind"] == "stated"


def test_what_is_damaged_in_a_file_is_told_and_the_rest_is_imported(
    ana: Twin, home: Path, tmp_path: Path, passphrase: Path, quick: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    take, other = opened(home).takes()
    take.original.write_bytes(b"changed")
    monkeypatch.setattr(sealed, "_changed", lambda voice: [])
    file, asked = tmp_path / "ana.voice", ("--passphrase-file", passphrase)
    assert ana("voice", "export", "ana", file, *asked).code == 0
    result = ana("voice", "import", file, *asked, "--name", "Bo")
    result.refused(f"take {take.id} is damaged in {file}, and was left out")
    assert "imported bo: 1 takes" in result.err
    assert [one.id for one in opened(home, "bo").takes()] == [other.id]
    again = ana("voice", "import", file, *asked, "--name", "Cy", "--json")
    assert [take.id in problem for problem in again.json["problems"]] == [True]


@pytest.mark.parametrize("stop", ["SIGTERM", "Ctrl-C"])
def test_an_import_that_is_stopped_leaves_nothing(
    ana: Twin, home: Path, tmp_path: Path, passphrase: Path, quick: None,
    monkeypatch: pytest.MonkeyPatch, stop: str,
) -> None:  # fmt: skip
    """P4: nothing that was decrypted stays."""
    file, asked = tmp_path / "ana.voice", ("--passphrase-file", passphrase)
    ana("voice", "export", "ana", file, *asked)
    number = signal.SIGTERM if stop == "SIGTERM" else signal.SIGINT
    monkeypatch.setattr(
        "aitwin.voice.sealed._left_out", lambda *asked: os.kill(os.getpid(), number)
    )
    result = ana("voice", "import", file, *asked, "--name", "Bo")
    assert result.code == 128 + number
    assert "stopped; nothing was imported" in result.err
    assert [path.name for path in (home / "voices").iterdir()] == ["ana"]


def test_an_import_that_fails_leaves_nothing(
    ana: Twin, home: Path, tmp_path: Path, passphrase: Path, quick: None
) -> None:
    file = tmp_path / "ana.voice"
    ana("voice", "export", "ana", file, "--passphrase-file", passphrase)
    ana("voice", "delete", "ana", "--yes")
    file.write_bytes(file.read_bytes()[:50_000])
    ana("voice", "import", file, "--passphrase-file", passphrase).refused("ana.voice", "cut off")
    ana("voice", "import", tmp_path / "no", "--passphrase-file", passphrase).refused("not there")
    assert list((home / "voices").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"short\n", "at least 8"), (b"two\nlines\n", "one line"), (b"\xff\xfe1234567", "no text")],
)
def test_a_passphrase_file_that_will_not_do_is_told(
    ana: Twin, tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "p").write_bytes(content)
    export = ("voice", "export", "ana", tmp_path / "ana.voice")
    ana(*export, "--passphrase-file", tmp_path / "p").refused(said)
    assert ana(*export, "--passphrase-file", tmp_path / "gone").code == 1
    assert not (tmp_path / "ana.voice").exists()


def test_a_passphrase_is_asked_for_twice_unseen_and_only_where_somebody_is(
    ana: Twin, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = ("voice", "export", "ana", tmp_path / "ana.voice")
    nobody = ana(*export)
    assert nobody.code == 2
    assert "--passphrase-file" in nobody.err

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    asked: list[str] = []
    answers = iter((OPENS, "another one", OPENS, OPENS))

    def unseen(prompt: str) -> str:
        asked.append(prompt)
        return next(answers)

    monkeypatch.setattr("io.StringIO", lambda text: Terminal(text))
    monkeypatch.setattr("getpass.getpass", unseen)
    result = ana(*export)
    assert result.code == 0, result
    assert len(asked) == 4
    assert OPENS not in result.out + result.err
    assert (tmp_path / "ana.voice").exists()


# --- An encrypted volume --------------------------------------------------------------------------


EVERY = [
    ("list",), ("show", "ana"), ("report", "ana"), ("prepare", "ana"), ("consent", "ana"),
    ("drop", "ana", "1"), ("rename", "ana", "Bo"), ("delete", "ana", "--yes"),
]  # fmt: skip


@pytest.mark.parametrize("command", EVERY, ids=lambda command: command[0])
def test_with_a_locked_volume_every_command_says_so(
    owner: Twin, home: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """V4: nothing is ever written in the place of a volume that is not there."""
    volume = tmp_path / "Volumes" / "Twin"
    with (home / "twin.toml").open("a") as settings:
        settings.write(f'\n[voice]\ndirectory = "{volume}"\n')
    owner("voice", *command).refused(str(volume), "not mounted: unlock it")
    assert not volume.exists()


def test_recordings_go_to_the_volume_and_are_purged_there(
    owner: Twin, home: Path, tmp_path: Path
) -> None:
    volume = tmp_path / "Volumes" / "Twin"
    with (home / "twin.toml").open("a") as settings:
        settings.write(f'\n[voice]\ndirectory = "{volume}"\n')
    add = ("voice", "add", recording(tmp_path / "a.wav"), "--emotion", "sad", "--no-prepare")
    owner(*add, "--name", "Ana").refused("not mounted")
    owner("purge", "voices", "--yes").refused("not mounted", "nothing was deleted")
    owner("purge", "all", "--yes").refused("not mounted", "nothing was deleted")
    assert (home / "twin.toml").exists()
    volume.mkdir(parents=True)
    (volume / VOICES_MARKER).touch()
    (volume / "holiday.jpg").touch()
    assert owner(*add, "--name", "Ana").code == 0
    assert len(voices.open_(Home(home).open_voices(), "ana").takes()) == 1
    assert not (home / "voices").exists()
    result = owner("purge", "voices", "--yes")
    assert result.code == 0
    assert str(volume / "ana") in result.err
    assert [path.name for path in volume.iterdir()] == ["holiday.jpg"]


def test_ids_and_emotions_are_completed(ana: Twin) -> None:
    assert choosing.voices("a") == ["ana"]
    assert choosing.voices("x") == []
    assert choosing.speaking("") == ["base", "ana"]
    assert choosing.emotions("s") == ["sad", "surprised"]
    assert choosing.engines("bundled+") == ["bundled+openvoice", "bundled+match"]

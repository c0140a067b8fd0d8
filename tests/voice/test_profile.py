"""The voice profile: built of prepared takes, updated, loaded, and refused for cloning."""

import hashlib
import json
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import audio, consent, openvoice, prepared, profile, speakers, voices
from aitwin.voice.audio import Samples
from aitwin.voice.consent import Consent
from aitwin.voice.engines import Bundled
from aitwin.voice.grades import Grade, Letter
from aitwin.voice.heard import RATE
from aitwin.voice.measures import Measures
from aitwin.voice.openvoice import ReferenceEncoder
from aitwin.voice.prepared import Prepared, Segment
from aitwin.voice.profile import build, load, require_cloneable
from aitwin.voice.voices import Take, Voice
from tests.voice.test_arrays import by_another_method
from tests.voice.test_speakers import ANA, BEN, SENTENCES, Bands, speaker

MEASURES = Measures(
    seconds=30.0,
    speech=20.0,
    sample_rate=48_000,
    bandwidth=20_000.0,
    loudness=-23.0,
    true_peak=-3.0,
    clipped=0.0,
    noise=-60.0,
    snr=40.0,
    hum=0.0,
    hum_frequency=None,
    reverb=0.2,
    mos=3.5,
    pitch=180.0,
    voiced=0.6,
    rate=4.0,
)
SAID = "I am Ana Quentin. Today is 3 May 2026. This is my own voice."


@pytest.fixture
def voice(tmp_path: Path) -> Voice:
    return voices.create(tmp_path / "voices", "Ana")


def encoder() -> Any:
    return Bands()


def add(
    voice: Voice,
    utterances: list[Samples],
    *,
    emotion: str = "neutral",
    letter: Letter = "A",
    pause: float = 0.5,
    pitches: list[float] | None = None,
    **measured: Any,
) -> Take:
    """A take with these utterances, prepared, `pause` seconds between them (three times that much
    in the original)."""
    take = keep(voice, utterances, emotion)
    rest = round(pause * RATE)
    parts, segments, place, source = [], [], 0, 0
    for number, samples in enumerate(utterances):
        parts += [samples, np.zeros(rest, np.float32)]
        segments.append(
            Segment(
                id=f"{take.id}-{number:09}",
                start=place,
                stop=place + len(samples),
                source_start=source,
                source_stop=source + len(samples),
                text="something private",
                pitch=pitches[number] if pitches else 180.0,
                pitch_low=0.8 * pitches[number] if pitches else 150.0,
                pitch_high=1.2 * pitches[number] if pitches else 220.0,
                voiced=len(samples) / RATE / 2,
                level=-20.0,
            )
        )
        place += len(samples) + rest
        source += len(samples) + 3 * rest
    with artifact.building(voice.prepared_path(take)) as scratch:
        soundfile.write(
            scratch / prepared.SOUND, np.concatenate(parts), RATE, subtype="PCM_24", format="FLAC"
        )
        made = Prepared(
            path=scratch,
            take=take.id,
            samples=place,
            source_samples=source,
            gain=6.0,
            limited=0,
            edits=(),
            segments=tuple(segments),
            measures=replace(MEASURES, **measured),
            grade=Grade(letter),
            settings={},
        )
        prepared.store(scratch, made)
    return take


def keep(voice: Voice, utterances: list[Samples], emotion: str) -> Take:
    """The take itself; its original is a stand-in, since nobody reads it here."""
    original = voice.path.parent / "original.raw"
    original.write_bytes(emotion.encode() + b"".join(each.tobytes() for each in utterances))
    digest = hashlib.sha256(original.read_bytes()).hexdigest()
    place = voice.path / "takes" / digest[: voices.ID_DIGITS]
    with artifact.building(place) as scratch:
        original.rename(scratch / "original.raw")
        artifact.write_manifest(
            scratch,
            {
                "added_at": f"2026-05-03T10:00:{len(voice.takes()):02}+00:00",
                "suffix": ".raw",
                "sha256": digest,
                "emotion": emotion,
                "seconds": 30.0,
                "sample_rate": 48_000,
                "channels": 1,
            },
        )
    return voice.take(place.name)


def consented(
    voice: Voice,
    recorded: Samples | None = None,
    kind: str = "spoken",
    words: float | None = None,
) -> None:
    recording = None
    if recorded is not None:
        recording = voice.path.parent / "said.wav"
        # At a rate and with channels of its own, as a microphone gives it.
        doubled = np.repeat(recorded, 2)[:, None] * np.ones((1, 2), np.float32)
        soundfile.write(recording, doubled, 2 * RATE, subtype="PCM_24")
    given = Consent(kind="spoken", given_on=date(2026, 5, 3), sentence=SAID, words=words)
    if kind == "stated":
        given = replace(given, kind="stated")
    consent.store(voice.path / "consent", given, recording)


def minute(hertz: float = ANA) -> list[Samples]:
    """Seventy seconds of one speaker, all utterances different."""
    return [speaker(hertz + step, 7) for step in range(10)]


def few() -> list[Samples]:
    return [speaker(ANA + step, 3) for step in range(3)]


def contents(path: Path) -> dict[str, tuple[bytes, int]]:
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in path.iterdir()}


def vectors_of(made: profile.VoiceProfile) -> list[Any]:
    seen = made.utterances
    assert seen is not None
    assert made.pooled is not None
    rows = (seen.embeddings, seen.seconds, seen.dropped, seen.cosines, made.pooled)
    return [row.tolist() for row in rows] + [
        None if manner.embedding is None else manner.embedding.tolist()
        for manner in made.manners.values()
    ]


# --- What is in it --------------------------------------------------------------------------------


def test_a_profile_says_what_the_takes_say(voice: Voice) -> None:
    add(voice, [speaker(ANA, 4), speaker(ANA + 20, 6)])
    add(voice, [speaker(ANA + 1, 5)], emotion="happy", letter="C")
    add(voice, [speaker(BEN, 5)], emotion="happy", letter="D")
    keep(voice, [speaker(ANA, 1)], "sad")
    made = build(voice, encoder())
    assert list(made.manners) == ["neutral", "happy"]
    assert made.grades == {"A": 1, "B": 0, "C": 1, "D": 1}
    assert made.unprepared == 1
    assert made.seconds == pytest.approx(15)
    assert made.minutes == pytest.approx(0.25)
    neutral = made.manners["neutral"]
    assert (neutral.takes, neutral.dropped) == (1, 0)
    assert neutral.minutes == pytest.approx(1 / 6)
    assert made.utterances is not None
    assert made.utterances.emotions == ("neutral", "neutral", "happy")
    assert made.utterances.seconds == pytest.approx([4, 6, 5])
    assert len(set(made.utterances.ids)) == 3
    own = speakers.pool(made.utterances.embeddings[:2], made.utterances.seconds[:2])
    assert neutral.embedding == pytest.approx(own.embedding)
    assert made.pooled is not None
    assert neutral.likeness == pytest.approx(speakers.cosine(own.embedding, made.pooled))
    assert neutral.likeness > 0.99
    assert made.versions["numpy"] == np.__version__


def test_what_is_stored_is_what_was_built(voice: Voice) -> None:
    for emotion in ("tired", "neutral", "angry"):
        add(voice, [speaker(ANA, 4), speaker(ANA, 3)], emotion=emotion)
    consented(voice, speaker(ANA, 5))
    bases = {"en-us": encoder().embed(speaker(ANA, 3))}
    made = build(voice, encoder(), base_speakers=bases)
    found = load(profile.path_of(voice))
    assert list(found.manners) == list(made.manners) == ["neutral", "angry", "tired"]
    assert vectors_of(found) == vectors_of(made)
    assert [asdict(each.prosody) for each in found.manners.values()] == [
        asdict(each.prosody) for each in made.manners.values()
    ]
    for name in ("grades", "unprepared", "base", "consent", "consent_sha256", "inputs", "versions"):
        assert getattr(found, name) == getattr(made, name), name


def test_many_utterances_of_somebody_else_are_told(voice: Voice) -> None:
    add(voice, [*minute(), speaker(BEN, 3), speaker(BEN, 3)])
    (said,) = profile.doubts(build(voice, encoder()))
    assert said.startswith("neutral: 2 of 12 utterances left out")


def test_an_utterance_of_somebody_else_counts_for_nothing(voice: Voice) -> None:
    add(voice, [*minute(), speaker(BEN, 3)])
    made = build(voice, encoder())
    assert made.utterances is not None
    assert made.utterances.dropped.tolist() == [False] * 10 + [True]
    assert profile.doubts(made) == ()  # one in eleven is no reason to worry anybody
    neutral = made.manners["neutral"]
    assert neutral.dropped == 1
    assert neutral.seconds == pytest.approx(70)
    assert neutral.embedding is not None
    assert speakers.cosine(neutral.embedding, encoder().embed(speaker(ANA, 3))) > 0.99


def test_too_short_and_silent_utterances_are_not_embedded(voice: Voice) -> None:
    add(voice, [speaker(ANA, 3), speaker(ANA, 1.2), np.zeros(3 * RATE, np.float32)])
    made = build(voice, encoder())
    assert made.utterances is not None
    assert made.utterances.seconds == pytest.approx([3])
    assert made.manners["neutral"].dropped == 0


def test_takes_with_nothing_to_embed_make_a_profile_that_cannot_be_cloned(voice: Voice) -> None:
    add(voice, [speaker(ANA, 1.2)])
    made = build(voice, encoder())
    assert made.pooled is None
    assert made.manners["neutral"].embedding is None
    assert load(made.path).pooled is None
    with pytest.raises(TwinError, match="no speaker embedding"):
        require_cloneable(made)


def test_prosody_is_counted_over_utterances(voice: Voice) -> None:
    """F0 by voiced seconds, its range within utterances, level as recorded, rests as they were."""
    add(
        voice,
        [speaker(ANA + step, 2) for step in range(10)],
        pitches=[100.0 + 10 * step for step in range(10)],
        pause=0.2,
        rate=3.0,
        speech=30.0,
    )
    add(voice, [speaker(ANA, 20.0)], pitches=[150.0], rate=5.0, speech=10.0)
    prosody = build(voice, encoder()).manners["neutral"].prosody
    assert prosody.rate == pytest.approx(3.5)
    assert prosody.pitch == 150
    assert prosody.pitch_low == pytest.approx(0.8 * 150)
    assert prosody.pitch_high == pytest.approx(1.2 * 150)
    assert (prosody.level_low, prosody.level, prosody.level_high) == (-26, -26, -26)
    assert prosody.pause == pytest.approx(0.6, abs=1e-3)
    assert prosody.pause_high == pytest.approx(0.6, abs=1e-3)


def test_prosody_that_nobody_measured_is_none(voice: Voice) -> None:
    add(voice, [speaker(ANA, 3)], rate=None, pitch=None)
    prosody = build(voice, encoder()).manners["neutral"].prosody
    assert prosody.rate is None
    assert prosody.pause is None


def test_the_nearest_base_speaker_of_melo_is_chosen(voice: Voice) -> None:
    add(voice, [speaker(ANA, 5)])
    near, far = encoder().embed(speaker(ANA, 3)), encoder().embed(speaker(BEN, 3))
    bases = {"en-us": far, "en-br": near, "en-au": np.ones(3, np.float32), "fr": near}
    base = build(voice, encoder(), base_speakers=bases).base
    assert base is not None
    assert base.name == "en-br"
    assert set(base.cosines) == {"en-us", "en-br"}
    assert base.cosines["en-br"] > 0.99 > base.cosines["en-us"]
    assert build(voice, encoder()).base is None


def test_it_is_private_and_holds_no_words(voice: Voice) -> None:
    """P4: files of mode 0600 in directories of 0700; texts and the owner's name stay elsewhere."""
    add(voice, [speaker(ANA, 5)])
    consented(voice, speaker(ANA, 5))
    made = build(voice, encoder())
    assert made.path.stat().st_mode & 0o777 == 0o700
    for path in made.path.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert b"private" not in path.read_bytes()
        assert b"Quentin" not in path.read_bytes()
    assert "array" not in repr(made)


# --- Of another person ----------------------------------------------------------------------------


def test_takes_of_another_person_are_left_out_and_named(voice: Voice) -> None:
    """Neither minutes, nor manner, nor embeddings are theirs."""
    for step in range(2):
        add(voice, [speaker(ANA + step, 7)] * 2)
    sad = [add(voice, [speaker(BEN + step, 7)], emotion="sad", pitch=90.0) for step in range(2)]
    happy = add(voice, [speaker(ANA, 7)], emotion="happy")
    stranger = add(voice, [speaker(BEN, 7)], emotion="happy", rate=9.0)
    made = build(voice, encoder())
    assert made.strangers == {stranger.id, *(take.id for take in sad)}
    assert list(made.manners) == ["neutral", "happy"]
    assert made.seconds == pytest.approx(35)
    assert (made.manners["happy"].takes, made.manners["happy"].prosody.rate) == (1, 4.0)
    assert made.pooled is not None
    own = encoder().embed(speaker(ANA, 3))
    for vector in (made.pooled, *(manner.embedding for manner in made.manners.values())):
        assert vector is not None
        assert speakers.cosine(vector, own) > 0.99
    standing = made.standings[stranger.id]
    assert (standing.emotion, standing.verdict) == ("happy", "unlike")
    assert standing.seconds == pytest.approx(7)
    assert (standing.likeness or 1) < 0.1
    assert "left out" in standing.said
    assert (made.standings[happy.id].verdict, made.standings[happy.id].said) == ("like", "")
    assert (made.standings[happy.id].likeness or 0) > 0.99
    # On the map they are, marked.
    assert made.utterances is not None
    assert made.utterances.dropped.sum() == 3
    assert len(made.utterances.ids) == 8
    assert load(made.path).standings == made.standings
    said = profile.doubts(made)
    assert len(said) == 3
    assert said[0].startswith("happy: 1 take left out, unlike your other takes (0.0")
    assert f"`twin voice drop ana {stranger.id}`" in said[0]
    assert said[1].startswith("sad: 2 takes left out")
    assert "--consent" in said[2]
    assert profile.doubts(load(made.path))[0] == said[0]


def test_a_spoken_consent_says_whose_the_voice_is(voice: Voice) -> None:
    mine = [add(voice, [speaker(ANA + step, 7)]) for step in range(2)]
    theirs = [add(voice, [speaker(BEN + step, 7)], emotion="sad") for step in range(4)]
    assert build(voice, encoder()).strangers == {take.id for take in mine}
    consented(voice, speaker(ANA, 5))
    made = build(voice, encoder())
    assert made.strangers == {take.id for take in theirs}
    assert made.consent is not None
    assert (made.consent.likeness or 0) > 0.9
    assert not any("--consent" in said for said in profile.doubts(made))


def test_a_take_in_doubt_is_used_and_told(voice: Voice) -> None:
    add(voice, few())
    both = speaker(ANA, 7) + 1.25 * speaker(BEN, 7)
    unsure = add(voice, [both], emotion="tired")
    made = build(voice, encoder())
    assert made.standings[unsure.id].verdict == "doubtful"
    assert not made.strangers
    assert "tired" in made.manners
    (said,) = profile.doubts(made)
    assert said.startswith("tired: 1 take used, but only a little like your other takes (0.5")


def test_a_take_that_is_gone_is_no_longer_compared(voice: Voice) -> None:
    add(voice, few())
    other = add(voice, [speaker(BEN, 7)], emotion="sad")
    assert build(voice, encoder()).strangers == {other.id}
    voice.remove(other)
    made = build(voice, encoder())
    assert not made.strangers
    (standing,) = made.standings.values()
    assert (standing.likeness, standing.verdict) == (None, "like")


def test_many_takes_are_told_in_one_line(voice: Voice) -> None:
    add(voice, minute())
    for step in range(profile.NAMED + 1):
        add(voice, [speaker(BEN + step, 3)], emotion="sad")
    said = profile.doubts(build(voice, encoder()))[0]
    assert said.startswith("sad: 5 takes left out")
    assert " …`" in said


def test_what_was_marked_as_a_strangers_in_a_take_is_left_out(voice: Voice) -> None:
    """Neither heard by the encoder, nor counted, nor a pause beside it."""
    take = add(
        voice, [speaker(ANA, 4), speaker(ANA + 9, 6), speaker(ANA + 5, 3)], pitches=[90, 300, 95]
    )
    made = voice.prepared(take)
    assert made is not None
    first, second, third = made.segments
    marked = replace(made, segments=(first, replace(second, stranger=True), third))
    prepared.store(made.path, marked)
    found = build(voice, encoder())
    assert found.utterances is not None
    assert found.utterances.ids == (first.id, third.id)
    neutral = found.manners["neutral"]
    assert (neutral.seconds, neutral.dropped) == (pytest.approx(7), 1)
    assert neutral.prosody.pitch == 90
    assert neutral.prosody.pause is None


# --- Again ----------------------------------------------------------------------------------------


def test_nothing_changed_nothing_written_nothing_heard(voice: Voice) -> None:
    add(voice, few())
    made = build(voice, encoder())
    before = contents(made.path)
    again = Bands()
    found = build(voice, again)  # type: ignore[arg-type]
    assert contents(made.path) == before
    assert again.heard == 0
    assert vectors_of(found) == vectors_of(made)


def test_the_same_takes_give_the_same_bytes(voice: Voice) -> None:
    add(voice, few())
    made = build(voice, encoder())
    before = {name: content for name, (content, _) in contents(made.path).items()}
    for path in made.path.iterdir():
        path.unlink()
    build(voice, encoder())
    assert {name: content for name, (content, _) in contents(made.path).items()} == before


def test_a_new_take_costs_its_own_utterances_only(voice: Voice) -> None:
    add(voice, few())
    build(voice, encoder())
    add(voice, [speaker(ANA + 7, 3), speaker(ANA, 4)], emotion="sad")
    again, steps = Bands(), []
    made = build(voice, again, on_progress=lambda *now: steps.append(now))  # type: ignore[arg-type]
    assert again.heard == 2
    assert list(made.manners) == ["neutral", "sad"]
    assert steps == [(1, 2), (2, 2)]


def test_of_a_take_that_was_dropped_nothing_stays(voice: Voice) -> None:
    """P4: delete is real."""
    add(voice, [speaker(ANA, 5)])
    other = add(voice, [speaker(ANA + 9, 6)], emotion="sad")
    build(voice, encoder())
    assert len(list((voice.path / "embeddings").iterdir())) == 2
    voice.remove(other)
    made = build(voice, encoder())
    assert list(made.manners) == ["neutral"]
    assert len(list((voice.path / "embeddings").iterdir())) == 1
    voice.remove(voice.takes()[0])
    with pytest.raises(TwinError, match="the voice ana has no take that is prepared"):
        build(voice, encoder())
    assert not made.path.exists()
    assert not (voice.path / "embeddings").exists()


def test_without_usable_takes_there_is_no_profile(voice: Voice) -> None:
    add(voice, [speaker(ANA, 5)], letter="D")
    with pytest.raises(TwinError, match=r"no take that is graded A to C.*twin voice record"):
        build(voice, encoder())


def test_without_encoder_there_is_a_profile_without_embeddings(voice: Voice) -> None:
    add(voice, minute())
    made = build(voice, None)
    assert made.utterances is None
    assert made.pooled is None
    assert made.manners["neutral"].prosody.rate == 4
    assert made.seconds == pytest.approx(70)
    with pytest.raises(TwinError, match="twin models pull openvoice-v2"):
        require_cloneable(load(made.path))
    assert build(voice, encoder()).pooled is not None


def test_embeddings_are_not_lost_with_the_encoder(voice: Voice) -> None:
    add(voice, few())
    made = build(voice, encoder(), base_speakers={"en-us": np.ones(16, np.float32)})
    before = contents(made.path)
    assert build(voice, None).pooled is not None
    assert contents(made.path) == before


def test_other_weights_make_another_profile(voice: Voice) -> None:
    add(voice, few())
    build(voice, encoder())
    other = Bands()
    other.digest = "other bands"
    build(voice, other)  # type: ignore[arg-type]
    assert other.heard == 3


def test_a_damaged_sound_leaves_the_profile_as_it_was(voice: Voice) -> None:
    add(voice, [speaker(ANA, 5)])
    before = contents(build(voice, encoder()).path)
    take = add(voice, [speaker(ANA, 6)], emotion="sad")
    sound = voice.prepared_path(take) / prepared.SOUND
    good = sound.read_bytes()
    for content in (good[:3000], b"no sound", b""):
        sound.write_bytes(content)
        with pytest.raises(TwinError, match=r"prepared\.flac is missing or damaged"):
            build(voice, encoder())
    sound.unlink()
    with pytest.raises(TwinError, match=r"prepared\.flac is missing or damaged"):
        build(voice, encoder())
    assert contents(profile.path_of(voice)) == before


@pytest.mark.parametrize("name", ["manifest.json", "embeddings.npz"])
@pytest.mark.parametrize("content", [b"", b"{}", b'{"version": 1}', b"PK\x03\x04 and no more"])
def test_a_damaged_profile_is_named_and_made_anew(voice: Voice, name: str, content: bytes) -> None:
    add(voice, few())
    path = build(voice, encoder()).path
    before = (path / name).read_bytes()
    (path / name).write_bytes(content)
    with pytest.raises(TwinError, match=r"profile.*run `twin voice prepare`"):
        load(path)
    build(voice, encoder())
    assert (path / name).read_bytes() == before


def test_vectors_that_no_zip_could_hold_are_damage(voice: Voice) -> None:
    add(voice, few())
    path = build(voice, encoder()).path
    (path / "embeddings.npz").write_bytes(by_another_method(path / "embeddings.npz"))
    with pytest.raises(TwinError, match="is damaged; run `twin voice prepare`"):
        load(path)


def test_a_profile_of_another_version_is_made_anew(voice: Voice) -> None:
    add(voice, few())
    path = build(voice, encoder()).path
    manifest = json.loads((path / "manifest.json").read_text())
    artifact.write_manifest(path, {**manifest, "version": 0})
    with pytest.raises(TwinError, match="was made by another version"):
        load(path)
    build(voice, encoder())
    assert load(path).seconds == pytest.approx(9)


def test_no_profile_at_all(tmp_path: Path) -> None:
    with pytest.raises(TwinError, match="no complete voice profile"):
        load(tmp_path / "profile")


# --- May it be cloned? ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["stated", "spoken"])
def test_with_consent_and_a_minute_of_speech_it_may(voice: Voice, kind: str) -> None:
    add(voice, minute())
    consented(voice, speaker(ANA, 5) if kind == "spoken" else None, kind)
    made = build(voice, encoder())
    require_cloneable(made)
    require_cloneable(load(made.path))
    assert made.consent is not None
    assert made.consent.sentence == ""
    likeness = made.consent.likeness
    assert likeness is None if kind == "stated" else (likeness or 0) > 0.9


def test_without_consent_it_may_not(voice: Voice) -> None:
    add(voice, minute())
    with pytest.raises(TwinError, match=r"ana cannot be cloned: there is no consent.*--consent"):
        require_cloneable(build(voice, encoder()))


def test_the_consent_of_somebody_else_is_none(voice: Voice) -> None:
    add(voice, minute())
    consented(voice, speaker(BEN, 5))
    with pytest.raises(TwinError, match=r"does not sound like the speaker of the takes"):
        require_cloneable(build(voice, encoder()))


def test_a_consent_in_other_words_is_none(voice: Voice) -> None:
    add(voice, minute())
    consented(voice, speaker(ANA, 5), words=0.4)
    with pytest.raises(TwinError, match="only 40% of its consent's words were heard"):
        require_cloneable(build(voice, encoder()))
    consented(voice, speaker(ANA, 5), words=0.9)
    require_cloneable(build(voice, encoder()))


@pytest.mark.parametrize("recorded", [None, np.zeros(5 * RATE, np.float32), speaker(ANA, 1)])
def test_a_spoken_consent_that_cannot_be_heard_is_none(
    voice: Voice, recorded: Samples | None
) -> None:
    add(voice, minute())
    consented(voice, recorded)
    with pytest.raises(TwinError, match="recording of its consent cannot be compared"):
        require_cloneable(build(voice, encoder()))


def test_a_consent_recording_that_is_no_sound(voice: Voice) -> None:
    add(voice, minute())
    consented(voice, speaker(ANA, 5))
    (voice.path / "consent" / "consent.wav").write_bytes(b"RIFF")
    with pytest.raises(TwinError, match="recording of its consent cannot be compared"):
        require_cloneable(build(voice, encoder()))


def test_a_consent_that_was_taken_back_is_none(voice: Voice) -> None:
    """Even when the profile was made while it was there."""
    add(voice, minute())
    consented(voice, kind="stated")
    made = build(voice, encoder())
    require_cloneable(made)
    (voice.path / "consent" / artifact.MANIFEST).unlink()
    with pytest.raises(TwinError, match="there is no consent"):
        require_cloneable(made)
    consented(voice, speaker(BEN, 5))
    with pytest.raises(TwinError, match=r"consent is newer than the profile: run `twin voice prep"):
        require_cloneable(made)


def test_everything_that_is_missing_is_said_at_once(voice: Voice) -> None:
    add(voice, [speaker(ANA, 20)])
    with pytest.raises(TwinError) as refused:
        require_cloneable(build(voice, None))
    assert "no consent" in str(refused.value)
    assert "openvoice-v2" in str(refused.value)
    assert "20 s of usable speech, and 60 s are the least: 40 s are missing" in str(refused.value)


# --- With the real weights ------------------------------------------------------------------------


@pytest.mark.parametrize("reader", ["1688", "3331"])
def test_an_emotion_that_somebody_else_read_is_not_the_voices(
    voice: Voice, shared: Path, reader: str
) -> None:
    """The bundled voice in neutral, a reader of LibriSpeech in sad: only one of them is cloned."""
    place = shared / "golden" / "ref_encoder"
    official = ReferenceEncoder.load(place / "ref_enc_openvoice_v2.safetensors")
    bundled = Bundled()
    mine = [
        add(voice, [audio.resample(bundled.speak(text, seed=seed), RATE).samples])
        for seed, text in enumerate(SENTENCES)
    ]
    one, two = (
        soundfile.read(place / f"spk{reader}_{clip}.wav", dtype="float32")[0] for clip in "ab"
    )
    theirs = [add(voice, clips, emotion="sad") for clips in ([one], [two], [one, two])]
    made = build(voice, official)
    assert made.strangers == {take.id for take in theirs}
    assert list(made.manners) == ["neutral"]
    assert made.manners["neutral"].takes == len(mine)
    assert all((made.standings[take.id].likeness or 0) > 0.9 for take in mine)
    assert all((made.standings[take.id].likeness or 1) < 0.55 for take in theirs)


def test_the_bundled_voices_profile(voice: Voice, shared: Path) -> None:
    """Real speech and weights: one voice at two speeds, and a golden clip that slipped in."""
    place = shared / "golden" / "ref_encoder"
    official = ReferenceEncoder.load(place / "ref_enc_openvoice_v2.safetensors")
    bundled = Bundled()

    def say(speed: float, seed: int) -> list[Samples]:
        return [
            audio.resample(bundled.speak(text, speed=speed, seed=seed), RATE).samples
            for text in SENTENCES
        ]

    stranger: Samples = soundfile.read(place / "spk3331_a.wav", dtype="float32")[0]
    add(voice, [*say(1.0, 0), stranger])
    add(voice, say(0.7, 1), emotion="sad")
    add(voice, say(1.3, 2), emotion="happy")
    consented(voice, say(1.0, 5)[0])
    bases = openvoice.speakers(place / "base_speaker_ses")
    made = build(voice, official, base_speakers=bases)
    assert made.utterances is not None
    assert made.utterances.dropped.tolist() == [False] * 4 + [True] + [False] * 8
    for manner in made.manners.values():
        assert manner.likeness is not None
        assert manner.likeness > 0.95
    assert made.base is not None
    assert set(made.base.cosines) == set(profile.BASES)
    assert made.base.name == "en-us"
    assert made.consent is not None
    assert made.consent.likeness is not None
    assert made.consent.likeness > 0.85
    with pytest.raises(TwinError, match=r"cannot be cloned: it has 5\d s of usable speech"):
        require_cloneable(made)

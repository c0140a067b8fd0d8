"""Likeness, pooling, strangers within a take, and the embeddings on disk."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import save_file

from aitwin.voice import audio, speakers
from aitwin.voice.audio import Samples
from aitwin.voice.engines import Bundled
from aitwin.voice.heard import RATE
from aitwin.voice.openvoice import Embedding, ReferenceEncoder
from aitwin.voice.speakers import Embeddings, belonging, consistency, cosine, enough, pool
from tests.voice.test_openvoice import tiny_weights

SENTENCES = (
    "Nobody had told the driver that the bridge was closed for the winter.",
    "We counted eleven swans on the lake, and then one more behind the reeds.",
    "If you leave before seven, the road through the valley is almost empty.",
    "He wrote the number on his hand, washed it off, and had to call again.",
)


class Bands:
    """An encoder without weights: the mean power of 16 bands, so that it hears who has which tone.

    Stands in where the point is what is done with embeddings, not how they are made.
    """

    digest = "bands"
    size = 16
    heard = 0

    def embed(self, samples: Samples) -> Embedding:
        self.heard += 1
        power = np.abs(np.fft.rfft(samples)) ** 2
        bands = np.array([band.mean() for band in np.array_split(power, self.size)])
        return np.asarray(bands / bands.max(), np.float32)


def speaker(hertz: float, seconds: float, peak: float = 0.3) -> Samples:
    time = np.arange(round(RATE * seconds)) / RATE
    return (peak * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


ANA, BEN = 500.0, 6000.0


@pytest.fixture(scope="module")
def spoken() -> Samples:
    """Some 18 s of the bundled voice at RATE."""
    voice = Bundled()
    return np.concatenate(
        [
            audio.resample(voice.speak(text, seed=seed), RATE).samples
            for seed, text in enumerate(SENTENCES)
        ]
    )


@pytest.fixture(scope="session")
def official(shared: Path) -> ReferenceEncoder:
    return ReferenceEncoder.load(
        shared / "golden" / "ref_encoder" / "ref_enc_openvoice_v2.safetensors"
    )


# --- Cosine and pooling ---------------------------------------------------------------------------


def test_cosine_is_the_angle_alone() -> None:
    one = np.array([3, 4], np.float32)
    assert cosine(one, 7 * one) == pytest.approx(1)
    assert cosine(one, -one) == pytest.approx(-1)
    assert cosine(one, np.array([-4, 3], np.float32)) == pytest.approx(0)
    assert cosine(one, np.zeros(2, np.float32)) == 0


def test_short_stretches_are_judged_more_mildly() -> None:
    mild = enough([1.5, 3, 10, 600])
    assert (np.diff(mild) > 0).all()
    assert mild == pytest.approx([0.623, 0.679, 0.729, 0.754], abs=1e-3)


def cluster(
    random: np.random.Generator, centre: NDArray[np.float64], seconds: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Embeddings of one speaker, 11 long, with the noise that was measured for their seconds."""
    noise = random.normal(size=(len(seconds), len(centre))) / np.sqrt(len(centre))
    made = centre / np.linalg.norm(centre) + noise * np.sqrt(speakers.NOISE / seconds)[:, None]
    return (11 * made).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 60),
    st.integers(0, 12),
    st.floats(0, 0.5),
)
def test_the_speaker_with_the_most_to_say_is_found(
    seed: int, own: int, others: int, alike: float
) -> None:
    """Whoever else is among them, their likeness up to the measured 0.5, and in any order."""
    random = np.random.default_rng(seed)
    own = max(own, 2 * others + 1)
    seconds = random.uniform(3, 15, own + others)
    seconds[own:] = 3
    me, stranger = random.normal(size=(2, 256))
    me, stranger = me / np.linalg.norm(me), stranger / np.linalg.norm(stranger)
    stranger = alike * me + np.sqrt(1 - alike**2) * stranger
    embeddings = np.concatenate(
        [cluster(random, me, seconds[:own]), cluster(random, stranger, seconds[own:])]
    )
    order = random.permutation(len(embeddings))
    pooled = pool(embeddings[order], seconds[order])
    assert pooled.kept[np.argsort(order)].tolist() == [True] * own + [False] * others
    assert cosine(pooled.embedding, me.astype(np.float32)) > 0.85  # of one stretch of 3 s: 0.90
    assert 8 < np.linalg.norm(pooled.embedding) < 14
    assert pooled.embedding.dtype == np.float32


def test_two_speakers_give_no_average_of_two() -> None:
    embeddings = np.array([[1, 0], [1, 0.05], [0, 1]], np.float32)
    pooled = pool(embeddings, np.array([4.0, 4.0, 4.0]))
    assert pooled.kept.tolist() == [True, True, False]
    assert pooled.embedding == pytest.approx([1, 0.025])
    assert pooled.cosines[2] < 0.05


def test_longer_stretches_weigh_more() -> None:
    embeddings = np.array([[10, 0], [10, 1]], np.float32)
    assert pool(embeddings, np.array([9.0, 3.0])).embedding == pytest.approx([10, 0.25])


def test_one_stretch_is_its_own_pool() -> None:
    pooled = pool(np.array([[3, 4]], np.float32), np.array([2.0]))
    assert pooled.embedding == pytest.approx([3, 4])
    assert pooled.kept.all()


def test_many_stretches_are_pooled_in_little_memory() -> None:
    random = np.random.default_rng(0)
    seconds = np.full(2500, 4.0)
    seconds[-300:] = 3
    me, stranger = random.normal(size=(2, 64))
    embeddings = np.concatenate(
        [cluster(random, me, seconds[:2200]), cluster(random, stranger, seconds[2200:])]
    )
    kept = pool(embeddings, seconds).kept
    assert kept[:2200].mean() > 0.99
    assert not kept[2200:].any()


def test_whom_it_shall_sound_like_may_be_said() -> None:
    embeddings = np.array([[1, 0], [1, 0.05], [0, 1]], np.float32)
    pooled = pool(embeddings, np.full(3, 4.0), near=np.array([0.2, 5], np.float32))
    assert pooled.kept.tolist() == [False, False, True]
    unlike_all = pool(embeddings, np.full(3, 4.0), near=np.array([-1, -0.5], np.float32))
    assert unlike_all.kept.any()


@pytest.mark.parametrize("bad", [np.zeros((0, 4)), np.zeros((2, 4)), np.full((2, 4), np.nan)])
def test_what_cannot_be_pooled(bad: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="nothing to pool"):
        pool(bad.astype(np.float32), np.ones(len(bad)))


# --- Whose takes ---------------------------------------------------------------------------------


def people(
    seed: int, plan: list[tuple[float, float]]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Takes of (likeness to the owner, seconds), with the noise that was measured for those.

    What is unlike the owner is so in one direction: one other person.
    """
    random = np.random.default_rng(seed)
    me, other = np.linalg.qr(random.normal(size=(256, 2)))[0].T
    made = [
        cluster(random, alike * me + np.sqrt(1 - alike**2) * other, np.array([seconds]))[0]
        for alike, seconds in plan
    ]
    return np.stack(made), np.array([seconds for _, seconds in plan])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 20), st.integers(1, 6), st.floats(0, 0.4))
def test_takes_of_another_person_are_told_from_the_owners(
    seed: int, own: int, others: int, alike: float
) -> None:
    """Whoever else speaks, up to the mean likeness of two people, and in whatever mood."""
    embeddings, seconds = people(seed, [(1, 6)] * own + [(alike, 4)] * min(others, own))
    emotions = ["neutral"] * own + ["sad"] * (len(seconds) - own)
    found = belonging(embeddings, seconds, emotions)
    assert found.strangers.tolist() == [emotion == "sad" for emotion in emotions]
    assert not found.doubtful.any()
    assert (found.likeness[:own] > 0.8).all()
    assert (found.likeness[own:] < 0.55).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.7, 1))
def test_a_mood_is_no_other_person(seed: int, alike: float) -> None:
    """V1: an emotion that moves the embedding as far as four semitones do is nobody else's."""
    embeddings, seconds = people(seed, [(1, 5)] * 8 + [(alike, 5)] * 8)
    found = belonging(embeddings, seconds, ["neutral"] * 8 + ["angry"] * 8)
    assert not found.strangers.any()


def test_between_the_two_somebody_is_to_listen() -> None:
    embeddings, seconds = people(0, [(1, 60)] * 4 + [(0.6, 60)])
    found = belonging(embeddings, seconds, ["neutral"] * 4 + ["playful"])
    assert found.doubtful.tolist() == [False] * 4 + [True]
    assert not found.strangers.any()
    assert found.likeness[4] == pytest.approx(0.6, abs=0.02)


def test_who_has_more_to_say_is_the_owner_and_a_spoken_consent_says_otherwise() -> None:
    embeddings, seconds = people(1, [(1, 60), (1, 60), (0.3, 20), (0.3, 20)])
    emotions = ["neutral", "happy", "neutral", "sad"]
    assert belonging(embeddings, seconds, emotions).strangers.tolist() == [False, False, True, True]
    consent = people(1, [(0.3, 5)])[0][0]
    assert cosine(consent, embeddings[2]) > 0.8
    found = belonging(embeddings, seconds, emotions, consent)
    assert found.strangers.tolist() == [True, True, False, False]
    assert cosine(found.embedding, embeddings[2]) > 0.9


def test_the_consent_of_a_third_person_makes_no_strangers_of_the_owners_takes() -> None:
    embeddings, seconds = people(2, [(1, 60), (1, 60), (0.2, 20)])
    third = np.random.default_rng(5).normal(size=256).astype(np.float32)
    found = belonging(embeddings, seconds, ["neutral"] * 3, third)
    assert found.strangers.tolist() == [False, False, True]


def test_many_moods_outweigh_one_long_take_of_somebody_else() -> None:
    """The owner's nine moods are less like each other than the other's minutes are."""
    random = np.random.default_rng(3)
    me, other = np.linalg.qr(random.normal(size=(256, 2)))[0].T
    moods = random.normal(size=(9, 256))
    moods /= np.linalg.norm(moods, axis=1, keepdims=True)
    mine = [me + 0.55 * mood for mood in moods for _ in range(3)]
    theirs = [0.4 * me + 0.9 * other] * 2
    embeddings = np.array([*mine, *theirs], np.float32)
    seconds = np.array([20.0] * 27 + [240.0] * 2)
    found = belonging(embeddings, seconds, [str(row // 3) for row in range(29)])
    assert found.strangers.tolist() == [False] * 27 + [True] * 2


def test_short_takes_that_are_doubtful_alone_are_strangers_together() -> None:
    """The noise of 1.6 s allows for it, that of 10 s does not."""
    embeddings = np.array([[1, 0]] * 3 + [[0.5, 0.866]] * 6, np.float32)
    seconds = np.array([30.0] * 3 + [1.6] * 6)
    one = belonging(embeddings[:4], seconds[:4], ["neutral"] * 3 + ["sad"])
    assert not one.strangers[3]
    assert one.doubtful[3]
    found = belonging(embeddings, seconds, ["neutral"] * 3 + ["sad"] * 6)
    assert found.strangers.tolist() == [False] * 3 + [True] * 6
    assert not found.doubtful.any()


def test_who_sounds_like_the_stranger_is_the_stranger() -> None:
    """In another emotion, too."""
    embeddings, seconds = people(0, [(1, 60)] * 3 + [(0.4, 60), (0.56, 60)])
    emotions = ["neutral"] * 3 + ["sad", "tired"]
    without = belonging(embeddings[[0, 1, 2, 4]], seconds[[0, 1, 2, 4]], [*emotions[:3], "tired"])
    assert without.doubtful[3]
    assert belonging(embeddings, seconds, emotions).strangers.tolist() == [False] * 3 + [True] * 2


def test_a_whisper_may_be_less_like_its_speaker() -> None:
    embeddings, seconds = people(0, [(1, 30)] * 2 + [(0.42, 60)] * 6)
    whispering = belonging(embeddings, seconds, ["neutral"] * 2 + ["whispered"] * 6)
    assert not whispering.strangers.any()
    assert not whispering.doubtful.any()
    seconds[7] = 30
    speaking = belonging(embeddings, seconds, ["neutral"] * 2 + ["whispered"] * 5 + ["sad"])
    assert np.flatnonzero(speaking.strangers).tolist() == [7]
    embeddings, seconds = people(0, [(1, 30)] * 2 + [(0.2, 60)])
    assert belonging(embeddings, seconds, ["neutral"] * 2 + ["whispered"]).strangers[2]
    assert not belonging(embeddings, seconds, ["whispered"] * 3).strangers[0]


def test_of_one_take_nothing_can_be_said() -> None:
    found = belonging(*people(0, [(1, 60)]), ["neutral"])
    assert np.isnan(found.likeness).all()
    assert not found.strangers.any()
    assert not found.doubtful.any()


def test_the_bundled_voice_and_two_readers_with_the_real_weights(
    official: ReferenceEncoder, shared: Path, spoken: Samples
) -> None:
    """Two clips of 3 s each of two people, beside four sentences of one: all four are strangers."""
    place = shared / "golden" / "ref_encoder"
    clips = [
        soundfile.read(place / f"spk{name}.wav", dtype="float32")[0]
        for name in ("1688_a", "1688_b", "3331_a", "3331_b")
    ]
    takes = [*np.array_split(spoken, 4), *clips]
    embeddings = np.stack([official.embed(take) for take in takes])
    seconds = np.array([len(take) / RATE for take in takes])
    emotions = ["neutral", "happy"] * 2 + ["sad"] * 2 + ["tired"] * 2
    found = belonging(embeddings, seconds, emotions)
    assert found.strangers.tolist() == [False] * 4 + [True] * 4
    assert (found.likeness[:4] > 0.85).all()
    consent = official.embed(clips[2])
    found = belonging(embeddings, seconds, emotions, consent)
    assert found.strangers.tolist()[:4] == [True] * 4
    assert not found.strangers[6:].any()


# --- Within a take --------------------------------------------------------------------------------


def test_a_stranger_within_a_take_is_found_where_it_speaks() -> None:
    take = np.concatenate([speaker(ANA, 20), speaker(BEN, 6), speaker(ANA, 20)])
    found = consistency(take, Bands())  # type: ignore[arg-type]
    (stretch,) = found.strangers
    assert found.least == pytest.approx(stretch.cosine)
    assert found.least < 0.1
    assert abs(stretch.start / RATE - 20) <= speakers.STEP
    assert abs(stretch.stop / RATE - 26) <= speakers.STEP


def test_strangers_apart_are_two() -> None:
    quiet = speaker(ANA, 10)
    take = np.concatenate([quiet, speaker(BEN, 4), quiet, speaker(BEN, 4), quiet])
    assert len(consistency(take, Bands()).strangers) == 2  # type: ignore[arg-type]


def test_pauses_are_nobody() -> None:
    """Room noise between sentences does not sound like the speaker, and is no stranger."""
    hiss = np.random.default_rng(0).normal(0, 0.001, 10 * RATE).astype(np.float32)
    take = np.concatenate([speaker(ANA, 20), hiss, speaker(ANA, 20)])
    assert consistency(take, Bands()).strangers == ()  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [0, 0.5, 1.4])
def test_of_too_little_nothing_is_said(seconds: float) -> None:
    encoder = Bands()
    assert consistency(speaker(ANA, seconds), encoder).least is None  # type: ignore[arg-type]
    assert not speakers.audible(speaker(ANA, seconds))


def test_of_silence_nothing_is_said() -> None:
    silence = np.zeros(10 * RATE, np.float32)
    assert consistency(silence, Bands()).least is None  # type: ignore[arg-type]
    assert not speakers.audible(silence)
    assert speakers.audible(speaker(ANA, 1.5))


def test_a_short_take_is_one_window_to_its_end() -> None:
    found = consistency(speaker(ANA, 2.5), Bands())  # type: ignore[arg-type]
    assert found.least == pytest.approx(1)
    assert found.strangers == ()


def test_the_bundled_voice_is_one_person_and_the_golden_clips_are_others(
    official: ReferenceEncoder, shared: Path, spoken: Samples
) -> None:
    """With the real weights: nothing is flagged without a stranger, and a stranger is."""
    clean = consistency(spoken, official)
    assert clean.strangers == ()
    assert clean.least is not None
    assert clean.least > 0.88
    clip = shared / "golden" / "ref_encoder" / "spk1688_a.wav"
    other: Samples = np.concatenate([soundfile.read(clip, dtype="float32")[0]] * 2)[: 4 * RATE]
    middle = 9 * RATE
    mixed = consistency(np.concatenate([spoken[:middle], other, spoken[middle:]]), official)
    (stretch,) = mixed.strangers
    assert stretch.start < middle + 2 * RATE
    assert stretch.stop > middle + 2 * RATE
    assert stretch.cosine < 0.6
    own = official.embed(spoken[: 6 * RATE])
    assert cosine(official.embed(spoken[6 * RATE :]), own) > 0.9
    assert cosine(official.embed(other), own) < enough(4)


def test_another_pitch_with_its_formants_is_farther_the_farther_it_goes(
    official: ReferenceEncoder, spoken: Samples
) -> None:
    """The stated limit: two semitones and more may pass for somebody else."""
    own = official.embed(spoken)
    shifted = [
        cosine(own, official.embed(soxr.resample(spoken, RATE * 2 ** (steps / 12), RATE)))
        for steps in (0, 1, 2, 4)
    ]
    assert shifted == sorted(shifted, reverse=True)
    assert shifted[0] == pytest.approx(1)
    assert shifted[-1] < speakers.SAME


# --- On disk --------------------------------------------------------------------------------------


def test_an_embedding_is_made_once(tmp_path: Path) -> None:
    encoder = Bands()
    cache = Embeddings(tmp_path / "embeddings", encoder)  # type: ignore[arg-type]
    first = cache.of(speaker(ANA, 2))
    assert np.array_equal(cache.of(speaker(ANA, 2)), first)
    assert encoder.heard == 1
    cache.of(speaker(BEN, 2))
    assert encoder.heard == 2
    files = list(cache.directory.iterdir())
    assert {path.stem for path in files} == {
        cache.key(speaker(ANA, 2)),
        cache.key(speaker(BEN, 2)),
    }
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert cache.directory.stat().st_mode & 0o777 == 0o700


def test_other_weights_and_other_samples_have_other_keys(tmp_path: Path) -> None:
    save_file(tiny_weights(1), tmp_path / "one.safetensors")
    save_file(tiny_weights(2), tmp_path / "two.safetensors")
    one, two = (
        Embeddings(tmp_path, ReferenceEncoder.load(tmp_path / f"{name}.safetensors"))
        for name in ("one", "two")
    )
    sound = speaker(ANA, 2)
    nudged = sound.copy()
    nudged[100] += 1e-6
    assert len({one.key(sound), two.key(sound), one.key(nudged), one.key(sound[:-1])}) == 4
    assert not np.array_equal(one.of(sound), two.of(sound))


def spoil(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "cut":
        path.write_bytes(content[:-5])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "other":
        np.save(path, np.zeros(3, np.float32))
    elif how == "double":
        np.save(path, np.zeros(16))
    elif how == "nan":
        np.save(path, np.full(16, np.nan, np.float32))
    elif how == "zip":
        path.write_bytes(b"PK\x03\x04 and no more")
    elif how == "object":
        np.save(path, np.array([{}] * 16), allow_pickle=True)
    else:
        np.savez(path.with_suffix(".npz"), a=np.zeros(16))
        path.with_suffix(".npz").replace(path)


@pytest.mark.parametrize(
    "how", ["cut", "empty", "other", "double", "nan", "object", "archive", "zip"]
)
def test_a_damaged_file_is_made_anew(tmp_path: Path, how: str) -> None:
    encoder = Bands()
    cache = Embeddings(tmp_path, encoder)  # type: ignore[arg-type]
    first = cache.of(speaker(ANA, 2))
    (file,) = tmp_path.glob("*.npy")
    good = file.read_bytes()
    spoil(file, how)
    assert np.array_equal(cache.of(speaker(ANA, 2)), first)
    assert encoder.heard == 2
    assert file.read_bytes() == good


def test_a_full_disk_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*details: object) -> None:
        raise OSError(28, "No space left on device")

    encoder = Bands()
    cache = Embeddings(tmp_path, encoder)  # type: ignore[arg-type]
    monkeypatch.setattr(np, "save", full)
    assert np.array_equal(cache.of(speaker(ANA, 2)), encoder.embed(speaker(ANA, 2)))
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_longer_wanted_goes(tmp_path: Path) -> None:
    """P4: of a take that was dropped, no embedding stays behind."""
    cache = Embeddings(tmp_path, Bands())  # type: ignore[arg-type]
    cache.of(speaker(ANA, 2))
    cache.of(speaker(BEN, 2))
    assert cache.keep({cache.key(speaker(ANA, 2))}) == 1
    assert [path.stem for path in tmp_path.iterdir()] == [cache.key(speaker(ANA, 2))]
    assert Embeddings(tmp_path / "none", Bands()).keep([]) == 0  # type: ignore[arg-type]

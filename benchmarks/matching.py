"""How near the approximate match comes to real voices, what it costs, and how fast it is.

    python benchmarks/matching.py voices [--sentences 20] [--speech FOLDER]
    python benchmarks/matching.py speed
    python benchmarks/matching.py whisper

`voices`: the bundled voice says sentences, plain and matched to real voices: the two LibriSpeech
readers of ../shared/golden, and of FOLDER every sound file. Of each voice one half is learned from,
and the other compared with; then all of it for both, as a profile is. Likeness by OpenVoice's
encoder and by GE2E, errors by Whisper tiny.en, quality by DNSMOS. The baseline (plain) and the
ceiling (one half of the voice beside the other) come from the same run.
`speed`: a text of 100 characters, from the call to the last sample, plain and matched.
`whisper`: plain and whispered.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aitwin.voice import speakers, timbre
from aitwin.voice.audio import Samples, Utterance, resample
from aitwin.voice.engines import Bundled, Speaker
from aitwin.voice.heard import RATE
from aitwin.voice.matched import Matched
from aitwin.voice.prompts import prompts
from aitwin.voice.steering import Steering

HERE = Path(__file__).parent.parent
GOLDEN = HERE.parent / "shared" / "golden"
GE2E = HERE / ".cache" / "models" / "ge2e" / "pretrained.pt"
READERS = {
    "1688": (
        ["ref_encoder/spk1688_a.wav", "openvoice/src_a.wav"],
        ["ref_encoder/spk1688_b.wav"],
    ),
    "3331": (
        ["ref_encoder/spk3331_a.wav", "openvoice/ref_b.wav"],
        ["ref_encoder/spk3331_b.wav", "openvoice/ref_b2.wav"],
    ),
}
TEXT = (
    "Thank you for the letter. I will be in town on Thursday, and would love to "
    "see you there for tea."
)
FIRST = 40
"""Number of the first prompt that is said: those that the base is measured by are others."""


class Ears:
    """All that listens."""

    def __init__(self) -> None:
        from aitwin.voice.ge2e import SpeakerEncoder
        from aitwin.voice.mos import Listener
        from aitwin.voice.openvoice import ReferenceEncoder
        from aitwin.voice.transcribe import Transcriber

        self._encoders = {
            "openvoice": ReferenceEncoder.load(
                GOLDEN / "ref_encoder/ref_enc_openvoice_v2.safetensors"
            ),
            "ge2e": SpeakerEncoder.load(GE2E),
        }
        self._listener = Listener()
        self._transcriber = Transcriber.load()

    def embedded(self, sounds: Sequence[Samples]) -> dict[str, Any]:
        weights = [len(sound) for sound in sounds]
        return {
            name: np.average([encoder.embed(sound) for sound in sounds], axis=0, weights=weights)
            for name, encoder in self._encoders.items()
        }

    def likeness(self, said: Sequence[Samples], voice: Sequence[Samples]) -> dict[str, float]:
        one, other = self.embedded(said), self.embedded(voice)
        return {name: speakers.cosine(one[name], other[name]) for name in one}

    def judged(self, texts: Sequence[str], said: Sequence[Samples]) -> dict[str, float]:
        from aitwin.voice.verify import word_errors

        counts = [
            word_errors(text, self._transcriber.words(sound))
            for text, sound in zip(texts, said, strict=True)
        ]
        scores = [self._listener.score(sound) or 0.0 for sound in said]
        wrong, words = np.sum(counts, axis=0)
        return {"wer": float(wrong / words), "dnsmos": float(np.mean(scores))}


def voices(folder: Path | None) -> dict[str, tuple[list[Samples], list[Samples]]]:
    found = {
        name: ([read(GOLDEN / each) for each in one], [read(GOLDEN / each) for each in other])
        for name, (one, other) in READERS.items()
    }
    for path in sorted(folder.iterdir()) if folder else []:
        if path.suffix in (".wav", ".flac"):
            sound = read(path)
            found[path.stem] = ([sound[: len(sound) // 2]], [sound[len(sound) // 2 :]])
    return found


def read(path: Path) -> Samples:
    import soundfile

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    sound = resample(Utterance(samples.mean(axis=1), rate), RATE).samples
    # As prepared takes are.
    return np.asarray(sound * (0.07 / np.sqrt(np.mean(np.square(sound)))), np.float32)


def say(speaker: Speaker, texts: Sequence[str]) -> list[Samples]:
    return [
        resample(speaker.speak(text, seed=number), RATE).samples
        for number, text in enumerate(texts)
    ]


def matched_to(base: Speaker, sounds: Sequence[Samples], kept: Path) -> Matched:
    learned = timbre.measure(sounds)
    assert learned is not None
    return Matched(base, learned, "somebody", kept=kept)


def measure_voices(count: int, folder: Path | None) -> dict[str, Any]:
    import tempfile

    ears, base = Ears(), Bundled()
    texts = [prompt.text for prompt in prompts("neutral")[FIRST : FIRST + count]]
    plain = say(base, texts)
    rows: dict[str, Any] = {"plain": ears.judged(texts, plain)}
    print(f"plain: {told(rows['plain'])}")
    with tempfile.TemporaryDirectory() as kept:
        for name, (one, other) in voices(folder).items():
            half = say(matched_to(base, one, Path(kept)), texts)
            whole = say(matched_to(base, [*one, *other], Path(kept)), texts)
            rows[name] = row = {
                "seconds": sum(map(len, [*one, *other])) / RATE,
                "ceiling": ears.likeness(one, other),
                "held out": {
                    "plain": ears.likeness(plain, other),
                    "matched": ears.likeness(half, other),
                },
                "all": {
                    "plain": ears.likeness(plain, [*one, *other]),
                    "matched": ears.likeness(whole, [*one, *other]),
                },
                **ears.judged(texts, whole),
            }
            print(f"{name} ({row['seconds']:.1f} s): ceiling {told(row['ceiling'])}")
            for kind in ("held out", "all"):
                print(f"  {kind}: {told(row[kind]['plain'])} -> {told(row[kind]['matched'])}")
            print(f"  {told({key: row[key] for key in ('wer', 'dnsmos')})}", flush=True)
    return rows


def told(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items())


def measure_speed() -> dict[str, float]:
    base = Bundled()
    learned = timbre.measure([read(GOLDEN / "ref_encoder/spk3331_a.wav")])
    assert learned is not None
    matched = Matched(base, learned, "somebody")
    start = time.perf_counter()
    matched.speak(TEXT)
    found = {"first of all, s": time.perf_counter() - start}
    for name, speaker in (("plain", base), ("matched", matched)):
        times = []
        for _ in range(7):
            start, used = time.perf_counter(), time.process_time()
            said = speaker.speak(TEXT)
            times.append((time.perf_counter() - start, time.process_time() - used))
        wall, processor = np.median(times, axis=0)
        found |= {f"{name}, s": float(wall), f"{name}, s of processors": float(processor)}
        found[f"{name}, of real time"] = float(wall) / said.seconds
    print(f"{len(TEXT)} characters, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for name, value in found.items():
        print(f"  {name}: {value:.3f}")
    return found


def measure_whisper(count: int) -> dict[str, Any]:
    ears, base = Ears(), Bundled()
    texts = [prompt.text for prompt in prompts("whispered")[FIRST : FIRST + count]]
    said = [resample(base.speak(text, seed=n), RATE) for n, text in enumerate(texts)]
    whispered = [Steering(whispered=True).apply(each).samples for each in said]
    found = {
        "plain": ears.judged(texts, [each.samples for each in said]),
        "whispered": ears.judged(texts, whispered),
    }
    for name, row in found.items():
        print(f"{name}: {told(row)}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("voices", "speed", "whisper"))
    parser.add_argument("--sentences", type=int, default=20)
    parser.add_argument("--speech", type=Path)
    options = parser.parse_args()
    match options.what:
        case "voices":
            found = measure_voices(options.sentences, options.speech)
        case "speed":
            found = measure_speed()
        case _:
            found = measure_whisper(options.sentences)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

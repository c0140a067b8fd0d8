"""What a fine-tune takes and brings: time and memory at official sizes, and a small one to its end.

    python benchmarks/finetune.py pace [--batch 4] [--steps 3]
    python benchmarks/finetune.py proof [--base-steps 900] [--steps 600]

`pace`: steps of the official sizes over random weights and random speech, which are as much work as
real ones; the peak of the process beside what `memory` foresees, and operations per step beside
time. `proof` (behind `base`): a small network (3 million weights, 22,050 Hz) first learns the
bundled voice at two other speeds, pitch and formants with it, as two base speakers; then it is
fine-tuned (a) to the bundled voice as it is, by the whole of `finetune.run` with consent, prepared
take and profile, and (b) to real recordings of a reader of LibriSpeech: three to learn from, one to
measure on. Whose voice is heard the official reference encoder tells. Features of BERT are zeros.
Needs the golden data (../shared/golden).
"""

import argparse
import gzip
import json
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parent.parent.parent / "shared/golden"
ENCODER = GOLDEN / "ref_encoder/ref_enc_openvoice_v2.safetensors"
SPEEDS = {"EN-US": 0.8, "EN-BR": 1.25}
"""Of the base speakers: played slower or faster, so that they are other people."""
TYPICAL = 6.0
"""Seconds of an utterance, for the work."""
SMALL = {
    "inter_channels": 48,
    "hidden_channels": 64,
    "filter_channels": 128,
    "p_dropout": 0.0,
    "n_layers": 3,
    "n_layers_trans_flow": 3,
    "upsample_initial_channel": 64,
    "upsample_rates": [8, 8, 2, 2],
    "upsample_kernel_sizes": [16, 16, 4, 4],
    "resblock_kernel_sizes": [3, 7],
    "resblock_dilation_sizes": [[1, 3], [1, 3]],
    "gin_channels": 32,
}
RATE = {"sampling_rate": 22_050, "filter_length": 1_024, "hop_length": 256, "win_length": 1_024}
CLIPS = ("ref_encoder/spk3331_a", "ref_encoder/spk3331_b", "openvoice/ref_b", "openvoice/ref_b2")
"""One reader of LibriSpeech test-other, 10.7 s; the last is held out. Words by tiny.en."""


def small_config() -> dict[str, Any]:
    config: dict[str, Any] = json.loads((GOLDEN / "melo/config.json").read_text())
    config["model"] |= SMALL
    config["data"] |= {**RATE, "n_mel_channels": 80, "n_speakers": 16}
    config["data"]["spk2id"] = {name: row for row, name in enumerate(SPEEDS)}
    return config


def operations(sizes: Any, analysis: Any, recipe: Any) -> float:
    """Floating-point operations of one step over utterances of TYPICAL seconds.

    A multiplication and an addition are two. Of the forward passes as torch counts them, times
    three for forward and backward.
    """
    from torch.utils.flop_counter import FlopCounterMode

    from aitwin.voice import memory

    passing = memory._Pass.of(sizes, analysis, recipe)
    with FlopCounterMode(display=False) as counter:
        outcome = passing._forward(TYPICAL)
        # The adversaries see both sounds in their own step as well, which is what they learn from.
        judged = passing._judge(2)
    del outcome, judged
    return 3.0 * float(counter.get_total_flops())


def pace(batch: int, steps: int) -> None:
    import torch

    from aitwin.voice import memory
    from aitwin.voice.mels import Analysis
    from aitwin.voice.synthesizer import Sizes, Synthesizer
    from aitwin.voice.tuner import Batch, Recipe, Tuner

    torch.set_num_threads(1)
    config = json.loads((GOLDEN / "melo/config_official_sizes_en.json").read_text())
    sizes, analysis = Sizes.of(config), Analysis.of(config["data"])
    recipe = Recipe(batch=batch, warm_up=1)
    seconds = TYPICAL
    foreseen, work = memory.tuning(sizes, analysis, recipe), operations(sizes, analysis, recipe)
    tuner = Tuner(Synthesizer(sizes, trainable=True), analysis, recipe)
    frames = int(seconds * analysis.rate / analysis.hop)
    symbols = 2 * int(seconds * memory.LETTERS) + 1
    ids = torch.zeros(batch, symbols, dtype=torch.long)
    made = Batch(
        phones=ids + 5,
        tones=ids,
        languages=ids,
        features=torch.randn(batch, 768, symbols),
        speakers=torch.zeros(batch, dtype=torch.long),
        samples=torch.randn(batch, frames * analysis.hop) * 0.1,
        symbols=(symbols,) * batch,
        frames=(frames,) * batch,
    )
    for step in range(steps + 1):
        before, processor = time.monotonic(), time.process_time()
        losses = tuner.step(made, step)
        row = {
            "kind": "adversaries alone" if step == 0 else "all",
            "batch": batch,
            "seconds": round(time.monotonic() - before, 2),
            "processor": round(time.process_time() - processor, 2),
            "teraflop": round(work / 1e12, 2) if step else None,
            "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
            "foreseen_gb": round(foreseen.total / 1e9, 2),
            "finite": losses.finite,
        }
        print(json.dumps(row), flush=True)


class Reader:
    """The real front end, and zeros for BERT."""

    def __init__(self, directory: Path) -> None:
        from aitwin.voice.melo_reader import Reader

        place = directory / "g2p"
        place.mkdir(parents=True, exist_ok=True)
        with gzip.open(GOLDEN / "extra/cmudict.rep.gz") as packed:
            (place / "cmudict.rep").write_bytes(packed.read())
        shutil.copy(GOLDEN / "extra/g2p_en_checkpoint20.npz", place / "checkpoint20.npz")
        with gzip.open(GOLDEN / "melo/bert_base_uncased_vocab.txt.gz") as packed:
            (directory / "vocab.txt").write_bytes(packed.read())
        self.front_end = Reader(place, directory).front_end(GOLDEN / "melo/config.json")

    def __call__(self, text: str) -> Any:
        units = self.front_end.units(text)
        return units, np.zeros((len(units.token_ids), 768), np.float32)


def sentences() -> list[str]:
    from aitwin.voice.emotions import EMOTIONS
    from aitwin.voice.prompts import prompts

    return [prompt.text for emotion in EMOTIONS for prompt in prompts(emotion)]


def bundled(texts: list[str], seed: int) -> list[np.ndarray]:
    """At heard.RATE."""
    from aitwin.voice import audio
    from aitwin.voice.engines import Bundled

    voice = Bundled()
    return [audio.resample(voice.speak(text, seed=seed), 22_050).samples for text in texts]


def base_lessons(directory: Path, read: Reader, count: int) -> Any:
    from aitwin.voice import lessons

    texts = sorted(sentences(), key=len)[40 : 40 + count]
    spoken = bundled(texts, seed=1)

    def sources() -> Iterator[Any]:
        for name, speed in SPEEDS.items():
            for number, (text, samples) in enumerate(zip(texts, spoken, strict=True)):
                yield lessons.Source(f"{name}-{number}", name, text, samples, int(22_050 * speed))

    return lessons.make(directory / "base", sources(), read, rate=22_050, hop=256)


def train_base(directory: Path, read: Reader, steps: int) -> None:
    """The small network from nothing, to `directory`/base.safetensors."""
    import torch
    from safetensors.torch import save_file

    from aitwin.voice import lessons
    from aitwin.voice.mels import Analysis
    from aitwin.voice.synthesizer import Sizes, Synthesizer
    from aitwin.voice.tuner import Recipe, Tuner, collate, fused

    config = small_config()
    (directory / "config.json").write_text(json.dumps(config))
    found = base_lessons(directory, read, 60)
    recipe = Recipe(
        steps=steps, warm_up=0, batch=4, segment=24, learning_rate=1e-3, last_rate=0.2, narrower=4
    )
    torch.manual_seed(0)
    network = Synthesizer(Sizes.of(config), trainable=True)
    tuner = Tuner(network, Analysis.of(config["data"]), recipe)
    print(f"weights {sum(p.numel() for p in network.parameters()):,}", flush=True)
    rows = config["data"]["spk2id"]
    length = lessons.batches(len(found.training), recipe.batch)
    started, processor = time.monotonic(), time.process_time()
    for step in range(steps):
        epoch, place = divmod(step, length)
        order = lessons.order(found.training, recipe.batch, 0, epoch)
        losses = without_adversaries(tuner, collate(found, order[place], rows, 256), step)
        if step % 50 == 49 or step == 0:
            row = {key: round(value, 3) for key, value in asdict(losses).items()}
            row |= {"step": step + 1, "seconds": round(time.monotonic() - started)}
            row |= {"processor": round(time.process_time() - processor)}
            print(json.dumps(row), flush=True)
            save_file(
                {k: v.detach().clone().contiguous() for k, v in fused(network).items()},
                directory / "base.safetensors",
            )
            if step % 200 == 199:
                hear(directory / f"base-{step + 1}", tuner, found, rows)


def without_adversaries(tuner: Any, batch: Any, step: int) -> Any:
    """A step by the other losses alone, at half the time: enough for a base that hums speech."""
    import torch

    from aitwin.voice.tuner import Losses

    torch.manual_seed(step)
    passed = tuner._pass(batch)
    made = tuner.analysis.mel(tuner.analysis.linear(passed.made[:, 0]))
    mel = torch.nn.functional.l1_loss(made, passed.mel)
    tuner._move("network", 45 * mel + passed.kl + passed.duration, step)
    return Losses(mel=mel.item(), kl=passed.kl.item(), duration=passed.duration.item())


def hear(place: Path, tuner: Any, found: Any, rows: dict[str, int]) -> None:
    from aitwin.voice import audio, melo
    from aitwin.voice.audio import Utterance

    network = tuner.network.eval()
    for lesson in found.held[:2]:
        samples = melo.spoken(network, lesson.units, found.features(lesson), rows[lesson.emotion])
        audio.save([Utterance(samples, 22_050)], place / f"{lesson.id}.wav")
    network.train()


def owned(directory: Path, encoder: Any) -> Any:
    """The bundled voice as somebody's own: sentences read, prepared, with consent."""
    from datetime import UTC, datetime

    import soundfile

    from aitwin.voice import consent, prepare, profile, voices
    from aitwin.voice.vad import Detector

    shutil.rmtree(directory / "voices", ignore_errors=True)
    voice = voices.create(directory / "voices", "Heart")
    texts = sorted(sentences(), key=len)[120:142]
    for text, samples in zip(texts, bundled(texts, seed=2), strict=True):
        soundfile.write(directory / "take.wav", samples, 22_050)
        values = {"emotion": "neutral", "seconds": len(samples) / 22_050, "sample_rate": 22_050}
        values |= {"channels": 1, "prompt": text, "added_at": datetime.now(UTC).isoformat()}
        voice.add(directory / "take.wav", values)
    for take in voice.takes():
        prepare.prepare(voice, take, prepare.Tools(Detector(), encoder=encoder))
    consent.store(voice.path / "consent", consent.stated("Heart", date(2026, 11, 29)))
    return voice, profile.build(voice, encoder)


def proof(directory: Path, read: Reader, steps: int) -> None:
    """From the base that `base` has made."""
    from aitwin.voice import finetune
    from aitwin.voice.openvoice import ReferenceEncoder
    from aitwin.voice.transcribe import Transcriber
    from aitwin.voice.tuner import Recipe
    from aitwin.voice.watermark import Watermark

    encoder, ears = ReferenceEncoder.load(ENCODER), Transcriber.load()
    base = finetune.Base(directory / "base.safetensors", directory / "config.json")
    recipe = Recipe(
        steps=steps,
        warm_up=max(1, steps // 12),
        batch=4,
        segment=24,
        learning_rate=1e-3,
        every=max(1, steps // 4),
        spoken=4,
        narrower=8,
    )
    recorded(directory, read, encoder, ears, recipe)
    voice, known = owned(directory, encoder)
    heard = finetune.Ears(encoder, ears)
    job = finetune.Job(voice, known, base, read, heard, Watermark.load(), recipe)
    last: list[Any] = [None]

    def show(now: Any) -> None:
        if now.step % 5 == 0 or now.heard != last[0]:
            print(json.dumps({"step": now.step, **asdict(now.losses), **asdict(now.heard)}))
            sys.stdout.flush()
        last[0] = now.heard

    started, processor = time.monotonic(), time.process_time()
    result = finetune.run(job, watcher=finetune.Watcher(progress=show, plan=print))
    print(json.dumps(result.metrics if result else None))
    print(f"{time.monotonic() - started:.0f} s, processor {time.process_time() - processor:.0f} s")


def recorded(directory: Path, read: Reader, encoder: Any, ears: Any, recipe: Any) -> None:
    """To a real reader's recordings, by the steps alone: there are 11 s, a run wants a minute."""
    import soundfile
    from safetensors.torch import load_file

    from aitwin.voice import audio, lessons, melo, speakers
    from aitwin.voice.audio import Utterance
    from aitwin.voice.mels import Analysis
    from aitwin.voice.synthesizer import Sizes, Synthesizer
    from aitwin.voice.tuner import Tuner, collate

    clips = [soundfile.read(GOLDEN / f"{name}.wav", dtype="float32")[0] for name in CLIPS]
    texts = [" ".join(word.text for word in words) for words in ears.words_of_each(clips)]
    sources = [
        lessons.Source(f"{number}-{again}", "neutral", text, samples, 22_050)
        for again in range(7)  # as often as makes a minute
        for number, (text, samples) in enumerate(zip(texts, clips, strict=True))
    ]
    found = lessons.make(directory / "recorded", iter(sources), read, rate=22_050, hop=256)
    first = {int(one.id[0]): one for one in reversed(found.all)}
    training, held = [first[number] for number in range(3)], first[3]
    config = small_config()
    network = Synthesizer(Sizes.of(config), trainable=True)
    network.load_state_dict(load_file(directory / "base.safetensors"))
    network.emb_g.weight.data[2] = network.emb_g.weight.data[0]
    tuner = Tuner(network, Analysis.of(config["data"]), recipe)
    goal = np.mean([encoder.embed(samples) for samples in clips[:3]], axis=0)

    def likeness() -> float:
        spoken = melo.spoken(network.eval(), held.units, found.features(held), 2)
        network.train()
        audio.save([Utterance(spoken, 22_050)], directory / "recorded.wav")
        return speakers.cosine(encoder.embed(spoken), goal)

    of_itself = speakers.cosine(encoder.embed(clips[3]), goal)
    print(json.dumps({"held out": of_itself, "before": likeness()}), flush=True)
    for step in range(recipe.steps):
        losses = tuner.step(collate(found, training, {"neutral": 2}, 256), step)
        if step % recipe.every == recipe.every - 1:
            row = {"step": step + 1, "likeness": likeness(), **asdict(losses)}
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    import torch

    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("what", choices=("pace", "base", "proof"))
    arguments.add_argument("--batch", type=int, default=4)
    arguments.add_argument("--steps", type=int, default=3)
    arguments.add_argument("--base-steps", type=int, default=900)
    arguments.add_argument("--directory", type=Path, default=Path(".cache/finetune"))
    given = arguments.parse_args()
    torch.set_num_threads(1)
    if given.what == "pace":
        pace(given.batch, given.steps)
    elif given.what == "base":
        given.directory.mkdir(parents=True, exist_ok=True)
        train_base(given.directory, Reader(given.directory), given.base_steps)
    else:
        proof(given.directory, Reader(given.directory), given.steps)
    sys.exit(0)

"""What serving costs over bare llama.cpp, and how much memory a 7B takes.

    python benchmarks/serving.py speed [--rounds 7] [--tokens 64]
    python benchmarks/serving.py quoting [--rounds 3]
    python benchmarks/serving.py memory [--layers 28]

`speed`: tokens per second and time to the first token of Writer over LlamaCpp, against the same
library's server asked directly with its own defaults; and of a graft against the same adapter at
run time. SmolLM2, one prompt per round, the same for all; rounds are interleaved, medians stated.
`quoting`: answers that quote a mail, and others, with and without guessing from the prompt.
`memory`: a file in the shape of Qwen2.5-7B at Q4_K_M with random weights (4.4 GB), loaded as we
load it and as llama.cpp does by default, each in a process of its own.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import export
import xllamacpp

from aitwin import prompt
from aitwin.prompt import Persona, Task
from aitwin.style import lora
from aitwin.style.engine import BATCH, CONTEXT, LlamaCpp, Loading, Sampling, _threads
from aitwin.style.graft import graft
from aitwin.style.writer import Writer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "style"))
import gguf_samples

PERSONA = Persona("Thota", ("concise", "direct"))
MAIL = (
    "Hello Thota, the twelve hydraulic seals of type NBR-70 will leave Rotterdam on 14 March and "
    "arrive at the warehouse, Am Steinberg 14b, 65843 Sulzbach, on 19 March. Please confirm the "
    "address, and tell us whether we may invoice the first part of order 4711 now. Ana Meyer"
)
QUOTING = [
    f"{task}\n\n{MAIL}" for task in ("Quote every line, then answer.", "Correct the spelling.")
]
OTHERS = [
    "Invite my team to lunch on Friday.",
    "Write a long letter to my landlord about the heating.",
]


def clock(pieces: Iterable[str]) -> tuple[float, float]:
    """Seconds to the first piece, and pieces per second after it."""
    start = time.perf_counter()
    moments = [time.perf_counter() for piece in pieces if piece]
    return moments[0] - start, (len(moments) - 1) / (moments[-1] - moments[0])


def bare(model: Path) -> Any:
    """llama.cpp's server as it comes, but for the context, the threads and silence."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model)
    parameters.n_ctx, parameters.n_parallel, parameters.verbosity = CONTEXT, 1, -1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = _threads()
    parameters.hostnames = [f"{tempfile.mkdtemp(prefix='bare-')}/llama.sock"]
    return xllamacpp.Server(parameters)


def clock_bare(server: Any, task: Task, sampling: Sampling) -> tuple[float, float]:
    """The same of a server that is asked directly."""
    messages = prompt.messages(PERSONA, task)
    request = {"messages": messages, "stream": True, **sampling.as_request()}
    moments: list[float] = []

    def receive(chunk: dict[str, Any]) -> bool:
        for choice in chunk.get("choices", ()):
            if choice.get("delta", {}).get("content"):
                moments.append(time.perf_counter())
        return False

    start = time.perf_counter()
    server.handle_chat_completions(request, receive)
    return moments[0] - start, (len(moments) - 1) / (moments[-1] - moments[0])


def speed(rounds: int, tokens: int) -> dict[str, float]:
    """Ratios of medians, and the medians."""
    sampling = Sampling(tokens, temperature=0.0)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        scratch = Path(folder)
        factors = gguf_samples.random_factors(
            export.MODEL, size=0.01, matrices=("attn_q", "attn_v")
        )
        adapter = gguf_samples.peft_adapter(scratch / "adapter", factors)
        grafted = graft(adapter, export.MODEL, scratch / "twin.gguf").path
        runtime = _lora(adapter, scratch / "adapter.gguf")
        server = bare(export.MODEL)

        def ours(engine: LlamaCpp) -> Callable[[Task], tuple[float, float]]:
            writer = Writer(stack.enter_context(engine), PERSONA)
            return lambda task: clock(writer.stream(task, sampling))

        ways = {
            "ours": ours(LlamaCpp(export.MODEL, loading=Loading(quoting=True))),
            # What the guesses from the prompt do not explain.
            "plain": ours(LlamaCpp(export.MODEL, loading=Loading(quoting=False))),
            "bare": lambda task: clock_bare(server, task, sampling),
            "lora": ours(LlamaCpp(export.MODEL, runtime)),
            "graft": ours(LlamaCpp(grafted)),
        }
        measured: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for number in range(rounds + 1):
            task = Task(f"Answer this mail at length, point {number} first.", MAIL)
            names = list(ways)
            # Rotated: who comes first or after whom matters on a shared machine.
            for way in names[number % len(names) :] + names[: number % len(names)]:
                result = ways[way](task)
                if number:  # the first reads the standing instruction and warms the caches
                    measured[way].append(result)
    first = {way: median(one[0] for one in results) for way, results in measured.items()}
    rate = {way: median(one[1] for one in results) for way, results in measured.items()}
    for way in ways:
        print(f"{way:6} {rate[way]:6.1f} tok/s, first token after {first[way] * 1000:5.0f} ms")
    for way in ("ours", "plain"):
        print(f"{way} over bare: {rate[way] / rate['bare']:.1%} of the speed,", end=" ")
        print(f"{first['bare'] / first[way]:.1%} of the quickness to the first token")
    print(f"graft over run-time LoRA: {rate['graft'] / rate['lora']:.1%}")
    return {
        f"{way}_{kind}": value[way] for kind, value in (("s", first), ("tps", rate)) for way in ways
    }


def _lora(adapter: Path, target: Path) -> Path:
    from aitwin.style import gguf

    gguf._write(lora.load(adapter, export.MODEL), target)
    return target


def quoting(rounds: int) -> dict[str, float]:
    """Tokens per second with and without guessing; whether the texts are the same."""
    sampling = Sampling(80, temperature=0.0)
    results: dict[str, float] = {}
    with ExitStack() as stack:
        engines = {
            on: stack.enter_context(LlamaCpp(export.MODEL, loading=Loading(quoting=on)))
            for on in (True, False)
        }
        for kind, tasks in (("quoting", QUOTING), ("others", OTHERS)):
            spent, made = {True: 0.0, False: 0.0}, {True: 0, False: 0}
            same = True
            for number in range(rounds * len(tasks)):
                messages = prompt.messages(PERSONA, Task(tasks[number % len(tasks)]))
                texts = {}
                for on in (True, False) if number % 2 else (False, True):
                    start = time.perf_counter()
                    pieces = [piece for piece in engines[on].stream(messages, sampling) if piece]
                    spent[on] += time.perf_counter() - start
                    made[on] += len(pieces)
                    texts[on] = "".join(pieces)
                same = same and texts[True] == texts[False]
            rate = {on: made[on] / spent[on] for on in spent}
            results[kind] = rate[True] / rate[False]
            print(f"{kind:8} {rate[True]:.1f} against {rate[False]:.1f} tok/s", end=", ")
            print("the same text" if same else "ANOTHER TEXT")
    return results


def memory(layers: int) -> dict[str, dict[str, float]]:
    """Peak resident memory and speed, as we load it and as llama.cpp does by default."""
    results = {}
    with tempfile.TemporaryDirectory(dir=export.MODEL.parents[2]) as folder:
        base = Path(folder) / "base.gguf"
        export.large(base, layers)
        print(f"file: {base.stat().st_size / 1e9:.2f} GB")
        for name in ("ours", "repacked", "small cache"):
            command = [sys.executable, __file__, "child", str(base), name]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            results[name] = json.loads(done.stdout)
            one = results[name]
            print(f"{name:12} {one['gb']:.2f} GB resident, {one['tps']:.2f} tok/s")
    return results


def child(base: Path, name: str) -> None:
    """One loading, in this process."""
    loading = Loading(
        repack=True if name == "repacked" else None, small_cache=name == "small cache"
    )
    with LlamaCpp(base, loading=loading) as engine:
        request = {
            "prompt": list(range(100, 100 + 2 * BATCH)),
            "max_tokens": 12,
            "ignore_eos": True,
        }
        timings = engine._server.handle_completions(request)["timings"]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    print(json.dumps({"gb": peak * unit / 1e9, "tps": timings["predicted_per_second"]}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    fast = commands.add_parser("speed")
    fast.add_argument("--rounds", type=int, default=7)
    fast.add_argument("--tokens", type=int, default=64)
    commands.add_parser("quoting").add_argument("--rounds", type=int, default=3)
    commands.add_parser("memory").add_argument("--layers", type=int, default=28)
    one = commands.add_parser("child")
    one.add_argument("base", type=Path)
    one.add_argument("name")
    chosen = parser.parse_args()
    if chosen.command == "child":
        child(chosen.base, chosen.name)
        return
    results: Any
    if chosen.command == "speed":
        results = speed(chosen.rounds, chosen.tokens)
    elif chosen.command == "quoting":
        results = quoting(chosen.rounds)
    else:
        results = memory(chosen.layers)
    print(json.dumps({"cores": os.cpu_count(), chosen.command: results}))


if __name__ == "__main__":
    main()

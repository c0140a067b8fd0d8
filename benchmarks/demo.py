"""Wall time and peak memory of each stage of `twin demo`, from an empty home.

    python benchmarks/demo.py [--minutes 2.5] [--models DIRECTORY]

Prints a table and JSON. Peak memory is this process's resident set, reset before each stage (on
Linux; elsewhere the highest so far is shown). Covers M6 (training time), R1 (memory).
"""

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent


class Watch:
    """Times stages; the notes of a stage are of no interest here."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float | str]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator["Watch"]:
        reset_peak()
        started = time.perf_counter()
        cpu = time.process_time()
        yield self
        self.rows.append(
            {
                "stage": name,
                "seconds": round(time.perf_counter() - started, 1),
                "cpu_seconds": round(time.process_time() - cpu, 1),
                "peak_mib": round(peak_mib()),
            }
        )
        print(f"{name}: {self.rows[-1]}", file=sys.stderr)

    def note(self, text: str) -> None:
        pass


def reset_peak() -> None:
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


def peak_mib() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if platform.system() == "Darwin" else 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.5)
    parser.add_argument("--models", type=Path, default=ROOT / ".cache" / "models")
    arguments = parser.parse_args()

    from aitwin.home import Home, stay_offline

    stay_offline()
    from aitwin.demo import tour
    from aitwin.style.train import train

    watch = Watch()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        home.open()
        # The shelf is filled by `make test`; the dequantised base is made anew.
        home.models.mkdir(mode=0o700)
        for model in arguments.models.iterdir():
            if model.name != "floats":
                (home.models / model.name).symlink_to(model.resolve())
        tour.take(
            home,
            tour.Guide(watch.stage, lambda job, resume: train(job, resume=resume)),
            minutes=arguments.minutes,
        )
        adapter = next(home.demo.glob("adapters/main/manifest.json"))
        metrics = json.loads(adapter.read_text())["metrics"]
    total = sum(float(row["seconds"]) for row in watch.rows)
    print(f"\n{'stage':<22}{'wall s':>8}{'CPU s':>8}{'peak MiB':>10}")
    for row in watch.rows:
        print(f"{row['stage']:<22}{row['seconds']:>8}{row['cpu_seconds']:>8}{row['peak_mib']:>10}")
    print(f"{'all':<22}{total:>8.1f}\n")
    machine = {
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "threads": threading.active_count(),
    }
    print(json.dumps({"stages": watch.rows, "training": metrics, **machine}, indent=2))


if __name__ == "__main__":
    main()

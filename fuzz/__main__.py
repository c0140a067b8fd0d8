"""Run one target under atheris: coverage-guided, and without end unless libFuzzer is told so.

    python -m fuzz mbox -max_total_time=60

Options after the target are libFuzzer's. Needs atheris, which the tests do not: see `make fuzz`.
"""

import os
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["aitwin.corpus"]):
    from fuzz import targets
from fuzz.seeds import seeds

WORDS = (
    *("From ", "\\x0aFrom - ", ">From ", "boundary=", "charset=", "=?utf-8?B?", "=?utf-8?Q?", "?="),
    *("multipart/mixed", "multipart/alternative", "message/rfc822", "text/html", "base64"),
    *("quoted-printable", "format=flowed", "Content-Length: ", "On 3 Mar 2025, X wrote:", "> "),
    *("-----Original Message-----", "-- \\x0a", "<blockquote>", "gmail_quote", "utf-7", "idna"),
    *("\\xe2\\x80\\x8e", "\\xe2\\x80\\xaf", "\\xef\\xbb\\xbf", "[18.03.22, 14:56:01] ", " PM - "),
)
"""What chance would take long to put together."""


def main() -> None:
    """Fuzz the target that the command line names."""
    if len(sys.argv) < 2 or sys.argv[1] not in targets.TARGETS:
        sys.exit(f"usage: python -m fuzz {{{','.join(targets.TARGETS)}}} [libFuzzer options]")
    name = sys.argv[1]
    found = Path(os.environ.get("FUZZ_HOME", tempfile.gettempdir())) / name
    found.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (found / f"seed-{number:03}").write_bytes(seed)
    words = found.with_suffix(".dict")
    words.write_text("".join(f'"{word}"\n' for word in WORDS))
    options = [f"-dict={words}", f"-artifact_prefix={found}-", "-timeout=20", "-max_len=16384"]
    atheris.Setup([sys.argv[0], *options, *sys.argv[2:], str(found)], targets.TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()

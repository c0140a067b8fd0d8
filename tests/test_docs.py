"""The documentation is run, not believed: its commands, its code, its links, its generated parts.

    python -m tests.test_docs --write    writes the generated parts of docs/ anew

Every `console` and `python` block of README.md and docs/ is executed, in the order of its page, in
a home directory with the sample owner's mail and chats. A block that cannot run here has
`<!-- not run: REASON -->` above it; the last test holds how many those are.

In a console block, lines after `$ ` are typed, the others are expected in that order; `…` stands
for anything. Training takes minutes, so the adapter here is a real one with random weights: it
proves that the commands work, and nothing about style (see tests/style).
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from aitwin import artifact, models
from aitwin.cli import app
from aitwin.corpus import context, curate, dedupe, imports, pairs, pipeline, reverse
from aitwin.corpus.messages import Owner
from aitwin.corpus.store import Store
from aitwin.demo import SAMPLE_OWNER, THOTA, tour
from aitwin.prompt import ROW_TOKENS, Persona
from aitwin.server.callers import CODE, SESSION, SHORTEST_PASSPHRASE
from aitwin.server.problems import KINDS
from aitwin.services.gateway import PORT
from aitwin.style.recipe import Recipe
from aitwin.voice.engines import Bundled
from aitwin.voice.speech import Speech

REPOSITORY = Path(__file__).parent.parent
PAGES = (
    REPOSITORY / "README.md",
    REPOSITORY / "CHANGELOG.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
)
NOT_RUN = 42
"""Blocks with a reason why they are not run. More of them need a good one."""
PICTURE_LIMIT = 400_000  # bytes


# --- What the pages hold --------------------------------------------------------------------------

_FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]*?) -->\n+)?```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A block of code on a page."""

    page: Path
    line: int
    kind: str
    text: str
    reason: str
    """Why it is not run; empty when it is."""

    def __str__(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(
            page,
            text.count("\n", 0, found.start("kind")) + 1,
            found["kind"],
            found["text"],
            found["reason"] or "",
        )
        for found in _FENCE.finditer(text)
        if found["kind"] in ("console", "python")
    ]


def prose(page: Path) -> str:
    """The page without its code blocks: links and headings in those are none."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


# --- Running them ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """A machine on which somebody follows the documentation."""

    home: Path
    port: str
    """Where `twin serve` listens, in place of the 8787 that the pages name."""

    def run(self, command: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            cwd=self.home,
            env=environment(self.home),
            timeout=60,
            check=False,
        )


def environment(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "HOME": str(home), "PATH": path, "COLUMNS": "160", "OMP_NUM_THREADS": "2"}


@pytest.fixture(scope="module")
def world(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("docs")
    shutil.copytree(THOTA, home / "Mail")
    (home / "mail.txt").write_text("Hi,\n\ncan we move the review to Thursday at three?\n\nAna\n")
    (home / "Recordings").mkdir()
    spoken = "The kettle is on. Nobody has moved the van, and the ferry does not wait for anyone."
    Speech(Bundled()).save(spoken, home / "Recordings" / "kettle.wav")
    (home / "passphrase.txt").write_text("four wet dogs in a van\n")
    (home / "page.txt").write_text("The kettle is on. Nobody has moved the van.\n")
    chat = "03/04/2024, 10:0{} - Ana: line {}\n"
    (home / "WhatsApp Chat with Ana.txt").write_text(
        "".join(chat.format(minute, minute) for minute in range(6))
    )
    ready = World(home, "")
    set_up(ready, smollm2)
    server = subprocess.Popen(
        ["twin", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=home,
        env=environment(home),
    )
    try:
        assert server.stdout is not None
        assert server.stderr is not None
        link = server.stdout.readline()
        listening = re.match(r"http://127\.0\.0\.1:(\d+)/login#", link)
        assert listening, link + server.stderr.read()
        yield World(home, listening[1])
    finally:
        server.terminate()
        server.communicate(timeout=30)


def set_up(world: World, smollm2: Path) -> None:
    """What the pages take for done: `twin init`, a model on the shelf, a corpus, an adapter."""
    owner = SAMPLE_OWNER
    flags = [
        *("--name", owner.name, "--base", owner.base),
        *(part for one in owner.addresses for part in ("--address", one)),
        *(part for one in owner.chat_names for part in ("--chat-name", one)),
    ]
    for command in (["init", *flags], ["corpus", "add", "Mail"], ["dataset", "build"]):
        done = world.run(["twin", *command])
        assert done.returncode == 0, done.stderr
    shelf = world.home / ".aitwin" / "models" / owner.base
    artifact.make_private_dir(shelf)
    shutil.copy(smollm2, shelf / models.WEIGHTS)
    model = models.find(owner.base)
    artifact.write_manifest(shelf, {"sha256": model.sha256, "bytes": model.bytes})
    untrained_adapter(world.home / ".aitwin" / "adapters" / "main", smollm2)


def untrained_adapter(target: Path, base: Path) -> None:
    """An adapter of the real shape with small random weights, in place of minutes of training."""
    import numpy as np
    from gguf import GGUFReader, GGUFType, GGUFWriter, Keys

    random = np.random.default_rng(0)
    rank = Recipe().rank
    with artifact.building(target) as scratch:
        writer = GGUFWriter(scratch / "adapter.gguf", "llama")
        writer.add_type(GGUFType.ADAPTER)
        writer.add_string(Keys.Adapter.TYPE, "lora")
        writer.add_float32(Keys.Adapter.LORA_ALPHA, 2.0 * rank)
        for tensor in GGUFReader(base).tensors:
            if tensor.name.endswith(("attn_q.weight", "attn_v.weight")):
                inputs, outputs = (int(size) for size in tensor.shape)
                for half, shape in (("a", (rank, inputs)), ("b", (outputs, rank))):
                    values = random.normal(0, 0.01, shape).astype(np.float32)
                    writer.add_tensor(f"{tensor.name}.lora_{half}", values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        manifest = {
            "kind": "adapter",
            "base": {"name": SAMPLE_OWNER.base, "sha256": artifact.sha256(base)},
            "files": {"adapter.gguf": artifact.sha256(scratch / "adapter.gguf")},
        }
        artifact.write_manifest(scratch, manifest)


RUN = [block for page in PAGES for block in blocks(page) if not block.reason]


@pytest.mark.model
@pytest.mark.parametrize("block", RUN, ids=str)
def test_documented_block_does_what_it_says(block: Block, world: World) -> None:
    text = block.text.replace(str(PORT), world.port)
    if block.kind == "python":
        done = world.run([sys.executable, "-"], text)
        assert done.returncode == 0, done.stderr
        return
    for command, expected in typed(text):
        done = world.run(["bash", "-euo", "pipefail", "-c", command])
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
        missing = first_missing(expected, f"{done.stdout}\n{done.stderr}")
        assert not missing, f"$ {command}\nno line {missing!r} in\n{done.stdout}{done.stderr}"


def typed(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block with the lines that it is said to print."""
    command = ""
    expected: list[str] = []
    for line in text.splitlines():
        if command.endswith("\\"):
            command = f"{command}\n{line}"
        elif line.startswith("$ "):
            if command:
                yield command, expected
            command, expected = line[2:], []
        elif line.strip():
            expected.append(line)
    yield command, expected


def first_missing(expected: list[str], printed: str) -> str:
    """The first expected line that does not come, in its order; empty when all do."""
    lines = iter(" ".join(line.split()) for line in printed.splitlines())
    for wanted in expected:
        pattern = ".*".join(map(re.escape, " ".join(wanted.split()).split("…")))
        if not any(re.fullmatch(pattern, line) for line in lines):
            return wanted
    return ""


def test_blocks_that_are_not_run_say_why() -> None:
    reasons = [(str(block), block.reason) for page in PAGES for block in blocks(page)]
    excused = [(place, reason) for place, reason in reasons if reason]
    assert len(excused) == NOT_RUN, "\n".join(f"{place}: {reason}" for place, reason in excused)
    assert all(len(reason) > 15 for _, reason in excused)


# --- Links, pictures, ids -------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_exist(page: Path) -> None:
    text = prose(page)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'\b(?:src|srcset)="([^"]+)"', text)
    broken = []
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


def anchors(page: Path) -> set[str]:
    """The ids that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_linked_from_the_readme_and_every_picture_is_used() -> None:
    readme = PAGES[0].read_text()
    unlinked = [page.name for page in PAGES[2:] if f"docs/{page.name}" not in readme]
    assert not unlinked
    everything = "".join(page.read_text() for page in PAGES)
    for picture in (REPOSITORY / "docs" / "images").iterdir():
        assert f"images/{picture.name}" in everything, f"{picture.name} is shown nowhere"
        assert picture.stat().st_size < PICTURE_LIMIT, f"{picture.name} is too large"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_requirements_that_are_cited_exist(page: Path, shared: Path) -> None:
    known = re.findall(r"^\| ([A-Z]\d+) \|", (shared / "REQUIREMENTS.md").read_text(), re.MULTILINE)
    letters = "".join({name[0] for name in known})
    assert set(re.findall(rf"\b[{letters}]\d{{1,2}}\b", prose(page))) <= set(known)


# --- Generated parts ------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, ...]]:
    """Every command of `twin`, groups before what is in them."""

    def below(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield path
        for name, child in getattr(command, "commands", {}).items():
            yield from below(child, (*path, name))

    return below(typer.main.get_command(app), ())


def page_of_commands() -> str:
    parts = []
    for path in commands():
        asked = CliRunner().invoke(
            app,
            [*path, "--help"],
            prog_name="twin",
            env={"COLUMNS": "96", "TERM": "dumb", "NO_COLOR": "1"},
            terminal_width=96,
        )
        assert asked.exit_code == 0, asked.output
        text = "\n".join(line.rstrip() for line in asked.output.strip().splitlines())
        parts.append(f"## {' '.join(('twin', *path))}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def table_of_models() -> str:
    rows = ["| name | size | licence | for | SHA-256 |", "| --- | --- | --- | --- | --- |"]
    for model in models.CATALOGUE:
        digest = f"`{model.sha256[:16]}…`" if model.sha256 else "the hub's own, stated at download"
        rows.append(
            f"| `{model.name}` | {models.size(model.whole)} | {model.licence} | {model.purpose} "
            f"| {digest} |"
        )
    return "\n".join(rows) + "\n"


def table_of_the_recipe() -> str:
    recipe: Any = Recipe()
    rows = ["| setting | default |", "| --- | --- |"]
    for one in fields(Recipe):
        value = getattr(recipe, one.name)
        shown = ", ".join(value) if isinstance(value, tuple) else "-" if value is None else value
        rows.append(f"| `{one.name}` | {shown} |")
    return "\n".join(rows) + "\n"


def table_of_problems() -> str:
    rows = ["| kind | status | what | what to do |", "| --- | --- | --- | --- |"]
    rows += [
        f"| `{n}` | {kind.status} | {kind.title} | {kind.detail} |" for n, kind in KINDS.items()
    ]
    return "\n".join(rows) + "\n"


GENERATED = {
    "cli.md": ("commands", page_of_commands),
    "models.md": ("catalogue", table_of_models),
    "serving.md": ("problems", table_of_problems),
    "training.md": ("recipe", table_of_the_recipe),
}


def with_generated(page: Path, name: str, content: str) -> str:
    begin, end = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->\n"
    before, _, rest = page.read_text().partition(begin)
    _, found, after = rest.partition(end)
    assert found, f"{page} has no part {name}"
    return f"{before}{begin}\n{content}\n{end}{after}"


@pytest.mark.parametrize("file", GENERATED)
def test_generated_parts_are_current(file: str) -> None:
    page = REPOSITORY / "docs" / file
    name, make = GENERATED[file]
    assert page.read_text() == with_generated(page, name, make()), (
        "out of date: python -m tests.test_docs --write"
    )


def test_every_command_is_documented() -> None:
    text = (REPOSITORY / "docs" / "cli.md").read_text()
    titles = ["## " + " ".join(("twin", *path)) for path in commands()]
    assert [title for title in titles if f"{title}\n" not in text] == []


def test_no_block_hides_from_these_tests() -> None:
    for page in PAGES:
        fences = re.findall(r"^ *```(?:console|python)$", page.read_text(), flags=re.MULTILINE)
        assert len(fences) == len(blocks(page)), page.name


# --- Figures in the text --------------------------------------------------------------------------


def test_figures_of_the_sample_owner_are_those_of_a_run(tmp_path: Path) -> None:
    store = Store(tmp_path / "corpus")
    imported = [result for _, result in imports.add(store, [THOTA])]
    owner = Owner(
        SAMPLE_OWNER.name, frozenset(SAMPLE_OWNER.addresses), frozenset(SAMPLE_OWNER.chat_names)
    )
    funnel = pipeline.build(store, owner, Persona("Thota"), tmp_path / "main").funnel
    read, chosen = funnel.stages[0].came, funnel.stages[-1].came
    assert len(imported) == 4 + 78  # as docs/demo.md has it
    for page, figures in {
        "README.md": (f"{read:,} messages", f"{chosen:,}\npairs"),
        "docs/demo.md": (f"{read:,} messages in all", "two mailboxes, 78 letters and two"),
        "docs/dataset.md": tuple(
            f"| {stage.name} | {stage.came:,} | {stage.went:,} |" for stage in funnel.stages
        ),
    }.items():
        text = (REPOSITORY / page).read_text()
        assert [figure for figure in figures if figure not in text] == [], page


def test_numbers_in_prose_are_those_of_the_code() -> None:
    model = models.find(SAMPLE_OWNER.base)
    own = models.find(tour.OWN_BASE)
    for page, figures in {
        "README.md": (models.size(model.bytes), f"downloads {models.size(own.bytes)}"),
        "docs/demo.md": (
            models.size(model.bytes),
            f"`alpha` is {tour.RECIPE.alpha} instead of {Recipe().alpha}",
            *(f"{n}. **{stage}**" for n, stage in enumerate(tour.STAGES, start=1)),
        ),
        "docs/serving.md": (
            f"127.0.0.1:{PORT}/v1",
            f"within {CODE.total_seconds() / 60:.0f} minutes",
            f"for {SESSION.days} days",
            f"has {SHORTEST_PASSPHRASE} characters or more",
            f"the page, on 127.0.0.1 ({PORT})",
        ),
        "docs/dataset.md": (
            f"at most {ROW_TOKENS} tokens",
            f"leave ({context.LEAST} at least)",
            f"a pause of {pairs.RHYTHM} times its usual one",
            f"one of {pairs.TURN_RHYTHM} times the usual one",
            f"over {reverse.SENTENCES} sentences or {reverse.WORDS} words",
            f"at least {dedupe.THRESHOLD:.0%}".replace("%", " %"),
            f"runs of {('', '', '', '', 'four', 'five')[dedupe.SHINGLE]} characters",
            f"Replies under {dedupe.SHORT_REPLY} characters",
            f"up to {curate.SIZE:,} pairs",
            f"Under {curate.FEWEST} pairs",
            f"over {curate.MAIL_WORDS[1]} words in mail or {curate.CHAT_WORDS[1]} in chats",
        ),
    }.items():
        text = " ".join((REPOSITORY / page).read_text().split())
        assert [figure for figure in figures if figure not in text] == [], page


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.test_docs --write")
    for file, (name, make) in GENERATED.items():
        page = REPOSITORY / "docs" / file
        page.write_text(with_generated(page, name, make()))

"""twin eval: does the adapter sound like the owner?"""

from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from aitwin.cli.console import Json, out, plain_name, print_json, progress, say, table
from aitwin.cli.lines import JsonLines, Lines, telling

if TYPE_CHECKING:
    from collections.abc import Callable

    from aitwin.corpus.dataset import Dataset
    from aitwin.home import Home
    from aitwin.style.adapter import StyleAdapter
    from aitwin.style.evaluation import Evaluation, Plan
    from aitwin.style.evaluation.measures import Candidate, Measure

MAIN = "main"
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""
SAID = {"doubtful": "warning: doubtful", "unknown": "not known"}
"""How a rule's answer is told, where not by its own word."""
Asked = TypeVar("Asked")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("eval", epilog="Example: twin eval --prompts 40")(evaluate)


def evaluate(  # noqa: PLR0913 (one flag per thing to choose)
    adapter: Annotated[
        str, typer.Option(help="Adapter to examine (the newest).", callback=plain_name)
    ] = "",
    dataset: Annotated[
        str, typer.Option(help="Dataset that it was trained on.", callback=plain_name)
    ] = MAIN,
    prompts: Annotated[
        int | None, typer.Option(help="Held-out prompts to ask; more give surer figures.", min=1)
    ] = None,
    blind: Annotated[
        bool, typer.Option("--blind", help="Guess in the browser which reply is yours.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser when it is done.")
    ] = False,
    json_lines: JsonLines = False,
    json: Json = False,
) -> None:
    """Examine an adapter on held-out replies: does it sound like you, what does it repeat?

    Exit code 1 when it fails. Ctrl-C stops; the next `twin eval` goes on.
    """
    try:
        from dataclasses import replace

        from aitwin.corpus import dataset as datasets
        from aitwin.home import Home
        from aitwin.rooms import open_adapter
        from aitwin.style import evaluation

        with telling(json_lines) as lines:
            home = Home.from_environment()
            chosen = open_adapter(home, adapter)
            data = datasets.load(home.datasets / dataset)
            evaluation.require_same(chosen, data)
            plan = evaluation.Plan()
            if prompts is not None:
                plan = replace(plan, prompts=prompts, strangers=prompts, members=prompts)
            if blind:
                _play(home, chosen, data, plan, show=show)
            else:
                _examine(home, chosen, data, plan, lines, show=show, json=json)
    except KeyboardInterrupt:
        say("stopped; the same command goes on where it stopped")
        raise typer.Exit(INTERRUPTED) from None


def _examine(  # noqa: PLR0913 (what was chosen)
    home: "Home",
    adapter: "StyleAdapter",
    data: "Dataset",
    plan: "Plan",
    lines: Lines,
    *,
    show: bool,
    json: bool,
) -> None:
    """Ask, tell, and leave with the verdict's exit code."""
    from aitwin.style import evaluation
    from aitwin.style.evaluation import report

    result = _with_bar(home, adapter, evaluation.run, data, plan, lines)
    page = adapter.path / report.FILE
    if result.kept:
        report.write(result, adapter.path, data.persona)
    lines.finished(
        {
            "passed": result.verdict.passed,
            "settled": result.verdict.settled,
            "kept": result.kept,
            "prompts": result.counts["answered"],
        }
    )
    if json:
        print_json(result.as_json())
    elif not lines.on:
        _show(result)
    if not result.kept:
        say("the earlier evaluation of this adapter, which asked more, is kept")
    if not json:
        say(f"all figures and texts, private: {page}")
    if show:
        typer.launch(page.as_uri())
    if not result.verdict.passed:
        raise typer.Exit(1)


def _with_bar(  # noqa: PLR0913 (what was chosen)
    home: "Home",
    adapter: "StyleAdapter",
    ask: "Callable[..., Asked]",
    data: "Dataset",
    plan: "Plan",
    lines: Lines | None = None,
) -> "Asked":
    """`ask` with an engine and a bar."""
    from aitwin.rooms import open_llama

    with open_llama(home, adapter) as engine, progress() as bar:
        task = bar.add_task("loading", total=None)

        def step(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)
            if lines:
                lines.progress(done, total, "prompts", stage)

        return ask(engine, adapter, data, plan, step)


def _play(
    home: "Home", adapter: "StyleAdapter", data: "Dataset", plan: "Plan", *, show: bool
) -> None:
    """Serve the blind page until Ctrl-C."""
    from aitwin import artifact
    from aitwin.style import evaluation
    from aitwin.style.evaluation import blind

    rounds = _with_bar(home, adapter, evaluation.rounds, data, plan)
    digest = artifact.sha256(adapter.path / artifact.MANIFEST)
    game = blind.Game(rounds, digest, adapter.path / blind.FILE)
    with blind.BlindServer(game) as server:
        out.print(server.url, soft_wrap=True)
        say("open it in a browser on this machine; Ctrl-C ends it, the score is kept")
        if show:
            typer.launch(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            score = game.score()
            say(f"{score['right']} of {score['guesses']} recognised; kept in {blind.FILE}")


def _show(result: "Evaluation") -> None:
    from aitwin.style.evaluation.measures import CANDIDATES, TITLES

    headline = [measure for measure in result.measures if measure.headline]
    table(
        f"On {result.counts['answered']} held-out prompts",
        ("", *(f"{TITLES[candidate]}#" for candidate in CANDIDATES)),
        [(m.name, *(_cell(m, candidate) for candidate in CANDIDATES)) for m in headline],
    )
    for warning in (warning for section in result.sections for warning in section.warnings):
        say(f"warning: {warning}")
    for outcome in result.verdict.outcomes:
        if outcome.answer != "passed":
            say(f"{SAID.get(outcome.answer, outcome.answer)}: {outcome.said}")
    colour = "green" if result.verdict.passed else "red"
    out.print(f"[bold {colour}]{result.verdict.word}[/]")


def _cell(measure: "Measure", candidate: "Candidate") -> str:
    from aitwin.style.evaluation.measures import figure, interval

    between = interval(measure, candidate)
    return figure(measure, candidate) + (f" ({between})" if between else "")

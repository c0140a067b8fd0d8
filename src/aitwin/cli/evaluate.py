"""twin eval: does the adapter sound like the owner?"""

from typing import TYPE_CHECKING, Annotated

import typer

from aitwin.cli.console import Json, out, plain_name, print_json, progress, say, table

if TYPE_CHECKING:
    from aitwin.style.evaluation import Evaluation
    from aitwin.style.evaluation.measures import Candidate, Measure

MAIN = "main"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("eval", epilog="Example: twin eval --prompts 40")(evaluate)


def evaluate(
    adapter: Annotated[
        str, typer.Option(help="Adapter to examine (the newest).", callback=plain_name)
    ] = "",
    dataset: Annotated[
        str, typer.Option(help="Dataset that it was trained on.", callback=plain_name)
    ] = MAIN,
    prompts: Annotated[
        int | None, typer.Option(help="Held-out prompts to ask; more give surer figures.", min=1)
    ] = None,
    json: Json = False,
) -> None:
    """Examine an adapter on held-out replies: does it sound like you, what does it repeat?

    Exit code 1 when it fails. Ctrl-C stops; the next `twin eval` goes on.
    """
    from dataclasses import replace

    from aitwin.cli.rooms import open_adapter, open_engine
    from aitwin.corpus import dataset as datasets
    from aitwin.home import Home
    from aitwin.style import evaluation
    from aitwin.style.evaluation import report

    home = Home.from_environment()
    chosen = open_adapter(home, adapter)
    data = datasets.load(home.datasets / dataset)
    evaluation.require_same(chosen, data)
    plan = evaluation.Plan()
    if prompts is not None:
        plan = replace(plan, prompts=prompts, strangers=prompts, members=prompts)
    with open_engine(home, chosen) as engine, progress() as bar:
        task = bar.add_task("loading", total=None)

        def show(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        try:
            result = evaluation.run(engine, chosen, data, plan, show)
        except KeyboardInterrupt:
            say("stopped; `twin eval` goes on where it stopped")
            raise typer.Exit(130) from None
    page = report.write(result, chosen.path, data.persona)
    if json:
        print_json(result.as_json())
    else:
        _show(result)
        say(f"all figures and texts, private: {page}")
    if not result.verdict.passed:
        raise typer.Exit(1)


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
        if outcome.passed is not True:
            say(f"{'not known' if outcome.passed is None else 'failed'}: {outcome.said}")
    out.print("[bold green]passed[/]" if result.verdict.passed else "[bold red]failed[/]")


def _cell(measure: "Measure", candidate: "Candidate") -> str:
    from aitwin.style.evaluation.report import figure, interval

    between = interval(measure, candidate)
    return figure(measure, candidate) + (f" ({between})" if between else "")

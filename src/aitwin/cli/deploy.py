"""twin deploy: the twin in a server that runs on its own."""

from typing import Annotated

import typer
from rich.progress import DownloadColumn

from aitwin.cli.console import Json, plain_name, print_json, progress, say, table

app = typer.Typer(help="Put the twin into Ollama, and look what is there.", no_args_is_help=True)
Address = Annotated[
    str, typer.Option("--ollama", help="Ollama's address on this machine (http://127.0.0.1:11434).")
]


@app.command(epilog="Example: twin deploy writer")
def writer(
    adapter: Annotated[
        str, typer.Option("--adapter", help="Adapter to deploy (the newest).", callback=plain_name)
    ] = "",
    ollama: Address = "",
    force: Annotated[
        bool, typer.Option("--force", help="Although the adapter failed its evaluation.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the grafted model beside the adapter, too.")
    ] = False,
    json: Json = False,
) -> None:
    """Give the twin to Ollama as aitwin:latest, once it has proved to be alive there.

    Repeating it changes nothing. What fails leaves the earlier twin in its place.
    """
    from aitwin.home import Home
    from aitwin.rooms import open_adapter, open_deployment, open_ollama
    from aitwin.style import deploy

    home = Home.from_environment()
    settings = home.settings()
    chosen = open_adapter(home, adapter)
    if force:
        say("deployed whatever the evaluation says (--force)")
    elif warning := deploy.require_gate(chosen):
        say(f"warning: {warning}")
    job = open_deployment(home, settings, chosen, keep)
    if not job.held_out:
        say("warning: its dataset is gone, so no held-out reply is scored")
    with progress(DownloadColumn()) as bar:
        task = bar.add_task("asking Ollama", total=None)

        def stage(text: str) -> None:
            bar.update(task, description=text)

        def on_bytes(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        server = open_ollama(settings, ollama)
        result = deploy.deploy(server, job, deploy.Watch(stage, on_bytes))
    if json:
        print_json(result)
        return
    say(
        f"aitwin:latest is {result.name} ({result.method}, Ollama {result.version}); "
        f"{'made and proved' if result.made else 'it was there already, and is alive'}"
    )
    say('to write with it: engine = "ollama" under [writer] in twin.toml')


@app.command(epilog="Example: twin deploy status --json")
def status(ollama: Address = "", json: Json = False) -> None:
    """Show which twins Ollama has, and which one aitwin:latest is."""
    from aitwin import models
    from aitwin.home import Home
    from aitwin.rooms import open_ollama
    from aitwin.style import deploy

    found = deploy.status(open_ollama(Home.from_environment().settings(), ollama))
    if json:
        print_json(found)
        return
    say(f"Ollama {found.version}; aitwin:latest is {found.twin or 'not there yet'}")
    meant = {found.twin: "aitwin:latest", found.base: "aitwin-base:latest"}
    rows = [
        (tag.name, models.size(tag.size), tag.modified[:19], meant.get(tag.name, ""))
        for tag in found.names
    ]
    table("In Ollama", ("name", "size", "made", "is"), rows)

"""Programs of the machine that say what a test lets them say."""

from collections.abc import Mapping, Sequence

from aitwin.services.commands import MISSING, Done


class Said:
    """The command runner of a test: answers by the beginning of the command."""

    def __init__(self, answers: Mapping[str, Done | str] | None = None) -> None:
        self.answers = dict(answers or {})
        self.asked: list[str] = []

    def run(self, command: Sequence[str], *, stdin: str | None = None, seconds: float = 0) -> Done:
        words = " ".join(command)
        self.asked.append(words)
        for beginning, answer in self.answers.items():
            if words.startswith(beginning):
                return Done(0, answer) if isinstance(answer, str) else answer
        return Done(MISSING, err=f"{command[0]} is not installed")

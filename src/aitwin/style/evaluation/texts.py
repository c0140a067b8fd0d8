"""What of a text is weighed: its words, its body without greeting and sign-off, others' words.

Knows the shape of a dataset's rows; counts and judges nothing.
"""

import re

from aitwin.corpus.dataset import Example
from aitwin.prompt import FOLLOW_UPS, Persona
from aitwin.style.nearest import request, words

GREETING = 6
"""Words of a first line that is taken for a greeting."""
SIGN_OFF = 4
"""Words of a last line that is taken for a sign-off."""
SIGN_OFFS = 3
"""Lines of them: "Cheers," and a name, and a place."""
CUT = "[…]"
"""Stands in a prompt where older text was left out."""

_OF_THE_OWNER = tuple(phrase.partition("{")[0] for phrase in FOLLOW_UPS)
"""How an instruction begins whose mail is the owner's own."""
_SPEAKER = re.compile(r"([^\n:]{1,60}): ")


def body(text: str) -> str:
    """The text without a greeting and a sign-off, which attribute a mail all by themselves.

    A rule for every language: a short first line, and short last lines, as long as others stay.
    """
    lines = [line for line in text.strip().splitlines() if line.strip()]
    if len(lines) > 1 and len(words(lines[0])) <= GREETING:
        lines = lines[1:]
    for _ in range(SIGN_OFFS):
        if len(lines) > 1 and len(words(lines[-1])) <= SIGN_OFF:
            lines = lines[:-1]
    return "\n".join(lines)


def instruction(example: Example) -> str:
    """What was asked for, without the mail or chat."""
    return asked(request(example))


def asked(content: str) -> str:
    """The instruction at the head of a user turn."""
    return content.partition("\n\n")[0]


def incoming(example: Example) -> str:
    """The mail or chat that is answered; empty when there is none."""
    return request(example).partition("\n\n")[2]


def others_words(example: Example, persona: Persona) -> str:
    """What other people wrote in the prompt: of a chat, the turns that are not the owner's.

    Nothing where a mail follows one of the owner's own.
    """
    if instruction(example).startswith(_OF_THE_OWNER):
        return ""
    text = incoming(example).replace(CUT, "").strip()
    if example.channel == "mail":
        return text
    said, theirs = [], True
    for line in text.splitlines():
        if speaker := _SPEAKER.match(line):
            theirs = speaker[1].strip().casefold() not in _names(persona)
            line = line[speaker.end() :]
        if theirs and line.strip():
            said.append(line)
    return "\n".join(said)


def _names(persona: Persona) -> set[str]:
    return {persona.name.casefold(), *persona.name.casefold().split()}

"""Short exchanges of an invented owner, for the tests of the style room."""

from datetime import UTC, datetime, timedelta

from aitwin import prompt
from aitwin.corpus.dataset import Example
from aitwin.corpus.pairs import Pair
from aitwin.prompt import Persona

PERSONA = Persona("Thota", ("concise", "direct"))
OPENINGS = ("Done.", "No.", "Fine by me.", "Late again.", "Signed.", "It leaks.", "Paid.", "Lost.")
MIDDLES = (
    "Key is under the mat.",
    "Ask Jonas, he broke it.",
    "Bring bread and a torch.",
    "Start without me.",
    "Thursday at ten, not earlier.",
    "I have a bucket.",
    "Twice, by mistake.",
)
ENDS = (
    "The goat agrees.",
    "Not my idea.",
    "Tell nobody.",
    "Bring cash.",
    "It was the wind.",
    "Worth every cent.",
    "My back hurts.",
    "Tea at four.",
    "The roof holds.",
    "Mind the dog.",
    "Rain again.",
)
SUBJECTS = ("the key", "the roof", "the van", "the bill", "the ladder", "the cat", "the bread")


def reply(number: int) -> str:
    """Short, dry, signed: no two of the first 616 are the same."""
    parts = (part[number % len(part)] for part in (OPENINGS, MIDDLES, ENDS))
    return f"{' '.join(parts)} T."


def pairs(count: int) -> list[Pair]:
    """Short exchanges in one recognisable manner, each in a conversation of its own."""
    start = datetime(2024, 1, 1, 9, tzinfo=UTC)
    return [
        Pair(
            id=f"p{number}",
            thread=f"t{number}",
            channel="chat",
            sent_at=start + timedelta(days=number),
            instruction="Reply in this chat with Ana.",
            incoming=f"Ana: what about {SUBJECTS[number % len(SUBJECTS)]} no {number}?",
            reply=reply(number),
        )
        for number in range(count)
    ]


def example(incoming: str, answer: str = "No. T.", persona: Persona = PERSONA) -> Example:
    """One row as a dataset holds it."""
    task = prompt.Task("Reply in this chat with Ana.", incoming)
    messages = [
        *prompt.messages(persona, task),
        prompt.ChatMessage(role="assistant", content=answer),
    ]
    return Example("e1", "t1", "chat", datetime(2024, 1, 1, tzinfo=UTC), messages)

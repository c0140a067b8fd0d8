"""The nine emotional contexts that a voice is recorded in (V1). Data only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Emotion:
    """One context."""

    id: str
    """As given to `--emotion`."""
    title: str
    direction: str
    """How to read, in a sentence or two for the reader."""
    minutes: float = 7.0
    """How much of it is asked for: nine times seven make the hour (V1, V2)."""


EMOTIONS: dict[str, Emotion] = {
    emotion.id: emotion
    for emotion in (
        Emotion(
            "neutral",
            "neutral, calm",
            "Read as if you told a friend something ordinary over tea. No hurry, no acting.",
        ),
        Emotion(
            "happy",
            "happy, excited",
            "Something good has just happened and you cannot wait to tell. Smile while you read: "
            "it is heard.",
        ),
        Emotion(
            "sad",
            "sad, contemplative",
            "Read slowly, with pauses, as if you thought of somebody whom you miss.",
        ),
        Emotion(
            "angry",
            "angry, frustrated",
            "You have explained this three times already. Press on the words; do not shout into "
            "the microphone.",
        ),
        Emotion(
            "surprised",
            "surprised, curious",
            "You did not expect this, and you want to know more. Let your voice rise.",
        ),
        Emotion(
            "whispered",
            "whispered, soft",
            "Somebody sleeps in the next room. Speak softly or whisper; come closer to the "
            "microphone rather than louder.",
        ),
        Emotion(
            "authoritative",
            "authoritative, strong",
            "You give clear instructions to a full room. Firm, even, from the chest.",
        ),
        Emotion(
            "tired",
            "tired, fatigued",
            "It is late and the day was long. Let the ends of sentences fall.",
        ),
        Emotion(
            "playful",
            "playful, teasing",
            "You tease somebody whom you like. Light, quick, a grin in the voice.",
        ),
    )
}

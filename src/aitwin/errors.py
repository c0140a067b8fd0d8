"""The errors that are meant for the owner. Everything else is a bug."""


class TwinError(Exception):
    """Something that the owner can fix. Its text says what, where, and what to do next.

    The text never holds a word of a mail, chat, prompt or transcript: ids, counts and paths only.
    """

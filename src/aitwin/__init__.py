"""AI Twin: writes like its owner, speaks like its owner, on its owner's machine."""


def __getattr__(name: str) -> str:
    """`__version__`, looked up when it is asked for: that takes longer than most imports here."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("aitwin")

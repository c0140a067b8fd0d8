"""AI Twin: writes like its owner, speaks like its owner, on its owner's machine."""

from importlib.metadata import version

__version__ = version("aitwin")

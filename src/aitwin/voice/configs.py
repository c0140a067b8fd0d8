"""The `config.json` that lies beside a network's weights.

One reader for all networks. What the numbers mean, and whether they fit, each network knows.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aitwin.errors import TwinError

PULL = "run `twin models pull voice`"
"""What to do about a file of any of the networks that speak."""


def read(path: Path, remedy: str) -> dict[str, Any]:
    """The object in the file at `path`.

    Raises TwinError, with what to do (`remedy`) at its end, when the file is missing, is no JSON
    (NaN and Infinity are none), or holds no object.
    """
    try:
        content = json.loads(path.read_text("utf-8"), parse_constant=_refuse)
    except FileNotFoundError:
        raise TwinError(f"{path} is missing; {remedy}") from None
    # json gives up on what is nested a thousand deep with a RecursionError.
    except (OSError, ValueError, RecursionError) as error:
        raise TwinError(f"{path} cannot be read ({type(error).__name__}); {remedy}") from None
    if not isinstance(content, dict):
        raise TwinError(f"{path} holds no settings of a network; {remedy}")
    return content


def whole(section: Mapping[str, Any], name: str, least: int = 1, most: int = 1_000_000) -> int:
    """The whole number `name` of a part of the settings: no size of a network is beyond `most`.

    Raises KeyError when it is missing; ValueError when it is something else, or out of bounds.
    """
    value = section[name]
    if type(value) is not int or not least <= value <= most:  # True is an int to isinstance
        raise ValueError(f"{name} is no whole number of {least} or more")
    return value


def speakers(config: Mapping[str, Any], rows: int) -> dict[str, int]:
    """The voices of a config of MeloTTS by name, each a row of its table, which has `rows`.

    Raises KeyError, TypeError, AttributeError or ValueError when they are something else.
    """
    names = config["data"]["spk2id"].keys()
    if not names:
        raise ValueError("it names no voices")
    return {name: whole(config["data"]["spk2id"], name, 0, rows - 1) for name in names}


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")

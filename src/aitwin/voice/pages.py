"""Pages on a voice: templates made into self-contained HTML that fetches nothing and runs nothing.

The policy in `sheet.html.j2` forbids both. Knows no voice: see evaluation_page and audition.
"""

import base64
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from aitwin.voice import pictures
from aitwin.voice.audio import OUTPUT_RATE, Samples, Utterance, encode_mp3

COLUMNS = 240
"""Of a waveform."""
WAVE_HEIGHT = 32
LOUD = 0.05
"""The least sample value that fills a waveform: a quiet sound is drawn larger, silence is not."""


@dataclass(frozen=True)
class Clip:
    """A sound to see and hear."""

    seconds: float
    wave: str = field(repr=False)
    """Path data, COLUMNS wide, WAVE_HEIGHT high."""
    mp3: str = field(repr=False)
    """base64."""


def clip(samples: Samples, note: str = "") -> Clip:
    """Of a sound at audio.OUTPUT_RATE; `note` says in its tags that it is synthesised."""
    whole = pictures.outline([samples], max(1, -(-len(samples) // COLUMNS)))
    scale = max(LOUD, float(np.abs(samples).max(initial=0.0)))
    mp3 = encode_mp3([Utterance(samples, OUTPUT_RATE)], note=note)
    return Clip(
        seconds=len(samples) / OUTPUT_RATE,
        wave=pictures.wave_path(whole, WAVE_HEIGHT, scale),
        mp3=base64.b64encode(mp3).decode(),
    )


def render(template: str, **context: Any) -> str:
    """A page of templates/, with all that it shows."""
    environment = Environment(
        loader=PackageLoader("aitwin.voice"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"commands": commands, "sentence": sentence}
    page = environment.get_template(template).render(
        columns=COLUMNS, wave_height=WAVE_HEIGHT, **context
    )
    return page.strip() + "\n"


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def commands(text: str) -> Markup:
    """The text, escaped, with what stands between backticks set as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped

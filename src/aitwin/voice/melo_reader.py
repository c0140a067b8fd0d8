"""What MeloTTS needs to read a text: its front end, and BERT.

Says where their files lie and loads each once, whatever number of networks reads by them: the
pronunciations take 40 MB, BERT 0.4 GB. Does not read anything itself: see melo_text and bert.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from aitwin.voice.bert import Bert
from aitwin.voice.g2p import G2P
from aitwin.voice.melo_text import FrontEnd, Vocabulary, read_symbols

WEIGHTS = "model.safetensors"
"""Of BERT, in its directory; so is VOCABULARY."""
VOCABULARY = "vocab.txt"


@dataclass(frozen=True)
class Reader:
    """Front ends for one network or another, and BERT. While it loads, for one thread at a time."""

    g2p: Path
    """Directory of the pronunciations: see g2p.G2P.load."""
    bert: Path
    """Directory of BERT's weights and vocabulary."""

    def front_end(self, config: Path) -> FrontEnd:
        """For the network whose `config.json` is given. All share what is large.

        Raises TwinError when a file is missing, damaged or something else.
        """
        return FrontEnd(self._pronunciations, self._vocabulary, read_symbols(config))

    @cached_property
    def network(self) -> Bert:
        """BERT, loaded when it is wanted for the first time. Raises TwinError as Bert.load does."""
        return Bert.load(self.bert / WEIGHTS, self.bert / VOCABULARY)

    @cached_property
    def _pronunciations(self) -> G2P:
        return G2P.load(self.g2p)

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary.load(self.bert / VOCABULARY)

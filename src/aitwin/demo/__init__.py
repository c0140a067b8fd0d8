"""The embedded sample owner, and the two-minute tour of the whole product."""

from pathlib import Path

from aitwin.home import Settings

THOTA = Path(__file__).parent / "thota"
"""Mail and chats of the sample owner: written for AI Twin, nobody's real words."""

SAMPLE_OWNER = Settings(
    name="Thota",
    addresses=("thota@quillfern.example", "thota@harrowbay.example"),
    chat_names=("Thota",),
    traits=("concise", "direct", "dry humour", "no hedging"),
    base="smollm2-135m-instruct",
)

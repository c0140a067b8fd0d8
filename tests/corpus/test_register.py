import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin.corpus import register


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dear Ms Lopez,\n\nthe pump arrived.\n\nKind regards\nThota", "formal"),
        ("Sehr geehrte Frau Lopez,\n\ndie Pumpe ist da.", "formal"),
        ("Cordialement,\nThota.", "formal"),
        ("The pump arrived.", "plain"),
        ("No. Bring a bucket.", "plain"),
        ("谢谢你这么快回复。", "plain"),
        ("पंप आ गया है।", "plain"),
        ("هل وصلت المضخة؟", "plain"),
        ("ปั๊มมาถึงแล้ว", "plain"),
        ("ស្នប់មកដល់ហើយ។", "plain"),
        ("पंप आ गया है 😂", "informal"),
        ("haha yes", "informal"),
        ("on my way", "informal"),
        ("Great!!", "informal"),
        ("Dear Bob, lol :-) haha", "plain"),
        ("See you there 🙂", "informal"),
        ("", "informal"),
    ],
)
def test_cues_decide(text, expected):
    assert register.of(text) == expected


@given(st.text(max_size=200))
def test_every_text_has_one(text):
    assert register.of(text) in ("formal", "plain", "informal")

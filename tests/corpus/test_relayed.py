from hypothesis import given
from hypothesis import strategies as st

from aitwin.corpus import relayed
from aitwin.corpus.messages import Owner

ME = Owner("Thota", frozenset({"t@x.example"}))


def left(text: str, whole: str = "") -> str:
    return relayed.without(text, whole or text, ME)


def test_a_patch_of_somebody_else_is_not_the_owners():
    """C4: the words under a foreign From: line are not learnt as the owner's."""
    assert left("From: Ana Lopez <ana@y.example>\n\nFix the leak in the boat.") == ""
    assert left("From: Ana Lopez <ana@y.example>") == ""
    assert left("From: Thota <t@x.example>\n\nFix the leak.") == "Fix the leak."


def test_what_the_owner_says_about_the_patch_stays():
    patch = "From: Ana <ana@y.example>\n\nFix the leak.\n\n"
    assert left(patch + "---\nNo replies so far, so I send it again.") == (
        "No replies so far, so I send it again."
    )
    assert (
        left(patch + "[t@x.example: Made it watertight.]") == "[t@x.example: Made it watertight.]"
    )
    assert left(patch + "[ana@y.example: Made it watertight.]") == ""


def test_a_whole_letter_below_own_words_goes_and_the_own_words_stay():
    letter = "From: Ana <ana@y.example>\nTo: Bob <bob@y.example>\n\nIs it dry?\n---\nAna"
    assert left(f"See what Ana wrote.\n\n{letter}") == "See what Ana wrote."


def test_stray_header_lines_go():
    assert left("To: list@y.example") == ""
    assert left("It leaks.\n\nTo: Ana <ana@y.example>\nTo: b@y.example") == "It leaks."


def test_an_answer_below_a_quote_under_a_from_line_stays():
    whole = "From: Ana <ana@y.example>\n\n> Is it dry?\n\nNo. Bring a bucket."
    own = "From: Ana <ana@y.example>\n\nNo. Bring a bucket."
    assert left(own, whole).strip() == "No. Bring a bucket."


def test_prose_with_such_words_stays():
    for text in (
        "From: the kitchen\nTo: you\n\nDinner is ready.",
        "From: the kitchen, To: you",
        "From: Ana <ana@y.example>\nShe asked for a bucket.",
        "Ask her.\n\nFrom: Ana <ana@y.example>\n\nThat is the address on the card.",
        "Date: Friday\nSubject: the boat\n\nCome.",
    ):
        assert left(text) == text


LINES = st.sampled_from(
    ["No.", "", "From: the kitchen", "To: do", "Subject: it", "---", "It leaks."]
)


@given(st.lists(LINES))
def test_where_no_address_is_named_no_line_goes(lines):
    assert left("\n".join(lines)).split() == " ".join(lines).split()

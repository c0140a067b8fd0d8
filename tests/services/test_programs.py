"""Programs of the machine, for real: what they leave, and that none can hold anybody up."""

from aitwin.services.commands import MISSING, TIMED_OUT, System


def test_a_program_leaves_its_words_and_how_it_ended():
    done = System().run(["sh", "-c", "cat; echo no >&2; exit 3"], stdin="said")
    assert (done.code, done.out, done.err) == (3, "said", "no\n")
    assert not done.ok
    assert done.text == "said\nno"


def test_a_program_that_is_not_there_is_missing_and_no_error():
    done = System().run(["no-such-program-of-the-twin"])
    assert done.missing
    assert done.code == MISSING


def test_what_a_program_said_before_its_time_was_over_is_kept():
    """It may tell for what it waits: a click, say."""
    done = System().run(["sh", "-c", "echo open https://x.example; exec sleep 60"], seconds=0.5)
    assert done.code == TIMED_OUT
    assert done.out == "open https://x.example\n"

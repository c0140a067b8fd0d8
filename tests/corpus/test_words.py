import pytest

from aitwin.corpus import words


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("No. Bring a bucket.", 4),
        ("don't re-use it", 3),
        ("कल सुबह मिलते हैं", 4),
        ("নাব কোথায়?", 2),
        ("படகு எங்கே?", 2),
        ("שָׁלוֹם לְכֻלָּם", 2),
        ("می‌خواهم بیایم", 2),  # with a joiner
        ("今日は雨です", 3),
        ("ครับ", 1),
        ("👍 !! 10:30", 2),
        ("…", 0),
    ],
)
def test_words_are_counted_in_any_script(text, count):
    assert words.count(text) == count


def test_words_are_found_without_their_marks():
    assert words.found("Hadn't he? ❤️ मिलते") == ["Hadn't", "he", "मलत"]
    assert words.has_emoji("ok ❤️")
    assert not words.has_emoji("ok!")

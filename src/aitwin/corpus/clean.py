"""Own words only: what the sender of a mail wrote, without quotes, signatures and machine text.

Works on the text of one mail alone; knows neither senders nor parents. In doubt a line stays:
losing an own sentence is worse than keeping a footer.

Answers between quoted lines are kept, in order, as paragraphs; the quoted lines that they answer
are not in `own_words`, since they are not the sender's, but `exchanges` gives both side by side.
"""

import functools
import itertools
import re
import sys
from collections.abc import Iterator, Sequence

from aitwin.corpus import machine, phrases, quotes
from aitwin.corpus.quotes import Mark

_OUTSIDE = (Mark.QUOTE, Mark.INTRODUCTION, Mark.FOREIGN)
# Not U+200C, which Persian spells with.
_INVISIBLE = re.compile("[\u200b\u2060\ufeff\u00ad\x00]")
_PGP_SIGNED = re.compile(
    r"^-----BEGIN PGP SIGNED MESSAGE-----[ \t]*\n(?:[A-Za-z-]+:[^\n]*\n)*\n?(.*?)"
    r"(?:^-----BEGIN PGP SIGNATURE-----.*?(?:^-----END PGP SIGNATURE-----[ \t]*$|\Z)|\Z)",
    re.MULTILINE | re.DOTALL,
)
_PGP_BLOCK = re.compile(
    r"^-----BEGIN (PGP (?:MESSAGE|SIGNATURE|(?:PUBLIC|PRIVATE) KEY BLOCK)|CERTIFICATE)-----[ \t]*$",
    re.MULTILINE,
)
_QUOTE_MARKS = re.compile(r"^[>\s]+")
_BLANK_LINES = re.compile(r"\n{3,}")
_DELIMITER = re.compile(r"^(?:--|—|––)\s*$")
_RULE = re.compile(r"^\s*(?:[-_=*~#]\s?){5,}\s*$")
_CONTACT = re.compile(
    r"\S@[^\s@]*\S\.\w|https?://|\bwww\.\S|(?:\+|\b0|\()\d[\d\s().\/-]{6,}\d"
    r"|\b(?:tel|fax|phone|mobile|cell|mob|skype|icq|gsm|office|web|email|e-mail)\b\s?[.:]",
    re.IGNORECASE,
)
_SHORT_RULE = re.compile(r"^\s*(?:-{1,4}|_{1,4}|={1,4}|\*{1,4})\s*$")
_SENTENCE = re.compile(r"[^\W\d_]{2}[.!?…][\"')]*(?:\s|$)")
_POSTSCRIPT = re.compile(r"^\s*P\.?\s?P?\.?S\b[.:\s]", re.IGNORECASE)
_HTML_RULE = "_" * 32
_WRAP_COLUMNS = (55, 80)
"""Where mail programs break lines for the writer; a longer line was left alone by them."""
_NOT_PROSE = re.compile(r"\s|[-*•>|+#]|\(?(?:\d{1,2}|[^\W\d_]|[ivx]{2})[.)]\s")
"""Begins a line that stands for itself: indented, a list item, a quote, a table."""
_GOES_ON = re.compile(r"[\w,)'\"-]\n[a-z(]")
"""The break between two lines of one sentence."""
_NETWORK = re.compile(
    r"\b(?:on|via|from|over) .{2,30}(?:\bnetwork|T-Mobile|AT&T|Verizon\b.*)\.?$", re.IGNORECASE
)
_VALEDICTION = re.compile(r"^\s*[^\W\d_][^@:/\d]{0,39}[,!.]?\s*$")
"""A short line of words: "Kind regards,", "Ana Ruiz"."""
PLACE = "[…]"
"""Stands in what was answered line by line where an answer stood."""
_FOOTER_LINES = 80
_CONTACT_LINES = 30
_LIKE_ASCII = str.maketrans("İıſ", "iis")
"""Letters that IGNORECASE takes for these, and lower() does not."""
_DISCLAIMER_LENGTH = 5000
"""Characters; the longest legal paragraphs seen have 2,000."""
_SIGNATURE_LINES = 12
"""Lines below a bare `--` that may still be a signature; more is text that a `--` divides."""


def own_words(text: str) -> str:
    """What the sender wrote in this mail; empty if nothing."""
    return _own(*_marked(text))


def _own(lines: Sequence[str], marks: Sequence[Mark]) -> str:
    kept = (Mark.OWN, Mark.BLANK)
    return _tidy([line if mark in kept else None for line, mark in zip(lines, marks, strict=True)])


def unwrap(text: str) -> str:
    """Undo the line breaks that a mail program put in, keep those that the writer did.

    A program breaks a line only where the next word would not have fitted: any other break is
    the writer's, unless a sentence goes on over it. Changes nothing but such breaks.
    """
    lines = text.split("\n")
    prose = [bool(line) and not _NOT_PROSE.match(line) for line in lines]
    margin = _margin(lines, prose)
    if margin == sys.maxsize:
        return text
    joints = []
    for number, (before, line) in enumerate(itertools.pairwise(lines)):
        # A line far beyond the margin was never broken: what ends it is the writer's.
        broken = prose[number] and prose[number + 1] and len(before) <= _WRAP_COLUMNS[1]
        joined = broken and (_with_next_word(before, line) > margin or _goes_on_in(before, line))
        joints.append(" " if joined else "\n")
    return "".join(itertools.chain.from_iterable(zip(lines, [*joints, ""], strict=True)))


def _goes_on_in(before: str, line: str) -> bool:
    """Whether a sentence goes on over the break: paragraphs edited later have their own margins."""
    return len(before) >= _WRAP_COLUMNS[0] and bool(_GOES_ON.match(f"{before[-1]}\n{line[0]}"))


def _margin(lines: list[str], prose: list[bool]) -> int:
    """The column at which most breaks between lines of prose are explained by the next word.

    One line that sticks out (a path, a sentence that was edited later) moves the widest line of a
    mail, but not this. Beyond all lines where no break is explained.
    """
    explained = [0] * (_WRAP_COLUMNS[1] + 1)
    for number, (before, line) in enumerate(itertools.pairwise(lines)):
        if prose[number] and prose[number + 1]:
            last = min(_with_next_word(before, line) - 1, _WRAP_COLUMNS[1])
            for margin in range(max(len(before), _WRAP_COLUMNS[0]), last + 1):
                explained[margin] += 1
    return explained.index(max(explained)) if any(explained) else sys.maxsize


def _with_next_word(before: str, line: str) -> int:
    return len(before) + 1 + len(line.partition(" ")[0])


def quoted(text: str) -> str:
    """What this mail quotes, without the quote marks: the own words of whom it answers."""
    for _ in range(3):  # a quote may begin with the header block that it was sent under
        lines = _quoted_lines(*_marked(text))
        first = next((line for line in lines if line.strip()), "")
        if quotes.introduces(first):
            lines.remove(first)
        text = "\n".join(lines)
        words = own_words(text)
        if words or not text.strip():
            return words
    return ""


def exchanges(text: str) -> list[tuple[str, str]]:
    """(quoted, own) passages in order: what each answer written between quoted lines answers.

    The quoted side is empty where own words come first. The own sides, in order, are `own_words`.
    """
    lines, marks = _marked(text)
    result: list[tuple[str, str]] = []
    pending: list[str] = []
    sides = zip(lines, marks, strict=True)
    for side, group in itertools.groupby(
        sides, key=lambda pair: pair[1] in _OUTSIDE or (None if pair[1] is Mark.BLANK else False)
    ):
        members = list(group)
        if side:
            pending.extend(quotes.unquoted(line) for line, mark in members if mark is Mark.QUOTE)
        elif side is False:
            own = _tidy([line if mark is Mark.OWN else None for line, mark in members])
            if own and (pending or not result):
                result.append((_said(pending), own))
                pending = []
            elif own:
                result[-1] = (result[-1][0], f"{result[-1][1]}\n\n{own}")
    return result


def interleaves(text: str) -> bool:
    """Whether own words stand below each of two quoted passages: else `exchanges` has no two."""
    answer = (Mark.QUOTE, Mark.OWN)
    sides = [mark for mark in _marked(text)[1] if mark in answer]
    return list(itertools.pairwise(sides)).count(answer) > 1


def answered(text: str) -> str:
    """What a mail answers line by line, with `PLACE` where its answers stand; empty if it does not.

    Line by line means two quoted passages or more with own words below. The own words in order
    are `own_words`.
    """
    if not interleaves(text):
        return ""
    asked = [theirs for theirs, _ in exchanges(text) if theirs]
    return "\n\n".join(f"{theirs}\n{PLACE}" for theirs in asked) if len(asked) > 1 else ""


def _said(quote: list[str]) -> str:
    """The words of a quoted passage; if it is all quotes of quotes, or code, what it shows."""
    return _own(*_mark("\n".join(quote))) or _tidy(
        [_QUOTE_MARKS.sub("", line) if line.startswith(">") else line for line in quote]
    )


@functools.lru_cache(maxsize=4)
def _marked(text: str) -> tuple[tuple[str, ...], tuple[Mark, ...]]:
    """`_mark`, remembered: a mail's own words are asked for, what it quotes, what it answers."""
    return _mark(text)


def _mark(text: str) -> tuple[tuple[str, ...], tuple[Mark, ...]]:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii() or "\x00" in text:
        text = _INVISIBLE.sub("", text.replace("\xa0", " "))
    lines = _without_armour(text).split("\n")
    marks = quotes.marks(lines)
    for number, (start, end) in enumerate(_regions(marks)):
        _mark_footers(lines, marks, start, end, alone=not number)
    kept = (Mark.OWN, Mark.BLANK)
    found = machine.mask(lines, [mark in kept for mark in marks])
    for number in itertools.compress(range(len(lines)), found):
        if marks[number] is Mark.OWN:
            marks[number] = Mark.MACHINE
    return tuple(lines), tuple(marks)


def _quoted_lines(lines: Sequence[str], marks: Sequence[Mark]) -> list[str]:
    quote, kept = Mark.QUOTE, (Mark.QUOTE, Mark.FOREIGN, Mark.BLANK)
    return [
        quotes.unquoted(line) if mark is quote else line
        for line, mark in zip(lines, marks, strict=True)
        if mark in kept
    ]


def _tidy(lines: list[str | None]) -> str:
    """Own lines as text: dropped ones become one blank line, dangling rules go."""
    # Laid-out HTML has such rules; nobody types one of just this length.
    kept = ["" if not line or line == _HTML_RULE else line.rstrip() for line in lines]
    while kept and (not kept[-1] or _RULE.match(kept[-1])):
        kept.pop()
    first = next((n for n, line in enumerate(kept) if line and not _RULE.match(line)), len(kept))
    text = "\n".join(kept[first:])
    return _BLANK_LINES.sub("\n\n", text) if "\n\n\n" in text else text


def _without_armour(text: str) -> str:
    """Take the text out of OpenPGP's clear signature; drop keys and encrypted blocks."""
    if "-----BEGIN " not in text:
        return text
    text = _PGP_SIGNED.sub(lambda found: re.sub(r"(?m)^- ", "", found[1]), text)
    kept, done = [], 0
    endless: set[str] = set()
    for begin in _PGP_BLOCK.finditer(text):
        if begin.start() < done or begin[1] in endless:
            continue
        mark = f"\n-----END {begin[1]}-----"
        end = text.find(mark, begin.end())
        if end < 0:
            endless.add(begin[1])
            continue
        kept.append(text[done : begin.start()])
        done = end + len(mark)
    return "".join([*kept, text[done:]])


def _regions(marks: list[Mark]) -> list[tuple[int, int]]:
    """Stretches of own lines between what is not: each may end in a signature."""
    result, start, own = [], -1, Mark.OWN
    for number, mark in enumerate([*marks, Mark.QUOTE]):
        if start < 0:
            start = number if mark is own else -1
        elif mark in _OUTSIDE:
            result.append((start, number))
            start = -1
    return result


def _mark_footers(
    lines: list[str], marks: list[Mark], start: int, end: int, *, alone: bool
) -> None:
    """What programs append to the own lines from `start` to `end`.

    `alone`: nothing of the sender's stands above.
    """
    for number, last in _paragraphs(lines, start, end):
        if last == number + 1 and _is_device_line(lines[number].strip()):
            marks[number] = Mark.FOOTER
    at = _list_footer(lines, start, end)
    # "To unsubscribe, ask Ana" may be all that somebody says.
    if at > start or not alone or _is_divider(lines[start]):
        end = _cut(lines, marks, start, end, at)
    end = _cut(lines, marks, start, end, _signature(lines, start, end))
    legal = _disclaimer(lines, start, end)
    # A mail is not a disclaimer alone: then somebody speaks of confidential things.
    if legal > start or not alone:
        end = _cut(lines, marks, start, end, legal)
    for _ in range(3):  # "Sent from my phone" above "Get Outlook for Android"
        at = _sent_from(lines, start, end)
        if at == end:
            break
        end = _cut(lines, marks, start, end, at)
    _cut(lines, marks, start, end, _contact_block(lines, start, end))


def _cut(lines: list[str], marks: list[Mark], start: int, end: int, at: int) -> int:
    """Mark the lines from `at` on, but for postscripts; the new end of what is the sender's."""
    keep = False
    for number in range(at, end):
        line = lines[number]
        keep = bool(line.strip()) and (keep or _POSTSCRIPT.match(line) is not None)
        if marks[number] is Mark.OWN and not keep:
            marks[number] = Mark.FOOTER
    return _last_written(lines, start, at)


def _last_written(lines: list[str], start: int, end: int) -> int:
    """`end`, moved up over blank lines and rules."""
    while end > start and (not lines[end - 1].strip() or _RULE.match(lines[end - 1])):
        end -= 1
    return end


def _list_footer(lines: list[str], start: int, end: int) -> int:
    """Where what a mailing list or a service appends begins; `end` if nothing."""
    top = max(start, end - _FOOTER_LINES)
    tail = "\n".join(lines[top:end]).lower()
    if not any(hint in tail for hint in phrases.FOOTER_HINTS):
        return end
    for number in range(top, end):
        if not phrases.LIST_FOOTER.match(lines[number].strip()[:300]):
            continue
        if _goes_on(lines, number + 1, end):
            continue
        if number > start and _SHORT_RULE.match(lines[number - 1]):
            return number - 1
        above = number - 1
        while (
            above > start
            and number - above < 4
            and not _is_divider(lines[above])
            and lines[above].strip()
        ):
            above -= 1
        if above >= start and _is_divider(lines[above]):
            return above
        if number == start or not lines[number - 1].strip() or end - number <= 4:
            return number
    return end


def _goes_on(lines: list[str], start: int, end: int) -> bool:
    """Whether a person speaks below a footer's line: a paragraph of sentences, without an address.

    What a program appends is short, and tells where to go.
    """
    for first, last in _paragraphs(lines, start, end):
        text = "\n".join(lines[first:last])
        apart = first > start or not start
        sentences = len(_SENTENCE.findall(text))
        if apart and sentences >= 2 and not re.search(r"https?:|@|www\.|<", text):
            return True
    return False


def _is_divider(line: str) -> bool:
    return _RULE.match(line) is not None or _DELIMITER.match(line) is not None


def _signature(lines: list[str], start: int, end: int) -> int:
    """Where `-- ` or `--` begins a signature; `end` if none does.

    With its space the mark is a standard and believed; without, only above a few lines.
    """
    result, below, prose = end, 0, 0
    dashes = [n for n in range(start, end) if lines[n].startswith(("--", "—", "––"))]
    delimiters = {n for n in dashes if _DELIMITER.match(lines[n])}
    for number in range(end - 1, min(delimiters, default=end) - 1, -1):
        line = lines[number]
        if number in delimiters:
            few = below <= _SIGNATURE_LINES and prose <= 3
            if (line == "-- " and prose <= 12) or (few and _looks_signed(lines, number + 1, end)):
                result = number
        below += bool(line.strip())
        prose += len(_SENTENCE.findall(line))
        if prose > 12:
            break
    return result


def _looks_signed(lines: list[str], start: int, end: int) -> bool:
    """Whether what stands below a bare `--` is a signature, and not what a person goes on to say.

    People divide their paragraphs with it too: then the next one says something at once.
    """
    paragraphs = _paragraphs(lines, start, min(end, start + _FOOTER_LINES))
    if not paragraphs:
        return True
    first, last = paragraphs[0]
    if any(map(_is_contact, lines[first:last])):
        return True
    begin = lines[first].strip()
    said = len(begin) > 60 or _SENTENCE.search(begin) is not None
    return not (said or _POSTSCRIPT.match(begin))


def _disclaimer(lines: list[str], start: int, end: int) -> int:
    """Where the legal paragraphs at the end begin; `end` if there are none."""
    result = end
    for first, last in _paragraphs_upwards(lines, start, end):
        text = " ".join(lines[first:last])
        if len(text) <= 80 and result == end and not _RULE.match(lines[first]):
            break
        hits = _legal_phrases(text) if len(text) <= _DISCLAIMER_LENGTH else 0
        legal = hits >= 3 and len(text) > 80
        if (
            legal
            or (hits >= 2 and result < end)
            or all(_RULE.match(line) for line in lines[first:last])
        ):
            result = first if legal or result < end else result
        else:
            break
    return result


def _legal_phrases(text: str) -> int:
    """How many of the phrases the text has; counts no further where it cannot come to two."""
    text = text.translate(_LIKE_ASCII).lower()
    hits = 0
    for asked, pattern in enumerate(phrases.DISCLAIMER):
        if hits + len(phrases.DISCLAIMER) - asked < 2:
            break
        hits += pattern.search(text) is not None
    return hits


def _paragraphs(lines: list[str], start: int, end: int) -> list[tuple[int, int]]:
    result, first = [], -1
    for number in range(start, end + 1):
        written = number < end and bool(lines[number].strip())
        if written and first < 0:
            first = number
        elif not written and first >= 0:
            result.append((first, number))
            first = -1
    return result


def _paragraphs_upwards(lines: list[str], start: int, end: int) -> Iterator[tuple[int, int]]:
    """`_paragraphs` from the last one on: mostly the first few are enough."""
    last = -1
    for number in range(end - 1, start - 2, -1):
        written = number >= start and bool(lines[number].strip())
        if written and last < 0:
            last = number + 1
        elif not written and last >= 0:
            yield number + 1, last
            last = -1


def _sent_from(lines: list[str], start: int, end: int) -> int:
    """Where "Sent from my phone" stands as the last line; `end` if it does not, or is a sentence.

    "Sent from my iPhone this morning, worked fine." says something.
    """
    last = _last_written(lines, start, end) - 1
    if last < start:
        return end
    line = lines[last].strip()
    if len(line) > 80 or not phrases.SENT_FROM.match(line):
        return end
    alone = last == start or not lines[last - 1].strip() or phrases.DEVICE.search(line)
    return last if alone and _names_a_device(line) else end


def _is_device_line(line: str) -> bool:
    """Whether what may be a paragraph of its own is "Sent from my phone", and names a device."""
    if len(line) > 60 or not phrases.DEVICE.search(line) or not phrases.SENT_FROM.match(line):
        return False
    return _names_a_device(line)


def _names_a_device(line: str) -> bool:
    if _NETWORK.search(line):
        return True
    words = line.rstrip(" .").split()
    ends_in_device = bool(phrases.DEVICE.search(" ".join(words[-2:])))
    if "," in line.rstrip(",") and not re.search(r"Verizon, |AT&T|T-Mobile", line):
        return False
    if line.endswith("."):
        return ends_in_device and len(words) <= 8
    return not line.endswith(("!", "?", ":", ";")) and len(words) <= 12


def _contact_block(lines: list[str], start: int, end: int) -> int:
    """Where a last paragraph of phone numbers and addresses begins; `end` if there is none."""
    end_of_text = _last_written(lines, start, end)
    blocks = list(itertools.islice(_paragraphs_upwards(lines, start, end_of_text), 2))
    if len(blocks) < 2:
        return end
    (first, last), (above_first, above_last) = blocks
    block = lines[first:last]
    if not 2 <= len(block) <= _CONTACT_LINES or any(len(line.strip()) > 70 for line in block):
        return end
    contacts = sum(map(_is_contact, block))
    if contacts < 2 or contacts * 2 < len(block):
        return end
    above = lines[above_first:above_last]
    if above[-1].rstrip().endswith((":", "：")) or sum(map(_is_contact, above)) >= 2:
        return end  # people that the mail is about, not who wrote it
    sentences = sum(
        len(_SENTENCE.findall(re.sub(r"\S+@\S+|\S+\.\w+/?\S*", "", line))) for line in block
    )
    return end if sentences else first + _signed_off(block, above[-1])


def _is_contact(line: str) -> bool:
    return _CONTACT.search(line) is not None


def _signed_off(block: list[str], above: str) -> int:
    """How many lines at the top of a contact block are the writer's: "Kind regards,", "Ana".

    The name counts where a valediction stands above it, which ends in a comma.
    """
    size = int(block[0].rstrip().endswith((",", "，")) and bool(_VALEDICTION.match(block[0])))
    greeted = size or (above.rstrip().endswith((",", "，")) and bool(_VALEDICTION.match(above)))
    if greeted and size < len(block) and not _CONTACT.search(block[size]):
        size += bool(_VALEDICTION.match(block[size]))
    return size

"""Which lines of a mail are somebody else's: quotes, attribution lines, header blocks, forwards.

Only marks each line; what is left out of the rest (signatures, patches ...) is for clean to say.
"""

import re
from enum import Enum

from aitwin.corpus import phrases


class Mark(Enum):
    """What a line is."""

    OWN = "own"
    BLANK = "blank"
    QUOTE = "quote"
    """With a quote mark in front."""
    INTRODUCTION = "introduction"
    """Attribution lines, header blocks, dividers: written by a mail program."""
    FOREIGN = "foreign"
    """Somebody else's without a quote mark: below an Outlook block, in a forward."""
    MACHINE = "machine"
    """Patches, logs and code."""
    FOOTER = "footer"
    """Signatures, list footers, disclaimers."""


_QUOTE = re.compile(r"^\s{0,4}>(?![:;=]-?[()DPp](?:\s|$))")
_INITIALS = re.compile(r"^\s{0,6}([A-Za-z][\w.-]{0,11})(?:>+|\|)(?:\s|$)")
_BAR = re.compile(r"^\s{0,2}(?:\|>|[|:%]\s?>|\|\s)")
_FORWARD_END = re.compile(
    r"^\s*-{2,}\s*End (?:of )?(?:included|forwarded|original) (?:message|mail)\b", re.IGNORECASE
)
_ANY_HEADER = re.compile(r"^[A-Z][A-Za-z-]{1,30}:(?:\s|$)")
_OPEN_ANGLE = re.compile(r"^[^>]*<[^<>]*$")
_CLOSED_ANGLE = re.compile(r"^>[^<>]{0,40}[:：]\s*$")
_LINE_LIMIT = 400
_RULE = re.compile(r"^[>\s]*+(?:[-_=*~]\s?){8,}\s*$")
_DATE = re.compile(
    r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}"
    r"|\b\d{1,2}(?:\.|er|st|nd|rd|th|º|-)?\s*(?:de |of )?-?"
    r"[^\W\d_]{3,}\.?,?-?\s*(?:de |del )?(?:\d\d)?\d\d\b"
    r"|\b[^\W\d_]{3,}\.?\s+\d{1,2}(?:st|nd|rd|th)?,?\s+(?:at\s+)?(?:19|20)\d\d\b"
    r"|\b(?:19|20)\d\d\.?\s(?:[gm]\.\s)?(?:\d{1,2}\.?\s[^\W\d_]{3,}|[^\W\d_]{3,}\.?\s\d{1,2}\b)"
    r"|\d{4}\s?[年년]|\b\d{1,2}월"
)
_TIME = re.compile(r"\b\d{1,2}(?::|\.|h|\s?Uhr)\d{2}|\b\d{1,2}\s?[AaPp]\.?[Mm]\b|[上下]午|오[전후]")
_ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+|<[^<>\s]*@?[^<>\s]*>|\[mailto:")
_ENDS_WROTE = re.compile(
    rf"(?:\b|(?<=[\s>\"'，、]))(?:{phrases.WROTE})(?![\w-])(?P<who>.{{0,120}}?)\s?[:：]\s*$",
    re.IGNORECASE,
)
_WROTE_BEFORE_NAME = re.compile(rf"\b(?:{phrases.WROTE})\b", re.IGNORECASE)
_ZOHO = re.compile(r"^\s*-{2,}\s*On\b.{5,300}\bwrote\s*-{2,}\s*$", re.IGNORECASE)
_QUOTING = re.compile(
    r"^\s*(?:Quoting|Zitat von|Quoth|Citando a?|Citat|Citerar|Citando|Thus spake"
    r"|Thus spoke|According to)\b.{1,200}:\s*$",
    re.IGNORECASE,
)
_INLINE = re.compile(
    rf"^\s*(?P<line>\S.{{10,250}}?<[^<>@\s]+@[^<>\s]+>,?\s?(?:{phrases.WROTE})\s?[:：])\s",
    re.IGNORECASE,
)
"""An attribution with the quote behind it on the same line, as Yahoo's phone program writes it."""
_DIRECTIONS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_COLONS = (":", "：")
_INVISIBLE_END = " \t\r\f\v\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_SENTENCE_END = re.compile(r"[.!?…:;][\"')\]]*\s*$")
_FIRST_MARK = re.compile(r"\s{0,6}(?:[A-Za-z][\w.-]{0,11}(?:>|\|)|[|:%]?\s?>|\|)\s?")
_YOU = re.compile(r"\b(?:you|vous|du|Sie|tú|usted|tu|você|u|je)\b")


def marks(lines: list[str]) -> list[Mark]:
    """What each line is, as far as quoting goes: OWN, BLANK, QUOTE, INTRODUCTION or FOREIGN."""
    found = [Mark.OWN if line.strip() else Mark.BLANK for line in lines]
    _mark_quotes(lines, found)
    # What every header line, divider or attribution has: most lines do not.
    telling = [
        number
        for number, line in enumerate(lines)
        if ":" in line
        or "--" in line
        or "__" in line
        or "==" in line
        or "**" in line
        or "：" in line
    ]
    _mark_forwards(lines, found, telling)
    _mark_attributions(lines, found, telling)
    _mark_prefixes(lines, found)
    _mark_wrapped(lines, found)
    _take_back_broken(lines, found)
    return found


def unquoted(line: str) -> str:
    """The line without its first quote mark."""
    if line.startswith("> "):
        return line[2:]
    mark = _FIRST_MARK.match(line)
    return line[mark.end() :] if mark else line


def introduces(line: str, *, dated: bool = False) -> bool:
    """Whether the line would introduce a quote below it: "Bob <bob@example.com> wrote:".

    With `dated` it must tell the day too, as hardly a sentence of a person's own does.
    """
    line = line[:_LINE_LIMIT].rstrip()
    if dated and not _DATE.search(line):
        return False
    return line.endswith(_COLONS) and _is_introduction(line, quote_follows=True)


def _mark_quotes(lines: list[str], found: list[Mark]) -> None:
    for number in [number for number, line in enumerate(lines) if ">" in line]:
        line = lines[number]
        if line.startswith(("> ", ">>")) or (">" in line[:5] and _QUOTE.match(line)):
            # "Bob <bob@example.com" / ">:" is one address, cut in two.
            closed = number > 0 and line.rstrip().endswith(_COLONS) and _CLOSED_ANGLE.match(line)
            cut = closed and _OPEN_ANGLE.search(lines[number - 1])
            found[number] = Mark.OWN if cut else Mark.QUOTE


def _take_back_broken(lines: list[str], found: list[Mark]) -> None:
    """Take back a `>` that begins a line of the writer's: "if x > 3 and y" / "> 4 then".

    Only one line, in the middle of a paragraph and of a sentence, above all that is introduced.
    """
    number = found.index(Mark.QUOTE) if Mark.QUOTE in found else 0
    if not number or found[number - 1] is not Mark.OWN or Mark.INTRODUCTION in found[:number]:
        return
    if Mark.QUOTE in found[number + 1 :]:
        following = found.index(Mark.QUOTE, number + 1)
        begun = Mark.INTRODUCTION in found[number:following]
        if not begun and not introduces(unquoted(lines[following]), dated=True):
            return
    above = lines[number - 1].rstrip()
    goes_on = not unquoted(lines[number])[:1].isupper()
    if goes_on and not _SENTENCE_END.search(above) and not above.endswith(_COLONS):
        found[number] = Mark.OWN


def next_written(found: list[Mark], number: int) -> int:
    """The next line from `number` on that is not blank; the length if there is none."""
    while number < len(found) and found[number] is Mark.BLANK:
        number += 1
    return number


def _mark_forwards(lines: list[str], found: list[Mark], telling: list[int]) -> None:
    """Header blocks and dividers, and the unmarked mail below them."""
    done = 0
    for number in telling:
        if number < done or found[number] is not Mark.OWN:
            continue
        end = _introduction_end(lines, found, number)
        if end == number:
            continue
        start = _with_rules_above(lines, found, number)
        found[start:end] = [
            Mark.INTRODUCTION if lines[n].strip() else Mark.BLANK for n in range(start, end)
        ]
        after = next_written(found, end)
        if after < len(found) and found[after] is not Mark.QUOTE:
            done = _mark_rest_foreign(lines, found, after)
        else:
            done = end


def _mark_rest_foreign(lines: list[str], found: list[Mark], start: int) -> int:
    """Everything below is somebody else's, unless a forward says where it ends. Returns that."""
    for number in range(start, len(found)):
        if _FORWARD_END.match(lines[number]):
            found[number] = Mark.INTRODUCTION
            return number + 1
        if found[number] is not Mark.BLANK:
            found[number] = Mark.FOREIGN
    return len(found)


def _with_rules_above(lines: list[str], found: list[Mark], number: int) -> int:
    above = number - 1
    if above >= 0 and found[above] is Mark.OWN and phrases.BARE_ORIGINAL.match(lines[above]):
        return above
    while above >= 0 and found[above] is Mark.BLANK:
        above -= 1
    return (
        above if above >= 0 and found[above] is Mark.OWN and _RULE.match(lines[above]) else number
    )


def _introduction_end(lines: list[str], found: list[Mark], number: int) -> int:
    """Where the divider or header block that begins at `number` ends; `number` if there is none."""
    line = lines[number][:_LINE_LIMIT]
    if _may_divide(line) and (phrases.ORIGINAL.match(line) or phrases.FORWARDED.match(line)):
        after = next_written(found, number + 1)
        block = _header_block_end(lines, after, needed=2) if after < len(lines) else after
        return max(block, number + 1) if block > after else number + 1
    if ":" not in line and "：" not in line:
        return number
    end = _header_block_end(lines, number, needed=3)
    # Without a divider above, only an address or a date tells it from "To: do", "From: me".
    evident = any(_ADDRESS.search(line) or _DATE.search(line) for line in lines[number:end])
    return end if evident or (number and _RULE.match(lines[number - 1])) else number


def _may_divide(line: str) -> bool:
    """Whether the line has the form of a divider, whose many words take long to try."""
    bare = line.strip()
    if bare.startswith(("-", "=", "_", "*")):
        return bool(bare.strip("-=_*"))  # no rule
    return bare.endswith(_COLONS) and len(bare[:-1].rstrip()) <= phrases.LONGEST_DIVIDER


def _header_block_end(lines: list[str], start: int, *, needed: int) -> int:
    """Where the block of `From: Sent: To: Subject:` lines at `start` ends; `start` if it is none.

    Needs who, and when or about what, and `needed` different labels in all: people do write
    single lines such as "To: do" or "From: the office".
    """
    labels: set[str] = set()
    number, end, blanks = start, start, 0
    while number < len(lines) and number - start < 24:
        line = lines[number].strip("\u200b\u200e\u200f ")
        labelled = ":" in line[: phrases.LABEL_END] or "：" in line[: phrases.LABEL_END]
        header = phrases.HEADER_LINE.match(line[:_LINE_LIMIT]) if labelled else None
        if header is not None:
            # "From: 19:00" is no sender.
            named = header["from"] is None or any(map(str.isalpha, header["value"]))
            labels.update({_label(header)} if named else ())
            end, blanks = number + 1, 0
        elif labels and not blanks and _ANY_HEADER.match(line):
            end = number + 1
        elif not line:
            blanks += 1
            if blanks > 1 or _complete(labels, needed):
                break
        elif blanks or number - end >= 3 or number == start:
            break  # up to three lines of folded recipients
        number += 1
    if not _complete(labels, needed):
        return start
    return end


def _label(header: re.Match[str]) -> str:
    return next(name for name, value in header.groupdict().items() if value and name != "value")


def _complete(labels: set[str], needed: int) -> bool:
    return "from" in labels and bool(labels & {"sent", "subject"}) and len(labels) >= needed


def _mark_attributions(lines: list[str], found: list[Mark], telling: list[int]) -> None:
    done = 0
    last_quote = len(found) - 1 - found[::-1].index(Mark.QUOTE) if Mark.QUOTE in found else -1
    answered, seen = False, 0
    for number in _likely_attributions(lines, found, telling):
        if number < done or found[number] is not Mark.OWN:
            continue
        size = _attribution_size(lines, found, number) or _begins_quoting(lines[number])
        if not size:
            continue
        found[number : number + size] = [Mark.INTRODUCTION] * size
        after = next_written(found, number + size)
        answered = answered or any(map(_is_answer, lines[seen:number], found[seen:number]))
        seen = number
        if answered and _unmarked_follows(found, after, last_quote):
            _mark_rest_foreign(lines, found, after)
            return
        done = number + size


def _likely_attributions(lines: list[str], found: list[Mark], telling: list[int]) -> list[int]:
    """The lines where an attribution may begin: up to two above one that ends in a colon."""
    likely: set[int] = set()
    for number in telling:
        if found[number] is not Mark.OWN:
            continue
        line = lines[number]
        if line.rstrip(_INVISIBLE_END).endswith((*_COLONS, "--")):
            likely.update(range(max(0, number - 2), number + 1))
        elif "@" in line and _INLINE.match(line[:_LINE_LIMIT]):
            likely.add(number)
    return sorted(likely)


def _is_answer(line: str, mark: Mark) -> bool:
    """Whether the line is the sender's and no greeting.

    Under an answer, what an attribution introduces without quote marks is the quote. With nothing
    above, or a greeting, it is the answer: people who answer below often delete all of the quote
    (116 of 1,400 replies of one).
    """
    return mark is Mark.OWN and not line.rstrip().endswith((",", "，", ":"))


def _unmarked_follows(found: list[Mark], after: int, last_quote: int) -> bool:
    return after < len(found) and last_quote < after and found[after] is not Mark.INTRODUCTION


def _attribution_size(lines: list[str], found: list[Mark], number: int) -> int:
    """How many lines from `number` on are one attribution ("On ... wrote:"): up to three, or 0."""
    for size in (1, 2, 3):
        end = number + size
        if end > len(lines) or found[end - 1] is not Mark.OWN:
            return 0
        joined = " ".join(line.strip() for line in lines[number:end])
        if len(joined) > _LINE_LIMIT:
            return 0
        if not joined.isascii():
            joined = _DIRECTIONS.sub("", joined).rstrip()
        if not (joined.endswith(_COLONS) or _ZOHO.match(joined)):
            continue
        after = next_written(found, end)
        quote_follows = after < len(found) and (
            found[after] is Mark.QUOTE
            or (after == end and bool(_prefix(lines[after])) and bool(_ENDS_WROTE.search(joined)))
        )
        if size == 1 and _is_introduction(
            joined, quote_follows=quote_follows, ends=after == len(found)
        ):
            return 1
        if (
            size > 1
            and _begins_dated(lines[number])
            and _is_introduction(joined, quote_follows=quote_follows)
        ):
            later = any(_begins_dated(line) for line in lines[number + 1 : end - 1])
            return 0 if later else size
        if (
            size > 1
            and quote_follows
            and _ADDRESS.search(joined)
            and (_names_only(lines[number:end]) or _is_wrapped(lines, found, number, joined))
        ):
            return size
        return 0
    return 0


def _begins_dated(line: str) -> bool:
    """Whether a date stands where attributions have it: near the start, no prose before."""
    date = _DATE.search(line)
    return (
        date is not None
        and date.start() < 42
        and not re.search(r"[.!?]\s", line[: date.start()][:-4])
    )


def _begins_quoting(line: str) -> int:
    """1 if the line is an attribution with the quote right behind it, else 0."""
    inline = _INLINE.match(line[:_LINE_LIMIT]) if "@" in line else None
    if inline is None or not _begins_dated(inline["line"]) or not _TIME.search(inline["line"]):
        return 0
    return 1


def _is_wrapped(lines: list[str], found: list[Mark], number: int, joined: str) -> bool:
    """A paragraph with an address in brackets, a date and a time, whatever its language."""
    alone = number == 0 or found[number - 1] is not Mark.OWN
    begins = "<" in lines[number] or _DATE.search(lines[number]) is not None
    bracketed = re.search(r"<[^<>\s]+@[^<>\s]+>", joined) is not None
    dated = _DATE.search(joined) is not None and _TIME.search(joined) is not None
    return alone and begins and bracketed and dated


def _names_only(lines: list[str]) -> bool:
    """Two lines such as `"Maciej W. Rozycki" <macro@` / `linux-mips.org> writes:`."""
    return len(lines) == 2 and "<" in lines[0] and _ENDS_WROTE.search(lines[1]) is not None


def _is_introduction(line: str, *, quote_follows: bool, ends: bool = False) -> bool:
    """Whether a line introduces a quote.

    With a quote below, a verb of writing, an address, or date and time are enough. Without, it
    needs the verb and the date, as people say "he wrote:" too.
    """
    if _ZOHO.match(line):
        return True
    dated = _DATE.search(line) is not None
    if not (dated or quote_follows):
        return False
    addressed = _ADDRESS.search(line) is not None
    if quote_follows and (dated or addressed or _QUOTING.match(line)):
        return True
    wrote = _ENDS_WROTE.search(line) is not None  # takes the longest by far
    if quote_follows:
        return wrote
    timed = _TIME.search(line) is not None
    if wrote:
        return timed or addressed or ends or _YOU.search(line) is not None
    return timed and addressed


def _mark_prefixes(lines: list[str], found: list[Mark]) -> None:
    """`Ralf> text`, `| text`: a mark only where it repeats, or an introduction stands above."""
    prefixed = [n for n, line in enumerate(lines) if ">" in line or "|" in line]
    if not any(found[n] is Mark.OWN and _prefix(lines[n]) for n in prefixed):
        return
    previous = ""
    introduced = False
    for number, line in enumerate(lines):
        if found[number] is not Mark.OWN:
            introduced = (
                found[number] is Mark.INTRODUCTION
                or (introduced and found[number] is Mark.BLANK)
                # Supercite marks its attribution as well: `>>>>> "GP" == Gareth writes:`
                or (line.startswith(">>>") and introduces(line))
            )
            previous = previous if found[number] is Mark.BLANK else ""
            continue
        prefix = _prefix(line)
        following = _prefix(lines[number + 1]) if number + 1 < len(lines) else ""
        if prefix and (introduced or prefix in (previous, following)):
            found[number] = Mark.QUOTE
        previous = prefix if found[number] is Mark.QUOTE else ""
        introduced = introduced and found[number] is Mark.QUOTE


def _prefix(line: str) -> str:
    if ">" not in line and "|" not in line:
        return ""
    initials = _INITIALS.match(line)
    if initials:
        return initials[1]
    bar = _BAR.match(line)
    return "|" if bar and line.count("|") == 1 else ""


def _mark_wrapped(lines: list[str], found: list[Mark]) -> None:
    """Ends of quoted lines that a mail program wrapped without a mark.

    Only where a long quoted line stops in mid-sentence and another quoted line follows at once.
    """
    if Mark.QUOTE not in found:
        return
    between = (Mark.QUOTE, Mark.OWN, Mark.QUOTE)
    for number, three in enumerate(zip(found, found[1:], found[2:], strict=False), start=1):
        if three != between:
            continue
        above, line = lines[number - 1].rstrip(), lines[number].strip()
        broken = len(above) >= 74 and not _SENTENCE_END.search(above)
        if broken and len(line) < 60 and line[:1].islower():
            found[number] = Mark.QUOTE

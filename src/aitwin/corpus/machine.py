"""Lines that no person composed: patches, program output, code. Decides by form, for runs of lines.

A single odd line stays: losing an own sentence is worse than keeping a line of code.
"""

import re
from collections.abc import Iterator

RUN = 3
"""Machine-like lines in a row before any is taken for machine text."""
_LINE_LIMIT = 400
_PATCH_BEGINS = ("diff -", "Index: ", "=====", "--- ", "*** ", "RCS file: ", "@@ -")
_SIGN = re.compile(r"[0-9;{}\\<>=$#%:/*\[\])_|]")
_DIGIT = re.compile(r"\d")
"""Of any script; the ten usual ones are found three times as fast without it."""
_HUNK = re.compile(r"^@@ -\d+(?:,(\d{1,9}))? \+\d+(?:,(\d{1,9}))? @@")
_DIFF_START = re.compile(
    r"^(?:diff -|diff --git |Index: \S|={20,}\s*$|--- \S+.*$|\*\*\* \S+.*$|RCS file: )"
)
_DIFF_HEAD = re.compile(
    r"^(?:diff |Index: |index [0-9a-f]{4,}|={20,}|--- |\+\+\+ |new file mode|deleted file mode"
    r"|old mode|new mode|similarity index|dissimilarity|rename |copy |Binary files|GIT binary"
    r"|RCS file: |retrieving revision|@@ |\*\*\* |\*{10,})"
)
_CONTEXT_LINE = re.compile(r"^(?:[ !+-] |\*\*\* |--- |\*{10,}|\\ No newline)")
_DIFFSTAT = re.compile(
    r"^\s?\S.{0,120}?\|\s+(?:\d+\s?[+-]*|Bin .*)\s*$|^\s?\d+ files? changed\b"
    r"|^\s(?:create|delete|rename) mode \d{6} "
)
_TRAILER = re.compile(
    r"^\s{0,8}(?:Signed-off-by|Acked-by|Reviewed-by|Tested-by|Reported-by|Suggested-by|Cc"
    r"|Co-developed-by|Reported-and-tested-by|Acked|Patchwork)\s?:\s.*[<@]"
    r"|^\s{0,8}(?:Patchwork|Fixes|Link|Message-Id|Reference)\s?:\s*(?:https?://|[0-9a-f]{8,}|<)",
    re.IGNORECASE,
)
_LOG = re.compile(
    r"^\s*(?:\[\s*\d+\.\d{3,}\]|<\d>|\w{3}\s+\d{1,2}\s\d\d:\d\d:\d\d\s"
    r"|\[?\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d|\d\d:\d\d:\d\d[.,]\d|[-dlbcps][rwxsStT-]{9}[.+@]?\s"
    r"|(?:Call Trace|Backtrace|Stack|Code)\s?:|\$\s?\d+\s*:\s|at [\w.$]+\([\w.]+:\d+\)"
    r"|Traceback \(most recent call last\):|[\w.]+(?:Error|Exception): "
    r"|File \".*\", line \d+|make(?:\[\d+\])?: |\S+\.(?:[chSs]|cpp|cc|py|rs|go|java)(?::\d+)+:)"
)
_HEX_BEGINS = re.compile(r"[0-9a-fA-F][0-9a-fA-Fx][0-9a-fA-F]{2}")
_HEX = re.compile(r"\b(?:0x[0-9a-fA-F]{2,}|[0-9a-f]{8}|[0-9a-f]{16}|[0-9A-F]{8})\b")
_CODE_ENDS = re.compile(r"[;{}\\]\s*(?:(?:/\*.*\*/|//.*|#.*)\s*)?$")
_CODE_BEGINS = re.compile(
    r"^\s*(?:#\s?(?:include|define|if|ifdef|ifndef|else|endif|pragma)\b|/\*|\*/|//)"
    r"|^\s*[})\]]+[;,)]*\s*$"
    r"|^\s*[\w.>\[\]-]+\s*[-+*|&^]?=\s*\S+.*[;,]\s*$"
    r"|^\s*(?:def|class|for|while|if|else|elif|return|import|from|static|void|int|struct|const)\b"
    r".*[:{;]\s*$"
    r"|^\s*</?[\w!?][^<>]*>"
)
_ASM = re.compile(
    r"^(?=.*(?:[$%(]|\b[a-z]+\d))\s*(?:[0-9a-f]{4,16}:?\s+)?(?:\.?\w+:)?\s*(?:\.\w+|[a-z]{2,7}[.\w]*)"
    r"\s+\$?[\w%$(),+\-*]+,\s*[\w%$(),+\-*]+\s*(?:[#;/].*)?$"
)
_PROMPT = re.compile(r"^\s*(?:\$\s+[a-z./]|[\w.-]+@[\w.-]+[:\s][^$#%]{0,60}[$#%]\s|\(gdb\)|>>> )")
_TOKEN = re.compile(r"^\s*(?=\S*[\d_/\\=])\S{8,}\s*$")
_CALL = re.compile(r"^\s{2,}[\w.\[\]]+\(.*\)\s*$")
_PLAIN_WORD = re.compile(r"[(\"']?[^\W\d_]+(?:['’-][^\W\d_]+)*[.,;:!?)\"']*")
_WORD = re.compile(r"[^\W\d_]{2,}")


def mask(lines: list[str], is_own: list[bool]) -> list[bool]:
    """Which own lines are machine text."""
    found = [False] * len(lines)
    likely = [
        number for number, line in enumerate(lines) if is_own[number] and _may_be_machine(line)
    ]
    _patches(lines, likely, found)
    for number in likely:
        line = lines[number]
        counts = "|" in line or "changed" in line or " mode " in line
        if (counts and _DIFFSTAT.match(line)) or (":" in line and _TRAILER.match(line)):
            found[number] = True
    _runs(lines, likely, found)
    for number in likely:
        if lines[number].rstrip() == "---" and any(found[number + 1 : number + 2]):
            found[number] = True  # git's line between the message and the patch
    return found


def _may_be_machine(line: str) -> bool:
    """Whether the line has what every machine-like line has; most lines of people do not."""
    if _SIGN.search(line) or line.startswith((" ", "\t", "diff ")):
        return True
    if "--" in line or "r-x" in line or "rwx" in line:
        return True
    return not line.isascii() and _DIGIT.search(line) is not None


def _patches(lines: list[str], likely: list[int], found: list[bool]) -> None:
    end = 0
    for number in likely:
        if number < end or not lines[number].startswith(_PATCH_BEGINS):
            continue
        # Headers without a patch below are not looked at again.
        end, is_patch = _patch_end(lines, number)
        if is_patch:
            found[number:end] = [True] * (end - number)


def _patch_end(lines: list[str], start: int) -> tuple[int, bool]:
    """Where what looks like a patch from `start` on ends, and whether it is one."""
    if not (_DIFF_START.match(lines[start]) or _HUNK.match(lines[start])):
        return start, False
    number, seen_body = start, False
    while number < len(lines):
        line = lines[number]
        hunk = _HUNK.match(line)
        if hunk is not None:
            number = _hunk_end(lines, number + 1, int(hunk[1] or 1), int(hunk[2] or 1))
            seen_body = True
        elif line.startswith("***************"):
            number = _context_end(lines, number)
            seen_body = True
        elif _DIFF_HEAD.match(line):
            number += 1
        else:
            break
    return number, seen_body


def _hunk_end(lines: list[str], number: int, old: int, new: int) -> int:
    """After as many lines as the hunk's own counts say, while they look like its lines."""
    while number < len(lines) and (old > 0 or new > 0):
        sign = lines[number][:1]
        if sign == "+":
            new -= 1
        elif sign == "-":
            old -= 1
        elif sign in ("", " ", "\t"):
            old, new = old - 1, new - 1
        elif sign != "\\":
            return number
        number += 1
    return number


def _context_end(lines: list[str], number: int) -> int:
    while number < len(lines) and (_CONTEXT_LINE.match(lines[number]) or not lines[number].strip()):
        number += 1
    return number


def _runs(lines: list[str], likely: list[int], found: list[bool]) -> None:
    for stretch in _stretches(lines, likely, found):
        run: list[int] = []
        between: list[int] = []
        for number in stretch:
            line = lines[number][:_LINE_LIMIT]
            if looks_machine(line):
                run += [*between, number] if run else [number]
                between = []
            elif _goes_between(line):
                # `return err;`, or the end of a wrapped line: as what follows
                between.append(number)
            else:  # a line of prose: it ends the run like any that is not likely
                _take(run, found)
                run, between = [], []
        _take(run, found)


def _take(run: list[int], found: list[bool]) -> None:
    if len(run) >= RUN:
        for member in run:
            found[member] = True


def _stretches(lines: list[str], likely: list[int], found: list[bool]) -> Iterator[list[int]]:
    """Likely lines with nothing but blank ones between them, where there are enough for a run."""
    stretch: list[int] = []
    last = -1
    for number in likely:
        apart = number > last + 1 and any(map(str.strip, lines[last + 1 : number]))
        if apart or found[number]:
            if len(stretch) >= RUN:
                yield stretch
            stretch = []
        if not found[number] and lines[number].strip():
            stretch.append(number)
        last = number
    if len(stretch) >= RUN:
        yield stretch


def looks_machine(line: str) -> bool:
    """Whether a line alone looks more like a machine's than a person's."""
    line = line[:_LINE_LIMIT]
    if _LOG.match(line) or _PROMPT.match(line) or ("," in line and _ASM.match(line)):
        return True
    if _HEX_BEGINS.search(line) and len(_HEX.findall(line)) >= 2:
        return True
    if _is_code(line):
        # "I would rather not; it is late;" is a sentence all the same.
        return not _is_prose(line)
    if not line.startswith(("    ", "\t")):
        return False
    letters, length = sum(map(len, _WORD.findall(line))), len(line.strip())
    return letters < 0.5 * length and length > 3


def _is_code(line: str) -> bool:
    return bool(_CODE_ENDS.search(line) or _CODE_BEGINS.match(line))


def _goes_between(line: str) -> bool:
    return bool(_TOKEN.match(line) or _CALL.match(line) or _is_code(line))


def _is_prose(line: str) -> bool:
    """Mostly plain words; in a short line all of them: "apples;" may be an item of a list."""
    words = line.split()
    plain = sum(1 for word in words if _PLAIN_WORD.fullmatch(word))
    return plain >= 0.75 * len(words) if len(words) >= 5 else plain == len(words)

"""How much of a text is pasted and not written: code, patches, logs, dumps, tables.

Each is known by its own form. What has none of these forms is taken for writing, whatever its
script and its signs: an hour, a price, five emoji, "danke!!" are how people write.
"""

import re
from collections.abc import Sequence

LOOKED_AT = 200
"""Characters of a line that are looked at: its form shows by then."""
FEWEST_ROWS = 3
"""Rows that make a table: one line of three words far apart is none."""
SIGNS = 0.12
"""Share of brackets, operators and the like from which an unknown line is code."""

_ELSEWHERE = re.compile(
    r"\b[a-z]{2,8}://\S+|\bwww\.\S+|\S{1,60}@\S{1,60}"  # addresses
    r"|<[/\\]?3+|[<>]?[:;=xX8]['\"^o-]?[()\[\]{}|\\/<>DPpOo*3]+"  # <3 :-) ;)
    r"|[>^~=-][_.]*[<^~=-]|\^\^+|T_T|¯\S*¯"  # >_< ^^
)
_SIGN = re.compile(r"[{}\[\]<>=;|\\&^~]")

_CODE = (
    r"[()\[\];,]*[{}][{}()\[\];,]*$|[)\]]+;$",
    r".*[\w)\]=>]\s?\{$",
    r".*(?:\w\([^()]*\)+|\w\s?[-+*/|&]?=\s?\S.*|\+\+|--|->\w+|\])\s?;$",
    r"(?:return(?:\s\S+)?|break|continue|goto\s\w+)\s?;$|return\s\S*\w\(.*\)$",
    r"(?:(?:unsigned|static|const|extern|volatile)\s)*(?:int|char|void|long|short|float|double|bool"
    r"|u?int\d+_t|[us]\d\d?|size_t|struct\s\w+)\s[\w*,\s\[\]=]+;",
    r"\#\s*(?:include|define|ifn?def|undef|pragma|endif)\b|\#!/|//\s|/\*|\*/|<!--|<\?|<!DOCTYPE",
    r"(?:public|private|protected|static|inline)\s[\w<>:*&\[\], ]+?(?:\w\(|=|;$|\{$)",
    r"(?:const|let|var)\s[\w$]+(?:\s?:\s?\w+)?\s?=|(?:async\s)?(?:def|fn|func|function)\s\w+\s?\(",
    r"class\s[A-Z]\w*(?:\(.*\))?\s?[:{]$|@\w+(?:\.\w+)*\(.*\)$",
    r"import\s[\w.{}*, ]+\sfrom\s['\"]|import\s[\w.]+;?$|from\s[\w.]+\simport\s[\w*(]",
    r"(?:if|while|for|switch|else\sif)\s?\([^)]*[=<>!;&|*_][^)]*\)",
    r"(?:if|elif|while)\s[^.?!]*(?:==|!=|<=|>=|\w\()[^?!]*:$|for\s\w+(?:,\s?\w+)*\sin\s\S+:$",
    r"(?:try|else|finally|except(?:\s[A-Z]\w+(?:\sas\s\w+)?)?):$",
    r"[\w.\[\]>*-]+\s?[-+*/|&:]?=\s?(?:[\w.]*\w\(.*\)|\[.*\]|\{.*\}|\"[^\"]*\"|'[^']*')[;,]?$",
    r"[A-Z_]{3,}=\S*$|\w+_\w+\s?=\s?\S+$",
    r"[\w.>-]*(?:_\w*|\.\w+|->\w+)\(.*\);?$|\w+\([^()\s]*\);?$",
    r"<[A-Za-z][\w:-]*\s[\w:-]+=[\"'][^>]*>|</[a-z][\w:-]*>$"
    r"|<(?:div|span|p|br|table|tr|td|html|head|body|ul|li|img|script|style)\b[^>]*>",
    r"[\"'][\w.-]+[\"']\s?:\s.*[,\[{]$",
    r"(?:SELECT\s.+\sFROM|INSERT\sINTO|UPDATE\s\S+\sSET|CREATE\sTABLE|DELETE\sFROM)\b",
)
_COMMANDS = (
    r"\$\s(?:(?=[a-z./~]).*(?:\s-|[/|_=])|(?:sudo|cd|make|git|ls|cat)\b)|>>>\s\S|[A-Z]:\\\S*>",
    r"\[?[\w.-]+@[\w.-]+[:\s]?\S*\s?[#$%]\s",
    r"sudo\s\S|(?:apt-get|apt|yum|dnf|pip3?|npm)\s(?:install|update|upgrade|remove|run)\s?\S*$",
    r"(?:ls|rm|cp|mv|cd|chmod|tar|grep|mkdir|ssh|scp|cat|curl|wget|git\s\w+)\s(?:-\w|~?/|\./)\S*",
)
_PATCH = (
    r"diff\s-|index\s[0-9a-f]{6,}|@@\s|Index:\s\S+/|(?:new|old|deleted)\s(?:file\s)?mode\s\d",
    r"(?:---|\+\+\+)\s\S*[/.]\S+|(?:rename|similarity)\s(?:from|to|index)\s",
    r"\S+\s*\|\s+\d+\s[+-]+$|\d+\sfiles?\schanged\b",
)
_LOGS = (
    # A date with seconds; a time with fractions; seconds since the start of a kernel.
    r"\W{0,2}\d{4}[-/.]\d\d[-/.]\d\d[T ,]+\d\d:\d\d:\d\d",
    r"\W{0,2}(?:\d\d?[-/. ](?:\d\d?|\w{3})[-/. ]\d{2,4}|\w{3}\s{1,2}\d{1,2}(?:\s\d{4})?)[ T,:]+"
    r"\d\d:\d\d:\d\d",
    r"\W{0,2}\d\d:\d\d:\d\d[.,]\d{3,}|\[\s*\d+\.\d{3,}\]\s",
    r"<\d>|\[(?:INFO|WARN(?:ING)?|ERROR|DEBUG|FATAL|TRACE|NOTICE|CRITICAL)\s*\]",
    r"Traceback\s\(most|File\s\".*\",\sline\s\d|at\s[\w$.<>]+\(.*\)$|Caused\sby:\s[\w.]+\.\w",
    r"\S+\.[A-Za-z]\w{0,3}:\d+(?::\d+)?:\s|make(?:\[\d+\])?:\s(?:\*\*\*|Entering|Leaving|Nothing)",
    r"[\w.]*[a-z](?:Error|Exception):\s|(?:gcc|cc|g\+\+|ld|clang)\s-\S",
)
_IN_A_PATCH = re.compile("|".join(_PATCH))
_PASTED = re.compile("|".join((*_CODE, *_COMMANDS, *_PATCH, *_LOGS)))
_HEX = re.compile(r"(?:[\w$]+[:=])?\W*(?=[0-9a-fA-Fx]*\d)(?:0x)?[0-9a-fA-F]{4,}\W*")
_LETTERS_TOO = re.compile(r"0x|[0-9][a-f]|[a-f][0-9]|[0-9][A-F]|[A-F][0-9]")
_CELLS = re.compile(r"\t+|(?<=[^.!?:;,\s]) {2,}")
_NUMBER = re.compile(r"[^\w\s]{0,3}\d[\d.,:/%eE+-]*\w{0,3}[^\w\s]{0,2}")
_RULER = re.compile(r"[-=_+|:\s]{5,}")


def share(text: str) -> float:
    """The part of a text that stands in pasted lines, weighted by their length."""
    lines = [line[:LOOKED_AT].rstrip() for line in text.splitlines() if line.strip()]
    pasted = _with_between(lines, _pasted_lines(lines))
    length = sum(len(line) for line, is_ in zip(lines, pasted, strict=True) if is_)
    return length / max(1, sum(map(len, lines)))


def _pasted_lines(lines: Sequence[str]) -> list[bool]:
    rows = [_is_row(line) for line in lines]
    a_table = sum(rows) >= FEWEST_ROWS
    found, patch = [], False
    for line, row in zip(lines, rows, strict=True):
        patch = bool(_IN_A_PATCH.match(line)) or (patch and line[0] in "+- \t\\")
        in_table = a_table and (row or bool(_RULER.fullmatch(line)))
        found.append(patch or in_table or _is_pasted(line.strip()))
    return found


def _with_between(lines: Sequence[str], found: Sequence[bool]) -> list[bool]:
    """A line between two pasted ones is of the same piece, unless it ends as a sentence does."""
    last = len(found) - 1
    return [
        is_
        or (
            0 < number < last
            and found[number - 1]
            and found[number + 1]
            and not line.endswith((".", "!", "?", ":", "。"))
        )
        for number, (line, is_) in enumerate(zip(lines, found, strict=True))
    ]


def _is_pasted(line: str) -> bool:
    return bool(_PASTED.match(line)) or _is_dump(line) or _is_dense(line)


def _is_dump(line: str) -> bool:
    """`00000000: 7f45 4c46`, `epc : 80012345 ra : 80054321`: half hexadecimal numbers or more."""
    parts = [part for part in line.split() if any(map(str.isalnum, part))]
    numbers = [part for part in parts if _HEX.fullmatch(part)]
    return (
        len(numbers) >= 2
        and 2 * len(numbers) >= len(parts)
        and any(_LETTERS_TOO.search(number) for number in numbers)
    )


def _is_dense(line: str) -> bool:
    signs = _SIGN.findall(_ELSEWHERE.sub(" ", line))
    return len(signs) >= max(4, SIGNS * len(line)) and len(set(signs)) >= 2


def _is_row(line: str) -> bool:
    """Whether it looks like a row of a table, which its like around it must confirm."""
    if line.count("|") >= 2:
        return True
    cells = [cell for cell in _CELLS.split(line.strip()) if cell]
    if len(cells) >= 3 or len(re.findall(r"\S[,;](?=\S)", line)) >= 3:
        return True
    parts = line.split()
    return len(parts) >= 3 and 3 * sum(map(bool, map(_NUMBER.fullmatch, parts))) >= 2 * len(parts)

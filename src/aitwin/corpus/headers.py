"""Mail headers as real mail has them: raw 8-bit, folded, mis-encoded. Never raises, never blocks.

Own and linear in time where the standard library is recursive, or strict by turns: mail of thirty
years has to come through. Knows nothing of bodies.
"""

import binascii
import calendar
import codecs
import email.utils
import quopri
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from functools import cache, lru_cache

from aitwin.corpus.messages import Person

_FIELD = re.compile(r"\n([!-9;-~]{1,76})[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)")
_FIELDS_KEPT = 2000
_VALUE = re.compile(rb"[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)")
_WORD = re.compile(r"=\?([^?*\s]{1,40})(?:\*[^?\s]*)?\?([bBqQ])\?([^?]*)\?=")
_BETWEEN_WORDS = re.compile(r"(\?=)\s+(?==\?[^?\s]{1,60}\?[bBqQ]\?)")
_PARAMETER = re.compile(r";\s*([\w.*-]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^;\s]*))", re.DOTALL)
_FOLD = re.compile(r"\r?\n[ \t]+")
_ID = re.compile(r"<\s*([^<>\s]+)\s*>")
# Bounded, or each quotation mark that is never closed would cost a look at all that follows it.
_ADDRESS_TOKEN = re.compile(
    r"\"((?:[^\"\\]|\\.){0,500})\"|<([^<>]*)>|\(((?:[^()\\]|\\.){0,500})\)"
    r"|([,;:])|([^\",;:<>()]+)|(.)",
    re.DOTALL,
)
_MAILBOX = re.compile(r"(?<![^\s@<>\"(),:;])[^\s@<>\"(),:;]+@[^\s@<>\"(),;]+")
_AT = re.compile(r"^\s*(\S+)\s+(?:at|\[at\]|\(at\))\s+(\S+)\s*$")
_LOOSE = re.compile("[\ud800-\udfff\x00]")
_ALIASES = {
    "gb2312": "gb18030", "gbk": "gb18030", "x-gbk": "gb18030", "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949", "shift_jis": "cp932", "shift-jis": "cp932", "x-sjis": "cp932",
    "big5": "big5hkscs", "iso-8859-1": "cp1252", "latin1": "cp1252", "latin-1": "cp1252",
    "iso8859-1": "cp1252", "iso_8859-1": "cp1252", "iso-8859-8-i": "iso-8859-8",
    "iso-8859-8-e": "iso-8859-8", "x-mac-roman": "mac_roman", "macintosh": "mac_roman",
    "tis-620": "cp874", "iso-8859-11": "cp874", "x-windows-949": "cp949", "iso-8859-9": "cp1254",
    "unicode-1-1-utf-7": "utf-7", "cp-850": "cp850", "utf8mb4": "utf-8",
}  # fmt: skip
"""What labels mean in practice: the superset that senders really use (as browsers do)."""
_NOT_TEXT = frozenset(
    {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}
)
_NOT_ASCII_BASED = (
    "iso-2022",
    "iso2022",
    "csiso2022",
    "hz",
    "utf-7",
    "utf7",
    "unicode",
    "utf-16",
    "utf16",
    "utf-32",
    "utf32",
    "ucs",
    "cp037",
    "cp500",
    "ibm",
    "ebcdic",
)
_MONTHS = {name: number for number, name in enumerate(calendar.month_abbr) if number}
_USUAL_DATE = re.compile(
    rf"(?:[A-Z][a-z]{{2}}, )? ?(\d{{1,2}}) ({'|'.join(_MONTHS)}) (\d{{4}}) "
    r"(\d\d):(\d\d):(\d\d) ([+-])([01]\d)([0-5]\d)(?![\d:])"
)
"""What nearly all clients write, at a fifth of the time that the standard library takes."""
_PLAUSIBLE = (datetime(1975, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


class Headers:
    """The header fields of one message or part.

    A few fields are looked up where they stand, which is all that listing a mailbox needs; the
    block is taken apart once, when many are asked for (see taken_apart).
    """

    def __init__(self, block: bytes) -> None:
        self._block = b"\n" + block
        self._small = b""
        self._fields: dict[str, list[str]] | None = None

    def taken_apart(self) -> "Headers":
        """Itself, with every field found: from some ten lookups on, that is the quicker way."""
        self._apart()
        return self

    def _apart(self) -> dict[str, list[str]]:
        """The fields by their names in lower case, in their order."""
        if self._fields is None:
            self._fields = {}
            # One character a byte: what is not ASCII is decoded when it is asked for.
            for name, value in _FIELD.findall(self._block.decode("latin-1"))[:_FIELDS_KEPT]:
                self._fields.setdefault(name.lower(), []).append(value)
        return self._fields

    def __len__(self) -> int:
        """How many different fields there are."""
        return len(self._apart())

    def __contains__(self, name: str) -> bool:
        """Whether there is a field called `name`."""
        return self._first(name) is not None

    def raw(self, name: str) -> str:
        """The first field called `name` (lower case), unfolded but not decoded; empty if none."""
        value = self._first(name)
        return _unfolded(value) if value else ""

    def all(self, name: str) -> Iterator[str]:
        """Every field called `name`, unfolded but not decoded."""
        first = self._first(name)
        if first is not None:
            yield _unfolded(first)  # for most callers that is all
            yield from map(_unfolded, self._apart().get(name, [])[1:])

    def _first(self, name: str) -> str | None:
        if self._fields is None:
            return self._sought(name)
        values = self._fields.get(name)
        return values[0] if values else None

    def text(self, name: str) -> str:
        """The first field called `name`, with RFC 2047 words decoded, on one line."""
        return decode_words(self.raw(name))

    def _sought(self, name: str) -> str | None:
        """The first field called `name` as it stands, found without taking the block apart."""
        if not self._small:
            self._small = self._block.lower()
        start = _start(name)
        found = self._small.find(start)
        if found < 0:
            return None
        while found >= 0:
            value = _VALUE.match(self._block, found + len(start))
            if value is not None:
                return value[1].decode("latin-1")
            found = self._small.find(start, found + 1)
        return None


@cache
def _start(name: str) -> bytes:
    """What the line of a field begins with."""
    return b"\n" + name.encode()


def _unfolded(value: str) -> str:
    if not value.isascii() or "\0" in value:
        value = decode_bytes(value.encode("latin-1"))
    return (_FOLD.sub(" ", value) if "\n" in value else value).strip()


def end(data: bytes) -> int:
    """Where the header block ends, its blank line included; -1 if there is no blank line."""
    if data.startswith((b"\n", b"\r\n")):
        return 1 if data[:1] == b"\n" else 2
    plain = data.find(b"\n\n")
    before = plain if plain >= 0 else len(data)
    if data.find(b"\r", 0, before) >= 0:  # one byte is looked for much faster than three
        dos = data.find(b"\n\r\n", 0, before)
        if dos >= 0:
            return dos + 3
    return plain + 2 if plain >= 0 else -1


def split(message: bytes) -> tuple[bytes, bytes]:
    """Header block and body."""
    at = end(message)
    return (message[:at], message[at:]) if at >= 0 else (message, b"")


def decode_bytes(data: bytes, charset: str = "") -> str:
    """Text of `data`, whatever the label says: a wrong or unknown charset is not a reason to fail.

    Bytes that are not in the labelled charset are read as UTF-8 if they are that, else as
    windows-1252, which has (nearly) every byte.
    """
    name = charset.strip().strip("\"'").lower() if charset else ""
    if data.isascii() and b"\0" not in data and not name.startswith(_NOT_ASCII_BASED):
        return data.decode("ascii")
    name = _ALIASES.get(name, name)
    if name in ("", "us-ascii", "ascii", "utf-8", "cp1252") or not _is_text_codec(name):
        order = ("cp1252", "utf-8") if name == "cp1252" and not _looks_utf8(data) else ("utf-8",)
    else:
        order = (name, "utf-8")
    for codec in order:
        try:
            return _LOOSE.sub("\ufffd", data.decode(codec))
        except (UnicodeError, ValueError):
            continue
    if name == "utf-8" and _mostly_utf8(data):
        return _LOOSE.sub("\ufffd", data.decode("utf-8", "replace"))
    return _LOOSE.sub("\ufffd", data.decode("cp1252", "replace"))


def _looks_utf8(data: bytes) -> bool:
    """Several bytes beyond ASCII that are all valid UTF-8 are hardly ever anything else."""
    try:
        return len(data.decode("utf-8")) < len(data)
    except UnicodeError:
        return False


def _mostly_utf8(data: bytes) -> bool:
    """A cut or damaged character among good ones: keep the good ones."""
    text = data.decode("utf-8", "replace")
    good = sum(character > "\x7f" for character in text)
    return good >= 3 * text.count("\ufffd")


def _is_text_codec(name: str) -> bool:
    # codecs knows "hex", "zip" and "rot13" too, which no mail means as a charset.
    try:
        info = codecs.lookup(name)
    except (LookupError, ValueError):
        return False
    return info._is_text_encoding and info.name.replace("-", "_") not in _NOT_TEXT


def decode_words(value: str) -> str:
    """Decode RFC 2047 words; a word that cannot be decoded stays as it is."""
    if "=?" not in value:
        return " ".join(value.split()) if value else ""
    pending: tuple[str, bytes] | None = None
    out: list[str] = []
    position = 0
    value = _BETWEEN_WORDS.sub(r"\1", value)
    for word in _WORD.finditer(value):
        decoded = _word_bytes(word[2], word[3])
        if pending and (word.start() > position or pending[0] != word[1].lower()):
            out.append(decode_bytes(pending[1], pending[0]))
            pending = None
        out.append(value[position : word.start()])
        # One character may be cut in two between words of the same charset: join bytes first.
        pending = (word[1].lower(), (pending[1] if pending else b"") + decoded)
        position = word.end()
    if pending:
        out.append(decode_bytes(pending[1], pending[0]))
    out.append(value[position:])
    return " ".join("".join(out).split())


def _word_bytes(encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    if encoding in "qQ":
        return quopri.decodestring(raw.replace(b" ", b"_"), header=True)
    return decode_base64(raw)


def decode_base64(data: bytes) -> bytes:
    """Base64 with stray characters, missing padding or a cut end."""
    clean = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    clean = clean[: len(clean) - (len(clean) % 4 == 1)]
    return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))


def parameters(value: str) -> dict[str, str]:
    """The parameters of a Content-Type or Content-Disposition; RFC 2231 pieces are joined."""
    found: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(value[:8192]):
        base = name.lower().split("*")[0]
        text = re.sub(r"\\(.)", r"\1", quoted) if quoted else bare.strip("'\"")
        found[base] = found.get(base, "") + text if "*" in name else found.get(base) or text
    return found


def ids(value: str) -> list[str]:
    """Message ids in a References, In-Reply-To or Message-ID field."""
    return _ID.findall(value[:65536])


@lru_cache(maxsize=4096)
def people(value: str) -> tuple[Person, ...]:
    """The addresses of a From, To or Cc field. Groups are flattened; names are decoded."""
    found: list[Person] = []
    name: list[str] = []
    comment = address = ""

    def flush() -> None:
        nonlocal address, comment
        words = " ".join("".join(name).split())
        if not address:
            at = _AT.match(words)
            bare = _MAILBOX.search(words)
            address = f"{at[1]}@{at[2]}" if at else bare[0] if bare else ""
            words = "" if address else words
        if address or words:
            shown = decode_words(words) or decode_words(comment)
            found.append(Person(shown.strip(" '\""), _clean_address(address)))
        name.clear()
        address = comment = ""

    for quoted, angle, remark, separator, plain, stray in _ADDRESS_TOKEN.findall(value[:65536]):
        if separator == ":":
            name.clear()
        elif separator:
            flush()
        elif angle:
            address = address if "@" in address else angle
        elif remark:
            comment = comment or remark
        else:
            name.append(re.sub(r"\\(.)", r"\1", quoted) if quoted else plain or stray)
    flush()
    return tuple(person for person in found if person.address)


def _clean_address(address: str) -> str:
    # Within an address an encoded word is none (RFC 2047, 5); some programs encode all of one.
    address = address if "@" in address else decode_words(address)
    address = address.strip().strip("'\"").lower()
    address = address.removeprefix("mailto:").rsplit(":", 1)[-1]  # <@relay:user@host> of old
    return "".join(address.split())


def moment(value: str) -> datetime | None:
    """An aware time from a Date field or a separator line; None if there is none to be had."""
    if usual := _USUAL_DATE.match(value):
        day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = usual.groups()
        zone = _zone(sign, zone_hours, zone_minutes)
        with suppress(ValueError):
            when = datetime(
                int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second), 0, zone
            )
            return when if 1975 < when.year < 2099 else _plausible(when)
    try:
        parts = email.utils.parsedate_tz(value[:200])
        if parts is None:
            return None
        offset = parts[9] or 0
        zone = timezone(timedelta(seconds=offset)) if abs(offset) < 86400 else UTC
        when = datetime(*parts[:6], tzinfo=zone)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    return _plausible(when)


def _plausible(when: datetime) -> datetime | None:
    try:
        return when if _PLAUSIBLE[0] <= when <= _PLAUSIBLE[1] else None
    except OverflowError:
        return None


@lru_cache(maxsize=1024)
def _zone(sign: str, hours: str, minutes: str) -> timezone:
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-offset if sign == "-" else offset)

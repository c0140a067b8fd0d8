"""HTML mail as lines of text: what was quoted gets `> `, what nobody sees is left out.

Knows the marks that mail programs leave (Gmail, Outlook, Apple, Yahoo, Zimbra, Proton ...). Quoted
parts without a mark are left to clean, which knows them by their words.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from selectolax.lexbor import LexborHTMLParser, LexborNode

from aitwin.corpus import phrases, quotes

DEPTH_LIMIT = 20
"""Quote marks in front of a line; people come to eight."""
_SIGNATURE_LIMIT = 20
"""Signature blocks that are measured; each costs a look at all that is in it."""
_BEGINNING = 60
"""Nodes that are looked at for the words that an element begins with."""
NODE_LIMIT = 400_000
"""Nodes that are walked; a mail of people has some thousands."""
OPEN_LIMIT = 2_000
"""Elements that are open at once: parsing takes the square of it. Mail of people has some tens."""
TAG_LIMIT = 100_000
"""Tags that are laid out; what follows is taken for text, so that NODE_LIMIT cuts no words off."""
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]{0,40})")
_ANY_TAG = re.compile(r"<[^<>]*>")
_CLOSED_BY_NEXT = frozenset(
    {"br", "hr", "img", "meta", "link", "input", "col", "p", "li", "td", "th", "tr", "dd", "dt"}
)
"""Tags that many programs leave open, and that do not nest by that."""
_HIDDEN = frozenset({"style", "script", "head", "title", "template", "noscript", "object", "svg"})
_BLOCK = frozenset(
    {"address", "article", "aside", "blockquote", "body", "center", "dd", "div", "dl", "dt"}
    | {"fieldset", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "li"}
    | {"main", "ol", "p", "pre", "section", "table", "tbody", "tfoot", "thead", "tr", "ul"}
)
_SPACED = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote"})
_QUOTED_CLASS = re.compile(
    r"yahoo_quoted|moz-cite-prefix|moz-forward-container|protonmail_quote|tutanota_quote"
    r"|gmail_attr|zmail_extra|OutlookMessageHeader|cite-prefix|AppleMailQuote"
)
_QUOTED_ID = re.compile(
    r"OLK_SRC_BODY_SECTION|mail-editor-reference-message-container|isForwardContent"
    r"|.*yahoo_quoted|reply-intro|quoted-content"
)
_REST_ID = re.compile(
    r"divRplyFwdMsg|x_divRplyFwdMsg|stopSpelling|zwchr|replySplit|divtagdefaultwrapperquote"
)
_SIGNATURE = re.compile(
    r"gmail_signature|moz-signature|AppleMailSignature|(?:x_)?[sS]ignature$|ms-outlook-mobile-signature"
    r"|protonmail_signature_block|yahoo[-_]signature|ymail_android_signature|messageSignatureSection"
    r"|front-signature|composer_signature|tutanota_signature|skiff_signature|x_ms-outlook-mobile-signature"
)
_BORDER_TOP = re.compile(
    r"border-top\s*:\s*solid|border-top\s*:[^;]*\bsolid|border-top-style\s*:\s*solid"
)
_BORDER_LEFT = re.compile(r"border(?:-left(?:-style|-width|-color)?)?\s*:", re.IGNORECASE)
_INTRODUCED = re.compile(
    rf"\s*\S.{{5,300}}?\b(?:{phrases.WROTE})\s?[:：]", re.IGNORECASE | re.DOTALL
)
_INDENT = re.compile(r"border\s*:\s*(?:none|medium none|0)|webkit-indent-blockquote")
_INVISIBLE = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all|visibility\s*:\s*hidden")
_SPACES = re.compile(r"[ \t\r\n\f\v]+")
RULE = "_" * 32


@dataclass
class _Lines:
    """Text being laid out: one line at a time, each at a depth of quoting."""

    done: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    depth: int = 0
    floor: int = 0
    """1 below a divider: everything that follows in the mail is quoted."""
    preformatted: int = 0
    """How many `pre` elements are open."""
    leading: bool = False
    """Between the start of Gmail's container and its quote: the attribution, in any language."""
    cites: bool = False
    """Whether a bare `blockquote` was seen to hold an older mail: then the next ones do too."""
    signatures: int = 0
    own: bool = False
    """Whether an unquoted word has been written."""

    def write(self, text: str, *, keep_space: bool) -> None:
        if keep_space:
            first, *others = text.replace("\r\n", "\n").split("\n")
            self.current.append(first)
            for line in others:
                self.end()
                self.current.append(line)
            return
        text = _SPACES.sub(" ", text)
        if not self.current or self.current[-1].endswith((" ", "\n")):
            text = text.lstrip(" ")
        if text:
            self.current.append(text)
            self.own = self.own or (self.depth + self.floor == 0 and not text.isspace())

    def end(self, *, always: bool = True) -> None:
        """End the line; with `always` unset only if there is one."""
        line = "".join(self.current).replace("\xa0", " ").rstrip()
        if self.current or always:
            depth = min(max(self.depth, self.floor), DEPTH_LIMIT)
            self.done.append(f"{'> ' * depth}{line}".rstrip())
        self.current.clear()

    def blank(self) -> None:
        """One empty line, never two."""
        self.end(always=False)
        if self.done and self.done[-1].strip("> "):
            self.end()


def text(source: str) -> str:
    """The visible text of an HTML mail."""
    root = LexborHTMLParser(_bounded(source)).root
    if root is None:
        return ""
    lines = _Lines()
    _walk(root, lines)
    lines.end(always=False)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines.done)).strip("\n")


def _bounded(source: str) -> str:
    """The source, with mere text from where no person's mail would have that many tags open."""
    if source.count("<") <= OPEN_LIMIT:
        return source
    opened: Counter[str] = Counter()
    depth = 0
    for count, tag in enumerate(_TAG.finditer(source)):
        name = tag[2].lower()
        if not tag[1] and name not in _CLOSED_BY_NEXT:
            opened[name] += 1
            depth += 1
        elif tag[1] and opened[name]:
            opened[name] -= 1
            depth -= 1
        if depth > OPEN_LIMIT or count > TAG_LIMIT:
            return source[: tag.start()] + _ANY_TAG.sub("\n", source[tag.start() :])
    return source


def _walk(root: LexborNode, lines: _Lines) -> None:
    """Depth first with a stack of our own: nesting is the sender's to choose."""
    stack: list[tuple[Any, int]] = [(root, -1)]  # (node, depth to restore, or -1: not entered yet)
    for _ in range(NODE_LIMIT):
        if not stack:
            return
        node, restore = stack.pop()
        if restore >= 0:
            _leave(node.tag, lines, restore)
            continue
        if node.next is not None and node is not root:
            stack.append((node.next, -1))
        if _is_void(node, lines) or _is_unseen(node, lines):
            continue
        stack.append((node, _enter(node, node.tag, lines)))
        if node.child is not None:
            stack.append((node.child, -1))


def _is_void(node: LexborNode, lines: _Lines) -> bool:
    """Lay out what has nothing inside: text, line breaks, rules, and what is never shown."""
    tag = node.tag or "-"
    if tag == "-text":
        lines.write(node.text_content or "", keep_space=lines.preformatted > 0)
    elif tag == "br":
        lines.end()
    elif tag == "hr":
        lines.end(always=False)
        if _REST_ID.match(_identity(node)[1]) or "data-marker" in node.attributes:
            lines.floor = 1
        lines.current.append(RULE)
        lines.end()
    else:
        return tag in _HIDDEN or tag.startswith(("_", "-", "!", "o:xml"))
    return True


def _identity(node: LexborNode) -> tuple[str, str, str]:
    attributes = node.attributes
    return attributes.get("class") or "", attributes.get("id") or "", attributes.get("style") or ""


def _is_unseen(node: LexborNode, lines: _Lines) -> bool:
    """Hidden text, and signature blocks that follow own words (some write inside the block)."""
    if not node.attributes:
        return False
    css_class, identity, style = _identity(node)
    if style and _INVISIBLE.search(style):
        return True
    marked = (
        _SIGNATURE.match(css_class)
        or _SIGNATURE.match(identity)
        or _SIGNATURE.match(node.attributes.get("name") or "")
        or node.attributes.get("data-smartmail") == "gmail_signature"
        or "data-signatureblock" in node.attributes
    )
    if not marked or not lines.own or lines.signatures >= _SIGNATURE_LIMIT:
        return False
    lines.signatures += 1
    return len(node.text(separator="\n").split("\n")) <= 40 and node.css_first("blockquote") is None


def _enter(node: LexborNode, tag: str, lines: _Lines) -> int:
    """Lay out the beginning of an element; the depth of quoting to return to after it."""
    css_class, identity, style = _identity(node) if node.attributes else ("", "", "")
    if tag in _BLOCK:
        _open_block(tag, css_class, lines)
    elif tag in ("td", "th") and lines.current:
        lines.current.append(" ")
    lines.preformatted += tag == "pre"
    before = lines.depth
    if (identity and _REST_ID.match(identity)) or _is_outlook_divider(node, style):
        lines.floor = 1
    elif _is_quote(node, tag, style, lines):
        if tag == "blockquote" and lines.leading:
            lines.leading = False
            return before - 1  # Gmail's attribution ends here, and what follows may be an answer
        lines.depth += 1
    elif tag == "div" and "gmail_quote" in css_class.split() and _has_child(node, "blockquote"):
        lines.depth += 1
        lines.leading = True
    if tag == "li":
        lines.current.append("- ")
    return before


def _has_child(node: LexborNode, tag: str) -> bool:
    child = node.child
    while child is not None:
        if child.tag == tag:
            return True
        child = child.next
    return False


def _open_block(tag: str, css_class: str, lines: _Lines) -> None:
    if tag in _SPACED and not css_class.startswith(("Mso", "x_Mso", "p1", "p2")):
        lines.blank()
    else:
        lines.end(always=False)


def _leave(tag: str, lines: _Lines, depth: int) -> None:
    lines.preformatted -= tag == "pre"
    if tag in _BLOCK:
        lines.end(always=False)
    lines.depth = depth
    if tag in _SPACED and tag != "p":
        lines.blank()


def _is_cited(node: LexborNode, css_class: str, style: str, lines: _Lines) -> bool:
    """Whether a `blockquote` holds an older mail: people indent their own words with it too."""
    if "cite" in (node.attributes.get("type") or "") or "cite" in node.attributes:
        return True
    if _INDENT.search(style) or _INDENT.search(css_class):
        return False
    if css_class or _BORDER_LEFT.search(style) or lines.depth or lines.cites:
        return True
    if _has_child(node, "blockquote"):
        return True  # quotes of quotes; people do not indent twice
    above = next((line for line in reversed(lines.done) if line.strip()), "")
    within = _INTRODUCED.match(_beginning(node))
    lines.cites = any(
        quotes.introduces(line, dated=True)
        for line in ("".join(lines.current) or above, within[0] if within else "")
    )
    return lines.cites


def _is_quote(node: LexborNode, tag: str, style: str, lines: _Lines) -> bool:
    css_class, identity, _ = _identity(node)
    if tag == "blockquote":
        return _is_cited(node, css_class, style, lines)
    if css_class and _QUOTED_CLASS.search(css_class):
        return True
    if identity and _QUOTED_ID.match(identity):
        return True
    if tag == "div" and node.attributes.get("name") == "quote":
        return True
    # Gmail's container also holds the answers that were written between the quotes.
    if "gmail_quote" not in css_class.split() or lines.depth:
        return False
    return node.css_first("blockquote") is None


def _is_outlook_divider(node: LexborNode, style: str) -> bool:
    """Outlook's thin line above `From: ... Sent: ...`: what comes after it is the old mail."""
    if not style or not _BORDER_TOP.search(style):
        return False
    return phrases.FROM_LABEL.match(_beginning(node).strip()) is not None


def _beginning(node: LexborNode) -> str:
    """The first words in an element; stops early, as elements in elements would all ask anew."""
    words: list[str] = []
    stack = [node.child]
    for _ in range(_BEGINNING):
        if not stack:
            break
        current = stack.pop()
        if current is None:
            continue
        stack += [current.next, current.child]
        if current.tag == "-text":
            words.append(current.text_content or "")
        elif current.tag in _HIDDEN:
            stack.pop()
    return " ".join(words)[:400]

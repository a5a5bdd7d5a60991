"""What HTML from outside says, as plain text: never shown as HTML, and never read by a pattern that can go back."""

import html

import nh3
import re2

_BREAK = re2.compile(r"(?i)<br\s?/?>|</(?:p|div|tr|li|h[1-6]|blockquote|table|ul|ol|pre)>|<hr\s?/?>")
_TAG = re2.compile(r"<[^>]{0,200}>")
_BLANKS = re2.compile(r"[ \t\x{00a0}]+")
_SHAPES = {"p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "pre", "hr"}
_UNSAID = {"script", "style", "title", "head"}


def plain(markup: str, *, quotes: bool = True) -> str:
    """The text of HTML, a line for each of its blocks; without what stands in quotes if `quotes` is false."""
    away = _UNSAID if quotes else {*_UNSAID, "blockquote"}
    shaped = nh3.clean(markup, tags=_SHAPES, clean_content_tags=away, attributes={})
    lines = _TAG.sub("", _BREAK.sub("\n", shaped.replace("\n", " ")))
    return "\n".join(_BLANKS.sub(" ", line).strip() for line in html.unescape(lines).split("\n")).strip()

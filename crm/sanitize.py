"""The only place where foreign HTML becomes ours."""

import html
import re

import nh3

TAGS = {"a", "b", "blockquote", "br", "code", "em", "i", "li", "ol", "p", "pre", "strong", "u", "ul"}
BREAKS = re.compile(r"<(?:br|/p|/div|/li|/tr|/h[1-6]|/blockquote)\b[^>]{0,200}>", re.IGNORECASE)
EMPTY_LINES = re.compile(r"\n\s*\n\s*")


def clean(foreign: str) -> str:
    """HTML with nothing in it that loads, runs or styles; links open nothing of ours."""
    return nh3.clean(
        foreign,
        tags=TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )


def to_text(foreign: str) -> str:
    """The words of an HTML text, a line for each block."""
    bare = nh3.clean(BREAKS.sub("\n", foreign), tags=set())
    return EMPTY_LINES.sub("\n\n", html.unescape(bare)).strip()

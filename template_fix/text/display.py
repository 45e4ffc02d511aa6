"""Makes text safe to show: one line, not too long, without secrets and without characters that act on a terminal.

Messages quote what strangers wrote: a path, a template's own error, an answer of the Hub.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from functools import cache

ELLIPSIS = "…"
LONGEST = 1000
HIDDEN = "***"

_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
_SUSPECT = re.compile(r"[^\x20-\x7e]")
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
JOINERS = "\u200c\u200d"

# The most characters of a name that shares its line with other text.
_NAME = 300

# The value of a header ends at white space, a quote or punctuation. An ellipsis marks a cut, and is no part of it.
_VALUE = r"[^\s\"'`,;…]*[^\s\"'`,;….:)]"
# Each pattern finds a secret by the text around it. The two groups are that text: they are shown, the rest is hidden.
# The pattern for tokens comes last: it could swallow the name of a header that follows a token.
_SECRETS = (
    re.compile(
        r"((?:authorization|cookie|(?:api|auth|security)-(?:key|token))[\"']?\s*:\s*[\"']?(?:(?:basic|bearer|token)\s+)?"
        rf"|bearer\s+){_VALUE}()",
        re.IGNORECASE,
    ),
    re.compile(r"(://)[^\s/?#\"<>]+(@)"),
    re.compile(r"()(?:hf_oauth_[\w.~+/=-]{8,}|hf_[A-Za-z0-9]{16,})()"),
)
# A shorter token could occur in ordinary words.
_SHORTEST_TOKEN = 8
# How many characters around a cut are searched for a secret.
_REACH = 4096


class UserError(Exception):
    """An error whose message is one line for the user; the message is passed through `one_line`."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def one_line(text: str, longest: int = LONGEST) -> str:
    """Return ``text`` on one line of at most ``longest`` characters, without secrets and invisible characters.

    The part that is cut off is never searched, so a very long ``text`` costs no time.
    """
    shown = make_presentable(_join_words(cut(text, longest)))
    return shown if len(shown) <= longest else _join_words(cut(shown, longest))


def make_presentable(text: str) -> str:
    """Return ``text`` without secrets and invisible characters, in full length."""
    return make_visible(scrub(text))


def short(name: str) -> str:
    """Return a stranger's name for a model, file, variant, role, tool or tag: of a long one, both ends."""
    return cut(name, _NAME)


def _join_words(text: str) -> str:
    return " ".join(text.split())


def make_visible(text: str) -> str:
    """Return ``text`` on one line, with an escape for every character that is invisible or moves the cursor."""
    return text if text.isprintable() else _SUSPECT.sub(lambda match: _escape(match[0]), text)


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char in JOINERS or unicodedata.category(char) not in _INVISIBLE:
        return char
    return f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"


def cut(text: str, longest: int = LONGEST) -> str:
    """Return ``text`` in at most ``longest`` characters: both ends, with an ellipsis between them.

    A secret at a cut is left out as a whole.
    """
    if len(text) <= longest:
        return text
    room = longest - len(f" {ELLIPSIS} ")
    head, tail = room - room // 3, len(text) - room // 3
    return f"{text[: _secret_around(text, head)[0]]} {ELLIPSIS} {text[_secret_around(text, tail)[1] :]}"


def ends_of(text: str, longest: int = LONGEST) -> str:
    """Return a shorter text of which `cut` makes the same. A secret may be cut in it: it isn't to be shown."""
    reach = longest + _REACH
    return text if len(text) <= 2 * reach else text[:reach] + text[-reach:]


def _secret_around(text: str, at: int) -> tuple[int, int]:
    """Return the start and end of the secret around offset ``at``; both are ``at`` if there is none."""
    begin = max(0, at - _REACH)
    start = end = at - begin
    around = text[begin : at + _REACH]
    for match in (match for pattern in _patterns() for match in pattern.finditer(around)):
        found, stop = match.span()
        if found < start < stop or found < end < stop:
            start, end = min(start, found), max(end, stop)
    return begin + start, begin + end


def scrub(text: str) -> str:
    """Return ``text`` with ``***`` in place of every secret.

    Secrets are tokens of the Hub, the user's own token in any spelling, the values of headers that give access, and the
    user and password in a URL.
    """
    for pattern in _patterns():
        text = pattern.sub(rf"\1{HIDDEN}\2", text)
    return text


def scrub_all(value: object) -> object:
    """Return a JSON value with every text in it passed through `scrub`; tuples become lists."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {scrub_all(key): scrub_all(each) for key, each in value.items()}
    return [scrub_all(each) for each in value] if isinstance(value, (list, tuple)) else value


def mask_secrets(text: str) -> str:
    """Return ``text`` with an asterisk for each character of a secret, so that all offsets stay valid."""
    for pattern in _patterns():
        text = pattern.sub(lambda match: "*" * len(match[0]), text)
    return text


def _patterns() -> tuple[re.Pattern[str], ...]:
    """Return the patterns of secrets: the user's own tokens first, then everything that looks like a secret."""
    tokens = {os.environ.get("HF_TOKEN"), os.environ.get("HUGGING_FACE_HUB_TOKEN"), _stored_token()}
    known = frozenset(token.strip() for token in tokens if token and len(token.strip()) >= _SHORTEST_TOKEN)
    return (_token_pattern(known), *_SECRETS) if known else _SECRETS


def _stored_token() -> str | None:
    """Return the token that huggingface_hub would use. If it isn't imported, no token has been used in this process."""
    hub = sys.modules.get("huggingface_hub")
    with suppress(Exception):  # an error here must not hide the message that is about to be shown
        token = hub.get_token() if hub else None
        return token if isinstance(token, str) else None
    return None


@cache
def _token_pattern(tokens: frozenset[str]) -> re.Pattern[str]:
    from urllib.parse import quote, quote_plus

    spellings = {
        spelled
        for token in tokens
        for spelled in (
            token,
            make_visible(token),
            repr(token)[1:-1],
            *(way(token, safe=safe, errors="replace") for way in (quote, quote_plus) for safe in ("", "/")),
        )
    }
    longest_first = sorted(spellings, key=len, reverse=True)
    return re.compile(f"()(?:{'|'.join(map(re.escape, longest_first))})()", re.IGNORECASE)

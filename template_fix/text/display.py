"""What is told to users: one line, not too long, with nothing in it that acts on a terminal and no secret.

Whatever is quoted in a message (a path, a template's own error, an answer of the Hub) was written by a stranger.
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

# How long the name of a thing may be where it is one of many on a line.
_NAME = 300

# The value of a header goes as far as the sentence lets it; an ellipsis stands for what was cut, and is no secret.
_VALUE = r"[^\s\"'`,;…]*[^\s\"'`,;….:)]"
# Of what each finds, the two groups are shown: a secret is known by what stands around it. Tokens come last, or one
# would take the name of a header that follows it at once for its own end.
_SECRETS = (
    re.compile(
        r"((?:authorization|cookie|(?:api|auth|security)-(?:key|token))[\"']?\s*:\s*[\"']?(?:(?:basic|bearer|token)\s+)?"
        rf"|bearer\s+){_VALUE}()",
        re.IGNORECASE,
    ),
    re.compile(r"(://)[^\s/?#\"<>]+(@)"),
    re.compile(r"()(?:hf_oauth_[\w.~+/=-]{8,}|hf_[A-Za-z0-9]{16,})()"),
)
# A shorter one would be found in ordinary words.
_SHORTEST_TOKEN = 8
# How far a secret may reach beyond a cut and still be known as one.
_REACH = 4096


class UserError(Exception):
    """An error whose message is one line for the user; whatever it is made of comes out as `one_line` makes it."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def one_line(text: str, longest: int = LONGEST) -> str:
    """Return ``text`` on one line of at most ``longest`` characters, made visible, without secrets.

    What is cut off is never looked at, so that the length of ``text`` costs nothing.
    """
    shown = make_presentable(_joined(cut(text, longest)))
    return shown if len(shown) <= longest else _joined(cut(shown, longest))


def make_presentable(text: str) -> str:
    """Return ``text`` without secrets and made visible, whatever its length."""
    return make_visible(scrub(text))


def short(name: str) -> str:
    """Return both ends of a name that somebody gave a model, a file, a variant, a role, a tool or a tag."""
    return cut(name, _NAME)


def _joined(text: str) -> str:
    return " ".join(text.split())


def make_visible(text: str) -> str:
    """Return ``text`` on one line with every character that would move the cursor or hide itself spelled out."""
    return _SUSPECT.sub(lambda match: _spelled(match[0]), text)


def _spelled(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char in JOINERS or unicodedata.category(char) not in _INVISIBLE:
        return char
    return f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"


def cut(text: str, longest: int = LONGEST) -> str:
    """Return ``text`` in at most ``longest`` characters: both ends, with an ellipsis between them.

    Of a secret that only a part of would be left, nothing is.
    """
    if len(text) <= longest:
        return text
    room = longest - len(f" {ELLIPSIS} ")
    head, tail = room - room // 3, len(text) - room // 3
    return f"{text[: _covering(text, head)[0]]} {ELLIPSIS} {text[_covering(text, tail)[1] :]}"


def _covering(text: str, at: int) -> tuple[int, int]:
    """Return where the secret begins and ends that ``at`` lies in, ``at`` itself where there is none."""
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

    Secrets are tokens of the Hub, the one in use in any of its spellings, values of headers that give access, and the
    user of an address.
    """
    for pattern in _patterns():
        text = pattern.sub(rf"\1{HIDDEN}\2", text)
    return text


def scrub_all(value: object) -> object:
    """Return a value for JSON with all texts in it scrubbed; tuples come out as lists."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {scrub_all(key): scrub_all(each) for key, each in value.items()}
    return [scrub_all(each) for each in value] if isinstance(value, (list, tuple)) else value


def mask_secrets(text: str) -> str:
    """Return ``text`` with every character of a secret an asterisk: no other moves from its place."""
    for pattern in _patterns():
        text = pattern.sub(lambda match: "*" * len(match[0]), text)
    return text


def _patterns() -> tuple[re.Pattern[str], ...]:
    """Return what finds secrets: first the tokens that are in use, then all that look like one."""
    tokens = {os.environ.get("HF_TOKEN"), os.environ.get("HUGGING_FACE_HUB_TOKEN"), _stored()}
    known = frozenset(token.strip() for token in tokens if token and len(token.strip()) >= _SHORTEST_TOKEN)
    return (_finder(known), *_SECRETS) if known else _SECRETS


def _stored() -> str | None:
    """Return the token that huggingface_hub would use; where it isn't imported, none has been used."""
    with suppress(Exception):  # whatever is wrong there must not hide the message that is to be told
        token = sys.modules["huggingface_hub"].get_token()
        return token if isinstance(token, str) else None
    return None


@cache
def _finder(tokens: frozenset[str]) -> re.Pattern[str]:
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

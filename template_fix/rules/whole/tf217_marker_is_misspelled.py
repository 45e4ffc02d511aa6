"""A marker is misspelled.

## What
What the template prints around texts is spelled like a token of the model, with a blank beside a bar, `<|im_end |>`,
or escaped for HTML, `&lt;|im_end|&gt;`. Or a block round a tool call, or round its result, is opened by the tag that
closes it, `</tool_call>…</tool_call>`, which is a warning: only rows with calls meet it.

## Why
Tokenizers look for the exact text. A misspelled marker is split into pieces that mean nothing: turns have neither
beginning nor end in what the model reads, and none of what it learned of them before applies.

## Example
A formatter of HTML was let loose on the template, or it was copied from a web page.

## Fix
Spell the markers as the vocabulary does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from template_fix.contract.turn_ends import UNORDERED, around
from template_fix.repair import places
from template_fix.repair.study import Found, Study
from template_fix.results import Evidence, Level

CODE = "TF217"
LEVEL = Level.ERROR
SUMMARY = "a marker is misspelled"

_CLOSING = re.compile(r"</([\w:.-]{2,40})>")
_BLANK = re.compile(r"<[|｜](?: [\w▁-]+(?: [\w▁-]+)* ?|[\w▁-]+(?: [\w▁-]+)* )[|｜]>")
_LEFT, _RIGHT = r"(?:&lt;|&#60;|&#x3[cC];)", r"(?:&gt;|&#62;|&#x3[eE];)"
_ESCAPED = re.compile(rf"{_LEFT}(?:[|｜/][\w▁ -]{{1,40}}[|｜]?|[\w▁ -]{{1,40}}[|｜]){_RIGHT}")


def check(study: Study) -> Iterator[Found]:
    """Yield a finding for the first marker of each kind that is misspelled around texts of a conversation."""
    asked = study.asked("suaua")
    for each in (asked, study.asked("uaua")):
        pieces = around(each, study.examined.text(each))
        if pieces is None:
            continue
        for how, pattern in (("with a blank", _BLANK), ("escaped for HTML", _ESCAPED)):
            found = next((match.group() for match in map(pattern.search, pieces) if match), "")
            if found:
                evidence = Evidence(each.describe(), "", str(study.examined.text(each)), stray=(found,))
                fix = f"spell it {_right(found)}"
                yield Found(f"{found} is printed, {how}", places.output(study, each, found), (evidence,), fix)
        break
    yield from _opened_by_closing(study)


def _opened_by_closing(study: Study) -> Iterator[Found]:
    """Yield a finding where a closing tag stands in front of a call or a result, and no opening one anywhere."""
    for shape, texts in (("ucta", (1, 2)), ("uvta", (2, 3))):
        asked = study.asked(shape)
        text = str(study.examined.text(asked))
        pieces = around(asked, study.examined.text(asked)) or []
        for at in texts if pieces else ():
            behind = _CLOSING.findall(pieces[at + 1])
            name = next((each for each in _CLOSING.findall(pieces[at])[-1:] if each in behind), "")
            if name and f"<{name}" not in text and f"</{name}>" != study.tags.close.strip():
                closing = f"</{name}>"
                evidence = Evidence(asked.describe(), "", text, stray=(closing,))
                message, fix = f"a block is opened by {closing}, which closes it", f"open it with <{name}>"
                yield Found(message, places.output(study, asked, closing), (evidence,), fix, Level.WARNING)
                return


def _right(marker: str) -> str:
    from html import unescape

    return re.sub(r"(?<=[|｜]) | (?=[|｜])", "", unescape(marker))


def why_not(study: Study) -> str:
    """Return why nothing is known of what stands around texts, "" where it is."""
    asked = (study.asked(shape) for shape in ("suaua", "uaua"))
    return "" if any(around(each, study.examined.text(each)) for each in asked) else UNORDERED

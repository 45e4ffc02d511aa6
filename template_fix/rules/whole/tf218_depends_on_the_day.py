"""What is printed depends on the day.

## What
The template prints today's date, by `strftime_now`.

## Why
The same row is another text tomorrow: rows that are formatted once a day are trained on with a date that says nothing,
caches of what is tokenized don't hold, and what is compared with a text of yesterday differs.

## Example
`{{- 'Today Date: ' + strftime_now('%d %b %Y') }}`

## Fix
None that suits all. Some templates take the date as a variable, such as `date_string`, which `chat_template_kwargs` of
a trainer can set to one day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from template_fix.contract.turn_ends import NOTHING_PRINTED
from template_fix.conversations.probe import Probe
from template_fix.repair.study import Found, Study
from template_fix.results import Level, compare_texts

CODE = "TF218"
LEVEL = Level.NOTE
SUMMARY = "what is printed depends on the day"

# Two days that differ in all that a clock tells of them.
_DAYS = (datetime(1999, 12, 31, 23, 58, 57), datetime(2001, 2, 5, 11, 20, 30))


def check(study: Study) -> Iterator[Found]:
    """Yield a finding where a conversation is printed differently once the clock tells another day."""
    for each in _tried(study):
        given = (dict(study.examined.set_for(each), strftime_now=day.strftime) for day in _DAYS)
        one, other = (study.examined.renderer(each.messages, each.tools, **flags) for flags in given)
        if isinstance(one, str) and isinstance(other, str) and one != other:
            evidence = compare_texts(each.describe(), one, other, ("one day", "another"))
            yield Found("the day on which a row is formatted is printed", None, (evidence,))
            return


def _tried(study: Study) -> tuple[Probe, ...]:
    asked = study.asked("ua")
    return asked, study.asked("sua"), replace(asked, offered=True)


def why_not(study: Study) -> str:
    """Return why nothing can be said of days, "" where some conversation is printed."""
    return "" if any(isinstance(study.examined.text(each), str) for each in _tried(study)) else NOTHING_PRINTED

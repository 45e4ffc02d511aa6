"""Another engine refuses the template, or prints it differently.

## What
A chat template is run by more engines than the one of transformers: servers and apps have their own in Rust, C++,
JavaScript and Swift, and each knows a part of Jinja. This template uses something that one of them doesn't know, or
that comes out differently there.

## Why
The model is trained on what transformers prints. An engine that refuses a conversation answers with an error, one that
prints another text prompts the model with what it has never seen.

## Example
`{{ message.content.rsplit('</think>', 1)[-1] }}` fails in minijinja and in transformers.js, as soon as a turn takes it.

## Fix
Say the same in constructs that all engines know: `x.split(t)[-1]` for what stands behind the last `t`, `x or ''` for
what may be none, `a if b else ''` with an else. `patch` doesn't: it leaves alone what isn't its work. Its own edits use
only what all engines in the table run alike.

With `--engines`, the conversations are rendered in minijinja, too, where it is installed
(`pip install 'template-fix[engines]'`). For engines that aren't, the answer comes from a table of constructs that was
measured once: it tells what an engine does where the template reaches the construct, and nothing of whether it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from template_fix.repair.study import Found, Study
from template_fix.results import Evidence, Level, compare_texts

if TYPE_CHECKING:
    from template_fix.repair.minijinja import Difference

CODE = "TF404"
LEVEL = Level.WARNING
SUMMARY = "another engine refuses the template, or prints it differently"
# Who trains with transformers alone needs no other engine.
ASKED_BY = "engines"
_MOST = 5
_FIX = "say it in constructs that all engines know; explain TF404 has the usual ones"


def check(study: Study) -> Iterator[Found]:
    """Yield a finding for each way in which minijinja differs, and for each construct that the table knows of."""
    from template_fix.jinja.engines import find_unportable
    from template_fix.repair.minijinja import find_differences, installed_version

    tried = installed_version()
    if tried is not None:
        compared, found = find_differences(study.source, study.examined)
        yield from (_ran(each, f"minijinja {tried}", compared) for each in found[:_MOST])
    for construct, at, engines in find_unportable(study.template):
        others = [engine for engine in engines if tried is None or engine != "minijinja"]
        if others:
            message = f"{construct} does not run as in transformers in {', '.join(others)}"
            yield Found(f"{message}: so says the table of constructs, it was not tried here", at, fix=_FIX)


def _ran(found: Difference, engine: str, tried: int) -> Found:
    """Return the finding for a difference that was seen."""
    case = found.case
    renderings = f"{found.count} of {tried} renderings"
    does = f"refuses {renderings}: {found.reason}" if found.reason else f"prints another text in {renderings}"
    subject = case.probe.describe() + ("; with the generation prompt" if case.prompt else "")
    labels = ("transformers", engine)
    if found.reason:
        evidence = Evidence(subject, case.expected, f"refused: {found.reason}", labels=labels)
    else:
        evidence = compare_texts(subject, case.expected, case.printed, labels)
    return Found(f"{engine} {does}", found.at, (evidence,), _FIX)

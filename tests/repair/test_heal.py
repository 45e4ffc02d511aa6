from __future__ import annotations

import pytest

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.engine.patch import patch
from template_fix.jinja.folding import guard
from template_fix.options import Options
from template_fix.repair.heal import Repaired, find_repair
from template_fix.repair.proposers import Proposal, experiments
from template_fix.repair.study import Setting, Study
from template_fix.results import PatchResult
from template_fix.rules import REPAIRABLE_RULES
from template_fix.text.edits import Edit, Span

HEAD = "{% for m in messages %}<{{ m.role }}>"
TAIL = "<end>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
CUT = "m.content.split('</think>')[-1]"
CHECKS = {rule.code: rule.check for rule in REPAIRABLE_RULES}
OTHERS = "{% else %}{{ m.content }}{% endif %}"
ALWAYS = f"{HEAD}{{% if m.role == 'assistant' %}}{{{{ {CUT} }}}}{OTHERS}{TAIL}"
EARLIER = f"{HEAD}{{% if m.role == 'assistant' and not loop.last %}}{{{{ {CUT} }}}}{OTHERS}{TAIL}"


def patched(template: str) -> PatchResult:
    return patch(Checkpoint("", {"chat_template.jinja": template}))


@pytest.mark.parametrize(
    "template, code, other",
    [
        pytest.param(ALWAYS, "TF201", "TF202", id="one that keeps the last turn"),
        pytest.param(EARLIER, "TF202", "TF201", id="one that keeps earlier turns"),
    ],
)
def test_a_repair_names_what_was_found_and_is_gone(template: str, code: str, other: str) -> None:
    result = patched(template)
    gone = {each.code for each in result.before.findings} - {each.code for each in result.after.findings}
    named = {each for repair in result.kept for each in repair.codes}
    assert code in named and other not in named
    assert named == gone


def test_each_of_two_repairs_names_what_would_remain_without_it() -> None:
    codes = {repair.source: repair.codes for repair in patched(ALWAYS).kept}
    # A field that is folded into content which is then cut is ignored still: TF203 takes both.
    assert codes == {"patch split-last": ("TF201", "TF203", "TF206", "TF208"), "field fold": ("TF203",)}


def repaired_by(tag: str, monkeypatch: pytest.MonkeyPatch) -> Repaired:
    """What comes of ``ALWAYS`` where all that is proposed is to keep what is cut out, with a tag behind it."""
    study, cut = Study(ALWAYS, Setting()), f"{{{{ {CUT} }}}}"
    at = ALWAYS.index(cut)
    edit = Edit(
        Span(at, at + len(cut)), f"{{{{ (m.content if {study.switch} and m.content is string else {CUT}) }}}}{tag}"
    )
    study.known = (Proposal("TF201", "a test", "keep it", "It is cut out.", edit.span, (edit,)),)
    for name in ("rewritings", "forcing"):
        monkeypatch.setattr(experiments, name, lambda basis: iter(()))
    return find_repair(study, [("TF201", found) for found in CHECKS["TF201"](study)], Options(), CHECKS, ())


def test_an_edit_stands_only_where_conversations_print_all_that_it_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert repaired_by("", monkeypatch).kept
    never = f"{{% if {guard(True)} and m.odd %}}{{{{ m.odd }}}}{{% endif %}}"
    refused = repaired_by(never, monkeypatch)
    assert not refused.kept
    assert [each for each in refused.refused if "gets there" in each.reason]

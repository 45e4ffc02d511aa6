from __future__ import annotations

import pytest

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.engine.patch import patch
from template_fix.results import PatchResult

HEAD = "{% for m in messages %}<{{ m.role }}>"
TAIL = "<end>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
CUT = "m.content.split('</think>')[-1]"
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

"""What the rules on templates say, to somebody who reads it for the first time."""

from __future__ import annotations

import pytest

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.engine.patch import check, patch
from template_fix.report.checks import check_lines
from template_fix.report.findings import patch_lines
from template_fix.results import Finding

HEAD = "{% for m in messages %}<{{ m.role }}>"
TAIL = "<end>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
CALLS = "{% for call in m.tool_calls or [] %}{{ call.function.arguments.word }};{% endfor %}"
FIRST = "{% for call in (m.tool_calls or [])[:1] %}{{ call.function.arguments.word }};{% endfor %}"


def template(turn: str) -> str:
    return f"{HEAD}{{% if m.role == 'assistant' %}}{turn}{{% else %}}{{{{ m.content }}}}{{% endif %}}{TAIL}"


def found(turn: str, code: str) -> list[Finding]:
    report = check(Checkpoint("model", {"chat_template.jinja": template(turn)}))
    return [finding for finding in report.findings if finding.code == code]


@pytest.mark.parametrize(
    "turn, where",
    [
        pytest.param(
            f"{{% if not m.content %}}{CALLS}{{% else %}}{{{{ m.content }}}}{{% endif %}}",
            " where the message also has text",
            id="printed without text alone",
        ),
        pytest.param(
            f"{{{{ m.content }}}}{{% if m.content is not defined or m.content is none %}}{CALLS}{{% endif %}}",
            " where the content is empty text and where the message also has text",
            id="printed beside None alone",
        ),
        pytest.param(
            f"{{{{ m.content or '' }}}}{{% if m.content is string %}}{CALLS}{{% endif %}}",
            " where the content is None",
            id="printed beside text alone",
        ),
        pytest.param(
            f"{{{{ m.content or '' }}}}{FIRST}", " where it is not the first of its message", id="first alone"
        ),
    ],
)
def test_a_lost_tool_call_is_told_with_what_it_stands_beside(turn: str, where: str) -> None:
    [finding] = found(turn, "TF206")
    assert finding.message == f"a tool call is lost{where}"
    assert len(finding.evidence) == where.count("where")


def test_tool_calls_that_are_printed_everywhere_are_no_finding() -> None:
    assert found(f"{{{{ m.content or '' }}}}{CALLS}", "TF206") == []


def test_the_way_out_of_an_ignored_field_names_the_tags() -> None:
    [finding] = found("{{ m.content or '' }}{# </think> #}{{ '' if '<think>' else '</think>' }}", "TF203")
    assert finding.fix == (
        "print the field in its turn; until then, bring reasoning inside of the content, between <think> and </think>"
    )


def told(lines: object) -> str:
    return "\n".join("".join(piece.text for piece in each.pieces) for each in lines)


def test_patch_is_advised_only_where_it_can_do_something() -> None:
    nothing = Checkpoint("model", {"tokenizer_config.json": "{}"})
    assert "Next:" not in told(check_lines(check(nothing)))
    cut = Checkpoint("model", {"chat_template.jinja": template("{{ m.content.split('</think>')[-1] }}")})
    assert "Next: template-fix patch model" in told(check_lines(check(cut)))


def test_what_cannot_be_repaired_is_not_called_fine() -> None:
    lines = told(patch_lines(patch(Checkpoint("model", {"tokenizer_config.json": "{}"})), "model"))
    assert "model: nothing repaired" in lines

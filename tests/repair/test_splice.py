from __future__ import annotations

import pytest

from template_fix.jinja.folding import guard
from template_fix.jinja.queries import alike, parse
from template_fix.jinja.templates import Template
from template_fix.repair.splice import put_expression, tidy
from template_fix.text.edits import Span, apply

SWITCH = guard(True)
CUT = "message.content.split('</think>')[-1]"
LONG = f"'<think>\\n' ~ message.reasoning_content ~ '\\n</think>\\n\\n' ~ (message.content or '') if {SWITCH} else "


def edited(source: str, old: str, new: str) -> str:
    at = source.index(old)
    edits = [put_expression(Span(at, at + len(old)), new)]
    result = apply(source, tidy(Template(source), edits))
    assert alike(parse(result).body, parse(apply(source, edits)).body)
    return result


def test_a_long_choice_has_a_line_for_each_part_where_its_tag_has_one() -> None:
    source = "{%- for message in messages %}\n    {{- " + CUT + " }}\n{%- endfor %}"
    assert edited(source, CUT, LONG + CUT) == (
        "{%- for message in messages %}\n"
        "    {{- '<think>\\n' ~ message.reasoning_content ~ '\\n</think>\\n\\n' ~ (message.content or '')\n"
        f"        if {SWITCH}\n"
        f"        else {CUT} }}}}\n"
        "{%- endfor %}"
    )


def test_a_choice_of_the_templates_own_and_one_in_quotes_stay_on_their_line() -> None:
    own = "message.content if message.content is string else ' if x else '"
    source = "{%- for message in messages %}\n{%- set text = " + own + " %}\n{{- text }}\n{%- endfor %}"
    lines = edited(source, own, f"{LONG}{own}").split("\n")
    assert lines[2:4] == [f"    if {SWITCH}", f"    else {own} %}}"]


@pytest.mark.parametrize(
    "source, new",
    [
        pytest.param("{{ " + CUT + " }}\n", f"message.content if {SWITCH} else {CUT}", id="a short line"),
        pytest.param("{% if x %}{{ " + CUT + " }}{% endif %}\n", LONG + CUT, id="a line with several tags"),
    ],
)
def test_an_edit_stays_on_its_line_where_that_is_short_or_has_other_tags(source: str, new: str) -> None:
    assert edited(source, CUT, new) == source.replace(CUT, new)


def test_parentheses_go_where_they_change_nothing() -> None:
    assert edited("{{ 'a' ~ x }}", "x", "y if z else x") == "{{ 'a' ~ (y if z else x) }}"
    assert edited("{{ x }}", "x", "y if z else x") == "{{ y if z else x }}"

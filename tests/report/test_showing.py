from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from template_fix.conversations.builtin import Conversation
from template_fix.jinja.renderer import RenderError
from template_fix.report.alignment import Run
from template_fix.report.showing.lines import shown_lines, token_lines
from template_fix.report.showing.rendering import Shown, Turn, render_all
from template_fix.report.showing.show import TagTokens, find_tag_tokens
from template_fix.report.terminal import add_marks, wrap

WHOLE = """\
{%- for m in messages %}
    {{- '<|' + m.role + '|>' }}
    {%- if m.reasoning_content %}{{- '<think>' + m.reasoning_content + '</think>' }}{% endif %}
    {{- m.content + '<|end|>' }}
{%- endfor %}"""
SPLIT = """\
{%- for m in messages %}
    {%- set content = m.content %}
    {%- if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}
    {{- '<|' + m.role + '|>' + content + '<|end|>' }}
{%- endfor %}"""
UPPER = SPLIT.replace("+ content +", "+ content | upper +")
RAISES = "{{ raise_exception('roles must alternate') }}"
QUESTION = {"role": "user", "content": "How many?"}
ASKED = [Conversation("test", (QUESTION,))]


def dropped(template, *messages):
    _, [result] = render_all(template, {}, [Conversation("test", messages)])
    assert result.failure is None
    return [[run.text for run in turn.runs if run.kind == "dropped"] for turn in result.turns]


def drawn(items):
    return ["".join(piece.text for piece in row) for item in items for row in wrap(add_marks(item), 100)]


def test_reasoning_that_is_split_off_is_dropped():
    answer = {"role": "assistant", "content": "<think>\nHow many? How many?\n</think>\n\nHow many? Two."}
    assert dropped(SPLIT, QUESTION, answer) == [[], ["<think>\nHow many? How many?\n</think>"]]


def test_reasoning_in_a_field_that_is_ignored_is_dropped():
    answer = {"role": "assistant", "reasoning_content": "two of them, surely", "content": "Two."}
    assert dropped(SPLIT, QUESTION, answer) == [[], ["two of them, surely\n"]]


def test_reasoning_in_a_field_that_is_printed_is_kept_under_each_of_its_names():
    for name in ("reasoning", "thinking", "reasoning_content"):
        assert dropped(WHOLE, QUESTION, {"role": "assistant", name: "two", "content": "Two."}) == [[], []]


def test_words_that_the_template_changes_are_told_by_what_is_left():
    answer = {"role": "assistant", "content": "<think>\nsum\n</think>\n\nTWO."}
    assert dropped(UPPER, {"role": "user", "content": "HOW MANY?"}, answer) == [[], ["<think>\nsum\n</think>"]]


def test_blocks_and_tool_calls_are_texts_too():
    call = {"type": "function", "id": "c1", "function": {"name": "add", "arguments": {"left": "one", "right": 2}}}
    message = {"role": "assistant", "content": "calling", "tool_calls": [call]}
    assert dropped(WHOLE, QUESTION, message) == [[], ["\nadd\none"]]
    blocks = "{% for m in messages %}{% for b in m.content %}{{ b.text }}{% endfor %}{% endfor %}"
    content = [{"type": "text", "text": "hello"}, {"type": "thinking", "thinking": "hm"}]
    assert dropped(blocks, {"role": "user", "content": content}) == [["\nhm"]]


def test_the_runs_of_all_turns_are_the_rendering():
    tags, [result, _] = render_all(WHOLE, {})
    assert tags == ("<think>", "</think>")
    printed = ["".join(run.text for run in turn.runs if run.kind != "dropped") for turn in result.turns]
    assert [turn.role for turn in result.turns] == ["user", "assistant", "user", "assistant"]
    assert [text.partition("|>")[0] for text in printed] == ["<|user", "<|assistant", "<|user", "<|assistant"]
    assert all(text.endswith("<|end|>") for text in printed)


def test_variables_reach_the_template():
    _, [result] = render_all("{{ bos_token }}{{ messages[0].content }}", {"bos_token": "<s>"}, ASKED)
    assert result.turns == (Turn("user", (Run("template", "<s>"), Run("kept", "How many?"))),)


def test_a_conversation_that_the_template_refuses_is_a_value():
    _, [result] = render_all(RAISES, {}, ASKED)
    assert result == Shown("test", failure="roles must alternate")


@pytest.mark.parametrize("source", ["{% if %}", "{{ 'x' * 9000000000 }}", "{% for i in range(9999) %}" * 9])
def test_a_template_that_cannot_be_used_is_one_line(source):
    with pytest.raises(RenderError) as caught:
        render_all(source, {}, ASKED)
    assert "\n" not in str(caught.value)


WORDS = st.lists(st.sampled_from(["the", "user", "two", "Two.", "\n", " ", "é日", "{{x}}", "'", "a<b"]), max_size=12)
TEXTS = WORDS.map(" ".join)


@settings(max_examples=30, deadline=None)
@given(TEXTS, TEXTS, TEXTS)
def test_exactly_the_reasoning_is_dropped_whatever_the_words(question, reasoning, answer):
    turn = {"role": "assistant", "content": f"<think>{reasoning}</think>{answer}"}
    first, second = dropped(SPLIT, {"role": "user", "content": question}, turn)
    assert not first
    assert "".join("".join(second).split()) == "".join(f"<think>{reasoning}</think>".split())


def test_a_conversation_is_drawn_role_by_role():
    turns = (
        Turn("user", (Run("template", "<user>"), Run("kept", "How\nmany?"), Run("template", "</s>\n"))),
        Turn(
            "assistant",
            (Run("dropped", "<think>\nx\n</think>\n\n"), Run("kept", "Two\x1b[2J"), Run("template", "</s>")),
        ),
    )
    assert drawn(shown_lines(Shown("row.json", turns))) == [
        "row.json",
        "  user",
        "    <user>How",
        "    many?</s>",
        "  assistant",
        "    [-<think>-]",
        "    [-x-]",
        "    [-</think>-]",
        "",
        "    Two\\x1b[2J</s>",
    ]


def test_a_refusal_is_drawn_with_its_reason():
    assert drawn(shown_lines(Shown("row.json", failure="no"))) == ["row.json", "  the template refuses it: no"]


def tokenizer(special):
    made = Tokenizer(models.BPE({"<": 0, "t": 1, ">": 2}, []))
    (made.add_special_tokens if special else made.add_tokens)(["<t>"])
    return made.to_str()


def test_tags_of_ones_own_come_before_those_of_the_template():
    tags, [inline, _] = render_all(WHOLE, {}, tags=("[T]", "[/T]"))
    assert tags == ("[T]", "[/T]")
    assert "[T]" in inline.title


@pytest.mark.parametrize("special", [True, False])
def test_a_tag_that_is_special_does_not_survive_decoding(special):
    tag, other = find_tag_tokens(tokenizer(special), ["<t>", "t>"])
    assert tag == TagTokens("<t>", ((3, "<t>"),), special)
    assert other == TagTokens("t>", ((1, "t"), (2, ">")), False)


def test_tokens_are_drawn_with_their_ids():
    tags = [TagTokens("<t>", ((3, "<t>"),), True), TagTokens("</t>", ((0, "</"), (4, "t>")), False)]
    assert drawn(token_lines(tags)) == [
        "tags as tokens",
        "  <t>: 1 token, 3=<t>; decode(skip_special_tokens=True) drops it",
        "  </t>: 2 tokens, 0=</ 4=t>; survives decoding",
    ]


def test_a_tokenizer_that_does_not_load_is_one_line():
    with pytest.raises(ValueError, match="tokenizers can't read it"):
        find_tag_tokens('{"version": "1.0"}', ["<t>"])

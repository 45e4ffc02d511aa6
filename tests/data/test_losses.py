"""What is said of a row is held against what its rendering holds, template by template."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_model import TEMPLATE

from template_fix.bounds.limits import run_bounded
from template_fix.conversations.discovery import discover
from template_fix.conversations.disguise import Disguise, spell
from template_fix.conversations.rows import row_of
from template_fix.data.losses import Verdict, _count, _fits, spans
from template_fix.data.troubles.view import RowTemplate
from template_fix.data.verdicts import verdict_on
from template_fix.jinja.renderer import Renderer, prepare_messages
from template_fix.jinja.templates import Template

TAGS = (("<think>", "</think>"),)
PLAIN = (
    "{% for m in messages %}<|{{ m.role }}|>"
    "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}{{ m.content }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
REASONING, ANSWER = "Six times seven, so it must be 42.", "The answer that was asked for is 42."
INLINE = f"<think>\n{REASONING}\n</think>\n\n{ANSWER}"


def judged(template: str, *turns: dict[str, Any], question: str = "6*7?", **columns: Any) -> Verdict:
    messages = [{"role": "user", "content": question}, *({"role": "assistant", **turn} for turn in turns)]
    row = row_of({"messages": messages, **columns}, {})
    return verdict_on(row, RowTemplate(template, (("bos_token", "<s>"),), TAGS))


@pytest.mark.parametrize(
    "turn",
    [
        pytest.param({"content": INLINE}, id="inline"),
        pytest.param({"content": ANSWER, "reasoning_content": REASONING}, id="in a field"),
        pytest.param({"content": "42", "reasoning": "42"}, id="texts as short as they are alike"),
        pytest.param({"content": "It is <b>42</b>.", "thinking": "<b>Six</b> times seven"}, id="with other markup"),
    ],
)
def test_a_template_that_prints_all_loses_nothing(turn: dict[str, Any]) -> None:
    told = judged(PLAIN, turn)
    assert told.lossless and told.reasoning and told.answer
    assert not told.cut


@pytest.mark.parametrize(
    "turn, reasoning",
    [
        pytest.param({"content": INLINE}, REASONING, id="inline"),
        pytest.param({"content": ANSWER, "reasoning_content": REASONING}, REASONING, id="in a field"),
        pytest.param({"content": ANSWER, "thoughts": REASONING}, REASONING, id="in a field of another name"),
        pytest.param({"content": f"{REASONING}\n</think>\n\n{ANSWER}"}, REASONING, id="in front of a lone closing tag"),
        pytest.param({"content": "<think>\n42\n</think>\n\n42"}, "42", id="spelled as the answer is"),
        pytest.param({"content": f"<think>{ANSWER}</think>{ANSWER}"}, ANSWER, id="the same as the answer"),
        pytest.param({"content": "<think>assistant</think>Yes."}, "assistant", id="a word of the template"),
        pytest.param({"content": "<think>6*7?</think>Yes."}, "6*7?", id="what the question says as well"),
    ],
)
def test_reasoning_that_is_cut_is_counted_and_shown(turn: dict[str, Any], reasoning: str) -> None:
    told = judged(TEMPLATE, turn)
    assert (told.reasoning, told.reasoning_lost) == (len(reasoning), len(reasoning))
    assert (told.answer_lost, told.cut, told.cut_from) == (0, reasoning, 2)


def test_a_part_that_is_cut_counts_by_its_characters() -> None:
    told = judged("{% for m in messages %}{{ m.role }}{{ m.content[:20] }}{% endfor %}", {"content": ANSWER})
    assert (told.answer, told.answer_lost) == (len(ANSWER), len(ANSWER) - 20)


def test_an_answer_that_is_lost_is_no_reasoning() -> None:
    told = judged("{% for m in messages %}{{ m.content.split('</think>')[0] }}{% endfor %}", {"content": INLINE})
    assert (told.reasoning_lost, told.answer_lost, told.cut) == (0, len(ANSWER), ANSWER)


@pytest.mark.parametrize(
    "printed",
    [
        pytest.param("m.content | trim", id="trimmed"),
        pytest.param("m.content.replace('\\n\\n', '\\n')", id="with fewer line ends"),
        pytest.param("m.content | tojson", id="as JSON"),
        pytest.param("m.content | upper | lower if 'x' in m.content else m.content", id="looked into"),
    ],
)
def test_a_text_that_is_changed_is_not_called_lost(printed: str) -> None:
    told = judged(f"{{% for m in messages %}}{{{{ m.role }}}} {{{{ {printed} }}}}{{% endfor %}}", {"content": INLINE})
    assert (told.reasoning_lost, told.answer_lost) == (0, 0)


def test_tags_that_hold_more_than_one_mark_are_tags() -> None:
    found = list(spans("<|channel>thought\nso<channel|>yes", (("<|channel>thought", "<channel|>"),)))
    assert found == [(True, 18, 20, "so"), (False, 30, 33, "yes")]


def test_only_the_turn_that_loses_is_told() -> None:
    history = "{% for m in messages %}{{ m.content if loop.last else m.content.split('</think>')[-1] }}{% endfor %}"
    told = judged(history, {"content": INLINE}, {"content": INLINE})
    assert (told.reasoning, told.reasoning_lost, told.cut_from) == (2 * len(REASONING), len(REASONING), 2)


@pytest.mark.parametrize(
    "template, differs",
    [
        pytest.param(PLAIN, False, id="the prompt begins the turn"),
        pytest.param(TEMPLATE, True, id="the prompt opens a block that the turn lacks"),
    ],
)
def test_a_prompt_that_does_not_begin_the_row_is_told(template: str, differs: bool) -> None:
    assert judged(template, {"content": ANSWER}).prompt_differs is differs


def test_a_template_that_refuses_a_row_says_why() -> None:
    told = judged("{{ raise_exception('roles must alternate') }}", {"content": ANSWER})
    assert told.failure == "roles must alternate (line 1 of the template)"
    assert not told.lossless


def test_the_rows_own_settings_are_passed() -> None:
    switched = "{% for m in messages %}{{ m.content if keep else m.content.split('</think>')[-1] }}{% endfor %}"
    assert judged(switched, {"content": INLINE}).reasoning_lost
    assert judged(switched, {"content": INLINE}, chat_template_kwargs={"keep": True}).lossless


def test_blocks_of_content_are_texts_too() -> None:
    blocks = [{"type": "thinking", "thinking": REASONING}, {"type": "text", "text": ANSWER}]
    shown = "{% for m in messages %}{% for b in m.content %}{{ b.text }}{% endfor %}{% endfor %}"
    told = judged(shown, {"content": blocks})
    assert (told.reasoning_lost, told.answer_lost) == (len(REASONING), 0)


@pytest.mark.parametrize(
    "block",
    [
        pytest.param({"type": "thinking", "thinking": REASONING, "signature": "c2lnbmVk"}, id="signed"),
        pytest.param({"type": "reasoning", "reasoning": REASONING}, id="by another name"),
        pytest.param({"type": "thinking", "thinking": [{"type": "text", "text": REASONING}]}, id="in chunks"),
        pytest.param({"type": "reasoning", "summary": [{"type": "summary_text", "text": REASONING}]}, id="summed up"),
    ],
)
def test_reasoning_in_a_block_of_its_own_type_is_lost_where_texts_alone_are_printed(block: dict[str, object]) -> None:
    texts = "{% for m in messages %}{% for b in m.content if b.type == 'text' %}{{ b.text }}{% endfor %}{% endfor %}"
    told = judged(texts, {"content": [block, {"type": "text", "text": ANSWER}]})
    assert (told.reasoning, told.reasoning_lost, told.answer_lost) == (len(REASONING), len(REASONING), 0)


def test_what_a_block_is_signed_with_is_no_reasoning() -> None:
    told = judged(PLAIN, {"content": [{"type": "thinking", "signature": REASONING}, {"type": "text", "text": ANSWER}]})
    assert told.reasoning == 0


@given(st.lists(st.sampled_from(["<think>", "</think>", "a b", "<b>", " ", "\n", "x"])).map("".join))
def test_stretches_cover_all_but_tags_and_the_space_around_them(text: str) -> None:
    found = list(spans(text, TAGS))
    assert all(each.text == text[each.start : each.end] == each.text.strip() != "" for each in found)
    assert [each.start for each in found] == sorted(each.start for each in found)
    covered = "".join(each.text for each in found)
    bare = text.replace("<think>", "").replace("</think>", "").replace("<b>", "")
    assert "".join(covered.split()) == "".join(bare.split())


@given(st.text(st.characters(exclude_categories=["Cs", "Co"]), max_size=40), st.text("ab </think>\n", max_size=40))
def test_what_a_template_that_prints_all_is_said_to_lose_is_nothing(reasoning: str, answer: str) -> None:
    told = judged(PLAIN, {"content": answer, "reasoning_content": reasoning})
    assert (told.reasoning_lost, told.answer_lost) == (0, 0)


def _of_real(source: str) -> list[tuple[str, bool, bool]]:
    """For each form of conversation: whether reasoning and answers are said to be lost, as they are."""
    renderer = Renderer(source, {"bos_token": "<s>", "eos_token": "</s>"})
    found = discover(renderer, Template(source).tree)
    tags = [(found.open, found.close)] if found else list(TAGS)
    template = RowTemplate(source, tuple(renderer.variables.items()), tags)
    told = []
    for form, turns in product(("inline", "reasoning_content", "plain"), (1, 2)):
        messages: list[dict[str, Any]] = []
        for number in range(turns):
            thought = f"Reason{number} weighs{number}\n\n and{number} wobbles{number}."
            content = f"Answer{number} says{number} quokka{number}."
            if form == "inline":
                content = f"{tags[0][0]}\n{thought}\n{tags[0][1]}\n\n{content}"
            field = {form: thought} if form == "reasoning_content" else {}
            turn = {"role": "assistant", "content": content, **field}
            messages += {"role": "user", "content": f"Who{number}?"}, turn
        printed = renderer(prepare_messages(messages))
        seen = verdict_on(row_of({"messages": messages}, {}), template)
        assert bool(seen.failure) == (not isinstance(printed, str))
        if isinstance(printed, str):
            bare = "".join(printed.split())  # a template may print letter by letter
            gone = [
                any(f"{word}{number}" not in bare for word in words.split() for number in range(turns))
                for words in ("Reason weighs and wobbles", "Answer says quokka")
            ]
            reasoning = bool(seen.reasoning_lost) == (gone[0] and form != "plain")
            told.append((f"{form} {turns}", reasoning, bool(seen.answer_lost) == gone[1]))
    return told


@pytest.mark.slow
def test_what_is_said_of_real_templates_is_so(shared: Path) -> None:
    told = wrong = 0
    for entry in map(json.loads, (shared / "corpus/templates.jsonl").read_text(encoding="utf-8").splitlines()):
        try:
            found = run_bounded(_of_real, (shared / "corpus" / entry["file"]).read_text(encoding="utf-8"), seconds=30)
        except ValueError:  # a template that can't be compiled
            continue
        told += len(found)
        wrong += sum(not (reasoning and answer) for _, reasoning, answer in found)
    assert told > 2000
    assert wrong == 0


@given(st.text("ab", max_size=60), st.text("ab", min_size=1, max_size=50))
def test_texts_are_counted_as_python_counts_them(where: str, text: str) -> None:
    assert _count(where, text) == where.count(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param("A <x[/THINK]> B", [(False, "A"), (False, "B")], id="a tag inside of another mark"),
        pytest.param("[THINK]r[/THINK] B", [(True, "r"), (False, "B")], id="square tags"),
        pytest.param("<b>A</b> [THINK]r[/THINK]", [(False, "A"), (True, "r")], id="both kinds of marks"),
    ],
)
def test_marks_inside_of_marks_are_none(text: str, wanted: list[tuple[bool, str]]) -> None:
    told = spans(text, (("[THINK]", "[/THINK]"),))
    assert [(each.reasoning, each.text) for each in told] == wanted


_LETTERS = "\U000f0000\U000f0001"
_SAID = st.text("ab\n", min_size=1, max_size=3)


@given(
    st.tuples(_SAID, _SAID), st.lists(st.sampled_from([0, 1, 2, 3, *_LETTERS, "a", "\n"]), max_size=6), st.booleans()
)
def test_renderings_of_texts_that_are_printed_whole_are_found_alike_as_any_others(
    texts: tuple[str, str], pieces: list[int | str], same: bool
) -> None:
    spelled = [spell(text, letter) for text, letter in zip(texts, _LETTERS, strict=True)]
    known = {0: texts[0], 1: texts[1], 2: texts[0][:1], 3: texts[1][-1:]}
    worn = {0: spelled[0], 1: spelled[1], 2: spelled[0][:1], 3: spelled[1][-1:]}
    printed = "".join(known.get(each, str(each)) for each in pieces) + ("" if same else ".")
    told = "".join(worn.get(each, str(each)) for each in pieces)
    fits = _fits(told, printed, list(zip(texts, _LETTERS, spelled, strict=True)))
    assert fits is Disguise(texts).fits(told, printed)


def test_a_text_that_begins_everywhere_is_not_looked_for_everywhere() -> None:
    text = "a" * 200_000 + "b" + "a" * 200_000
    assert _count("a" * 300_000 + "\0" + text, text) == 1

"""Rows of one shape are answered by a program: each verdict is held against that of the row by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from template_fix.data import row_check
from template_fix.data import verdicts as verdicts_module
from template_fix.data.row_check import RowCheck
from template_fix.data.shapes import shapes as module
from template_fix.data.shapes.shapes import Shapes

OWN = ("<think>", "</think>")
KEEPS = (
    "{{ bos_token }}{% for m in messages %}{{ '<|' + m.role + '|>' + (m.content or '') }}{{ '<|end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
CUTS = (
    "{% for m in messages %}{% if m['content'] is string and '</think>' in m['content'] %}"
    "{% set said = m['content'].split('</think>')[-1] %}{% else %}{% set said = m['content'] %}{% endif %}"
    "<|{{ m.role }}|>{{ said }}{% endfor %}{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)
PARTS = (
    "{% macro text(c) %}{% if c is string %}{{ c }}{% else %}{% for b in c %}{{ b.text | default('') }}{% endfor %}"
    "{% endif %}{% endmacro %}{% set ns = namespace(last=0, said='') %}"
    "{% for m in messages %}{% if m.role == 'user' and not (m.content is string and "
    "m.content.startswith('<tool_response>')) %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    "{% if tools %}{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}{% endif %}"
    "{% for m in messages %}{% set said = text(m.content or '') | trim %}{% set thought = '' %}"
    "{% if m.reasoning_content is string %}{% set thought = m.reasoning_content %}"
    "{% elif '</think>' in said %}{% set thought = said.split('</think>')[0].rstrip('\n').split('<think>')[-1] %}"
    "{% set said = said.split('</think>')[-1].lstrip('\n') %}{% endif %}"
    "<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and loop.index0 > ns.last and thought %}"
    "{{ '<think>\n' + thought.strip('\n') + '\n</think>\n\n' }}{% endif %}{{ said }}"
    "{% for call in m.tool_calls or [] %}{% set call = call.function or call %}"
    "<tool_call>{{ call.name }}{{ call.arguments if call.arguments is string else call.arguments | tojson }}"
    "</tool_call>{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
COUNTS = (
    "{% for m in messages %}<turn>{{ m.role }}\n{% set t = m.thinking or '' %}{% if t | length > 8 %}"
    "<think>{{ t | trim }}</think>{% endif %}"
    "{% if m.content is string %}{{ m.content | trim }}{% elif m.content is sequence %}"
    "{% for b in m.content %}{% if b.type == 'text' %}{{ b.text | trim }}{% endif %}{% endfor %}{% endif %}"
    "{% for call in m.tool_calls or [] %}call:{{ call.function.name }}("
    "{% for k, v in call.function.arguments | dictsort %}{{ k }}:{{ v if v is string else v | tojson }},{% endfor %})"
    "{% endfor %}</turn>{% endfor %}{% if add_generation_prompt %}<turn>assistant\n{% endif %}"
)
ODD = (
    "{% for m in messages %}{{ m.role ~ ': ' ~ m.content ~ '|' ~ loop.index }}{{ m.content[:5] }}"
    "{% if m.content in ['a', 'b'] %}!{% endif %}{{ m.content.name }}{{ m.content | replace('a', m.role) | upper }}"
    "{% if m.content and m.content[0] == '<' %}?{% endif %}{{ (m.content | length) % 3 }}{% endfor %}"
)
TEMPLATES = {"keeps": KEEPS, "cuts": CUTS, "parts": PARTS, "counts": COUNTS, "odd": ODD}
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"properties": {"at": {"type": "null"}}}}}]
WORDS = (
    *("", "a", "b", " \n ", "null", "look_up", "A question that is asked of the model.", "  With space around it.\n"),
    *("<think>\nSome thoughts about it all.\n</think>\n\nAn answer that is long.", "An answer that is long."),
    *("<think></think>An answer without a thought.", "Thoughts behind a prompt.</think>\n\nAn answer that is long."),
    *("<think>Thoughts that never end", "Some thoughts about it all.", "<b>bold</b> [INST] and ◁think▷ here"),
    *('{"at": "a \\"place\\""}', "nul \0 inside of a text", "\ud83d half a letter of two", "<tool_response>x y"),
    *("<reasoning>Other tags are around this.</reasoning> It is said.", "<think>\n<think>\nTwice.\n</think>\nOh."),
)


@pytest.fixture(autouse=True, scope="module")
def eager() -> Iterator[None]:
    """A program is recorded of the second row of each shape, and of each row that goes another way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_WORTH", 0)
        yield


def check(template: str, **settings: Any) -> RowCheck:
    return RowCheck((("default", template),), (("bos_token", "<s>"),), (OWN,), own=(OWN,), **settings)


def texts() -> st.SearchStrategy[str]:
    return st.sampled_from(WORDS) | st.text("<>/think \n[]ab", max_size=40)


@st.composite
def rows_of_one_shape(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows that differ in texts and numbers alone, of a few texts each, so that some go the same way."""
    some = draw(st.lists(texts(), min_size=2, max_size=4))
    roles = draw(st.sampled_from([*("u a", "u a u a", "s u a", "u a t a", "u", "u a critic")])).split()
    names = {"u": "user", "a": "assistant", "s": "system", "t": "tool"}
    forms = [draw(st.sampled_from(["text", "text", "text", "blocks", "null"])) for _ in roles]
    reasons = [draw(st.sampled_from(["", "reasoning_content", "thinking", "thoughts"])) for _ in roles]
    calls = [draw(st.sampled_from([0, 0, 1, 2])) for _ in roles]
    beside: dict[str, Any] = draw(
        st.sampled_from([{}, {"tools": TOOLS}, {"chat_template_kwargs": {"enable_thinking": False}}, {"id": "a"}])
    )
    pair, as_text = draw(st.booleans()) and draw(st.booleans()), draw(st.booleans())

    def text() -> str:
        return draw(st.sampled_from(some))

    def call() -> dict[str, Any]:
        arguments = {"at": text(), "n": draw(st.sampled_from([1, 2.5])), "none": None}
        given = json.dumps(arguments) if as_text else arguments
        return {"type": "function", "function": {"name": text(), "arguments": given}}

    def message(at: int, role: str) -> dict[str, Any]:
        contents = {"text": text, "blocks": lambda: [{"type": "text", "text": text()}], "null": lambda: None}
        made: dict[str, Any] = {"role": names.get(role, role), "content": contents[forms[at]]()}
        if role == "a":
            made |= {reasons[at]: text()} if reasons[at] else {}
            made |= {"tool_calls": [call() for _ in range(calls[at])]} if calls[at] else {}
        return made

    def row() -> dict[str, Any]:
        made = [message(at, role) for at, role in enumerate(roles)]
        if pair:
            other = message(len(roles) - 1, roles[-1])
            return {"prompt": made[:-1], "chosen": made[-1:], "rejected": [other], **beside}
        return {"messages": made, **beside}

    return [row() for _ in range(draw(st.integers(4, 12)))]


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
@given(rows=rows_of_one_shape(), release=st.sampled_from([4, 5]), repaired=st.sampled_from([None, *TEMPLATES.values()]))
@settings(max_examples=60)
def test_a_verdict_by_a_program_is_that_of_the_row_by_itself(
    template: str, rows: list[dict[str, Any]], release: int, repaired: str | None
) -> None:
    made = check(template, release=release, repaired=repaired and check(repaired, release=release))
    assert [*made.both(rows)] == [*replace(made, exact=True).both(rows)]


def test_rows_in_trouble_alone_are_tried_with_the_repaired_templates(answered: list[bool]) -> None:
    made, repaired = check(CUTS.replace("<think>\n", "")), check(KEEPS)
    lost = [USUAL[kind](number) for kind in ("inline", "in a field") for number in range(100, 160)]
    kept = [{"messages": turns(number, content=f"It is {number}, as I have said.")} for number in range(100, 160)]
    rows = [*lost, *kept, {"messages": "broken"}]
    told = [*replace(made, repaired=repaired).both(rows)]
    assert [each.now for each in told] == made.within(rows)
    assert [each.repaired for each in told] == [*repaired.within(lost), *[None] * 61]
    assert sum(answered) > 250


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    """No program is known of a test before."""
    row_check._shapes.cache_clear()


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Whether a program answered, row by row."""
    told: list[bool] = []
    plain = Shapes.answer

    def answer(self: Shapes[Any], row: Any) -> Any:
        found = plain(self, row)
        told.append(found is not None)
        return found

    monkeypatch.setattr(verdicts_module.Shapes, "answer", answer)
    yield told


def turns(number: int, **turn: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": f"How many are {number}?"}, {"role": "assistant", **turn}]


def inline(number: int) -> dict[str, Any]:
    thought = " and on".join(["It goes on"] * (number % 7 + 1))
    return {"content": f"<think>\n{thought}, {number}.\n</think>\n\nThat makes {number} in all."}


def with_call(number: int) -> dict[str, Any]:
    call = {"name": "look_up", "arguments": {"at": f"place {number}", "n": number}}
    return {"content": "", "thinking": f"I look for {number}.", "tool_calls": [{"type": "function", "function": call}]}


USUAL = {
    "inline": lambda n: {"messages": turns(n, **inline(n))},
    "in a field": lambda n: {"messages": turns(n, content=f"{n} in all, I say.", reasoning_content=f"Is it {n}, now?")},
    "blocks": lambda n: {"messages": turns(n, content=[{"type": "text", "text": f"It is {n}, as I have said."}])},
    "calls": lambda n: {"messages": turns(n, **with_call(n)), "tools": TOOLS},
    "a pair": lambda n: {"chosen": turns(n, **inline(n)), "rejected": turns(n, content=f"{n}, or so I think it is")},
    "others beside": lambda n: {"messages": turns(n, **inline(n)), "id": f"{n}", "score": n, "meta": {f"k{n}": n}},
}


@pytest.mark.parametrize("template", ["cuts", "parts", "counts"])
@pytest.mark.parametrize("kind", USUAL)
def test_usual_rows_are_answered_by_programs(answered: list[bool], template: str, kind: str) -> None:
    if (template, kind) == ("cuts", "blocks"):
        pytest.skip("it prints the list itself")
    rows = [USUAL[kind](number) for number in range(100, 160)]
    assert check(TEMPLATES[template]).within(rows) == check(TEMPLATES[template], exact=True).within(rows)
    assert sum(answered) > 50


@pytest.mark.parametrize("template", ["parts", "counts"])
def test_tools_may_differ_where_few_rows_have_the_same(
    answered: list[bool], monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    monkeypatch.setattr(module, "_TRIED", 40)
    rows = [
        {**USUAL["calls"](number), "tools": [{"name": f"f{number}", "strict": number % 9 > 0}, {}]}
        for number in range(100, 300)
    ]
    assert check(TEMPLATES[template]).within(rows) == check(TEMPLATES[template], exact=True).within(rows)
    assert sum(answered) > 140


@pytest.mark.parametrize("reads", ["t.name", "t['name']", "t.get('name')", "t | items | list", "t | length", "t"])
def test_tools_that_are_read_by_a_template_are_told_apart(monkeypatch: pytest.MonkeyPatch, reads: str) -> None:
    monkeypatch.setattr(module, "_TRIED", 20)
    template = "{% for t in tools %}{{ READ }}{{ 'it' if READ else 'none' }}{% endfor %}{{ messages[1].content }}"
    rows = [{"messages": turns(number, **inline(number)), "tools": [{"name": f"f{number}"}]} for number in range(90)]
    made = template.replace("READ", reads)
    assert check(made).within(rows) == check(made, exact=True).within(rows)


@pytest.mark.parametrize("kind", USUAL)
def test_programs_that_another_process_has_recorded_answer_for_the_first_row(answered: list[bool], kind: str) -> None:
    rows = [USUAL[kind](number) for number in range(100, 160)]
    made, told = check(PARTS), check(PARTS, exact=True).within(rows)
    made.within(rows)
    learned = made.learned()
    row_check._shapes.cache_clear()
    made.learn(learned)
    answered.clear()
    assert made.within(rows) == told
    assert all(answered) and not made.learned()


def test_a_process_takes_over_no_more_programs_than_it_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    made, other = check(PARTS), check(PARTS)
    for kind in USUAL.values():
        made.within([kind(number) for number in range(100, 110)])
    learned = made.learned()
    row_check._shapes.cache_clear()
    monkeypatch.setattr(module, "_MOST_LEARNED", len(learned) - 1)
    other.learn(learned)
    assert learned and not row_check._shapes(other)._known
    monkeypatch.setattr(module, "_MOST_LEARNED", 2 * len(learned) - 1)
    other.learn(learned)
    known = dict(row_check._shapes(other)._known)
    other.learn(learned)
    assert known and row_check._shapes(other)._known == known


def test_values_that_are_too_long_for_a_key_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_KEY", 100)
    made = check(PARTS)
    tools = [[{"name": "a" * size}] for size in (10, 200)]
    made.within([{**USUAL["inline"](number), "tools": each} for number, each in enumerate(tools)])
    assert [value for value, _ in row_check._shapes(made)._dumped.values()] == tools[:1]


def test_rows_that_are_rendered_exactly_are_answered_by_none(answered: list[bool]) -> None:
    check(KEEPS, exact=True).within([USUAL["inline"](number) for number in range(9)])
    assert not answered


def test_a_row_is_a_shape_of_its_own_by_roles_keys_tools_and_the_kinds_of_values(answered: list[bool]) -> None:
    first = {"messages": turns(1, content="It is one, I think.")}
    others = [
        {"messages": turns(1, content="It is one, I think.", name="a")},
        {"messages": turns(1, content=None)},
        {"messages": turns(1, content=["It is one, I think."])},
        {"messages": [{**each, "role": "user"} for each in first["messages"]]},
        {"messages": [{"content": each["content"], "role": each["role"]} for each in first["messages"]]},
        {**first, "tools": TOOLS},
        {**first, "tools": [{**TOOLS[0], "strict": True}]},
        {**first, "tools": [{**TOOLS[0], "strict": 1}]},
        {"prompt": first["messages"][:1], "completion": first["messages"][1:]},
    ]
    check(PARTS).within([first, *others])
    assert not any(answered)


def test_numbers_that_are_alike_and_of_other_types_are_told_apart() -> None:
    rows = [
        {"messages": turns(1, content="", tool_calls=[{"function": {"name": "look_up", "arguments": {"n": value}}}])}
        for value in [1, 1.0, True, 0, False, 0.0, -0.0, float("nan"), 1, 2, 1.0, 2.0, True, False, 10**30]
    ]
    assert check(COUNTS).within(rows) == check(COUNTS, exact=True).within(rows)


class Counting:
    """Work that counts how often it is done."""

    def __init__(self) -> None:
        self.rows = 0

    def __call__(self, row: Any) -> str:
        self.rows += 1
        return str(row["messages"])


@pytest.mark.parametrize("worth", [0, 3])
def test_programs_are_recorded_of_shapes_and_ways_that_come_often(monkeypatch: pytest.MonkeyPatch, worth: int) -> None:
    monkeypatch.setattr(module, "_WORTH", worth)
    shapes = Shapes(lambda row: "yes" if "a" in row["messages"][0] else "no", ["messages"])
    told = [shapes.answer({"messages": [text]}) for text in ["a", "ab", "ac", "ad", "b", "b", "bc", "bd", "a", "b"]]
    learned = {0: ["yes"] * 3 + ["no"] * 4, 3: ["yes"] * 2 + [None] * 2 + ["no"] * 2}[worth]
    assert told == [None] * (8 - len(learned)) + learned + ["yes", "no"]


def test_a_shape_that_can_not_be_recorded_is_tried_once() -> None:
    work = Counting()
    shapes = Shapes(work, ["messages"])
    assert [shapes.answer({"messages": f"{number}"}) for number in range(50)] == [None] * 50
    assert work.rows == 1


def test_rows_without_a_shape_in_common_are_soon_no_more_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = Shapes(Counting(), ["messages"])
    for number in range(2000):
        shapes.answer({"messages": [{str(number): ""}]})
    assert len(shapes._known) == module._TRIED
    monkeypatch.setattr(shapes, "_key", None)
    assert shapes.answer({"messages": []}) is None


def test_a_shape_whose_key_is_long_is_not_kept() -> None:
    shapes = Shapes(Counting(), ["messages"])
    shapes.answer({"messages": [{"x" * 2**17: ""}]})
    assert not shapes._known


@pytest.mark.parametrize("value", [[[]] * 3, "\ud800", 1, None, [{1: "a"}], {"a": ["b"] * 1000}])
def test_whatever_a_row_is_it_is_no_error(value: Any) -> None:
    shapes = Shapes(Counting(), ["messages", "tools"], ["tools"])
    for row in ({"messages": value}, {"tools": value}, {"tools": object(), "messages": []}, value):
        assert shapes.answer(row) is None


def test_a_row_that_is_nested_without_end_is_no_error() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    shapes = Shapes(Counting(), ["messages", "tools"], ["tools"])
    assert shapes.answer({"messages": deep}) is None and shapes.answer({"tools": deep}) is None


_FIELDS = st.sampled_from(["role", "content", "type", "n", "messages", "prompt", "id"])
_LEAF = st.one_of(st.none(), st.booleans(), st.integers(0, 1), st.sampled_from(["user", "a", "", "long" * 9]))
_JSON = st.recursive(
    _LEAF,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(_FIELDS, inner, max_size=3)),
    max_leaves=6,
)
_ROWS = st.dictionaries(_FIELDS, _JSON, max_size=3)


def of_row(row: object) -> tuple[object, list[object]] | None:
    leaves: list[object] = []
    try:
        return Shapes(lambda _: None, {"messages", "prompt"}, ["id"])._key(row, leaves), leaves
    except (module._Unshaped, ValueError):
        return None


@given(_ROWS, _JSON | _ROWS)
def test_a_shape_is_read_at_once_from_its_own_rows_alone(row: dict[str, object], other: object) -> None:
    told = of_row(row)
    read = module._reader(told[0]) if told else None
    for each in (row, other) if read else ():
        leaves = read(each)  # type: ignore[misc]
        assert leaves is None or (told[0], leaves) == of_row(each)  # type: ignore[index]


@pytest.mark.parametrize("name", ["messages", "prompt"])
def test_rows_of_texts_are_read_at_once(name: str) -> None:
    row = {name: [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "So"}], "beside": "it"}
    told = of_row(row)
    assert told
    read = module._reader(told[0])
    assert read
    assert read(row) == told[1] == ["Hi", "So", "it"]
    assert read({**row, "beside": None}) is None

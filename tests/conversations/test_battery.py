from __future__ import annotations

import json
from collections import defaultdict
from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from template_fix.conversations.battery import battery
from template_fix.conversations.probe import CALLS, REASONS, TOOLS, Probe, probe
from template_fix.conversations.tags import Tags
from template_fix.jinja.renderer import prepare_messages

THINK = Tags("<think>", "</think>")
FAMILIES = [THINK, Tags("[THINK]", "[/THINK]", "", "", ""), Tags("<|channel>thought", "<channel|>", "\n", "\n", "")]
BATTERIES = [battery(tags, kind) for tags in FAMILIES for kind in (dict, str)]
PROBES = [each for probes in BATTERIES for each in probes]

# Conversations that could have taken place: a question, tool calls with their results, and an answer, twice at most,
# since texts are told apart by a number of one digit.
EXCHANGE = st.tuples(
    st.lists(st.sampled_from(["ct", "kt", "vt", "wt", "dtt"]), max_size=2).map("".join), st.sampled_from("armlb")
).map(lambda parts: f"u{parts[0]}{parts[1]}")
SHAPES = st.tuples(st.sampled_from(["", "s"]), st.lists(EXCHANGE, min_size=1, max_size=2).map("".join)).map("".join)
SETTINGS = st.fixed_dictionaries(
    {
        "form": st.sampled_from(["inline", "reasoning_content", "reasoning", "thinking", "mixed"]),
        "arguments": st.sampled_from([dict, str]),
        "empty": st.sampled_from(["", None]),
        "text_lists": st.booleans(),
        "legacy": st.booleans(),
    }
)
PROBED = st.builds(
    lambda shape, tags, settings: probe(shape, tags, **settings), SHAPES, st.sampled_from(FAMILIES), SETTINGS
)


def parts_apart(found: Probe) -> None:
    """Every text is one of its own: none holds another, so that each can be looked for."""
    for one, other in combinations([part.text for part in found.parts], 2):
        assert one not in other and other not in one


def parts_in_place(found: Probe) -> None:
    for part in found.parts:
        message = json.dumps(found.messages[part.message], ensure_ascii=False)
        assert json.dumps(part.text, ensure_ascii=False)[1:-1] in message


def messages_valid(found: Probe) -> None:
    """Roles take turns, calls are answered under their numbers, and every message is what an API would take."""
    assert len(found.messages) == len(found.shape)
    open_calls: list[str] = []
    for letter, message in zip(found.shape, found.messages, strict=True):
        assert message["role"] == {"s": "system", "u": "user", "t": "tool"}.get(letter, "assistant")
        assert isinstance(message.get("content", ""), (str, list, type(None)))
        if letter == "t":
            assert message["tool_call_id"] == open_calls.pop(0)
        else:
            assert not open_calls
        calls = message.get("tool_calls", [])
        assert bool(calls) == (letter in CALLS) and len(calls) == {"d": 2}.get(letter, len(calls))
        open_calls += [call["id"] for call in calls]
    assert all({one, other} != {"u"} for one, other in pairwise(found.shape))


def prefixes_alike(probes: list[Probe]) -> None:
    """Prefixes of the same shape under the same key are the same messages: renderings are shared between them."""
    known: dict[Any, Any] = {}
    for each in probes:
        for upto in range(1, len(each.shape) + 1):
            key = (each.shape[:upto], each.key, each.tools is None)
            assert known.setdefault(key, each.messages[:upto]) == each.messages[:upto], each.describe()


def conventions_kept(found: Probe) -> None:
    """Only what transformers 4 gets holds None; both get the same but for what version 5 does to messages."""
    none = [message for message in found.messages if None in message.values()]
    assert not none or (found.legacy and found.empty is None)
    assert found.legacy or list(found.messages) == prepare_messages(found.messages)


CHECKS = [parts_apart, parts_in_place, messages_valid, conventions_kept]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_each_probe_of_the_battery(check: Any) -> None:
    for each in PROBES:
        check(each)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@given(found=PROBED)
def test_any_probe(check: Any, found: Probe) -> None:
    check(found)


def test_probes_share_the_prefixes_that_they_have_in_common() -> None:
    for probes in BATTERIES:
        prefixes_alike(list(probes))


@given(SHAPES, SHAPES, SETTINGS, st.sampled_from(FAMILIES))
def test_any_two_probes_share_the_prefix_that_they_have_in_common(
    one: str, other: str, settings: dict[str, Any], tags: Tags
) -> None:
    prefixes_alike([probe(one, tags, **settings), probe(other, tags, **settings), probe(one + other, tags, **settings)])


@pytest.mark.parametrize("probes", BATTERIES[:2], ids=["arguments as mappings", "arguments as texts"])
def test_no_probe_of_a_battery_comes_twice(probes: tuple[Probe, ...]) -> None:
    assert len({(each.shape, each.key) for each in probes}) == len(probes)
    shown = [json.dumps([each.messages, each.flags, each.legacy, each.key], default=str) for each in probes]
    assert len(set(shown)) == len(probes)


def test_the_battery_is_the_same_every_time() -> None:
    assert battery(THINK, dict) == battery(THINK, dict)


@given(PROBED)
def test_a_conversation_is_cut_only_where_it_could_have_ended(found: Probe) -> None:
    for cut in range(1, len(found.messages)):
        between_results = found.shape[cut] == found.shape[cut - 1] == "t"
        system_alone = found.shape[:cut] == "s"
        assert (cut in found.cuts) is not (between_results or system_alone)


@given(PROBED)
def test_turns_are_the_messages_of_the_assistant(found: Probe) -> None:
    turns = [index for index, message in enumerate(found.messages) if message["role"] == "assistant"]
    assert list(found.turns()) == turns


@given(PROBED)
def test_whoever_calls_tools_is_given_some(found: Probe) -> None:
    assert found.tools == (TOOLS if any("tool_calls" in message for message in found.messages) else None)


@pytest.mark.parametrize(
    ("form", "letter", "message"),
    [
        pytest.param("inline", "r", {"content": "<think>\n{r}\n</think>\n\n{a}"}, id="reasoning and answer in content"),
        pytest.param("inline", "k", {"content": "<think>\n{r}\n</think>"}, id="reasoning alone in content"),
        pytest.param("inline", "a", {"content": "{a}"}, id="an answer without reasoning"),
        pytest.param("inline", "l", {"content": "{r}\n</think>\n\n{a}"}, id="reasoning whose opening tag is missing"),
        pytest.param("reasoning", "r", {"content": "{a}", "reasoning": "{r}"}, id="reasoning in a field"),
        pytest.param("thinking", "k", {"content": "", "thinking": "{r}"}, id="reasoning in a field, and no text"),
    ],
)
def test_a_turn_is_spelled_as_its_form_says(form: str, letter: str, message: dict[str, str]) -> None:
    found = probe(f"u{letter}", THINK, form, legacy=True)
    texts = {part.kind[0]: part.text for part in found.parts}
    shown = {key: value for key, value in found.messages[1].items() if key not in ("role", "tool_calls")}
    assert shown == {key: value.format_map(texts) for key, value in message.items()}


def test_contents_can_be_lists_of_text_blocks() -> None:
    found = probe("ur", THINK, text_lists=True)
    assert not found.ordinary
    assert [block["type"] for message in found.messages for block in message["content"]] == ["text", "text"]


def test_mixed_reasoning_comes_inline_and_in_a_field_by_turns() -> None:
    first, second = [message for message in probe("urur", THINK, "mixed").messages if message["role"] == "assistant"]
    assert "<think>" in first["content"] and "reasoning_content" not in first
    assert "<think>" not in second["content"] and second["reasoning_content"]


def test_flags_that_forbid_reasoning_go_with_turns_that_have_none() -> None:
    forbidding = [each for each in PROBES if ("enable_thinking", False) in each.flags]
    assert forbidding and not any(set(each.shape) & set(REASONS + "l") for each in forbidding)


def test_the_battery_asks_for_every_form_in_every_place() -> None:
    """What the contract is judged on: turn positions, forms of reasoning, tools, system prompts, flags, conventions."""
    asked: dict[str, set[str]] = defaultdict(set)
    for each in BATTERIES[0]:
        asked[each.form].add(each.shape)
    assert {"inline", "reasoning_content", "reasoning", "thinking", "plain", "mixed"} <= asked.keys()
    for form in ("inline", "reasoning_content"):
        assert {"ur", "urur", "sur", "ururur", "uktr", "uktktr", "udttr", "uktrur", "uwtr"} <= asked[form]
    assert {"ua", "uaua", "ucta", "uvta"} <= asked["plain"]
    assert {"ub", "um", "ul", "ubua", "umua", "ulua"} <= asked["inline"] | asked["plain"]
    assert {flag for each in BATTERIES[0] for flag in each.flags} >= {("enable_thinking", v) for v in (True, False)}
    assert {each.legacy for each in BATTERIES[0] if each.form == "reasoning"} == {True, False}
    assert {each.legacy for each in BATTERIES[0]} == {each.text_lists for each in BATTERIES[0]} == {True, False}
    assert {each.empty for each in BATTERIES[0]} == {"", None}


@pytest.mark.parametrize(
    ("found", "told"),
    [
        pytest.param(probe("sua", THINK, "plain"), "system prompt, question, answer", id="nothing special"),
        pytest.param(probe("ur", THINK), "question, reasoned answer; reasoning inside of content", id="inline"),
        pytest.param(
            probe("ur", THINK, "reasoning", legacy=True),
            "question, reasoned answer; reasoning in the field 'reasoning'; as transformers 4 passes it",
            id="a field, and the older release",
        ),
        pytest.param(
            probe("ua", THINK, flags=(("enable_thinking", False),)),
            "question, answer; enable_thinking=False",
            id="a flag",
        ),
    ],
)
def test_a_probe_says_what_it_is(found: Probe, told: str) -> None:
    assert found.describe() == told

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shelf import NAMES, chat, source, study

from template_fix.contract.another import AnotherExamination
from template_fix.contract.examination import SAFE, Case, Examination, Held
from template_fix.contract.judge import judge
from template_fix.contract.placing import locate
from template_fix.conversations.battery import battery
from template_fix.conversations.probe import Part, Probe, probe
from template_fix.conversations.tags import Tags
from template_fix.jinja.renderer import Renderer
from template_fix.text.edits import common_prefix

THINK = Tags("<think>", "</think>")
FIELD = "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
KEEP = FIELD + "{{ content }}"
STRIP = "{{ content.split('</think>')[-1].lstrip() }}"
# What the template printed before comes back with the switch off.
SWITCHED = "{% if preserve_thinking | default(true) %}NEW{% else %}OLD{% endif %}"


def examined(template: str, *probes: Probe, tags: Tags = THINK) -> Examination:
    return Examination(Renderer(template), probes or battery(tags, dict), tags)


@pytest.mark.parametrize(
    ("turn", "shape", "form", "property"),
    [
        pytest.param(STRIP, "ur", "inline", "printed", id="reasoning that is cut off"),
        pytest.param("{{ content }}", "ur", "reasoning_content", "printed", id="a field that is ignored"),
        pytest.param(
            "{% if loop.last %}{{ content }}{% else %}" + STRIP + "{% endif %}",
            "urur",
            "inline",
            "printed",
            id="reasoning that is cut off later",
        ),
        pytest.param(
            "{{ content.split('</think>')[-1] }}{{ content.split('</think>')[0] }}",
            "ur",
            "inline",
            "printed",
            id="reasoning behind its answer",
        ),
        pytest.param(
            "{% if not m.tool_calls %}{{ content }}{% endif %}",
            "uvta",
            "plain",
            "printed",
            id="text beside a tool call that is left out",
        ),
        pytest.param(
            "{{ content.split('</think>')[0] + '</think>' + content.split('</think>')[-1] }}",
            "ub",
            "inline",
            "printed",
            id="the middle of several blocks that is left out",
        ),
        pytest.param(
            "{{ content.split('</think>')[-1] }}",
            "um",
            "inline",
            "printed",
            id="text in front of a tag that is only mentioned",
        ),
        pytest.param("{{ content }}{{ content }}", "ua", "plain", "once", id="an answer printed twice"),
        pytest.param(
            FIELD + "{{ m.reasoning_content }}{{ content }}",
            "ur",
            "reasoning_content",
            "once",
            id="reasoning printed twice",
        ),
        pytest.param("</think>{{ content }}", "ur", "inline", "well-formed", id="a stray closing tag in front"),
        pytest.param("<think>\n{{ content }}", "ur", "inline", "well-formed", id="an opening tag that is doubled"),
        pytest.param(
            "{{ content.replace('<think>', '').replace('</think>', '') }}",
            "ur",
            "inline",
            "well-formed",
            id="reasoning without its tags",
        ),
        pytest.param("{{ content.replace('</think>', '') }}", "ur", "inline", "well-formed", id="a block left open"),
        pytest.param("<think>\n{{ content }}", "ua", "plain", "well-formed", id="an answer inside of a block"),
        pytest.param(
            "{{ content.replace('</think>', '</think></think>') }}",
            "ur",
            "inline",
            "well-formed",
            id="a closing tag that is doubled",
        ),
        pytest.param(
            FIELD.replace("<think>", "<think>Thus:") + "{{ content }}",
            "ur",
            "reasoning_content",
            "well-formed",
            id="words between the tag and the reasoning",
        ),
        pytest.param(
            FIELD.replace("\n\n", " So: ") + "{{ content }}",
            "ur",
            "inline",
            "alike",
            id="a field printed with words of its own",
        ),
        pytest.param(
            "{% if loop.last and not content.startswith('<') %}<think>\n\n</think>\n\n{% endif %}" + KEEP,
            "uaua",
            "plain",
            "stable",
            id="an empty block in the last turn alone",
        ),
        pytest.param(
            "{{ content if loop.last else content | upper }}",
            "uaua",
            "plain",
            "stable",
            id="an answer in other letters later",
        ),
        pytest.param(
            "{% if loop.first or messages[1].role == 'assistant' %}{{ loop.length }}{% endif %}" + KEEP,
            "uaua",
            "plain",
            "stable",
            id="a number that grows with the conversation",
        ),
    ],
)
def test_a_defect_breaks_its_property_and_only_where_it_is(turn: str, shape: str, form: str, property: str) -> None:
    probes = battery(THINK, dict)
    asked = probe(shape, THINK, form)
    assert property in {held.property for held in examined(chat(turn), *probes).observe(asked).broken}
    assert not examined(chat(KEEP), *probes).observe(asked).breaks(*SAFE)


@pytest.mark.parametrize(
    ("turn", "shape", "form"),
    [
        pytest.param(KEEP + "{% if loop.last %}<eot>{% endif %}", "urur", "inline", id="a token that ends the text"),
        pytest.param(FIELD.replace("\n", "") + "{{ content }}", "ur", "inline", id="other whitespace"),
        pytest.param("{{ content }}", "ul", "inline", id="an opening tag that was in the prompt"),
        pytest.param("{{ content }}", "um", "inline", id="a tag that is only mentioned"),
        pytest.param("{{ content }}", "ub", "inline", id="several blocks"),
        pytest.param("<think>\n\n</think>\n\n{{ content }}", "uaua", "plain", id="an empty block in front of answers"),
    ],
)
def test_what_the_contract_lets_pass(turn: str, shape: str, form: str) -> None:
    assert not examined(chat(turn), *battery(THINK, dict)).observe(probe(shape, THINK, form)).breaks(*SAFE)


@pytest.mark.parametrize(
    ("prompt", "shape", "form", "follows"),
    [
        pytest.param("A:", "ua", "plain", True, id="a plain prompt, a plain turn"),
        pytest.param("A:", "ur", "inline", True, id="a plain prompt, a reasoned turn"),
        pytest.param("A:<think>\n", "ur", "inline", True, id="an open tag, a reasoned turn"),
        pytest.param("A:<think>\n", "ua", "plain", False, id="an open tag, a plain turn"),
        pytest.param("A:<think>\n\n</think>\n\n", "ur", "inline", False, id="an empty block, a reasoned turn"),
    ],
)
def test_a_turn_follows_its_prompt_or_does_not(prompt: str, shape: str, form: str, follows: bool) -> None:
    seen = examined(chat(KEEP, prompt), *battery(THINK, dict)).observe(probe(shape, THINK, form))
    assert (Held("prompted", 1) in seen.held) is follows
    assert (Held("prompted", 1) in seen.broken) is not follows
    assert not seen.breaks(*SAFE), "the prompt has no part in safety"


def test_channels_are_judged_by_their_whole_opening() -> None:
    text = source("channels")
    seen = {each.probe.shape: each for each in study(text).examined if each.probe.form == "thinking"}
    assert not seen["ur"].breaks(*SAFE)
    assert {held.property for held in seen["urur"].broken} & set(SAFE) == {"printed", "stable"}


def test_a_refused_conversation_says_why() -> None:
    seen = examined("{{ raise_exception('not this one') }}").observe(probe("ua", THINK, "plain"))
    assert seen.text is None and seen.failure == "not this one" and not seen.held and not seen.broken


def test_the_text_that_is_lost_is_named() -> None:
    seen = examined(chat(STRIP)).observe(probe("sur", THINK))
    assert [(part.kind, part.message) for part in seen.lost] == [("reasoning", 2)]


@pytest.mark.parametrize(
    ("template", "feature", "supported"),
    [
        pytest.param(chat(KEEP), "field reasoning_content", True, id="a field that is printed"),
        pytest.param(chat("{{ content }}"), "field reasoning_content", False, id="a field that is ignored"),
        pytest.param(chat(KEEP), "call beside ''", True, id="tool calls"),
        pytest.param("{% for m in messages %}{{ m.content }}{% endfor %}", "call beside ''", False, id="no tool calls"),
        pytest.param(chat(KEEP).replace("m.role == 'assistant'", "m.role == 'tool'"), "result", True, id="results"),
        pytest.param(
            "{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}",
            "system",
            False,
            id="a system prompt that is left out",
        ),
        pytest.param(
            "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + chat(KEEP),
            "system",
            False,
            id="a system prompt that is refused",
        ),
    ],
)
def test_a_form_is_supported_that_is_printed_somewhere(template: str, feature: str, supported: bool) -> None:
    assert (feature not in examined(template).unsupported) is supported


def test_nothing_is_owed_on_forms_that_are_not_supported() -> None:
    ignoring = examined(chat("{{ content }}"))
    assert ignoring.owed(probe("ur", THINK))
    assert not ignoring.owed(probe("ur", THINK, "reasoning_content"))
    assert not ignoring.owed(probe("ur", THINK, text_lists=True))


@pytest.mark.parametrize("name", NAMES)
def test_of_our_templates_only_the_safe_ones_are_safe(name: str) -> None:
    found = study(source(name))
    broken = [seen.probe.describe() for seen in found.owed() if seen.breaks(*SAFE)]
    ignored = "field reasoning_content" in found.examined.unsupported
    assert (not broken and not ignored) is (name == "safe")


def case(template: str, probes: Iterable[Probe]) -> Case:
    made, battery_ = Renderer(template), tuple(probes)
    return Case(Examination(made, battery_, THINK), Examination(made, battery_, THINK, {"preserve_thinking": False}))


def verdict(old: str, new: str, probes: Iterable[Probe] = ()) -> str:
    """Why the judge refuses ``new`` in the place of ``old``; both are assistant turns or whole templates."""
    asked = tuple(probes) or battery(THINK, dict)
    before, after = (text if "messages" in text else chat(text) for text in (old, new))
    judged = judge(case(before, asked), case(after, asked))
    assert bool(judged.gained) <= (not judged.reason)
    return judged.reason


def switched(new: str, old: str) -> str:
    return SWITCHED.replace("NEW", new).replace("OLD", old)


LATER = "{% if loop.last %}" + KEEP + "{% else %}" + STRIP + "{% endif %}"
REASONED = "{% if content[:7] == '<think>' or m.reasoning_content %}WITH{% else %}WITHOUT{% endif %}"
REASONED_TURN = "{% if preserve_thinking | default(true) and '</think>' in content %}WITH{% else %}WITHOUT{% endif %}"
TAGGED = "{% if '</think>' in content %}WITH{% else %}{{ content }}{% endif %}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(STRIP, "{{ '' + content }}", id="reasoning that was cut off"),
        pytest.param(
            FIELD + STRIP,
            FIELD + "{{ '' + content }}",
            id="reasoning that was cut off inside of content, and printed from a field",
        ),
        pytest.param(LATER, KEEP, id="reasoning that was cut off later"),
        pytest.param(
            "</think>" + KEEP,
            REASONED.replace("WITHOUT", "</think>{{ content }}").replace("WITH", KEEP),
            id="a stray tag",
        ),
    ],
)
def test_a_repair_that_mends_and_harms_nothing_may_stand(old: str, new: str) -> None:
    asked = battery(THINK, dict)
    judged = judge(case(chat(old), asked), case(chat(switched(new, old)), asked))
    assert judged.reason == "" and judged.gained and judged.compared == len(asked)


def test_a_template_in_its_own_place_mends_nothing_and_harms_nothing() -> None:
    for name in NAMES:
        found = study(source(name))
        judged = judge(found.case, found.case)
        assert judged.reason == "" and not judged.gained


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        pytest.param(STRIP, "{{ content.split('</think>')[0] }}", "lose a text", id="an answer is lost"),
        pytest.param(STRIP, "{% if not m.tool_calls %}{{ content }}{% endif %}", "lose a text", id="text with a call"),
        pytest.param(
            STRIP,
            "{{ content }}{{ '' if '</think>' not in content else content }}",
            "print a text twice",
            id="an answer is doubled",
        ),
        pytest.param(STRIP, "{{ content | replace('This is', 'this is') }}", "", id="an answer is changed"),
        pytest.param(STRIP, " {{ content }}", "change a conversation that is printed well", id="a plain turn changes"),
        pytest.param(LATER, "{{ '' if loop.last else ' ' }}" + KEEP, "", id="a safe turn is changed later"),
        pytest.param(STRIP, "</think>{{ content }}", "", id="a stray closing tag in front of the block"),
        pytest.param(
            STRIP,
            TAGGED.replace("WITH", "</think>{{ content }}"),
            "no block of its own",
            id="a stray closing tag in front of the block, where there is one",
        ),
        pytest.param(
            STRIP, TAGGED.replace("WITH", "<think>{{ content }}"), "no block of its own", id="a doubled opening tag"
        ),
        pytest.param(
            STRIP,
            TAGGED.replace("WITH", "{{ content.replace('</think>', '') }}"),
            "no block of its own",
            id="a block that is left open",
        ),
        pytest.param(
            STRIP,
            TAGGED.replace("WITH", "{{ content if loop.last else content.replace('\n', ' ') }}"),
            "once more messages follow",
            id="a turn that changes later",
        ),
        pytest.param(
            STRIP,
            "{{ content if '</think>' not in content else raise_exception('no') }}",
            "make the template fail: no",
            id="a conversation is refused",
        ),
        pytest.param(
            STRIP,
            "{% if messages[0].role != 'system' %}{{ content }}{% else %}" + STRIP + "x{% endif %}",
            "",
            id="a system prompt makes a difference",
        ),
    ],
)
def test_a_repair_that_harms_is_refused(old: str, new: str, reason: str) -> None:
    told = verdict(old, switched(new, old))
    assert told and reason in told


def test_an_edit_that_can_not_be_switched_off_is_refused() -> None:
    assert "with preserve_thinking=false" in verdict(STRIP, "{{ content }}")


@pytest.mark.parametrize(
    "prompt",
    [
        pytest.param("A:", id="an open tag that is left out"),
        pytest.param("A:<think>", id="a newline that is left out"),
        pytest.param("A:<think>\n\n</think>\n\n", id="a block that is closed"),
    ],
)
def test_another_generation_prompt_is_refused(prompt: str) -> None:
    old = chat(STRIP, "A:<think>\n")
    new = chat(switched("{{ '' + content }}", STRIP), switched(prompt, "A:<think>\n"))
    assert "the generation prompt" in verdict(old, new)
    assert verdict(old, chat(switched("{{ '' + content }}", STRIP), "A:<think>\n")) == ""


def test_a_prompt_that_changes_behind_tool_results_alone_is_refused() -> None:
    told = "{% if messages[-1].role == 'tool' and preserve_thinking | default(true) %}B:{% else %}A:{% endif %}"
    assert "the generation prompt" in verdict(chat(STRIP), chat(switched("{{ '' + content }}", STRIP), told))


def test_reasoning_in_front_of_its_header_is_refused() -> None:
    old = chat(STRIP)
    early = REASONED_TURN.replace("WITHOUT", "").replace("WITH", "{{ content.split('</think>')[0] }}</think>")
    new = old.replace("'assistant' %}A:", "'assistant' %}" + early + "A:")
    assert "in front of the header" in verdict(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(
            ";\n{% else %}",
            REASONED_TURN.replace("WITHOUT", ";\n").replace("WITH", "") + "{% else %}",
            id="the end of the turn is lost",
        ),
        pytest.param(
            ";\n{% else %}",
            REASONED_TURN.replace("WITHOUT", ";\n").replace("WITH", ";;\n") + "{% else %}",
            id="the end of the turn is another",
        ),
        pytest.param(
            "[{{ call",
            REASONED_TURN.replace("WITHOUT", "[").replace("WITH", "call: [") + "{{ call",
            id="a tool call is marked otherwise",
        ),
    ],
)
def test_other_markup_around_a_turn_that_comes_back_is_refused(old: str, new: str) -> None:
    template = chat(STRIP)
    assert old in template
    assert verdict(template, template.replace(STRIP, switched("{{ '' + content }}", STRIP)).replace(old, new))


CALLS = "{% for call in m.tool_calls or [] %}[{{ call.function.arguments | tojson }}]{% endfor %};\n"
SILENT = (
    "{% for m in messages %}{% if m.role == 'assistant' %}{% if m.tool_calls %}A:"
    + CALLS
    + "{% else %}A:{{ m.content }};\n"
    "{% endif %}{% else %}{{ m.role }}: {{ m.content }};\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}A:{% endif %}"
)


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        pytest.param("A:{{ m.content }};\n", "begin a turn in the middle of one", id="a turn of its own"),
        pytest.param("{{ m.content }}", "elsewhere than the template prints answers", id="in front of the header"),
    ],
)
def test_text_beside_calls_may_come_back_only_where_answers_stand(printed: str, reason: str) -> None:
    switch = "{% if preserve_thinking | default(true) and m.content %}"
    new = SILENT.replace("tool_calls %}A:", "tool_calls %}" + switch + printed + "{% endif %}A:")
    assert reason in verdict(SILENT, new)


def test_text_beside_calls_may_come_back_behind_the_header() -> None:
    shown = "A:{{ m.content if preserve_thinking | default(true) and m.content else '' }}"
    assert verdict(SILENT, SILENT.replace("tool_calls %}A:", "tool_calls %}" + shown)) == ""


def test_whether_a_turn_follows_its_prompt_is_no_reason() -> None:
    prompt = "A:<think>\n\n</think>\n\n"
    old = chat("{{ '<think>\\n\\n</think>\\n\\n' + content.split('</think>')[-1].lstrip() }}", prompt)
    kept = "{{ content if '</think>' in content else '<think>\\n\\n</think>\\n\\n' + content }}"
    new = chat(switched(kept, "{{ '<think>\\n\\n</think>\\n\\n' + content.split('</think>')[-1].lstrip() }}"), prompt)
    assert verdict(old, new, [probe("ur", THINK), probe("ua", THINK, "plain")]) == ""


def test_a_verdict_names_the_conversation_and_whether_there_is_hope() -> None:
    asked = battery(THINK, dict)
    harmful = judge(case(chat(STRIP), asked), case(chat(switched("{{ content }}!", STRIP)), asked))
    assert harmful.shown[0].describe() == "question, answer" and harmful.hopeless
    doubled = switched(TAGGED.replace("WITH", "<think>{{ content }}"), STRIP)
    hopeful = judge(case(chat(STRIP), asked), case(chat(doubled), asked))
    assert "reasoned answer" in hopeful.shown[0].describe() and not hopeful.hopeless


@given(st.text("ab"), st.text("ab"))
def test_a_common_prefix_is_common_and_the_longest(one: str, other: str) -> None:
    length = common_prefix(one, other)
    assert one[:length] == other[:length]
    assert one[length : length + 1] != other[length : length + 1] or length == len(one) == len(other)


@given(st.lists(st.sampled_from(["answer", "reasoning", "call", "question"]), max_size=5), st.permutations(range(5)))
def test_parts_are_found_where_they_stand_and_those_of_turns_in_order(kinds: list[str], order: list[int]) -> None:
    parts = [Part(kind, index, f"<{index}>") for index, kind in enumerate(kinds)]
    text = "".join(f"..<{index}>" for index in order)
    spans = locate(parts, text)
    assert all(span is None or span.of(text) == part.text for part, span in zip(parts, spans, strict=True))
    turns = [span for part, span in zip(parts, spans, strict=True) if span and part.kind in ("answer", "reasoning")]
    assert turns == sorted(turns)
    assert None not in [span for part, span in zip(parts, spans, strict=True) if part.kind in ("call", "question")]


def test_what_two_templates_print_alike_of_a_conversation_is_observed_once() -> None:
    before = examined(chat(KEEP))
    after = AnotherExamination(before, {}, Renderer(chat(FIELD + STRIP)))
    inline, plain = (next(each for each in before.probes.values() if each.form == form) for form in ("inline", "plain"))
    assert after.observe(plain) is before.observe(plain)
    assert after.observe(inline) is not before.observe(inline)


def test_the_same_text_is_another_observation_where_its_form_in_a_field_is_printed_otherwise() -> None:
    inline, field = (probe("ur", THINK, form) for form in ("inline", "reasoning_content"))
    before = examined(chat(KEEP), inline, field)
    after = AnotherExamination(before, {}, Renderer(chat("{{ m.reasoning_content }}{{ content }}")))
    assert after.text(inline) == before.text(inline)
    assert Held("alike") in before.observe(inline).held and Held("alike") in after.observe(inline).broken

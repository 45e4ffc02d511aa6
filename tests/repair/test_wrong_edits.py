"""Edits that pass a thin battery and are wrong: the judge has to refuse each of them."""

from __future__ import annotations

from functools import cache

import pytest
from shelf import EACH, chat, patched, repaired, source
from test_unseen_families import FAMILIES

from template_fix.jinja.templates import Template
from template_fix.repair.proposers import Proposal
from template_fix.repair.study import Setting, Study
from template_fix.text.edits import Edit, Span
from template_fix.trace.recorder import Site, Trace

SWITCH = "(preserve_thinking | default(true))"
# The last question is marked, so that what is remembered of it is used for more than reasoning.
MARKED = source("empty_block").replace(
    "{{ '<|' + m.role + '|>\\n' + content }}",
    "{{ '<|' + m.role + ('!' if loop.index0 == ns.last_user_index else '') + '|>\\n' + content }}",
)

PLAN = FAMILIES["a plan of the family's own is printed in front of calls, with nothing else"]
NOTES = FAMILIES["notes of the family's own stand in the block in front of calls"]
THRICE = FAMILIES["the same test opens three places, and none alone"]


def opened(test: str) -> tuple[str, str]:
    return test, f"({SWITCH} or ({test}))"


def closed(test: str) -> tuple[str, str]:
    return test, f"(not {SWITCH} and ({test}))"


def instead(old: str, new: str) -> tuple[str, str]:
    return old, f"({new} if {SWITCH} else {old})"


@cache
def studied(text: str) -> Study:
    return Study(text, Setting()).enlarged()


CHANGES = "it would change a conversation that is printed well"
PROMPT = "it would change the generation prompt"
LOSES = "it would lose a text that the template prints"
UNSTABLE = "it would print a turn differently once more messages follow it"
FAILS = "it would make the template fail: "
OVERRULES = "it would overrule the template's own switch"
NO_SWITCH = "it would be another program than the template was with preserve_thinking=false"


def refusal(text: str, *edits: tuple[str, str]) -> str:
    """Why the judge refuses these replacements, made wherever the first part of each stands first."""
    made = []
    for old, new in edits:
        assert old in text
        start = text.index(old)
        made.append(Edit(Span(start, start + len(old)), new))
    wrong = Proposal("TF202", "wrong", "", "", made[0].span, tuple(made))
    return studied(text).search.tried([wrong]).verdict.reason


@pytest.mark.parametrize(
    ("text", "edits", "reason"),
    [
        pytest.param(
            source("channel_macro"),
            [opened("scan.stopped")],
            LOSES,
            id="the scan for results stops at once",
        ),
        pytest.param(source("channel_macro"), [opened("follow['role'] != 'tool'")], LOSES, id="no result is one"),
        pytest.param(
            source("channel_macro"),
            [closed("follow['role'] != 'tool'")],
            "it would print a text twice that the template prints once",
            id="whatever follows is a result",
        ),
        pytest.param(
            source("channel_macro"), [opened("message['role'] != 'tool'")], CHANGES, id="results are printed twice"
        ),
        pytest.param(MARKED, [closed("m.role == 'user'")], CHANGES, id="no message is remembered as the question"),
        pytest.param(MARKED, [opened("m.role == 'user'")], UNSTABLE, id="every message is remembered as the question"),
        pytest.param(
            source("empty_block"),
            [opened("m.role == 'user'")],
            LOSES,
            id="every message is the last question",
        ),
        pytest.param(source("gate"), [closed("ns.searching")], CHANGES, id="the last question is never found"),
        pytest.param(
            source("gate"),
            [opened("message.reasoning_content is string")],
            FAILS + "'dict object' has no attribute 'reasoning_content'",
            id="no content is taken apart",
        ),
        pytest.param(source("stray"), [opened("message['role'] == 'tool'")], CHANGES, id="every message is a result"),
        pytest.param(
            THRICE,
            [opened("loop.index0 > ns.query and trace")],
            CHANGES,
            id="a block is opened where nothing was remembered",
        ),
    ],
)
def test_what_a_template_remembers_is_no_place_for_a_repair(
    text: str, edits: list[tuple[str, str]], reason: str
) -> None:
    assert refusal(text, *edits) == reason


@pytest.mark.parametrize(
    ("text", "edits", "reason"),
    [
        pytest.param(
            source("strip"), [instead("'<|reply|><think>\\n'", "'<|reply|>'")], PROMPT, id="a tag that is left out"
        ),
        pytest.param(
            source("strip"), [instead("'<|reply|><think>\\n'", "'<|reply|><think>'")], PROMPT, id="a newline less"
        ),
        pytest.param(
            source("strip"),
            [closed("'</think>' in content"), instead("'<|reply|><think>\\n'", "'<|reply|>'")],
            PROMPT,
            id="a tag that is left out, beside the right repair",
        ),
        pytest.param(
            source("gate"),
            [closed("enable_thinking is defined and not enable_thinking")],
            PROMPT,
            id="an empty block that is left out",
        ),
        pytest.param(
            source("gate"),
            [opened("enable_thinking is defined and not enable_thinking")],
            PROMPT,
            id="an empty block for everybody",
        ),
        pytest.param(
            source("gate"),
            [opened("loop.index0 > ns.last_query_index"), closed("enable_thinking is defined and not enable_thinking")],
            PROMPT,
            id="an empty block that is left out, beside a right repair",
        ),
        pytest.param(
            source("channel_macro"),
            [closed("not enable_thinking | default(false)")],
            PROMPT,
            id="a channel that stays open",
        ),
        pytest.param(
            source("stray"), [("if thinking else", f"if thinking or {SWITCH} else")], PROMPT, id="a tag for another"
        ),
        pytest.param(source("safe"), [opened("add_generation_prompt")], CHANGES, id="a prompt behind everything"),
        pytest.param(source("ignores_field"), [closed("add_generation_prompt")], PROMPT, id="no prompt at all"),
    ],
)
def test_the_generation_prompt_is_never_edited(text: str, edits: list[tuple[str, str]], reason: str) -> None:
    assert refusal(text, *edits) == reason


SPLIT = "content.split('</think>', 1)[1]"
UNSPLIT = (SPLIT, f"(content if {SWITCH} else {SPLIT})")
BARE = ("{{- '</think>' }}", "{{- '' if " + SWITCH + " and '</think>' in (message['content'] or '') else '</think>' }}")


def test_a_closing_tag_in_front_of_a_block_that_is_kept_is_refused() -> None:
    """With its split merely switched off, every text is printed, as `</think><think>reasoning</think>answer`."""
    assert refusal(source("stray"), UNSPLIT) == "it would print reasoning in no block of its own, or leave a block open"
    assert not refusal(source("stray"), UNSPLIT, BARE)


@pytest.mark.parametrize(
    ("text", "edits", "reason"),
    [
        pytest.param(
            source("strip"),
            [instead("content.split('</think>')[-1]", "content.split('</think>')[0]")],
            LOSES,
            id="the answer in exchange for the reasoning",
        ),
        pytest.param(
            source("strip"),
            [("'</think>' in content", "'</think>' in content and loop.first")],
            NO_SWITCH,
            id="an edit that can't be switched off",
        ),
        pytest.param(
            source("strip"),
            [closed("'</think>' in content"), instead("'<|over|>'", "'<|over|><|over|>'")],
            CHANGES,
            id="another end of results",
        ),
        pytest.param(source("strip"), [closed("message['role'] == 'assistant'")], LOSES, id="no turns"),
        pytest.param(
            source("brackets"),
            [opened("message['reasoning_content'] is defined")],
            FAILS + "'dict object' has no attribute 'reasoning_content'",
            id="a field that isn't there",
        ),
        pytest.param(
            source("brackets"),
            [closed("message['reasoning_content'] is defined")],
            LOSES,
            id="a field that is left out",
        ),
        pytest.param(
            source("channels"), [opened("loop.last")], CHANGES, id="a token that ends the text behind every turn"
        ),
        pytest.param(source("channels"), [closed("loop.last")], CHANGES, id="no turn is the last"),
        pytest.param(
            source("own_switch"), [opened("not clear_thinking")], OVERRULES, id="a caller's own wish is ignored"
        ),
        pytest.param(
            source("own_switch"),
            [opened("loop.index0 > ns.last_user")],
            OVERRULES,
            id="a caller's own wish is ignored elsewhere",
        ),
        pytest.param(
            source("gate"),
            [opened("not loop.last and reasoning_content")],
            UNSTABLE,
            id="an empty block in some turns only",
        ),
        pytest.param(
            source("safe"),
            [closed("message.role == 'assistant' and message.reasoning_content")],
            LOSES,
            id="a safe template loses",
        ),
    ],
)
def test_a_repair_that_costs_something_is_refused(text: str, edits: list[tuple[str, str]], reason: str) -> None:
    assert refusal(text, *edits) == reason


@pytest.mark.parametrize("name", [each for each in EACH if each.values[0] in ("empty_block", "gate", "channel_macro")])
def test_a_repair_is_made_where_the_turn_is_printed_and_not_in_what_is_remembered(name: str) -> None:
    text = source(name)
    loops = text.index("{%- for m"), text.index("{%- endfor", text.index("last_"))
    edits = [edit for repair in patched(text).kept for _, edit in repair.edits]
    assert edits and not [edit for edit in edits if loops[0] <= edit.span.start <= loops[1]]


# Beside calls the text of a turn is printed nowhere; each of the two ends a turn in its own way.
BESIDE_CALLS = chat(
    "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}"
    "{% if not m.tool_calls %}<|say|>{{ m.content }}<|said|>{% endif %}"
).replace(";\n{% else %}", "<|stop|>{% else %}")
AS_LINES = (
    "{%- for m in messages %}{{- '### ' + m.role + '\\n' }}{%- if m.tool_calls %}{%- for call in m.tool_calls %}"
    "{{- '[' + call.function.arguments.word + ']' }}{%- endfor %}{{- '\\n$\\n' }}"
    "{%- else %}{{- m.content + '\\n$\\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '### assistant\\n<think>' }}{%- endif %}"
)
SAID = "<|say|>{{ m.content }}<|said|>"
ENDS = "it would end a turn in the middle of one"
BEGINS = "it would begin a turn in the middle of one"


@pytest.mark.parametrize(
    ("text", "printed", "reason"),
    [
        pytest.param(BESIDE_CALLS, SAID, "", id="a text"),
        pytest.param(BESIDE_CALLS, SAID + "<|stop|>", ENDS, id="a text that ends the turn"),
        pytest.param(AS_LINES, "{{- m.content }}", "", id="a text in lines"),
        pytest.param(AS_LINES, "{{- m.content + '\\n$\\n' }}", ENDS, id="a text in lines that ends the turn"),
        pytest.param(AS_LINES, "{{- m.content + '\\n### assistant\\n' }}", BEGINS, id="a header behind the text"),
    ],
)
def test_what_comes_back_beside_calls_ends_no_turn(text: str, printed: str, reason: str) -> None:
    call = "{% for call" if "{% for call" in text else "{%- for call"
    edit = f"{{% if {SWITCH} and m.tool_calls and m.content %}}{printed}{{% endif %}}{call}"
    assert refusal(text, (call, edit)) == reason


def forced(text: str, site: Site, outcome: bool) -> Proposal:
    test = site.span.of(text)
    edit = Edit(site.span, (opened if outcome else closed)(test)[1])
    return Proposal("TF202", "forced", "", "", site.span, (edit,))


def mending(text: str) -> set[tuple[str, bool]]:
    """Every test of a template which, forced to an outcome, mends something, and which the judge lets stand."""
    found = set()
    for site in Trace(Template(text), {}).tests.values():
        for outcome in (True, False):
            verdict = studied(text).search.tried([forced(text, site, outcome)]).verdict
            if not verdict.reason and verdict.gained:
                found.add((site.span.of(text), outcome))
    return found


MENDING: dict[str, set[tuple[str, bool]]] = {
    "brackets": {
        ("loop.last", True),
        ("not loop.last", False),
        ("'[/THINK]' in content", False),
        ("not loop.last and '[/THINK]' in content", False),
    },
    "strip": {("'</think>' in content", False)},
    "stray": set(),
    "ignores_field": set(),
    "plain": set(),
    "safe": set(),
    "own_switch": {("clear_thinking is defined", True)},
    "empty_block": {
        ("m.role == 'user'", False),  # nothing but the gate reads what is remembered here: it comes to the same
        ("loop.index0 > ns.last_user_index", True),
        ("loop.index0 > ns.last_user_index and reasoning_content", True),
    },
    "gate": {
        ("ns.searching", True),  # as above
        ('ns.searching and message.role == "user"', True),
        ("loop.index0 > ns.last_query_index", True),
        ("loop.index0 > ns.last_query_index and (loop.last or (not loop.last and reasoning_content))", True),
    },
    "channel_macro": {
        ("message['role'] == 'user'", False),  # as above
        ("position > seen.last_user", True),
        ("role == 'model'", False),
    },
}


@pytest.mark.parametrize(
    "name",
    [each for each in EACH if each.values[0] in MENDING],
)
def test_of_all_tests_that_could_be_forced_only_these_mend_and_may_stand(name: str) -> None:
    assert mending(source(name)) == MENDING[name]


def test_the_prompt_of_every_repaired_template_is_the_original_one() -> None:
    for name in ("strip", "brackets", "ignores_field"):
        before, after = source(name), repaired(source(name))
        assert after != before
        assert after.endswith(before[before.rindex("{%- endfor") :])


def test_an_empty_block_is_harm_in_a_conversation_that_is_printed_badly_for_another_reason() -> None:
    """The greeting counts the messages, so that no conversation is printed as it began."""
    text = "{{ messages | length }}" + chat(
        "{% if m.reasoning_content and loop.last %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ content }}"
    )
    wrong = instead("m.reasoning_content and loop.last", "true")
    assert refusal(text, wrong) == "it would print an empty block in front of an answer without reasoning"


# What it prints behind a call that stands last shows in no conversation that goes on.
WAITS = (
    "{% for m in messages %}<{{ m.role }}>{{ (m.content or '').split('</think>')[-1] }}"
    "{% for c in m.tool_calls or [] %}<call>{{ c.function | tojson }}</call>{% endfor %}</>{% endfor %}"
    "{% if messages[-1].tool_calls %}{{ messages[-1].content or '' }}<wait>{% endif %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
LAST = "{{ messages[-1].content or '' }}<wait>"


def test_what_only_a_conversation_that_ends_early_shows_is_looked_at() -> None:
    edit = f"{{{{ (m.x.y if {SWITCH} else messages[-1].content or '') }}}}<wait>"
    assert LAST in WAITS
    assert refusal(WAITS, (LAST, edit)) == "it would make the template fail: 'm' is undefined"


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        pytest.param(PLAN, ("message['tool_plan'] or ''", "message['tool_plan'] or {} or ''"), id="laid out"),
        pytest.param(NOTES, ("m.notes or ''", "m.notes or {} or ''"), id="in a line"),
    ],
)
def test_what_is_said_is_no_reasoning(text: str, edit: tuple[str, str]) -> None:
    old, new = edit
    content = f"({'message' if text == PLAN else 'm'}.content if {SWITCH})"
    assert refusal(text, (old, new.format(content)))

"""The wanted assistant mask: where a turn begins, and where it ends."""

from __future__ import annotations

import pytest

from template_fix.markers.wanted_mask import Mask
from template_fix.repair.study import Setting, Study

USER = "{% if m.role == 'user' %}<|u|>{{ m.content }}<|e|>\n{% endif %}"


def told(template: str, shape: str = "uaua", ends: tuple[str, ...] = (), flags: tuple = ()) -> list[str]:
    """What the model has to write of the first conversation of this shape."""
    study = Study(template, Setting((("bos_token", "<s>"), ("eos_token", "</s>"))))
    probes = (each for each in study.examined.probes.values() if each.shape == shape and each.flags == flags)
    probe = next(probes)
    spans = Mask(study.examined, ends).of(probe)
    text = study.examined.text(probe)
    return [text[start:end] for start, end in spans or ()]


def chat(turn: str, prompt: str = "<|a|>\\n", after: str = "") -> str:
    loop = "{% for m in messages %}" + USER + "{% if m.role == 'assistant' %}" + turn + "{% endif %}{% endfor %}"
    return loop + "{% if add_generation_prompt %}{{ '" + prompt + "' }}{% else %}" + after + "{% endif %}"


PLAIN = ["This is answer 1.<|e|>", "This is answer 2.<|e|>"]


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        pytest.param(chat("{{ '<|a|>\\n' + m.content + '<|e|>\\n' }}"), PLAIN, id="from the prompt through the end"),
        pytest.param(
            chat("{{ '<|a|>\\n' + m.content + '<|e|>' }}", after="<|t|>"), PLAIN, id="no end of the whole text"
        ),
        pytest.param(
            chat("{{ '<|a|>\\n' + m.content }}"),
            ["This is answer 1.<|u|>", "This is answer 2."],
            id="through the next header, where that is what ends a turn",
        ),
        pytest.param(
            chat("{{ '<|a|>\\n<think>\\n\\n</think>\\n\\n' + m.content + '<|e|>\\n' }}", "<|a|>\\n<think>\\n"),
            [f"\n</think>\n\n{each}" for each in PLAIN],
            id="behind an opening tag that is prompted with",
        ),
        pytest.param(
            chat("{{ '<|a|>\\n' + m.content + '<|e|>\\n' }}", "<|a|>\\n<think>\\n"),
            PLAIN,
            id="from where a turn leaves its prompt",
        ),
        pytest.param(
            chat("{{ '<|a|>\\n' + m.content + '<|e|>\\n' }}", ""),
            PLAIN,
            id="behind the header, where nothing is prompted with",
        ),
        pytest.param(
            chat("{{ '<|a|>\\n' + m.content + '</s>' }}"),
            ["This is answer 1.</s>", "This is answer 2.</s>"],
            id="through the tokenizer's end",
        ),
    ],
)
def test_what_the_model_has_to_write(template: str, wanted: list[str]) -> None:
    assert told(template) == wanted


def test_the_prompt_is_cut_to_what_it_is_however_thinking_is_set() -> None:
    block = "<think>\\n\\n</think>\\n\\n"
    prompt = "<|a|>\\n' + ('" + block + "' if enable_thinking is defined and not enable_thinking else '') + '"
    template = chat("{{ '<|a|>\\n" + block + "' + m.content + '<|e|>\\n' }}", prompt)
    assert told(template)[0] == f"<think>\n\n</think>\n\n{PLAIN[0]}"


def test_a_setting_does_not_move_the_beginning() -> None:
    template = chat("{{ '<|a|>\n<think>\n</think>' + m.content + '<|e|>\n' }}").replace(
        "{{ '<|a|>\n' }}", "{{ '<|a|>\n' + ('<think>\n' if enable_thinking is defined and enable_thinking else '') }}"
    )
    wanted = [f"<think>\n</think>{each}" for each in PLAIN]
    assert told(template) == told(template, "uaua", flags=(("enable_thinking", False),)) == wanted


def test_a_prompt_that_is_always_printed_is_no_end() -> None:
    template = "{% for m in messages %}<|{{ 'u' if m.role == 'user' else 'a' }}|>{{ m.content }}{% endfor %}<|a|>"
    assert told(template) == ["This is answer 1.<|u|>", "This is answer 2."]


def test_a_prompt_with_other_space_around_is_the_prompt_all_the_same() -> None:
    template = chat("{{ '\n  <|a|>' + m.content + '<|e|>\n' }}", "<|a|>\n")
    assert told(template) == PLAIN


def test_where_nothing_is_prompted_with_the_usual_prompt_stands_in_front_of_a_turn() -> None:
    reasoning = "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}"
    calls = "{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}"
    template = chat(f"<|a|>{reasoning}{{{{ m.content or '' }}}}{calls}<|e|>", "<|a|><think>")
    template = template.replace(USER, USER + "{% if m.role == 'tool' %}<|t|>{{ m.content }}<|e|>{% endif %}")
    template = template.replace("if add_generation_prompt", "if add_generation_prompt and messages[-1].role == 'user'")
    assert told(template, "uktr")[1] == "Weighing idea 2.\nSettling on idea 2.</think>This is answer 1.<|e|>"


def test_an_end_that_is_known_goes_before_what_looks_like_one() -> None:
    template = chat("{{ '<|a|>\\n' + m.content + '<|x|><|e|>\\n' }}")
    assert told(template)[0] == "This is answer 1.<|x|>"
    assert told(template, ends=("<|e|>",))[0] == "This is answer 1.<|x|><|e|>"


CALLS = (
    "{{ '<|a|>\\n' + (m.content or '') }}"
    "{% for c in m.tool_calls or [] %}<call>{{ c.function.arguments | tojson }}</call>{% endfor %}<|e|>\n"
)
RESULTS = "{% if m.role == 'tool' %}<|r|>{{ m.content }}<|e|>\n{% endif %}"


def test_calls_are_inside_and_their_results_outside() -> None:
    template = chat(CALLS).replace("{% endfor %}{% if add", RESULTS + "{% endfor %}{% if add")
    assert told(template, "ucta") == ['<call>{"word": "word1"}</call><|e|>', "This is answer 1.<|e|>"]


def test_a_call_without_an_end_does_not_stop_at_a_header_where_answers_have_an_end() -> None:
    turn = "{% if m.tool_calls %}{{ '<|a|>\n' }}" + CALLS[CALLS.index("{% for") :].replace("<|e|>\n", "")
    template = chat(turn + "{% else %}{{ '<|a|>\n' + m.content + '<|e|>' }}{% endif %}")
    template = template.replace("{% endfor %}{% if add", RESULTS + "{% endfor %}{% if add")
    assert told(template, "ucta") == ['<call>{"word": "word1"}</call>', "This is answer 1.<|e|>"]


@pytest.mark.parametrize("left", ["call", "result"])
def test_a_conversation_whose_call_or_result_is_not_printed_has_no_mask(left: str) -> None:
    turn = CALLS if left == "result" else "{{ '<|a|>\n' + (m.content or '') + '<|e|>' }}"
    template = chat(turn).replace(
        "{% endfor %}{% if add", (RESULTS if left == "call" else "") + "{% endfor %}{% if add"
    )
    assert told(template, "uvta") == []


def test_a_turn_that_is_not_printed_has_no_mask() -> None:
    assert told(chat("{% if m.content %}{{ '<|a|>\\n' + m.content + '<|e|>\\n' }}{% endif %}"), "ucta") == []

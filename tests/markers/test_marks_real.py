"""Marked templates in the real libraries: the mask of transformers, token by token, and TRL's own predicates."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from byte_tokenizer import tokenizer
from shelf import NAMES, source

from template_fix.bounds.limits import run_bounded
from template_fix.contract.examination import Examination
from template_fix.markers.mark_template import mark_template, mask_of
from template_fix.markers.places import Unmarkable
from template_fix.repair.study import Setting, Study

pytestmark = pytest.mark.slow
pytest.importorskip("transformers")

CORPUS = Path(__file__).resolve().parents[3] / "shared/corpus/templates"
FILES = sorted(CORPUS.glob("*/*.jinja"))[::20]
SETTING = Setting((("bos_token", "<s>"), ("eos_token", "</s>")), ends=("</s>",))
PLAIN = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
CALLING = (
    "{% for m in messages %}{% if m.role == 'assistant' %}{{ '<|im_start|>assistant\\n' + (m.content or '') }}"
    "{% for c in m.tool_calls or [] %}{{ '<call>' + (c.function | tojson) + '</call>' }}{% endfor %}"
    "{{ '<|im_end|>\\n' }}"
    "{% else %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def masked(made: Any, messages: Any, tools: Any, **flags: Any) -> list[str]:
    """What the mask of transformers covers, run by run."""
    told = made.apply_chat_template(
        messages, tools=tools, tokenize=True, return_dict=True, return_assistant_tokens_mask=True, **flags
    )
    runs: list[list[int]] = []
    before = 0
    for token, inside in zip(told["input_ids"], told["assistant_masks"], strict=True):
        if inside:
            runs = runs if before else [*runs, []]
            runs[-1].append(token)
        before = inside
    return [made.decode(run) for run in runs]


def assert_masks(template: str) -> int:
    """Hold a template's masks in transformers against the wanted ones, and return in how many conversations."""
    study, marked = run_bounded(studied, template, seconds=120)
    made, held = tokenizer(marked), 0
    for messages, tools, flags, wanted in study:
        assert masked(made, messages, tools, **flags) == wanted
        held += 1
    return held


def studied(template: str) -> tuple[list[tuple[Any, ...]], str]:
    """The conversations with their wanted masks, and the marked template; runs in a child process."""
    study = Study(template, SETTING)
    marked = mark_template(study).source
    examined: Examination = mask_of(study).examined
    found = []
    for probe in list(examined.probes.values())[::3]:
        wanted = mask_of(study).of(probe) if not probe.legacy else None
        if wanted:
            text = str(examined.text(probe))
            shown: list[str] = []
            end = -1
            for span in wanted:
                part = text[span.start : span.end]
                shown[-1:] = [shown[-1] + part] if span.start == end else [*shown[-1:], part]
                end = span.end
            tools = None if probe.tools is None else list(probe.tools)
            found.append((list(probe.messages), tools, dict(probe.flags), shown))
    return found, marked


@pytest.mark.parametrize("name", NAMES)
def test_transformers_masks_what_the_model_writes_in_templates_of_ours(name: str) -> None:
    assert assert_masks(source(name)) > 10


@pytest.mark.skipif(not FILES, reason="../shared, with the corpus of real templates, is not there")
@pytest.mark.parametrize("file", FILES, ids=[f"{file.parent.name}-{file.stem}" for file in FILES])
def test_transformers_masks_what_the_model_writes_in_real_templates(file: Path) -> None:
    template = file.read_bytes().decode()
    if re.search(r"\{%-?\s*generation", template):
        pytest.skip("it came with markers")
    try:
        assert_masks(template)
    except Exception as error:
        if not isinstance(error, Unmarkable) and "Unmarkable" not in str(error):
            raise
        pytest.skip(f"refused: {error}")


@pytest.mark.parametrize(
    "template", [pytest.param(PLAIN, id="one output for all roles"), pytest.param(CALLING, id="a branch for turns")]
)
def test_the_predicates_of_trl_hold_once_a_template_is_marked(template: str) -> None:
    utils = pytest.importorskip("trl.chat_template_utils")
    assert not utils.is_chat_template_stop_token_trained(tokenizer(template))
    marked = mark_template(Study(template, SETTING)).source
    assert utils.has_generation_markers(marked)
    assert utils.is_chat_template_stop_token_trained(tokenizer(marked))
    if "tool_calls" in template:
        assert utils.is_chat_template_prefix_preserving(tokenizer(marked))


def test_preflight_marks_the_tokenizer_in_memory() -> None:
    from template_fix import preflight

    made = tokenizer(PLAIN)
    preflight(made, fix=True, mark=True)
    rows = [{"role": "user", "content": "What is 6 times 7?"}, {"role": "assistant", "content": "It is 42."}]
    assert masked(made, rows, None) == ["It is 42.<|im_end|>"]

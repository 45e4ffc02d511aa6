from __future__ import annotations

from typing import Any

import pytest
from tiny import BASE, BYTE_LEVEL, IDS, checkpoint, files

from template_fix.engine.patch import Options, check
from template_fix.results import Finding, Level

BOS = BASE[0]
PRINTS = "{{ bos_token }}{% for m in messages %}{{ m.role ~ ': ' ~ m.content }}{% endfor %}"
PUT: dict[str, Any] = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": BOS, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {BOS: {"id": BOS, "ids": [IDS[BOS]], "tokens": [BOS]}},
}
BEHIND = {**PUT, "single": PUT["single"][::-1]}
SEVERAL = {"type": "Sequence", "processors": [BYTE_LEVEL, PUT]}


def found(template: str, processor: dict[str, Any] | None) -> list[Finding]:
    told = files(False, config={"bos_token": BOS, "chat_template": template})
    told["tokenizer.json"]["post_processor"] = processor
    return list(check(checkpoint(told), Options(select="TF306")).findings)


@pytest.mark.parametrize("processor", [PUT, SEVERAL], ids=["by itself", "among others"])
def test_a_token_that_is_printed_and_put_in_front_is_found(processor: dict[str, Any]) -> None:
    [finding] = found(PRINTS, processor)
    assert (finding.level, finding.place and finding.place.file) == (Level.NOTE, "tokenizer.json")
    assert finding.evidence[0].printed.startswith(f"{BOS} | {BOS} | ")


@pytest.mark.parametrize(
    ("template", "processor"),
    [
        pytest.param(PRINTS.removeprefix("{{ bos_token }}"), PUT, id="it isn't printed"),
        pytest.param(PRINTS, None, id="nothing is put in front"),
        pytest.param(PRINTS, BEHIND, id="it is put behind"),
        pytest.param(PRINTS, BYTE_LEVEL, id="a processor that puts nothing"),
    ],
)
def test_a_token_that_comes_once_is_no_finding(template: str, processor: dict[str, Any] | None) -> None:
    assert found(template, processor) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("template", "processor", "conversation", "text", "other"),
    [
        pytest.param(PRINTS, PUT, 1, 2, 1, id="as it is"),
        pytest.param(PRINTS.removeprefix("{{ bos_token }}"), PUT, 0, 1, 1, id="not printed"),
        pytest.param(PRINTS, None, 1, 1, 0, id="not added"),
    ],
)
def test_no_edit_leaves_it_once_everywhere(
    template: str, processor: dict[str, Any] | None, conversation: int, text: int, other: int, tmp_path: Any
) -> None:
    tokenizer = loaded(template, processor, tmp_path)
    messages = [{"role": "user", "content": "a"}]
    printed = tokenizer.apply_chat_template(messages, tokenize=False)
    ids = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)["input_ids"]
    encoded = ids, tokenizer(printed)["input_ids"], tokenizer("a")["input_ids"]
    assert [each.count(IDS[BOS]) for each in encoded] == [conversation, text, other]


def loaded(template: str, processor: dict[str, Any] | None, folder: Any) -> Any:
    """The tokenizer as the real transformers loads it."""
    transformers = pytest.importorskip("transformers")
    config = {"bos_token": BOS, "chat_template": template, "tokenizer_class": "PreTrainedTokenizerFast"}
    told = files(False, config=config)
    told["tokenizer.json"]["post_processor"] = processor
    for file, text in checkpoint(told).files.items():
        (folder / file).write_text(text, encoding="utf-8")
    return transformers.AutoTokenizer.from_pretrained(folder)


@pytest.mark.slow
@pytest.mark.parametrize("processor", [PUT, SEVERAL, BEHIND, None])
def test_transformers_has_it_twice_where_the_rule_says_so(processor: dict[str, Any] | None, tmp_path: Any) -> None:
    tokenizer = loaded(PRINTS, processor, tmp_path)
    conversation = [{"role": "user", "content": "a"}]
    text = tokenizer.apply_chat_template(conversation, tokenize=False)
    ids = tokenizer.apply_chat_template(conversation, tokenize=True, return_dict=True)["input_ids"]
    assert ids.count(IDS[BOS]) == 1
    doubled = tokenizer(text)["input_ids"][:2] == [IDS[BOS], IDS[BOS]]
    assert doubled is bool(found(PRINTS, processor))

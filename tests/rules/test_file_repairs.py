"""What the rules on files repair: the token that ends a turn stops generation, and padding has a token of its own."""

from __future__ import annotations

import json

import pytest

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.engine.patch import check, patch
from template_fix.options import Options
from template_fix.results import Level, PatchResult, Target

TEMPLATE = (
    "{% for m in messages %}<|turn|>{{ m.role }}\n{{ m.content }}<|over|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
TOKENS = {7: "<|over|>", 8: "<|turn|>", 9: "<|text_end|>", 10: "<|pad|>", 11: "<|image_pad|>"}
FLAGS = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True}


def model(
    generation: str, config: str = "", pad: str = "<|text_end|>", tokens: dict[int, str] | None = None
) -> Checkpoint:
    decoder = {str(at): {"content": token, **FLAGS} for at, token in (tokens or TOKENS).items()}
    named = {"pad_token": pad, "eos_token": "<|over|>", "added_tokens_decoder": decoder}
    files = {"tokenizer_config.json": json.dumps(named, indent=2), "chat_template.jinja": TEMPLATE}
    told = {"generation_config.json": generation, "config.json": config}
    return Checkpoint("m", files | {name: text for name, text in told.items() if text})


def codes(result: PatchResult) -> set[str]:
    return {finding.code for finding in result.after.findings} & {"TF503", "TF504"}


@pytest.mark.parametrize(
    "before, after",
    [
        pytest.param(
            '{\n  "eos_token_id": 9,\n  "x": 1.0\n}\n', '{\n  "eos_token_id": [9, 7],\n  "x": 1.0\n}\n', id="one id"
        ),
        pytest.param('{"eos_token_id": [9]}', '{"eos_token_id": [9, 7]}', id="a list of one"),
        pytest.param(
            '{"eos_token_id": [\n  8,\n  9\n]}',
            '{"eos_token_id": [\n  8,\n  9,\n  7\n]}',
            id="a list in lines",
        ),
    ],
)
def test_generation_stops_at_the_end_of_a_turn_too(before: str, after: str) -> None:
    result = patch(model(before))
    assert result.changed == {"generation_config.json": (before, after)}
    [repair] = result.kept
    assert (repair.codes, repair.target) == (("TF503",), Target.FILES)
    assert not codes(result)


def test_where_config_json_says_what_stops_it_is_repaired_there() -> None:
    result = patch(model("", '{"eos_token_id": 9}'))
    assert result.changed["config.json"][1] == '{"eos_token_id": [9, 7]}'


@pytest.mark.parametrize("generation", ['{"eos_token_id": 7}', '{"eos_token_id": [9, 7]}', '{"pad_token_id": 9}', ""])
def test_what_stops_already_is_left_alone(generation: str) -> None:
    result = patch(model(generation))
    assert not result.changed and not codes(result)


def test_padding_gets_a_token_that_is_meant_for_it() -> None:
    result = patch(model('{"eos_token_id": 7, "pad_token_id": 7}', pad="<|over|>"))
    assert json.loads(result.changed["tokenizer_config.json"][1])["pad_token"] == "<|pad|>"
    assert result.changed["generation_config.json"][1] == '{"eos_token_id": 7, "pad_token_id": 10}'
    assert not codes(result)


def test_the_model_s_own_configuration_tells_what_padding_is() -> None:
    result = patch(model('{"eos_token_id": 7, "pad_token_id": 9}', pad="<|over|>"))
    assert json.loads(result.changed["tokenizer_config.json"][1])["pad_token"] == "<|text_end|>"
    assert "generation_config.json" not in result.changed


def test_a_token_that_stands_for_something_else_is_not_taken_for_padding() -> None:
    tokens = {at: token for at, token in TOKENS.items() if token != "<|pad|>"}
    before = model('{"eos_token_id": 7}', pad="<|over|>", tokens=tokens)
    result = patch(before)
    assert not result.changed and codes(result) == {"TF504"}
    [finding] = [each for each in check(before).findings if each.code == "TF504"]
    assert finding.patch_with is None
    assert "DataCollatorForLanguageModeling of transformers" in finding.message and "TRL" in finding.message


def test_what_only_an_older_release_cannot_load_is_named_with_the_option_that_repairs_it() -> None:
    before = model('{"eos_token_id": 7}')
    config = json.loads(before.files["tokenizer_config.json"]) | {"extra_special_tokens": ["<|turn|>"]}
    before = Checkpoint("m", {**before.files, "tokenizer_config.json": json.dumps(config)})
    [finding] = [each for each in check(before).findings if each.code == "TF402"]
    assert finding.patch_with == "--select TF402" and "patch --select TF402 does it" in (finding.fix or "")
    assert not patch(before).changed
    assert "additional_special_tokens" in patch(before, Options(select="TF402")).changed["tokenizer_config.json"][1]


ANSWERING = {**TOKENS, 12: "<think>", 13: "</think>", 14: "<answer>", 15: "</answer>"}


def test_other_tags_that_decoding_drops_are_noted_and_kept_on_request() -> None:
    before = model('{"eos_token_id": 7}', tokens=ANSWERING)
    [note] = [each for each in check(before).findings if "<answer>" in each.message]
    assert (note.code, note.level, note.patch_with) == ("TF301", Level.NOTE, "--plain-token '<answer>'")
    result = patch(before, Options(plain=("<answer>",)))
    decoder = json.loads(result.changed["tokenizer_config.json"][1])["added_tokens_decoder"]
    assert {entry["content"] for entry in decoder.values() if not entry["special"]} == {*list(ANSWERING.values())[-4:]}
    assert "chat_template.jinja" not in result.changed
    assert not [each for each in result.after.findings if each.code == "TF301"]


def test_other_tags_that_are_ordinary_or_printed_by_the_template_are_not_noted() -> None:
    tokens = {**TOKENS, 12: "<think>", 13: "</think>", 14: "<img>", 15: "</img>"}
    before = model('{"eos_token_id": 7}', tokens=tokens)
    before = Checkpoint("m", {**before.files, "chat_template.jinja": TEMPLATE + "{{ '<img></img>' if false else '' }}"})
    assert not [each for each in check(before).findings if "<img>" in each.message]

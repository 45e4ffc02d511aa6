from __future__ import annotations

import json

import pytest
from tokenizers import Tokenizer

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.cli.demo import ROW, model_files
from template_fix.conversations.builtin import Conversation
from template_fix.conversations.tags import USUAL
from template_fix.engine.patch import special_tokens
from template_fix.report.showing.rendering import render_all

SAYS = ROW[-1]["content"]


@pytest.fixture
def model(tmp_path):
    for name, text in model_files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_model_is_small_and_reads_as_a_checkpoint(model):
    assert sum(path.stat().st_size for path in model.iterdir()) < 40_000
    checkpoint = Checkpoint.read(model)
    assert set(checkpoint.files) == set(model_files())
    assert [copy.file for copy in checkpoint.templates] == ["tokenizer_config.json"]


def test_its_template_drops_the_reasoning_of_each_turn(model):
    checkpoint = Checkpoint.read(model)
    tags, [row] = render_all(checkpoint.templates[0].source, special_tokens(checkpoint), [Conversation("row", ROW)])
    assert tags == USUAL
    dropped = ["".join(run.text for run in turn.runs if run.kind == "dropped").strip() for turn in row.turns]
    assert dropped == ["", ROW[1]["content"].split("\n\n")[0], "", ROW[3]["content"].split("\n\n")[0]]


def test_its_tags_are_special_in_every_file(model):
    checkpoint = Checkpoint.read(model)
    for tag in USUAL:
        records = checkpoint.records_of(tag)
        assert {record.file for record in records} == {
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
        }
        assert all(record.special in (True, None) for record in records)


@pytest.mark.parametrize("text", [SAYS, "half of that", "é日 <think>x", ""])
def test_its_tokenizer_spells_any_text(text):
    tokenizer = Tokenizer.from_str(model_files()["tokenizer.json"])
    ids = tokenizer.encode(text).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text
    assert tokenizer.decode(ids, skip_special_tokens=True) == text.replace("<think>", "").replace("</think>", "")


def test_words_of_the_row_are_single_tokens():
    tokenizer = Tokenizer.from_str(model_files()["tokenizer.json"])
    assert tokenizer.encode("<think>\nHalf of 102 is").tokens == [
        "<think>",
        "Ċ",
        "Half",
        "Ġof",
        "Ġ",
        "1",
        "0",
        "2",
        "Ġis",
    ]


@pytest.mark.slow
def test_it_loads_with_the_real_transformers(model):
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    assert SAYS.split("</think>")[0] not in tokenizer.apply_chat_template(list(ROW), tokenize=False)
    ids = tokenizer.encode(SAYS, add_special_tokens=False)
    assert tokenizer.decode(ids) == SAYS
    assert "<think>" not in tokenizer.decode(ids, skip_special_tokens=True)
    names = json.loads(model_files()["special_tokens_map.json"])
    assert (tokenizer.bos_token, tokenizer.eos_token) == (names["bos_token"], names["eos_token"])
    assert transformers.AutoConfig.from_pretrained(model).vocab_size == len(tokenizer)

"""Whether transformers 5 goes by tokenizer.json: what the table says, and what the real library does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from real import load
from tiny import alphabet, checkpoint, entry, tokenizer
from tokenizers import Tokenizer

from template_fix.bounds import limits
from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError
from template_fix.checkpoint.template_copies import CONFIG
from template_fix.checkpoint.token_records import TOKENIZER
from template_fix.engine.patch import patch
from template_fix.jinja.tables import table
from template_fix.options import Options
from template_fix.results import Finding, Level
from template_fix.rules.files import tf305_encodes_otherwise
from template_fix.text.edits import Edit
from template_fix.tokens.class_splits import SAMPLES, first_difference, rename_class, splitting_class
from template_fix.tokens.installed import Tried, encode_installed
from template_fix.tokens.loaders import BACKEND5, FAST4
from template_fix.tokens.tagged_checkpoint import Subject

FORMS = table("tokenizer_classes.toml", "template_fix.tokens")
# Numbers in groups of three, which no class of transformers does by itself.
BY_THREE = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": r"\p{N}{1,3}| ?\p{L}+"}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
    ],
}
CLASSES = [*FORMS["classes"], "PreTrainedTokenizerFast", "GPT2TokenizerFast", "LlamaTokenizerFast", "Unheard"]
TYPES = [None, "llama", "qwen3", "gpt2", "phi3", "mistral3", "unheard", *FORMS["model_types"]]


def merging() -> dict[str, Any]:
    """A vocabulary in which digits, and letters after a blank, are merged, so that it matters how text is split."""
    pairs = [*product("0123456789", repeat=2), *(("\u0120", letter) for letter in "acist")]
    vocab = {**alphabet(), **{a + b: 300 + order for order, (a, b) in enumerate(pairs)}}
    return {"type": "BPE", "vocab": vocab, "merges": [f"{a} {b}" for a, b in pairs]}


def stored(kind: str | None, model_type: str | None, **parts: Any) -> dict[str, Any]:
    json = {**tokenizer(False), "model": merging(), "pre_tokenizer": BY_THREE, **parts}
    config = {"eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<eos>", "bos_token": None}
    found = {"tokenizer.json": json, "tokenizer_config.json": {**({"tokenizer_class": kind} if kind else {}), **config}}
    return {**found, "config.json": {"model_type": model_type}} if model_type else found


def llama(front: bool = True, **switches: bool) -> dict[str, Any]:
    """Files as of Llama, whose tokenizer.json puts a token in front of a text, or doesn't."""
    first, text = {"SpecialToken": {"id": "<eos>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    told = {"<eos>": {"id": "<eos>", "ids": [len(merging()["vocab"])], "tokens": ["<eos>"]}}
    rule = {"type": "TemplateProcessing", "single": [first, text], "pair": [first, text], "special_tokens": told}
    found = stored("LlamaTokenizerFast", "llama", post_processor=rule if front else None)
    found["tokenizer_config.json"] |= {"bos_token": "<eos>", **switches}
    return found


def findings(found: dict[str, Any]) -> list[Finding]:
    return list(tf305_encodes_otherwise.check(Subject(checkpoint(found), (), frozenset())))


def test_a_class_with_rules_of_its_own_is_shown_with_a_text() -> None:
    (finding,) = findings(stored("Qwen2TokenizerFast", "qwen3"))
    assert finding.level is Level.ERROR
    assert finding.place is not None
    assert finding.place.source == '  "tokenizer_class": "Qwen2TokenizerFast",'
    (evidence,) = finding.evidence
    assert " 12 | 3 | 45 " in evidence.given
    assert " 1 | 2 | 3 | 4 | 5 " in evidence.printed
    assert (finding.patch_with, "name PreTrainedTokenizerFast as tokenizer_class" in finding.fix) == ("", True)


def test_where_the_model_type_decides_no_edit_is_advised() -> None:
    (finding,) = findings(stored("PreTrainedTokenizerFast", "qwen2"))
    assert finding.fix.startswith("load it with PreTrainedTokenizerFast.from_pretrained")
    assert finding.fix.endswith("the model type qwen2 stands for Qwen2Tokenizer")
    assert finding.patch_with is None


def test_what_newer_releases_do_right_is_a_warning() -> None:
    (finding,) = findings(llama())
    assert (finding.level, "5.8 to 5.21" in finding.message) == (Level.WARNING, True)
    assert finding.patch_with == "--select TF305"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Tried | None], None]:
    """Sets what a trial with the installed transformers comes to."""
    return lambda found: monkeypatch.setattr(tf305_encodes_otherwise, "encode_installed", lambda *_: found)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (None, "has rules of its own"),
        (Tried("5.23.0", False), "; 5.23.0, which is installed, does"),
        (Tried("4.57.6", True), "; 4.57.6, which is installed, does not"),
    ],
)
def test_what_is_installed_is_tried(installed: Callable[..., None], found: Tried | None, told: str) -> None:
    installed(found)
    assert findings(stored("Qwen2Tokenizer", None))[0].message.endswith(told)


@pytest.mark.parametrize(
    ("indent", "newline", "wanted"),
    [
        (2, "\n", 'PreTrainedTokenizerFast",\n  "model_input_names": ["input_ids", "attention_mask"],\n  "eos'),
        (2, "\r\n", 'PreTrainedTokenizerFast",\r\n  "model_input_names": ["input_ids", "attention_mask"],\r\n  "eos'),
        (None, "\n", 'PreTrainedTokenizerFast", "model_input_names": ["input_ids", "attention_mask"], "eos'),
    ],
)
def test_patch_names_the_class_that_goes_by_the_file(indent: int | None, newline: str, wanted: str) -> None:
    before = checkpoint(stored("Qwen2Tokenizer", "qwen3"), indent)
    before = replace(before, files={file: text.replace("\n", newline) for file, text in before.files.items()})
    result = patch(before, Options(select="TF305"))
    (change,) = result.changed.values()
    assert [repair.codes for repair in result.kept] == [("TF305",)]
    assert wanted in change[1]
    assert not result.after.findings
    (edit,) = [edit for repair in result.kept for _, edit in repair.edits]
    assert change[1] == change[0][: edit.span.start] + edit.text + change[0][edit.span.end :]
    assert not patch(before.after(result.changed), Options(select="TF305")).kept


def test_nobody_is_asked_to_run_code_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    found = stored("Qwen2Tokenizer", None)
    found["config.json"] = {"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}
    told = encode_installed(checkpoint(found), SAMPLES)
    assert told is not None


@pytest.mark.parametrize(("error", "limits_hit"), [(MemoryError, 1), (ValueError, 0)])
def test_a_trial_that_takes_too_much_memory_is_stopped_by_a_limit(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception], limits_hit: int
) -> None:
    transformers = pytest.importorskip("transformers")

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", fail)
    before = limits.stopped
    assert encode_installed(checkpoint(stored("Qwen2Tokenizer", None)), SAMPLES) is None
    assert limits.stopped - before == limits_hit


def test_a_class_that_is_not_gone_by_after_the_edit_is_left(installed: Callable[..., None]) -> None:
    installed(Tried("6.0.0", False))
    assert not patch(checkpoint(stored("Qwen2Tokenizer", "qwen3")), Options(select="TF305")).kept


def test_what_newer_releases_do_right_is_left_alone_unless_it_is_selected() -> None:
    assert not patch(checkpoint(llama())).kept
    (repair,) = patch(checkpoint(llama()), Options(select="TF305")).kept
    assert '"padding_side": "left"' in repair.edits[0][1].text


def test_beside_a_processor_which_may_ask_for_the_class_it_is_left() -> None:
    found = replace(checkpoint(stored("Qwen2Tokenizer", "qwen3")), others=frozenset({"preprocessor_config.json"}))
    result = patch(found, Options(select="TF305"))
    assert not result.kept
    assert "a processor lies beside" in str(result.after.findings[0].fix)


def test_tokens_that_the_class_names_by_itself_are_kept() -> None:
    found = stored("GPT2Tokenizer", None)
    del found["tokenizer_config.json"]["bos_token"]
    (finding,) = findings(found)
    assert finding.fix.endswith("bos_token, which tokenizer.json lacks: name bos_token in tokenizer_config.json first")
    found["tokenizer.json"]["added_tokens"].append({"id": 400, **entry("<|endoftext|>", True)})
    (repair,) = patch(checkpoint(found), Options(select="TF305")).kept
    assert '"bos_token": "<|endoftext|>"' in repair.edits[0][1].text


@pytest.mark.parametrize(
    ("switches", "front", "edited"),
    [
        ({}, True, True),
        ({"add_bos_token": True}, True, True),
        ({"add_bos_token": False}, True, False),
        ({"add_bos_token": False}, False, True),
        ({}, False, False),
        ({"add_bos_token": True, "add_eos_token": True}, True, False),
    ],
)
def test_the_class_is_left_where_it_puts_other_tokens_round_a_text(
    switches: dict[str, bool], front: bool, edited: bool
) -> None:
    (finding,) = findings(llama(front, **switches))
    assert (finding.patch_with is not None) == edited


@pytest.mark.parametrize(
    ("kind", "model_type", "parts"),
    [
        pytest.param("PreTrainedTokenizerFast", "qwen3", {}, id="the class that goes by the file"),
        pytest.param("GPT2Tokenizer", "phi3", {}, id="a model type that goes by the file"),
        pytest.param(None, "qwen3", {}, id="no class named"),
        pytest.param("Qwen2Tokenizer", "qwen3", FORMS["classes"]["Qwen2Tokenizer"], id="the rules of the class itself"),
        pytest.param(
            "Qwen2Tokenizer",
            "qwen3",
            {**FORMS["classes"]["Qwen2Tokenizer"], "model": {"type": "BPE", "vocab": alphabet(), "merges": []}},
            id="nothing to merge",
        ),
        pytest.param(
            "LlamaTokenizer",
            "llama",
            {
                "pre_tokenizer": {
                    "type": "Metaspace",
                    "replacement": "\u2581",
                    "prepend_scheme": "first",
                    "split": False,
                }
            },
            id="Llama's own rules",
        ),
    ],
)
def test_no_finding(kind: str | None, model_type: str | None, parts: dict[str, Any]) -> None:
    parts = {part: value for part, value in parts.items() if part in ("normalizer", "pre_tokenizer", "model")}
    assert findings(stored(kind, model_type, **parts)) == []


def test_a_file_without_rules_of_its_own_is_compared_as_well() -> None:
    assert "GPT2Tokenizer" in findings(stored("GPT2Tokenizer", None, pre_tokenizer=None))[0].message


def test_without_a_tokenizer_json_nothing_is_said() -> None:
    assert findings({"tokenizer_config.json": {"tokenizer_class": "Qwen2Tokenizer"}}) == []


@pytest.mark.parametrize("part", [{"type": "Nonsense"}, 7, "text", []])
def test_a_file_that_the_library_cannot_read_is_one_line(part: object) -> None:
    with pytest.raises(CheckpointError, match=r"^tiny/tokenizer\.json: tokenizers can't read it"):
        first_difference(checkpoint(stored("Qwen2Tokenizer", "qwen3", pre_tokenizer=part)))


@pytest.mark.slow
def test_the_table_says_what_the_real_library_does() -> None:
    grid = list(product(CLASSES, TYPES))
    loaded = load(BACKEND5, [stored(kind, model_type) for kind, model_type in grid], SAMPLES)
    for (kind, model_type), real in zip(grid, loaded, strict=True):
        found: Checkpoint = checkpoint(stored(kind, model_type))
        own = Tokenizer.from_str(found.files["tokenizer.json"])
        differs = "ids" in real and real["ids"] != [own.encode(text, add_special_tokens=False).ids for text in SAMPLES]
        told = first_difference(found)
        assert differs == (told is not None and told.today), (kind, model_type, real.get("error"))
        if differs and told is not None:
            ids = real["ids"][SAMPLES.index(told.text)]
            vocab = own.get_vocab()
            assert ids == [vocab[token] for token in told.built], (kind, model_type)


@pytest.mark.slow
@pytest.mark.parametrize("loader", [FAST4, BACKEND5])
def test_with_the_other_class_the_real_library_goes_by_the_file_and_names_the_same_tokens(loader: str) -> None:
    # Newer releases than the class's own pad on its side no more.
    names = [name for name, form in FORMS["classes"].items() if loader == FAST4 or form.get("today", True)]
    grid = [stored(f"{name}Fast", kind) for name, kind in product(names, (None, "llama", "qwen3"))]
    grid += [llama(), llama(False, add_bos_token=False)] if loader == FAST4 else []
    edits = [(one, rename_class(one, splitting_class(one) or "")) for one in map(checkpoint, grid)]
    pairs = [(one, one.apply([(CONFIG, edit)])) for one, edit in edits if isinstance(edit, Edit)]
    assert len(pairs) > len(grid) // 2
    before, after = (load(loader, [dict(each.files) for each in some], SAMPLES) for some in zip(*pairs, strict=True))
    for (_, edited), old, new in zip(pairs, before, after, strict=True):
        own = Tokenizer.from_str(edited.files[TOKENIZER])
        assert new["ids"] == [own.encode(text, add_special_tokens=False).ids for text in SAMPLES]
        assert "error" in old or (old["special"], old["whole"]) == (new["special"], new["whole"])

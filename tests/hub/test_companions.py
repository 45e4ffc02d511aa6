from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from real import interpreter
from tiny import alphabet

from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError
from template_fix.cli.main import main
from template_fix.hub.companions import sort_companions

CONFIG = {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<eos>", "pad_token": "<eos>", "unk_token": None}
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}{{ m.content.split('</think>')[-1] }}"
    "{% else %}{{ m.content }}{% endif %}<eos>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
NEEDED = ("vocab.json", "merges.txt", "qwen.tiktoken", "spiece.model", "preprocessor_config.json", "tokenization_x.py")
WEIGHTS = ("model-00001-of-00002.safetensors", "pytorch_model.bin", "Model.Q4_K.GGUF", "model.safetensors.index.json")


def made(directory: Path, *names: str) -> Path:
    directory.mkdir()
    for name in names:
        (directory / name).write_bytes(name.encode() + b"\r\n\xff\x00")
    return directory


def entries(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def test_whatever_a_tokenizer_may_need_goes_along_byte_for_byte(tmp_path: Path) -> None:
    model = made(tmp_path / "model", *NEEDED)
    copied, left = sort_companions(model, entries(model))
    assert copied == {name: (model / name).read_bytes() for name in NEEDED}
    assert left == ()


@pytest.mark.parametrize("name", [*WEIGHTS, ".gitattributes"])
def test_weights_and_hidden_files_stay_behind(tmp_path: Path, name: str) -> None:
    model = made(tmp_path / "model", name)
    assert sort_companions(model, entries(model)) == ({}, (name,))


def test_directories_stay_behind_but_those_that_were_read_are_not_told(tmp_path: Path) -> None:
    model = made(tmp_path / "model")
    for name in ("onnx", "additional_chat_templates", ".template-fix"):
        (model / name).mkdir()
    assert sort_companions(model, entries(model)) == ({}, ("onnx/",))


def test_a_file_larger_than_any_vocabulary_stays_behind(tmp_path: Path) -> None:
    model = made(tmp_path / "model", "notes.txt")
    with open(model / "unknown.weights", "wb") as file:
        file.truncate(65 * 2**20)
    copied, left = sort_companions(model, entries(model))
    assert (list(copied), left) == (["notes.txt"], ("unknown.weights",))


def test_what_a_link_leads_to_goes_along_and_a_link_to_nowhere_stays_behind(tmp_path: Path) -> None:
    model = made(tmp_path / "model", "0123")
    (model / "vocab.json").symlink_to("0123")
    (model / "merges.txt").symlink_to(tmp_path / "nowhere")
    told = (model / "0123").read_bytes()
    assert sort_companions(model, entries(model)) == ({"0123": told, "vocab.json": told}, ("merges.txt",))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    model = made(tmp_path / "model", "vocab.json")
    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(CheckpointError, match=r"vocab\.json: the file can't be read: permission denied$"):
        sort_companions(model, entries(model))


def with_vocabulary(directory: Path) -> Path:
    """A model whose tokenizer is a vocabulary and merges alone, beside a file of weights."""
    made(directory, "model.safetensors")
    end = {"content": "<eos>", "lstrip": False, "normalized": False, "rstrip": False, "special": True}
    config = {**CONFIG, "added_tokens_decoder": {"256": {**end, "single_word": False}}, "chat_template": TEMPLATE}
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    (directory / "vocab.json").write_text(json.dumps(alphabet()))
    (directory / "merges.txt").write_text("#version: 0.2\n")
    return directory


def test_the_copy_of_a_model_is_told_file_by_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = with_vocabulary(tmp_path / "model")
    main(["patch", str(model), "--output", str(tmp_path / "out")])
    told = capsys.readouterr().out
    assert "Copied unchanged: merges.txt, vocab.json." in told
    assert "Not copied: model.safetensors." in told
    assert sorted(entries(tmp_path / "out")) == ["merges.txt", "tokenizer_config.json", "vocab.json"]


def test_a_model_that_needs_no_repair_is_copied_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = with_vocabulary(tmp_path / "model")
    main(["patch", str(model), "--output", str(tmp_path / "once")])
    capsys.readouterr()
    main(["patch", str(tmp_path / "once"), "--output", str(tmp_path / "twice"), "--ignore", "TF504"])
    told = " ".join(capsys.readouterr().out.split())
    assert f"nothing to repair, copied to {tmp_path / 'twice'} as it is" in told
    assert Checkpoint.read(tmp_path / "once", "").files == Checkpoint.read(tmp_path / "twice", "").files


LOAD = """
import json, sys
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1], trust_remote_code=True)
text = tokenizer.apply_chat_template(json.loads(sys.argv[2]), tokenize=False)
ids = tokenizer.encode(text, add_special_tokens=False)
print(json.dumps([text, tokenizer.decode(ids, skip_special_tokens=True, spaces_between_special_tokens=False)]))
"""
ROW = [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "<think>adding</think>4"}]


@pytest.mark.slow
@pytest.mark.parametrize("release", [4, 5])
def test_the_copy_of_a_model_loads(tmp_path: Path, release: int) -> None:
    python = interpreter(release)
    main(["patch", str(with_vocabulary(tmp_path / "model")), "--output", str(tmp_path / "out")])
    done = subprocess.run([python, "-c", LOAD, tmp_path / "out", json.dumps(ROW)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    text, decoded = json.loads(done.stdout.splitlines()[-1])
    assert text == "<user>2+2?<eos><assistant><think>adding</think>4<eos>"
    assert decoded == text.replace("<eos>", "")


CODE = """
from pathlib import Path
from transformers import PreTrainedTokenizer

class WordTokenizer(PreTrainedTokenizer):
    vocab_files_names = {"words": "words.of.ours"}

    def __init__(self, words, **rest):
        self.words = Path(words).read_text().split()
        super().__init__(**rest)

    @property
    def vocab_size(self):
        return len(self.words)

    def get_vocab(self):
        return {word: number for number, word in enumerate(self.words)}

    def _tokenize(self, text, **rest):
        return list(text)

    def _convert_token_to_id(self, token):
        return self.words.index(token)

    def _convert_id_to_token(self, index):
        return self.words[index]

    def convert_tokens_to_string(self, tokens):
        return "".join(tokens)
"""


@pytest.mark.slow
@pytest.mark.parametrize("release", [4, 5])
def test_the_copy_of_a_model_with_code_of_its_own_loads(tmp_path: Path, release: int) -> None:
    python = interpreter(release)
    model = made(tmp_path / "model")
    own = {"auto_map": {"AutoTokenizer": ["tokenization_words.WordTokenizer", None]}, "chat_template": TEMPLATE}
    (model / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "WordTokenizer", **own}))
    (model / "tokenization_words.py").write_text(CODE)
    (model / "words.of.ours").write_text(" ".join(map(chr, range(33, 127))))
    main(["patch", str(model), "--output", str(tmp_path / "out")])
    command = [python, "-c", LOAD, tmp_path / "out", json.dumps(ROW)]
    done = subprocess.run(command, capture_output=True, text=True, env={"HF_HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr[-2000:]
    assert "<think>adding</think>4" in json.loads(done.stdout.splitlines()[-1])[1]

"""What llama.cpp itself prints of a tag that is a control token, and of the repaired file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from template_fix import api
from template_fix.tokens.stub_tokenizer import _byte_alphabet

pytestmark = pytest.mark.slow

# It writes on stdout and ends as it likes: it gets a process of its own. Each next token is <think>.
_ASK = """
import sys, xllamacpp
model, special = sys.argv[1:]
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.warmup, params.special = model, 128, False, special == "special"
asked = {"prompt": "hello", "n_predict": 3, "logit_bias": [[258, 100]], "temperature": 0}
print("\\nsaid:" + xllamacpp.Server(params).handle_completions(asked)["choices"][0]["text"])
"""
TEMPLATE = (Path(__file__).parents[1] / "templates" / "strip.jinja").read_text(encoding="utf-8")


def write_model(path: Path) -> Path:
    """Write a model of one layer that llama.cpp loads, whose reasoning tags are control tokens."""
    gguf, numpy = pytest.importorskip("gguf"), pytest.importorskip("numpy")
    tokens = [*_byte_alphabet().values(), "<s>", "</s>", "<think>", "</think>"]
    width, writer = 64, gguf.GGUFWriter(path, "llama")
    writer.add_context_length(512)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(width)
    writer.add_head_count(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // 2)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * 256 + [3] * 4)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(257)
    writer.add_chat_template(TEMPLATE)
    weights = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up"), (width, width))
    weights |= {"ffn_down": (width, width), "attn_norm": (width,), "ffn_norm": (width,)}
    shapes = {f"blk.0.{name}.weight": shape for name, shape in weights.items()}
    shapes |= {"token_embd.weight": (260, width), "output.weight": (260, width), "output_norm.weight": (width,)}
    random = numpy.random.default_rng(0)
    for name, shape in shapes.items():
        writer.add_tensor(name, random.standard_normal(shape).astype(numpy.float32) * 0.02)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def ask(model: Path, special: str = "") -> str:
    told = subprocess.run([sys.executable, "-c", _ASK, model, special], capture_output=True, text=True, timeout=120)
    return told.stdout.rpartition("said:")[2].strip()


def test_a_control_token_is_left_out_until_the_file_is_repaired(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="llama.cpp isn't installed (xllamacpp)")
    model = write_model(tmp_path / "model.gguf")
    assert "TF301" in {finding.code for finding in api.check(model).findings}
    assert ask(model) == ""
    assert ask(model, "special") == "<think>" * 3
    api.patch(model, output=tmp_path / "new.gguf")
    assert ask(tmp_path / "new.gguf") == "<think>" * 3

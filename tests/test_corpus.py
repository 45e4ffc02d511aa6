from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from template_fix.bounds.limits import run_bounded
from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.engine.patch import patch

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks/corpus.py"
spec = importlib.util.spec_from_file_location("corpus", SCRIPT)
corpus = importlib.util.module_from_spec(spec)
# A dataclass looks its module up by name.
sys.modules["corpus"] = corpus
spec.loader.exec_module(corpus)

CUT = "message.content.split('</think>')[-1]"
STRIP = (
    "{%- for message in messages -%}<{{ message.role }}>"
    f"{{% if message.role == 'assistant' %}}{{{{ {CUT} }}}}{{% else %}}{{{{ message.content }}}}{{% endif %}}</end>"
    "{%- endfor -%}{%- if add_generation_prompt -%}<assistant>{%- endif -%}"
)
SWITCHED = f"message.content if (preserve_thinking | default(true)) else {CUT}"
REPAIRED = STRIP.replace(CUT, SWITCHED)


def compared(before: str, after: str):
    return run_bounded(corpus.compared, before, after)


def test_a_repair_that_holds_is_not_worse() -> None:
    before, after, worse, _ = compared(STRIP, REPAIRED)
    assert before.kind == "defective" and "lossless" in before.broken
    assert (after.broken, worse) == ({}, ())


@pytest.mark.parametrize(
    "template, why",
    [
        pytest.param(
            REPAIRED.replace("if (pre", "if not loop.last and (pre"), "stable no longer holds", id="stability"
        ),
        pytest.param(STRIP.replace(CUT, "message.content"), "it prints something else", id="no way back"),
        pytest.param(REPAIRED.replace("-%}<assistant>", "-%}<assistant><think>"), "generation prompt", id="the prompt"),
        pytest.param(REPAIRED.replace("<{{", "<role {{"), "printed differently", id="what was printed well"),
        pytest.param(REPAIRED.replace("{{ message.content }}", "{{ message.role }}"), "printed no longer", id="a loss"),
        pytest.param(REPAIRED.replace(".role == 'assistant'", "['role'] == x.y"), "it fails", id="a failure"),
        pytest.param(REPAIRED + "{% if", "can't be read", id="the syntax"),
        pytest.param(REPAIRED.replace("'</think>'", "'</thi' ~ 'nk>'"), "its text lacks", id="what engines look for"),
        pytest.param(
            REPAIRED + "{{ 'x' if messages[0].name == 'Ann' }}", "it is another program", id="what no probe shows"
        ),
    ],
)
def test_an_edit_that_makes_something_worse_is_found_out(template: str, why: str) -> None:
    assert any(why in told for told in compared(STRIP, template)[2])


def test_a_loss_that_is_half_repaired_is_told() -> None:
    one_block = REPAIRED.replace("(true)) else", "(true)) and message.content.count('</think>') < 2 else")
    before, after, worse, _ = compared(STRIP, one_block)
    assert 0 < after.broken["lossless"] < before.broken["lossless"] and not worse


def test_an_error_that_becomes_a_loss_is_told() -> None:
    deaf = STRIP.replace(CUT, "message.reasoning_content ~ message.content.strip()")
    mute = deaf.replace("message.content.strip()", "(message.content or '')")
    assert compared(deaf, mute)[3].startswith("call (question, tool call")
    assert compared(deaf, deaf)[3] == ""


def test_the_patch_of_a_small_corpus_is_counted(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    texts = {"strip": STRIP, "repaired": REPAIRED, "plain": "{% for m in messages %}{{ m.content }}{% endfor %}"}
    for name, text in texts.items():
        (tmp_path / f"ours/{name}.jinja").write_text(text)
    rows = {row.file: row for row in map(corpus.worked_on, corpus.jobs_of(tmp_path, (), None))}
    assert {file: (row.kind, row.result) for file, row in rows.items()} == {
        "plain.jinja": ("plain", ""),
        "repaired.jinja": ("field", ""),
        "strip.jinja": ("defective", "fully"),
    }
    assert not any(row.error or row.worse for row in rows.values())
    assert patch(Checkpoint("", {"chat_template.jinja": STRIP})).changed


@pytest.mark.slow
def test_a_sample_of_the_corpus_is_never_made_worse(shared: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--first", "1", "--json", str(tmp_path / "rows.json")]
    families = ("deepseek", "no-reasoning", "phi4", "qwen3.5", "seed")
    done = subprocess.run([*command, *(word for each in families for word in ("--only", each))], capture_output=True)
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert done.returncode == 0, done.stderr.decode()
    assert [row["family"] for row in rows] == list(families)
    assert b"\nmade worse  " in done.stdout

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks/peers.py"
spec = importlib.util.spec_from_file_location("peers", SCRIPT)
assert spec is not None and spec.loader is not None
peers = importlib.util.module_from_spec(spec)
# A dataclass looks its module up by name.
sys.modules["peers"] = peers
spec.loader.exec_module(peers)

TOLD = """
FAIL  x   score 1/2 (50%)   3 errors, 1 warnings

--- 3 errors ---
  [error] marker_balance / plain_multiturn
        complete transcript has 6 opens vs 5 closes
  [error] no_repr_leak / tool_simple
        python None
  [error] no_repr_leak / tool_parallel
        python None

--- 1 warnings ---
  [warning] renders / content_as_parts
        TypeError
"""
UNENDED = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% if not loop.last %}<|end|>{% endif %}{% endfor %}"


def test_what_both_tools_say_is_held_side_by_side(tmp_path: Path) -> None:
    program, template = tmp_path / "chatlint", tmp_path / "x.jinja"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{TOLD}END\n", encoding="utf-8")
    program.chmod(0o755)
    template.write_text(UNENDED, encoding="utf-8")
    row = peers.row_of(program, template)
    assert (row.errors, row.warnings) == ({"marker_balance": 1, "no_repr_leak": 2}, {"renders": 1})
    assert "TF210" in row.codes
    assert "marker_balance" not in row.theirs
    lines = list(peers.table([row]))
    assert "templates: 1" in lines
    assert any("marker_balance: errors of chatlint in 1, with a finding of the same in 1" in line for line in lines)

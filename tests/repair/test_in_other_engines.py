"""A repair holds wherever the template runs: what an engine printed as transformers does, it prints so afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from other_engines import Engine, compared, gathered, minijinja, printed, transformers_js
from test_loop_leaks import SHOWN, SOME

from template_fix.bounds.limits import run_bounded
from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.engine.patch import patch
from template_fix.jinja.renderer import Renderer
from template_fix.repair.loop_leaks import make_leaking

pytestmark = pytest.mark.slow

OWN = sorted(Path(__file__).parents[1].joinpath("templates").glob("*.jinja"))
EACH = 12


@pytest.fixture(scope="session")
def engines() -> Iterator[dict[str, Engine]]:
    with transformers_js() as other:
        both = {"minijinja": minijinja(), "transformers.js": other}
        found = {name: engine for name, engine in both.items() if engine}
        if not found:
            pytest.skip("neither minijinja nor node with @huggingface/jinja is installed")
        yield found


def holds(source: str, engines: dict[str, Engine]) -> None:
    result = patch(Checkpoint("m", {"chat_template.jinja": source, "tokenizer_config.json": "{}"}))
    if "chat_template.jinja" not in result.changed:
        return
    after = result.changed["chat_template.jinja"][1]
    conversations = run_bounded(gathered, source)
    expected = [run_bounded(printed, each, conversations) for each in (source, after)]
    for name, engine in engines.items():
        counts = compared(engine, source, after, conversations, expected)
        assert not counts["lost"] and not counts["way back differs"], (name, counts)


@pytest.mark.parametrize("path", OWN, ids=[path.stem for path in OWN])
def test_a_repair_of_our_own_templates_holds(path: Path, engines: dict[str, Engine]) -> None:
    holds(path.read_text(), engines)


def test_a_repair_of_a_sample_of_real_templates_holds(shared: Path, engines: dict[str, Engine]) -> None:
    for path in sorted((shared / "corpus/templates").rglob("*.jinja"))[::EACH]:
        holds(path.read_bytes().decode(), engines)


@pytest.mark.parametrize("source", [SOME, SHOWN], ids=["a small one", "a whole turn"])
def test_loops_leak_as_they_are_said_to(source: str, engines: dict[str, Engine]) -> None:
    engine = engines.get("transformers.js") or pytest.skip("node with @huggingface/jinja isn't installed")
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "reasoning_content": "b", "content": "c"},
        {"role": "user", "content": ""},
        {"role": "assistant", "content": "e"},
    ]
    told = make_leaking(source, {})(messages)
    assert engine(source, [{"messages": messages}]) == [told]
    assert told != Renderer(source)(messages)


def test_engines_are_asked_at_all(engines: dict[str, Engine]) -> None:
    for engine in engines.values():
        source = "{% for m in messages %}{{ m.content }}{% endfor %}"
        messages = [{"role": "user", "content": "hello"}]
        assert engine(source, [{"messages": messages}]) == ["hello"]
        assert engine("{{ no_such_function() }}", [{"messages": messages}]) == [None]

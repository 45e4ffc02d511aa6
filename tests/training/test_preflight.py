from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tiny_model
from real import interpreter
from tokenizers import Tokenizer

from template_fix import Options, PreflightError, preflight
from template_fix.checkpoint.checkpoint import CheckpointError
from template_fix.training.preflight import Preflight, PreflightWarning

REASONING = tiny_model.QUESTIONS[0][1]


def steps(folder: Path, release: int, kind: str) -> dict[str, Any]:
    """What `preflight_real` says, run by a Python that has that release of transformers."""
    script = str(Path(__file__).parents[1].joinpath("preflight_real.py"))
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    command = [interpreter(release), script, str(folder), kind]
    ran = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    told: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return told


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "named", "attribute", "processor"])
@pytest.mark.parametrize("release", [4, 5])
def test_a_tokenizer_is_told_of_and_repaired_in_memory(tmp_path: Path, release: int, kind: str) -> None:
    told = steps(tiny_model.written(tmp_path / "model"), release, kind)
    assert not told["before"]
    assert "error TF201" in told["alone"] and "error TF301" in told["alone"]
    assert f"reasoning: 3 of 3 rows lose some, {3 * len(REASONING)} of {3 * len(REASONING)} characters" in told["rows"]
    assert told["warned"] == ["PreflightWarning"]
    assert {"TF201", "TF301"} <= set(told["repaired"])
    assert told["again"] == []
    assert told["decoded"] == [told["text"]] * 2
    assert told["ids"]
    assert all(f"<think>\n{REASONING}\n</think>" in text for text in told["rendered"])
    assert told["padding_side"] == "left"


@pytest.mark.parametrize("given", [None, "org/model", object()])
def test_only_a_tokenizer_will_do(given: object) -> None:
    with pytest.raises(TypeError, match="what AutoTokenizer or AutoProcessor returns"):
        preflight(given)


def test_a_mode_of_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match="mode is"):
        preflight(None, mode="ignore")  # type: ignore[arg-type]


KEEPS = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content if m.role != 'system' else '' }}<|end|>"
    "{% endfor %}{{ '</think>' if false else '' }}"
)
LOSING, PLAIN = tiny_model.inline(*tiny_model.QUESTIONS[0]), tiny_model.asked("Why?", {"content": "So it is."})


class Stub:
    """As much of a tokenizer as a pre-flight asks for where it repairs no token."""

    name_or_path = "stub"
    response_template: Any = None

    def __init__(self, template: str) -> None:
        self.chat_template = template
        files = tiny_model.files(template)
        self.files = {name: text.replace('"special": true', '"special": false') for name, text in files.items()}
        self.files["special_tokens_map.json"] = "{}"
        config = json.loads(self.files["tokenizer_config.json"])
        self.files["tokenizer_config.json"] = json.dumps({**config, "additional_special_tokens": []})
        self.backend = Tokenizer.from_str(self.files["tokenizer.json"])

    def save_pretrained(self, folder: str) -> None:
        config = json.loads(self.files["tokenizer_config.json"]) | {"chat_template": self.chat_template}
        for name, text in (self.files | {"tokenizer_config.json": json.dumps(config)}).items():
            Path(folder, name).write_text(text, encoding="utf-8")

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return list(self.backend.encode(text).ids)

    def decode(self, ids: list[int], skip_special_tokens: bool = False) -> str:
        return str(self.backend.decode(ids, skip_special_tokens=skip_special_tokens))

    def get_added_vocab(self) -> dict[str, int]:
        return {token.content: number for number, token in self.backend.get_added_tokens_decoder().items()}

    def apply_chat_template(self, *args: Any, **kwargs: Any) -> str:
        return "passed"


def test_with_rows_it_is_the_rows_that_count() -> None:
    cuts, keeps = Stub(tiny_model.TEMPLATE), Stub(KEEPS)
    with pytest.raises(PreflightError, match="error TF201"):
        preflight(cuts)
    assert preflight(cuts, [PLAIN]).survey is not None
    with pytest.raises(PreflightError, match="dataset:1: 24 of 24 characters of reasoning"):
        preflight(cuts, [PLAIN, LOSING])
    assert preflight(cuts, [PLAIN, LOSING], limit=1).report.findings
    with pytest.raises(PreflightError, match="error TF203"):
        preflight(keeps)
    assert preflight(keeps, {"train": [LOSING], "test": [PLAIN]}).survey.before.rows == 2  # type: ignore[union-attr]


def test_an_error_that_rows_of_one_form_meet_is_warned_of_where_there_are_no_rows() -> None:
    silent = Stub(
        "{% for m in messages %}<|{{ m.role }}|>{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>"
        "{% endif %}{{ m.content if m.role != 'system' else '' }}<|end|>{% endfor %}"
    )
    system = {"messages": [{"role": "system", "content": "Be short."}, *PLAIN["messages"]]}
    with pytest.warns(PreflightWarning, match="error TF214"):
        preflight(silent)
    with pytest.raises(PreflightError, match="system"):
        preflight(silent, [system])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert preflight(silent, [PLAIN]).survey is not None


def test_a_warning_says_the_same() -> None:
    with pytest.warns(PreflightWarning, match="24 of 24 characters of reasoning"):
        preflight(Stub(tiny_model.TEMPLATE), [LOSING], mode="warn")


def test_rows_that_are_broken_count() -> None:
    with pytest.raises(PreflightError, match="1 row is broken"):
        preflight(Stub(KEEPS), [{"title": "what is this?"}])


def test_rows_that_can_be_read_once_are_left_alone() -> None:
    rows: Iterator[Any] = iter([LOSING])
    with pytest.raises(TypeError, match="read only once"):
        preflight(Stub(KEEPS), rows)
    assert next(rows) == LOSING


@pytest.mark.parametrize(
    "template, told",
    [
        pytest.param("{{ raise_exception('\x1b[2J' ~ 'é' * 1000000) }}", "1 row isn't rendered", id="rows are refused"),
        pytest.param("{{ messages[9].content.x.y }}", "1 row isn't rendered", id="rows can't be rendered"),
        pytest.param("{% if", "rows can't be rendered with it: line 1:", id="the template doesn't parse"),
        pytest.param("{% break %}", "rows can't be rendered with it: Python can't", id="the template isn't compiled"),
        pytest.param("{{ 'x' * 900000000 }}", "rows can't be rendered with it", id="the template is stopped"),
    ],
)
def test_what_cannot_be_rendered_is_told_in_one_warning(template: str, told: str) -> None:
    tokenizer = Stub(template)
    tokenizer.name_or_path = "\x1b]0;x\x07 Bearer abcdef"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        preflight(tokenizer, [PLAIN], mode="warn")
    [message] = [str(each.message) for each in caught if each.category is PreflightWarning]
    assert told in message
    assert "\\x1b]0;x\\x07 Bearer ***: " in message
    assert "\x1b" not in message and len(message) < 20_000
    with pytest.raises((PreflightError, CheckpointError)):
        preflight(tokenizer, [PLAIN])


class TRL(ModuleType):
    """As much of TRL as a repair asks for: a response template for the one text that it knows."""

    def __init__(self, known: str) -> None:
        super().__init__("trl")
        self.known, self.asked = known, 0

    def add_response_schema(self, tokenizer: Any) -> Any:
        self.asked += 1
        if tokenizer.chat_template != self.known:
            raise ValueError("Unrecognized chat template, failed to add response schema.")
        tokenizer.response_template = {"fields": "of TRL"}
        return tokenizer


@pytest.mark.parametrize(
    "trl, attached",
    [
        pytest.param(TRL(tiny_model.TEMPLATE), {"fields": "of TRL"}, id="it knows the original"),
        pytest.param(TRL(KEEPS), None, id="it doesn't know the original"),
        pytest.param(ModuleType("trl"), None, id="a release that attaches none"),
        pytest.param(None, None, id="it isn't installed"),
    ],
)
def test_trl_attaches_its_response_template_before_the_text_changes(
    monkeypatch: pytest.MonkeyPatch, trl: ModuleType | None, attached: Any
) -> None:
    monkeypatch.setitem(sys.modules, "trl", trl)  # type: ignore[arg-type] - None stands for what can't be imported
    tokenizer = Stub(tiny_model.TEMPLATE)
    assert "TF201" in preflight(tokenizer, fix=True).repaired
    assert tokenizer.chat_template != tiny_model.TEMPLATE
    assert tokenizer.response_template == attached


def test_a_response_template_of_its_own_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    trl = TRL(tiny_model.TEMPLATE)
    monkeypatch.setitem(sys.modules, "trl", trl)
    tokenizer = Stub(tiny_model.TEMPLATE)
    tokenizer.response_template = {"fields": "of its own"}
    preflight(tokenizer, fix=True)
    assert (tokenizer.response_template, trl.asked) == ({"fields": "of its own"}, 0)


def test_trl_is_not_asked_where_the_text_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    trl = TRL(tiny_model.TEMPLATE)
    monkeypatch.setitem(sys.modules, "trl", trl)
    with pytest.warns(PreflightWarning):
        preflight(Stub(tiny_model.TEMPLATE), mode="warn")
    preflight(Stub("{% for m in messages %}{{ m.content }}{% endfor %}"), fix=True)
    assert trl.asked == 0


IN_A_FIELD = {
    "messages": [PLAIN["messages"][0], {"role": "assistant", "content": "8", "reasoning_content": "2 times 4"}]
}
PLAIN_CHAT = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"


def test_no_file_and_no_line_of_one_is_named_that_the_user_does_not_have() -> None:
    with pytest.raises(PreflightError) as error:
        preflight(Stub(tiny_model.TEMPLATE))
    told = str(error.value)
    assert "at chat_template:" in told
    assert ".jinja" not in told and ".json" not in told


def test_each_repair_is_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        repaired = preflight(Stub(tiny_model.TEMPLATE), fix=True).repaired
    told = [record.getMessage() for record in caplog.records]
    assert told and all(each.startswith("preflight repaired TF") and "\n" not in each for each in told)
    assert any("TF201" in each for each in told) and "TF201" in repaired


def test_the_first_of_several_processes_says_all_and_every_one_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(PreflightError) as error:
        preflight(Stub(tiny_model.TEMPLATE))
    assert str(error.value).endswith("(the first process reports all of it)") and "\n" not in str(error.value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        preflight(Stub(tiny_model.TEMPLATE), mode="warn")


def test_a_repair_is_promised_only_where_it_was_made() -> None:
    with pytest.raises(PreflightError, match=r"Next: preflight\(tokenizer, fix=True\) repairs .*TF201"):
        preflight(Stub(tiny_model.TEMPLATE))
    with pytest.raises(PreflightError) as error:
        preflight(Stub(PLAIN_CHAT), [IN_A_FIELD])
    told = " ".join(str(error.value).split())
    assert "not judged: no reasoning tags were found" in told
    assert "Options(tags=(('<think>', '</think>'),))) repairs TF203" in told
    with pytest.raises(PreflightError, match=r"Repaired: nothing\. Next: preflight"):
        preflight(Stub(PLAIN_CHAT), [IN_A_FIELD], fix=True)


def test_what_a_preflight_came_to_is_short_and_a_table_in_notebooks() -> None:
    found = preflight(Stub(tiny_model.TEMPLATE), [PLAIN])
    assert repr(found).startswith("<Preflight: ") and "0 of 1 rows in trouble" in repr(found)
    assert len(repr(found)) < 300
    assert "<table><tr><td>error</td><td>TF201</td>" in found._repr_html_()


def test_the_rows_are_a_table_in_notebooks_too() -> None:
    told = preflight(Stub(KEEPS), [{"messages": json.dumps(PLAIN["messages"])}])
    assert "0 of 1 rows in trouble" in repr(told.survey)
    assert "<td>note</td><td>1 rows have messages as JSON text</td>" in told._repr_html_()


FIELD_ALONE = (
    "{% for m in messages %}<|{{ m.role }}|>"
    "{% if m.reasoning_content %}<|in|>{{ m.reasoning_content }}<|out|>{% endif %}{{ m.content }}<|end|>{% endfor %}"
)


def test_what_comes_back_rewrites_the_rows() -> None:
    with pytest.warns(PreflightWarning, match=r"mode=\"warn\"\).rewrite\(dataset\)"):
        found = preflight(Stub(FIELD_ALONE), [LOSING], mode="warn", options=Options(tags=(("<|in|>", "<|out|>"),)))
    question, reasoning, answer = tiny_model.QUESTIONS[0]
    assert list(found.rewrite([LOSING, PLAIN])) == [tiny_model.in_field(question, reasoning, answer), PLAIN]
    assert list(found.rewrite({"train": [PLAIN], "test": [PLAIN]})) == [PLAIN] * 2
    with pytest.raises(CheckpointError, match="no check of rows"):
        Preflight(found.report).rewrite([PLAIN])


def test_no_option_of_the_command_line_is_named_in_a_script() -> None:
    rows = [{"question": "Why?", "thinking": REASONING, "answer": "So it is."}]
    with pytest.raises(PreflightError) as error:
        preflight(Stub(KEEPS), rows)
    told = " ".join(str(error.value).split())
    assert "columns={'prompt': 'question', 'completion': 'answer', 'reasoning': 'thinking'} reads them" in told
    assert "--" not in told
    with pytest.raises(PreflightError) as error:
        preflight(Stub(KEEPS), [{**LOSING, "thoughts": REASONING}, tiny_model.in_field("Why?", REASONING, "So it is.")])
    assert "--" not in str(error.value)


def kept(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"labels": [row["input_ids"] for row in rows]}


def masked(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"labels": [[-100 if each == PadsWithEnd.pad_token_id else each for each in rows[0]["input_ids"]]]}


def failing(rows: list[dict[str, Any]]) -> dict[str, Any]:
    raise KeyError("images")


class PadsWithEnd(Stub):
    """Pads with the token that ends turns."""

    pad_token_id = 0

    def __init__(self, template: str) -> None:
        super().__init__(template)
        config = json.loads(self.files["tokenizer_config.json"])
        self.files["tokenizer_config.json"] = json.dumps({**config, "pad_token": config["eos_token"]})
        PadsWithEnd.pad_token_id = int(self.backend.token_to_id(config["eos_token"]))


@pytest.mark.parametrize(
    "collator, level",
    [(None, "warning"), (kept, "note"), (masked, "warning"), (failing, "warning")],
)
def test_a_collator_shows_whether_padding_that_ends_turns_is_masked(collator: Any, level: str) -> None:
    found = preflight(PadsWithEnd(KEEPS), [PLAIN], mode="warn", collator=collator)
    assert [each.level.value for each in found.report.findings if each.code == "TF504"] == [level]

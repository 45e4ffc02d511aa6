from __future__ import annotations

import json
from pathlib import Path

import pytest

import template_fix
from template_fix.cli.demo import model_files
from template_fix.cli.main import main

FILES = model_files()
CONFIG = json.loads(FILES["tokenizer_config.json"])


def written(folder: Path, **changed: str | None) -> str:
    """Write the demo's model with files changed, or left out where they are None, and return its name."""
    folder.mkdir(parents=True)
    for name, text in {**FILES, **{name.replace("__", "."): text for name, text in changed.items()}}.items():
        if text is not None:
            (folder / name).write_text(text, encoding="utf-8")
    return str(folder)


def config(**changed: object) -> str:
    return json.dumps({**CONFIG, **changed})


@pytest.fixture
def base(tmp_path: Path) -> str:
    return written(tmp_path / "base")


def test_a_model_does_what_it_does(base):
    found = template_fix.compare(base, base)
    assert not found.differs
    assert [each.code for each in found.inherited] == [each.code for each in template_fix.check(base).findings]
    assert (found.added, found.repaired, found.tokens, found.parts) == ((), (), (), ())
    [template] = found.templates
    assert (template.same_text, template.otherwise) == (True, 0)
    assert template.tried > 100


def test_a_repair_is_told_as_one(base, tmp_path):
    template_fix.patch(base, output=tmp_path / "tuned")
    found = template_fix.compare(base, tmp_path / "tuned")
    assert {"TF201", "TF301"} <= {each.code for each in found.repaired}
    assert {each.code for each in found.inherited} == {"TF205", "TF504"}
    assert ("<think>", "id 293, special", "id 293, not special") in found.tokens
    assert found.templates[0].otherwise > 0
    assert found.differs


def test_a_defect_that_is_new_is_told_as_added(base, tmp_path):
    template_fix.patch(base, output=tmp_path / "tuned")
    found = template_fix.compare(tmp_path / "tuned", base)
    assert {"TF201", "TF301"} <= {each.code for each in found.added}


def test_another_spelling_of_the_same_text_is_no_difference(base, tmp_path):
    spelled = config(chat_template=CONFIG["chat_template"] + "{# for you #}")
    found = template_fix.compare(base, written(tmp_path / "tuned", tokenizer_config__json=spelled))
    [template] = found.templates
    assert (template.same_text, template.otherwise, found.differs) == (False, 0, False)


def test_what_is_printed_otherwise_is_shown_in_the_shortest_conversation(base, tmp_path):
    other = config(chat_template=CONFIG["chat_template"].replace("'<|' + message", "'<# ' + message"))
    [template] = template_fix.compare(base, written(tmp_path / "tuned", tokenizer_config__json=other)).templates
    assert template.otherwise == template.tried
    assert "<|user|>" in template.shown[0].given
    assert "<# user|>" in template.shown[0].printed
    assert len(template.shown[0].given) <= len(template.shown[-1].given)


def test_another_prompt_alone_is_a_difference(base, tmp_path):
    source = CONFIG["chat_template"]
    prompted = f"{source}{{% if add_generation_prompt %}}!{{% endif %}}"
    other = config(chat_template=prompted)
    [template] = template_fix.compare(base, written(tmp_path / "tuned", tokenizer_config__json=other)).templates
    assert template.otherwise == template.tried
    assert template.shown[0].subject.endswith("generation prompt")


def test_tokens_and_stops_are_compared(base, tmp_path):
    changed = json.loads(FILES["tokenizer.json"])
    changed["added_tokens"][-1]["id"] += 7
    changed["model"]["unk_token"] = "other"
    found = template_fix.compare(
        base,
        written(
            tmp_path / "tuned",
            tokenizer__json=json.dumps(changed),
            tokenizer_config__json=config(pad_token="<pad>"),
            generation_config__json=json.dumps({"eos_token_id": 290}),
        ),
    )
    told = {change.token: change for change in found.tokens}
    assert (told["pad_token"].base, told["pad_token"].tuned) == ("<|end|>", "<pad> and <|end|>")
    assert told["what generation stops at"][1:] == ("<|end|>", "<|system|>")
    assert any(change.base.startswith("id ") for change in found.tokens)
    assert found.parts == ("model",)


def test_files_that_are_laid_out_otherwise_are_no_difference(base, tmp_path):
    spread = json.dumps(json.loads(FILES["tokenizer.json"]), indent=7)
    found = template_fix.compare(base, written(tmp_path / "tuned", tokenizer__json=spread))
    assert not found.differs


def test_a_template_that_one_lacks_is_a_difference(base, tmp_path):
    bare = json.dumps({key: value for key, value in CONFIG.items() if key != "chat_template"})
    found = template_fix.compare(base, written(tmp_path / "tuned", tokenizer_config__json=bare))
    assert [each.failure for each in found.templates] == ["only the base model has it"]
    assert found.differs


@pytest.mark.slow
def test_templates_that_cannot_be_run_are_told(base, tmp_path):
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    for name, source in (("endless", endless), ("broken", "{% if %}")):
        tuned = written(tmp_path / name, tokenizer_config__json=config(chat_template=source))
        found = template_fix.compare(base, tuned)
        assert found.differs
        assert found.templates[0].failure or found.templates[0].otherwise


def test_what_cannot_be_run_is_not_said_to_differ_from_itself(tmp_path, capsys):
    broken = written(tmp_path / "broken", tokenizer_config__json=config(chat_template="{% if %}"))
    found = template_fix.compare(broken, broken)
    assert (found.differs, len(found.unknown)) == (False, 1)
    assert main(["compare", broken, broken]) == 2
    assert "templates could not be compared" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_command_says_so_and_exits_with_it(base, tmp_path, capsys, form):
    template_fix.patch(base, output=tmp_path / "tuned")
    assert main(["compare", base, base, "--format", form]) == 0
    capsys.readouterr()
    assert main(["compare", base, str(tmp_path / "tuned"), "--format", form]) == 1
    out = capsys.readouterr().out
    if form == "json":
        told = json.loads(out)
        assert (told["exit_code"], told["inherited"]) == (1, ["TF205", "TF504"])
        assert told["templates"][0]["shown"][0]["labels"] == ["base", "tuned"]
    else:
        assert "repaired error TF201" in out
        assert "<think>: base id 293, special; tuned id 293, not special" in out


def test_two_revisions_of_one_model_are_compared(hub, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    repo = hub.add("org/model", {name: text.encode() for name, text in FILES.items()})
    first = repo.refs["main"]
    repo.commit({"tokenizer_config.json": config(chat_template="{{ messages }}").encode()}, "main")
    assert main(["compare", "org/model", "--revision", first, "--revision", "main"]) == 1
    assert f"org/model at {first[:8]} and org/model at " in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["only"], "compare takes two models, or one with --revision twice"),
        (["only", "--revision", "main"], "compare takes two models, or one with --revision twice"),
        (["a", "b", "--revision", "1", "--revision", "2", "--revision", "3"], "compare takes two models"),
        (["nowhere", "elsewhere"], "nowhere: no such directory"),
    ],
)
def test_what_cannot_be_compared_is_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err

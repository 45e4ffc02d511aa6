"""A chat template in a file of its own, as vLLM, llama.cpp and Axolotl are given one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from template_fix.cli.demo import model_files
from template_fix.cli.main import main

DROPS = """\
{%- for message in messages %}
{%- if message.role == 'assistant' %}
{{- '<|im_start|>assistant\\n' + message.content.split('</think>')[-1] + '<|im_end|>\\n' }}
{%- else %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n<think>\\n' }}{%- endif %}
"""


class Told(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return " ".join((self.stdout + self.stderr).split())


Run = Callable[..., Told]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> Told:
        return Told(main(list(map(str, arguments))), *capfd.readouterr())

    return run


@pytest.fixture(params=["mine.jinja", "mine.jinja2", "mine.j2", "chat_template.jinja"])
def template(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    path.write_bytes(DROPS.encode())
    return path


def test_it_is_checked_by_its_path(run: Run, template: Path) -> None:
    report = json.loads(run("check", template, "--format", "json").stdout)
    places = {finding["code"]: finding["place"] for finding in report["models"][0]["findings"]}
    assert (places["TF201"]["file"], places["TF201"]["line"]) == (template.name, 3)


def test_code_scanning_is_led_to_the_file_itself(run: Run, template: Path) -> None:
    results = json.loads(run("check", template, "--format", "sarif").stdout)["runs"][0]["results"]
    uris = {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in results}
    assert uris == {template.as_uri()}


def test_it_is_repaired_in_place_and_undone_byte_for_byte(run: Run, template: Path) -> None:
    patched = run("patch", template)
    assert patched.exit_code == 0, patched.output
    assert f"template-fix undo {template}" in patched.output
    assert template.read_text() != DROPS
    assert "TF201" not in run("check", template).output
    assert run("undo", template).exit_code == 0
    assert template.read_bytes() == DROPS.encode()


def test_the_repaired_file_is_written_elsewhere_under_its_name(run: Run, template: Path, tmp_path: Path) -> None:
    assert run("patch", template, "--output", tmp_path / "out").exit_code == 0
    assert template.read_text() == DROPS
    assert "TF201" not in run("check", tmp_path / "out" / template.name).output


def test_what_lies_beside_it_is_not_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text("{ no json")
    (tmp_path / "mine.jinja").write_text(DROPS)
    assert "TF201" in run("check", tmp_path / "mine.jinja").output


def test_undo_of_one_file_takes_back_no_change_of_another(run: Run, tmp_path: Path) -> None:
    first, second = tmp_path / "first.jinja", tmp_path / "second.jinja"
    for path in (first, second):
        path.write_text(DROPS)
        assert run("patch", path).exit_code == 0
    refused = run("undo", first)
    assert refused.exit_code == 2
    assert "the last change here was of second.jinja" in refused.output
    assert [run("undo", path).exit_code for path in (second, first)] == [0, 0]
    assert first.read_text() == second.read_text() == DROPS


def test_rows_are_rendered_with_it(run: Run, template: Path, tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "<think>So.</think>Yes."}]
    (tmp_path / "rows.jsonl").write_text(json.dumps({"messages": turns}))
    told = run("check", template, "--data", tmp_path / "rows.jsonl")
    assert "1 of 1" in told.output


def test_a_directory_that_only_has_a_template_by_another_name_says_how(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.jinja").write_text(DROPS)
    told = run("check", tmp_path)
    assert told.exit_code == 2
    assert str(tmp_path / "mine.jinja") in told.output


def test_a_directory_may_be_called_like_a_template(run: Run, tmp_path: Path) -> None:
    directory = tmp_path / "model.jinja"
    directory.mkdir()
    (directory / "chat_template.jinja").write_text(DROPS)
    assert "TF201" in run("check", directory).output


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("gone.jinja", None, "no such file"),
        ("mine.jinja", b"\xff\xfe{", "this is not UTF-8"),
        ("mine.bin", b"GGUF", "this is a file; name its directory, or else a template"),
        ("mine.jinja", b"{{ " * 8_000_000, "are more than a file of this kind holds"),
    ],
)
def test_what_is_none_is_one_line_and_2(
    run: Run, tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    told = run("check", tmp_path / name)
    assert told.exit_code == 2
    assert reason in told.output
    assert len((told.stdout + told.stderr).splitlines()) == 1


def test_it_is_not_pushed_as_a_tokenizer(run: Run, template: Path) -> None:
    told = run("push", template, "--to", "me/mine", "--dry-run")
    assert told.exit_code == 2
    assert "name the directory of its model" in told.output


@pytest.fixture
def lender(tmp_path: Path) -> Path:
    folder = tmp_path / "lender"
    folder.mkdir()
    for name, text in model_files().items():
        folder.joinpath(name).write_text(text, encoding="utf-8")
    return folder


BEGINS = "{{ bos_token }}" + DROPS


def test_a_tokenizer_is_lent_to_it_by_another_model(run: Run, tmp_path: Path, lender: Path) -> None:
    path = tmp_path / "mine.jinja"
    path.write_text(BEGINS)
    told = json.loads(run("check", path, "--tokens", lender, "--format", "json").stdout)["models"][0]
    assert {finding["place"]["file"] for finding in told["findings"]} == {path.name}
    shown = run("show", path, "--tokens", lender).output
    assert "<|begin|><|im_start|>user" in shown
    assert "1 token, 293=<think>" in shown


def test_the_lender_stays_as_it_is(run: Run, tmp_path: Path, lender: Path) -> None:
    former = {each.name: each.read_bytes() for each in lender.iterdir()}
    path = tmp_path / "mine.jinja"
    path.write_text(BEGINS)
    assert run("patch", path, "--tokens", lender).exit_code == 0
    assert path.read_text() != BEGINS
    path.write_text(BEGINS)
    assert run("patch", path, "--tokens", lender, "--output", tmp_path / "out").exit_code == 0
    assert [each.name for each in (tmp_path / "out").iterdir()] == [path.name]
    assert {each.name: each.read_bytes() for each in lender.iterdir()} == former


def test_a_model_is_lent_none(run: Run, lender: Path) -> None:
    told = run("check", lender, "--tokens", lender)
    assert told.exit_code == 2
    assert "--tokens is for a template in its own file" in told.output

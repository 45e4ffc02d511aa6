"""Whatever a stranger named or wrote: no control character and no secret of the user's comes out anywhere."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import tiny_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rendering import render

from template_fix.bounds.limits import ChildError
from template_fix.cli.main import main
from template_fix.data.survey import Survey
from template_fix.data.tally import Tally
from template_fix.jinja.renderer import RenderError
from template_fix.report.as_json import document, report_json
from template_fix.report.checks import check_lines
from template_fix.report.excerpts import edit_line, evidence_lines, shorten_pieces, source_lines
from template_fix.report.showing.lines import shown_lines
from template_fix.report.showing.rendering import Shown, Turn
from template_fix.report.terminal import Line, Piece, add_marks, line, printer, wrap
from template_fix.results import Evidence, Finding, Level, Place, Report
from template_fix.text.edits import Edit, Span
from template_fix.training.preflight import plain_text

CONTROLS = [chr(code) for code in (*range(32), *range(127, 160), 0x202E, 0x2028, 0x2029, 0xFEFF, 0xD800)]
ACTS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028\u2029\ufeff\ud800-\udfff]")
COLOURS = re.compile(r"\x1b\[[\d;]*m")
TOKEN = "my-secret-token-123"
SECRETS = [TOKEN, "hf_ABCDEFGHIJKLMNOPQRSTUVWXYZ01234567", "Bearer s3cr3t.value", "https://me:s3cr3t@host/x"]
HIDDEN = (TOKEN, "hf_ABC", "s3cr3t")
TITLE, CLEAR = "\x1b]0;x\x07", "\x1b[2J"

texts = st.text(st.one_of(st.sampled_from(CONTROLS), st.characters(), st.sampled_from("ab ")), max_size=40)
texts = texts.filter(lambda text: not any(secret in text for secret in HIDDEN))
pieces = st.builds(Piece, st.one_of(texts, st.sampled_from(SECRETS)), st.sampled_from(["", "lost", "dim", "code"]))
fast = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


def harmless(text: str) -> bool:
    return not ACTS.search(text) and not any(secret in text for secret in HIDDEN)


# What is printed


@fast
@given(st.lists(pieces, max_size=5), st.booleans(), st.sampled_from([io.StringIO, Terminal]))
def test_no_control_character_and_no_secret_reaches_the_stream(parts: Any, fixed: bool, kind: Any) -> None:
    stream = kind()
    printer(stream)([line(*parts, indent=2, hang=2, fixed=fixed)])
    assert harmless(COLOURS.sub("", stream.getvalue()).replace("\n", ""))
    assert harmless(plain_text([line(*parts, fixed=fixed)]).replace("\n", ""))


@pytest.mark.parametrize("char", CONTROLS, ids=ascii)
def test_every_control_character_is_spelled(char: str) -> None:
    assert harmless(plain_text([line(f"a{char}b")]))


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("style", ["", "lost"])
def test_a_secret_in_two_pieces_is_one(secret: str, style: Any) -> None:
    for at in range(1, len(secret)):
        told = plain_text([line("x ", Piece(secret[:at], style), secret[at:])])
        assert not re.search("token-123|ABCDEFGHI|XYZ01234567|s3cr3t", told.replace("-]", "").replace("[-", ""))


@fast
@given(st.sampled_from(SECRETS), st.integers(0, 90), st.integers(0, 300), st.integers(0, 40), st.integers(20, 90))
def test_excerpts_show_no_part_of_a_secret(secret: str, before: int, after: int, width: int, room: int) -> None:
    source = "." * before + " " + secret + " " + "," * after
    place = Place("t", 1, before + 1, "default", 1, before + 1, source, width)
    edit = Edit(Span(before, before + width), secret)
    shown = [*source_lines(place, room), edit_line("t", source, edit, 0)]
    shown += evidence_lines(Evidence("x", source, source, (source[before : before + width],)), 0)
    assert not re.search("my-s|ret-t|n-123|hf_A|EFGH|4567|s3c|r3t", plain_text(shown).replace("-]", ""))


# What is cut


def lines_of(text: str) -> list[Line]:
    place = Place(text, 1, len(text) // 2, text, 1, len(text) // 2, text, len(text))
    evidence = Evidence(text, text, text, (text[:100], text[-100:]), (text[::2],))
    finding = Finding("TF201", Level.ERROR, text, place, (evidence,), text)
    return [
        *check_lines(Report(text[:4000], (finding,), ())),
        edit_line(text, text, Edit(Span(0, len(text) // 2), text), 0),
        *shown_lines(Shown(text, (Turn(text, ()),), text)),
        line(*shorten_pieces([Piece(text), Piece(text, "lost")] * 99)),
    ]


@pytest.mark.parametrize("size", [10**3, 10**4, 10**6])
@pytest.mark.parametrize("unit", ["x", "é", "日", "\n", "\x1b", "\u0301", "a ", "hf_"], ids=ascii)
def test_what_is_shown_of_a_long_text_is_short(unit: str, size: int) -> None:
    text = unit * (size // len(unit))
    started = time.process_time()
    shown = [[piece.text for piece in row] for each in lines_of(text)[:-1] for row in wrap(add_marks(each), 100)]
    assert sum(len(text) for row in shown for text in row) < 100_000
    assert time.process_time() - started < 3


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["é", "日\u0301", " ", "a "], ids=ascii)
def test_wrapping_takes_as_long_as_the_text_is(unit: str) -> None:
    started = time.process_time()
    assert sum(1 for _ in wrap(line(unit * (10**6 // len(unit)), fixed=True), 80)) == 1
    assert sum(1 for _ in wrap(line(unit * (10**6 // len(unit))), 80)) < 20_000
    assert time.process_time() - started < 5


def test_what_a_template_raises_is_one_line() -> None:
    started = time.process_time()
    with pytest.raises(RenderError) as caught:
        render("{{ raise_exception('\x1b[2J\n' ~ 'é' * 1000000) }}", [])
    assert str(caught.value).startswith("\\x1b[2J é") and len(str(caught.value)) <= 500
    assert time.process_time() - started < 1


def test_in_json_an_experiment_is_shown_around_what_it_loses() -> None:
    given_text = "a" * 10**6 + "LOST" + "b" * 10**6
    evidence = Evidence("x", given_text, given_text, ("LOST",) * 10**5, ("zz", "b" * 10**6))
    told = report_json(Report("m", (Finding("TF201", Level.ERROR, "x", evidence=(evidence,)),), ()))
    assert len(json.dumps(told)) < 100_000
    [only] = told["findings"][0]["evidence"]
    assert "LOST" in only["given"] and only["lost"][0] == "LOST"


# What is sent to programs


@fast
@given(st.recursive(st.one_of(texts, st.sampled_from(SECRETS)), lambda each: st.dictionaries(texts, st.lists(each))))
def test_no_secret_is_in_json(value: Any) -> None:
    told = document("check", {"value": value, **dict.fromkeys(SECRETS, 1)})
    assert json.loads(told)["schema"] == 1
    assert harmless(told.replace("\n", ""))


# The command line


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A model of which every name and every text was chosen to act on a terminal, or to show a secret."""
    folder = tiny_model.written(tmp_path / f"{TITLE}{SECRETS[1]}\n{CLEAR}")
    (folder / "additional_chat_templates").mkdir()
    bad = f"{{{{ raise_exception('{CLEAR}Authorization: {SECRETS[2]} {TOKEN}' ~ 'é' * 1000000) }}}}"
    (folder / "additional_chat_templates" / f"{CLEAR}{TOKEN}.jinja").write_text(bad)
    (folder / "additional_chat_templates" / f"{TITLE}.jinja").write_text("{% if")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    listed = [{"name": name, "template": tiny_model.TEMPLATE} for name in ("default", f"{CLEAR} {SECRETS[1]}")]
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": listed}))
    return folder


def asked(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main(arguments)
    out, err = capfd.readouterr()
    return code, out + err


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["check", "MODEL"], id="check"),
        pytest.param(["check", "MODEL", "--format", "json"], id="check as json"),
        pytest.param(["check", "MODEL", "--format", "sarif"], id="check as sarif"),
        pytest.param(["patch", "MODEL"], id="patch"),
        pytest.param(["patch", "MODEL", "--format", "json"], id="patch as json"),
        pytest.param(["show", "MODEL", "--messages", "ROWS"], id="show"),
        pytest.param(["show", "MODEL", "--variant", f"{CLEAR}{TOKEN}"], id="show a variant that fails"),
        pytest.param(["show", "MODEL", "--variant", f"{TITLE}"], id="show a variant that does not parse"),
        pytest.param(["show", "MODEL", "--variant", f"{CLEAR}?"], id="show a variant that is not there"),
        pytest.param(["show", "MODEL", "--messages", "ROWS", "--format", "json"], id="show as json"),
        pytest.param(["check", "MODEL", "--data", "ROWS"], id="rows that fail and rows that are broken"),
        pytest.param(["check", "MODEL", "--data", "ROWS", "--format", "json"], id="rows as json"),
        pytest.param(["undo", "MODEL"], id="undo"),
        pytest.param(["check", f"MODEL/{CLEAR}{TOKEN}"], id="a model that is not there"),
        pytest.param(["demo", f"MODEL/tokenizer.json/{CLEAR}"], id="a directory that can't be made"),
    ],
)
def test_nothing_in_a_model_acts_on_a_terminal(hostile: Path, capfd: Any, arguments: list[str]) -> None:
    roles = [f"{CLEAR}{TOKEN}", "user", "assistant"]
    row = {"messages": [{"role": role, "content": f"{TITLE} {SECRETS[2]}\n<think>x</think>y"} for role in roles]}
    rows = hostile / f"{TITLE}{TOKEN}.jsonl"
    rows.write_text("\n".join([json.dumps(row), json.dumps({f"{CLEAR}{TOKEN}": 1}), f'{{"{CLEAR}'] * 3))
    started = time.process_time()
    given_arguments = [each.replace("MODEL", str(hostile)).replace("ROWS", str(rows)) for each in arguments]
    code, told = asked(given_arguments, capfd)
    assert code in (0, 1, 2) and told.strip()
    assert harmless(told.replace("\n", ""))
    assert "Traceback" not in told and len(told) < 100_000
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["check", "BAD", "--BAD"], id="an option"),
        pytest.param(["BAD"], id="a command"),
        pytest.param(["undo", "x", "BAD"], id="an argument too many"),
        pytest.param(["check", "x", "--format", "BAD"], id="a choice"),
        pytest.param(["check", "x", "--limit", "BAD"], id="a number"),
        pytest.param(["check", "x", "--column", "BAD"], id="a column"),
        pytest.param(["check", "x", "--select", "BAD"], id="a code"),
        pytest.param(["explain", "BAD"], id="a page"),
        pytest.param(["check", "x", "--data", "BAD"], id="data"),
    ],
)
def test_what_the_shell_hands_over_is_told_in_harmless_lines(arguments: list[str], capfd: Any) -> None:
    bad = f"{CLEAR}\nError: {TITLE} {' '.join(SECRETS)}{'é' * 10**6}"
    code, told = asked([each.replace("BAD", bad) for each in arguments], capfd)
    assert code == 2
    assert harmless(told.replace("\n", ""))
    assert len(told) < 2000 and told.count("\n") <= 4


def test_the_help_keeps_its_lines(capfd: Any) -> None:
    _, told = asked([], capfd)
    assert told.count("\n") > 20


def test_an_error_of_the_system_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"""
from template_fix.cli import main as cli
from template_fix.cli import output
def refuse(*_):
    raise OSError(28, "No space left", {CLEAR + TOKEN!r})
output.print_rules = refuse
raise SystemExit(cli.main(["explain"]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "template-fix: \\x1b[2J***: No space left\n")


def test_what_is_asked_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from template_fix.cli import writing

    asked: list[str] = []
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("click.confirm", lambda text, err: bool(asked.append(text)))
    assert not writing._ask(f"{CLEAR}\n{TOKEN}" + "é" * 10**6)
    assert asked[0].startswith("\\x1b[2J ***é") and harmless(asked[0])


def test_a_diff_for_a_program_is_exact_and_one_for_a_terminal_harmless(
    hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from template_fix.cli import output

    for stream, shown in ((Terminal(), "+\\x1b[2J***\n"), (io.TextIOWrapper(io.BytesIO()), f"+{CLEAR}{TOKEN}\n")):
        monkeypatch.setattr("sys.stdout", stream)
        output._write_exactly(f"+{CLEAR}{TOKEN}\n")
        stream.seek(0)
        assert stream.read() == shown


@pytest.mark.parametrize(
    "fault, told",
    [
        pytest.param(
            'Traceback (most recent call last):\n  File "/x/template_fix/limits.py", line 9, in run\n    f()\n'
            '  File "/x/template_fix/study.py", line 12, in look\n    a + b\n    ~~^~~\n'
            "TypeError: can't add \x1b[2J\nmore\n",
            "template-fix itself failed on this (TypeError in study.py, line 12): can't add \\x1b[2J; please report it",
            id="a traceback",
        ),
        pytest.param(
            'Traceback (most recent call last):\n  File "study.py", line 1, in look\nAssertionError\n',
            "template-fix itself failed on this (AssertionError in study.py, line 1); please report it",
            id="a traceback without a message",
        ),
        pytest.param(
            "the child process ended with code 1",
            "template-fix itself failed on this (the child process ended with code 1); please report it",
            id="no traceback",
        ),
    ],
)
@pytest.mark.parametrize("command", ["check", "patch", "show"])
def test_a_fault_of_our_own_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: Any, tmp_path: Path, command: str, fault: str, told: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ChildError(fault)

    for name in ("api.check", "api.patch", "api.show"):
        monkeypatch.setattr(f"template_fix.{name}", fail)
    model = tiny_model.written(tmp_path / "m")
    assert asked([command, str(model)], capfd) == (2, f"template-fix: {model}: {told}\n")


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text are Linux's")
def test_a_directory_whose_name_is_no_text_has_an_address(tmp_path: Path, capfd: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"m\xff")
    tiny_model.written(Path(name))
    for model in (name, str(tmp_path / name)):
        code, told = asked(["check", model, "--format", "sarif"], capfd)
        places = [
            result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
            for result in json.loads(told)["runs"][0]["results"]
        ]
        assert code == 1 and all("m%FF" in place for place in places)


def test_a_survey_of_hostile_data_is_short() -> None:
    from template_fix.data.tally import Counted, Example
    from template_fix.report.data import survey_lines

    long = f"{CLEAR}{TOKEN}" + "é" * 10**6
    kinds = tuple(Counted(kind, 1, (Example(long, 1, 1, long),)) for kind in ("failed", "broken", "nulls"))
    tally = Tally(rows=1, failed=1, broken=1, troubles=kinds)
    told = plain_text(survey_lines(Survey((long,), tally)))
    assert harmless(told.replace("\n", "")) and len(told) < 5000

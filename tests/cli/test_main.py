from __future__ import annotations

import gc
import io
import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
from samples import CLEAN, FOUND, LEFT, PATCHED, UNTOUCHED, UNTRIED

from template_fix.cli.main import main
from template_fix.engine.patch import Options
from template_fix.report.terminal import cell_width
from template_fix.results import Level, PatchResult, Refusal, Repair, Report, Target
from template_fix.rules import Rule

BEFORE = '{"chat_template": "old"}\n'


class Engine:
    """Stands in for the engine: it finds what the test says, by the name of the directory."""

    def __init__(self):
        self.reports = {"broken": FOUND, "warned": LEFT, "fine": CLEAN, "unparsed": UNTRIED}
        self.results = {"broken": PATCHED, "fine": UNTOUCHED}
        self.options = None

    def check(self, checkpoint, options):
        self.options = options
        return self.reports[Path(checkpoint.name).name]

    def patch(self, checkpoint, options):
        self.options = options
        name = Path(checkpoint.name).name
        result = self.results[name]
        before, after = (
            Report(checkpoint.name, each.findings, each.templates) for each in (result.before, result.after)
        )
        changed = {"tokenizer_config.json": (BEFORE, BEFORE.replace("old", "new"))} if result.changed else {}
        return PatchResult(before, after, result.kept, result.refused, changed)


def rule(code, level):
    return Rule(code, level, f"{code} in short", f"What {code} is.\n\n    an example\n\nMore.\n", lambda _: iter(()))


@pytest.fixture
def engine(monkeypatch):
    engine = Engine()
    monkeypatch.setattr("template_fix.engine.checked.check", lambda *given: engine.check(*given))
    monkeypatch.setattr("template_fix.engine.patch.patch", lambda *given: engine.patch(*given))
    rules = (rule("TF201", Level.ERROR), rule("TF205", Level.WARNING), rule("TF301", Level.ERROR))
    monkeypatch.setattr("template_fix.rules.RULES", rules)
    return engine


@pytest.fixture
def models(tmp_path, monkeypatch):
    for name in ("broken", "warned", "fine", "unparsed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokenizer_config.json").write_text(BEFORE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(engine, models, capfd):
    def call(*arguments):
        code = main(arguments)
        return code, *capfd.readouterr()

    return call


@pytest.mark.parametrize(
    "arguments, code",
    [
        pytest.param(["fine"], 0, id="a clean model is 0"),
        pytest.param(["warned"], 0, id="warnings are 0"),
        pytest.param(["warned", "--strict"], 1, id="warnings are 1 with --strict"),
        pytest.param(["broken"], 1, id="errors are 1"),
        pytest.param(["broken", "warned", "--strict", "--exit-zero"], 0, id="nothing found counts with --exit-zero"),
        pytest.param(["broken", "nowhere", "--exit-zero"], 2, id="what could not be done is 2 with --exit-zero, too"),
        pytest.param(["fine", "broken"], 1, id="one model with errors is 1"),
        pytest.param(["unparsed"], 2, id="a template that can't be tried is 2"),
        pytest.param(["nowhere"], 2, id="a model that can't be read is 2"),
        pytest.param(["nowhere", "broken"], 2, id="a failure is 2 whatever else is found"),
    ],
)
@pytest.mark.parametrize("form", ["text", "concise", "github", "json", "sarif"])
def test_exit_codes_of_check(call, arguments, code, form):
    assert call("check", *arguments, "--format", form)[0] == code


def test_a_model_that_cannot_be_read_stops_no_other(call):
    _, out, err = call("check", "nowhere", "fine")
    assert err == "template-fix: nowhere: no such directory\n"
    assert out.startswith("models/ok: nothing wrong")


def test_several_models_end_with_what_all_came_to(call):
    _, out, _ = call("check", "nowhere", "broken", "warned", "fine")
    assert [each.split(": ")[:2] for each in out.splitlines()[-3:]] == [
        ["  TF201", "1 error in 1 model"],
        ["  TF205", "2 warnings in 2 models"],
        ["  TF301", "1 error in 1 model"],
    ]
    assert out.splitlines()[-4] == "4 models: 1 with errors, 1 with warnings, 1 with nothing wrong, 1 not read"


def test_statistics_are_that_alone(call):
    code, out, _ = call("check", "broken", "--statistics")
    assert code == 1
    assert out.splitlines()[0] == "1 model: 1 with errors"
    assert len(out.splitlines()) == 4


def test_quiet_is_a_line_for_each_model(call):
    _, out, err = call("check", "nowhere", "broken", "fine", "-q")
    assert out.splitlines()[:3] == ["models/r1: 2 errors, 1 warning", "models/ok: nothing wrong", ""]
    assert err == "template-fix: nowhere: no such directory\n"


def test_concise_is_a_line_for_each_finding(call):
    _, out, err = call("check", "nowhere", "broken", "fine", "--format", "concise")
    assert out.splitlines() == [
        "models/r1/tokenizer_config.json:2:40: TF201 error The last turn's reasoning is dropped.",
        "models/r1/tokenizer.json:7:5: TF301 error <think> is special, so decoding skips it.",
        "models/r1: TF205 warning The generation prompt opens a block that plain turns lack.",
    ]
    assert err == "template-fix: nowhere: no such directory\n"


def test_github_shows_findings_and_failures_beside_the_lines(call):
    _, out, _ = call("check", "nowhere", "broken", "--format", "github")
    assert out.splitlines() == [
        "::error title=template-fix::nowhere: no such directory",
        "::error file=models/r1/tokenizer_config.json,line=2,col=40,title=TF201::The last turn's reasoning is dropped."
        " Fix: Print the content as it is.",
        "::error file=models/r1/tokenizer.json,line=7,col=5,title=TF301::<think> is special, so decoding skips it."
        " Fix: Flag it as an ordinary added token.",
        "::warning file=models/r1,title=TF205::The generation prompt opens a block that plain turns lack.",
    ]


def test_check_in_json_is_one_document(call):
    code, out, err = call("check", "nowhere", "broken", "--format", "json")
    told = json.loads(out)
    assert [list(model)[:2] for model in told["models"]] == [["model", "error"], ["model", "findings"]]
    assert told["exit_code"] == code == 2
    assert err.count("\n") == 1


def test_check_in_sarif_is_one_log(call):
    _, out, _ = call("check", "broken", "fine", "--format", "sarif")
    log = json.loads(out)
    assert [rule["id"] for rule in log["runs"][0]["tool"]["driver"]["rules"]] == ["TF201", "TF205", "TF301"]


def test_options_reach_the_engine(call, engine):
    call("check", "fine", "--select", "tf2, TF301", "--ignore", "TF205", "--tag", "<a>", "</a>", "--tag", "[b]", "[/b]")
    assert engine.options == Options(
        frozenset({"TF2", "TF301"}), frozenset({"TF205"}), "preserve", (("<a>", "</a>"), ("[b]", "[/b]"))
    )
    call("patch", "fine", "--default", "original")
    assert engine.options == Options(frozenset(), frozenset(), "original", ())


def test_an_unknown_code_names_those_that_are_near(call):
    code, out, err = call("check", "fine", "--select", "TF290")
    assert code == 2
    assert "no rule is called TF290; did you mean" in err
    assert out == ""


def test_patch_writes_and_undo_restores(call, models):
    code, out, _ = call("patch", "broken")
    assert code == 0
    assert "Undo: template-fix undo broken" in out
    assert (models / "broken" / "tokenizer_config.json").read_text() == '{"chat_template": "new"}\n'
    code, out, _ = call("undo", "broken")
    assert (code, out) == (0, "broken: restored tokenizer_config.json\n")
    assert (models / "broken" / "tokenizer_config.json").read_text() == BEFORE
    code, out, err = call("undo", "broken")
    assert (code, out) == (2, "")
    assert err.startswith("template-fix: broken: there is nothing to undo")


def test_patch_exits_by_what_is_left(call, engine):
    engine.results["broken"] = PatchResult(FOUND, FOUND, (), (), {})
    assert call("patch", "broken")[0] == 1
    engine.results["broken"] = PatchResult(FOUND, LEFT, (), (), {})
    assert call("patch", "broken")[0] == 0


def test_patch_that_could_not_mark_is_1_and_says_so_first(call, engine):
    refused = Refusal(
        Repair(("TF501",), "mark what the model writes", "", "markers", (), Target.MARKERS), "a turn is printed twice"
    )
    engine.results["broken"] = PatchResult(LEFT, LEFT, (), (refused,), {})
    code, out, _ = call("patch", "broken", "--mark")
    assert (code, out.splitlines()[0]) == (1, "broken: not marked; nothing repaired")


def test_patch_of_a_clean_model_writes_nothing(call, models):
    code, out, _ = call("patch", "fine")
    assert code == 0
    assert "nothing to repair" in out
    assert os.listdir(models / "fine") == ["tokenizer_config.json"]


@pytest.mark.parametrize(
    "option, name, signed",
    [
        ("--diff", "tokenizer_config.json, its default template", "old{0}\n+new{0}"),
        ("--raw-diff", "tokenizer_config.json", '{{"chat_template": "old"}}\n+{{"chat_template": "new"}}'),
    ],
)
def test_a_diff_is_alone_on_stdout_and_writes_nothing(call, models, option, name, signed):
    code, out, err = call("patch", "broken", "fine", option)
    assert code == 0
    changed = signed.format("\n\\ No newline at end of file")
    assert out == f"--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-{changed}\n"
    assert "would change tokenizer_config.json; nothing was written" in err
    assert (models / "broken" / "tokenizer_config.json").read_text() == BEFORE


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("more", [[], ["--diff"]])
@pytest.mark.parametrize("model, expected", [("broken", 1), ("fine", 0), ("nowhere", 2)])
def test_patch_check_writes_nothing_and_is_1_where_it_would(call, models, model, expected, form, more):
    assert call("patch", model, "--check", "--format", form, *more)[0] == expected
    assert (models / "broken" / "tokenizer_config.json").read_text() == BEFORE


def test_output_takes_the_repaired_files_and_leaves_the_model(call, models):
    code, out, _ = call("patch", "broken", "--output", "repaired")
    assert code == 0
    assert "written to repaired" in out
    assert (models / "repaired" / "tokenizer_config.json").read_text() == '{"chat_template": "new"}\n'
    assert (models / "broken" / "tokenizer_config.json").read_text() == BEFORE


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["fine", "broken", "--output", "x"], id="several models into one directory"),
        pytest.param(["broken", "--output", "x", "--diff"], id="a diff that is to be written"),
        pytest.param(["broken", "--output", "x", "--check"], id="nothing that is to be written"),
    ],
)
def test_output_that_makes_no_sense_is_refused(call, models, arguments):
    code, out, err = call("patch", *arguments)
    assert (code, out) == (2, "")
    assert "--output can't be used with" in err
    assert not (models / "x").exists()


def test_patch_in_json(call):
    _, out, _ = call("patch", "broken", "--diff", "--format", "json")
    [told] = json.loads(out)["models"]
    assert told["written"] is None
    assert '+{"chat_template": "new"}' in told["diff"]


def test_undo_in_json(call):
    code, out, err = call("undo", "nowhere", "--format", "json")
    assert code == 2
    assert list(json.loads(out)) == ["schema", "version", "command", "model", "error"]
    assert err.count("\n") == 1


def test_explain_prints_a_page(call):
    code, out, _ = call("explain", "tf201")
    assert code == 0
    assert out == "TF201 error: TF201 in short\n\nWhat TF201 is.\n\n    an example\n\nMore.\n"


def test_explain_without_a_code_lists_all(call):
    assert call("explain")[1] == (
        "TF201  error    TF201 in short\nTF205  warning  TF205 in short\nTF301  error    TF301 in short\n"
    )
    assert [rule["code"] for rule in json.loads(call("explain", "--format", "json")[1])["rules"]] == [
        "TF201",
        "TF205",
        "TF301",
    ]


@pytest.mark.parametrize("code, hint", [("TF291", "did you mean TF2"), ("loss", "`template-fix explain` lists")])
def test_explain_of_an_unknown_code(call, code, hint):
    status, out, err = call("explain", code)
    assert (status, out) == (2, "")
    assert hint in err


def test_show_says_why_it_cannot(call):
    assert call("show", "nowhere") == (2, "", "template-fix: nowhere: no such directory\n")
    code, out, _ = call("show", "fine", "--messages", "nowhere.json", "--format", "json")
    assert (code, json.loads(out)["error"]) == (2, "nowhere.json: No such file or directory")


def test_show_renders(call, models):
    (models / "row.jsonl").write_text('{"messages": [{"role": "user", "content": "hello"}]}\n')
    code, out, _ = call("show", "fine", "--messages", "row.jsonl")
    assert code == 0
    assert out.splitlines() == [
        "fine, template in tokenizer_config.json",
        "",
        "row.jsonl",
        "  user",
        "    old[-hello-]",
        "",
        "no reasoning tags were found in the template or the vocabulary; name them with --tag OPEN CLOSE",
    ]


def named(models, **templates):
    listed = [{"name": name, "template": text} for name, text in templates.items()]
    (models / "fine" / "tokenizer_config.json").write_text(json.dumps({"chat_template": listed}))


def test_show_renders_the_template_that_is_named(call, models):
    named(models, default="first", tool_use="second")
    told = json.loads(call("show", "fine", "--variant", "tool_use", "--format", "json")[1])
    texts = {run["text"] for each in told["conversations"] for turn in each["turns"] for run in turn["runs"]}
    assert told["variant"] == "tool_use" and "second" in texts and "first" not in texts
    assert call("show", "fine", "--variant", "tool_use")[1].startswith("fine, template tool_use in tokenizer_config")
    assert call("show", "fine")[1].startswith("fine, template in tokenizer_config.json")


def test_show_names_the_templates_that_there_are(call, models):
    named(models, default="first", tool_use="second")
    complaint = "template-fix: fine: no chat template is named rag; the templates are default and tool_use\n"
    assert call("show", "fine", "--variant", "rag") == (2, "", complaint)


def test_a_conversation_that_is_refused_is_2(call, models):
    (models / "fine" / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ raise_exception('no') }}"}))
    code, out, _ = call("show", "fine")
    assert code == 2
    assert "the template refuses it: no" in out


def test_usage_errors_are_2(call):
    assert call("bogus")[0] == 2
    assert call("check")[0] == 2
    assert call("check", "fine", "--format", "yaml")[0] == 2


def test_version(call):
    code, out, _ = call("--version")
    assert code == 0
    assert out.startswith("template-fix ")


def test_interrupting_is_130(call, engine):
    def interrupted(checkpoint, options):
        raise KeyboardInterrupt

    engine.check = interrupted
    assert call("check", "fine")[0] == 130


def python(code, **kwargs):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, **kwargs)


def test_help_loads_nothing_heavy():
    heavy = ("jinja2", "tokenizers", "rich", "huggingface_hub", "transformers")
    script = "import sys; from template_fix.cli.main import main; main(['--help']); print(*sys.modules)"
    loaded = python(script).stdout.splitlines()[-1].split()
    assert "click" in loaded
    assert [name for name in heavy if name in loaded] == []


def test_the_module_runs():
    done = subprocess.run([sys.executable, "-m", "template_fix", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "Exit codes:" in done.stdout


CLOSED = """
import os, sys
from template_fix.cli import main as cli
from template_fix.cli import output
reader, writer = os.pipe()
os.close(reader)
os.dup2(writer, 1)
def many(*_):
    for _ in range(9999):
        print("x" * 99)
    return 0
output.print_rules = many
sys.exit(cli.main(["explain"]))
"""


def test_a_reader_who_closes_the_pipe_ends_it_quietly():
    done = python(CLOSED)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_output_that_cannot_be_written_is_one_line():
    command = [sys.executable, "-m", "template_fix", "--version"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_a_terminal_that_knows_only_ascii_is_no_reason_to_fail():
    told = "output.print_rules = lambda *_: print('…<｜User｜>') or 0"
    done = python(
        f"from template_fix.cli import main as cli, output; {told}; cli.main(['explain'])",
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.stdout == "\\u2026<\\uff5cUser\\uff5c>\n"


@pytest.mark.slow
def test_every_model_of_the_corpus_is_told_in_lines_that_fit(shared, tmp_path, capfd):
    models = [shutil.copytree(path, tmp_path / path.name) for path in sorted((shared / "corpus" / "models").iterdir())]
    for model in models:
        model.chmod(0o755)
    code = main(["patch", "--diff", *map(str, models)])
    out, err = capfd.readouterr()
    assert code == 2
    assert [line.split(": ")[1] for line in err.splitlines() if line.startswith("template-fix: ")] == [
        str(tmp_path / "vibethinker" / "tokenizer.json")
    ]
    told = [line.replace(str(tmp_path), "") for line in err.splitlines()]
    assert [line for line in told if cell_width(line) > 100 and "template-fix" not in line] == []
    assert all(row[0] in "-+@ \\" for row in out.splitlines())


@pytest.fixture
def pipe(capfd, monkeypatch):
    """The command line with a template on stdin."""

    def pipe(template, *arguments):
        content = template if isinstance(template, bytes) else template.encode()
        monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(content), isatty=lambda: False))
        return main(arguments), *capfd.readouterr()

    return pipe


LOSSY = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content.split('</think>')[-1] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def test_a_template_on_stdin_is_checked(pipe):
    code, out, _ = pipe(LOSSY, "check", "-", "--format", "json")
    assert code == 1
    assert "TF201" in [finding["code"] for finding in json.loads(out)["models"][0]["findings"]]


def test_a_template_on_stdin_comes_out_repaired_alone_on_stdout(pipe):
    code, out, err = pipe(LOSSY, "patch", "-")
    assert (code, out.count("preserve_thinking") > 0) == (0, True)
    assert "Repaired: " in err
    assert "undo" not in err
    code, again, _ = pipe(out, "patch", "-")
    assert (code, again) == (0, out)


@pytest.mark.parametrize(
    "arguments, starts",
    [
        pytest.param(["--diff"], "--- a/stdin.jinja", id="its diff"),
        pytest.param(["--check"], "-: 2 repairs would change stdin.jinja; nothing was written", id="what would change"),
        pytest.param(["--format", "json"], "{", id="JSON"),
    ],
)
def test_what_is_asked_for_of_a_template_on_stdin_is_what_stands_on_stdout(pipe, arguments, starts):
    _, out, _ = pipe(LOSSY, "patch", "-", *arguments)
    assert out.startswith(starts)


@pytest.mark.parametrize(
    "content, message",
    [
        pytest.param(b"\xff", "-:1: this is not UTF-8", id="no text"),
        pytest.param(b" " * (16 * 2**20 + 1), "-: no more than 16 MB are read, and there are more", id="no end"),
    ],
)
def test_what_is_no_template_on_stdin_is_one_line_and_nothing_comes_out(pipe, content, message):
    code, out, err = pipe(content, "patch", "-")
    assert (code, out) == (2, "")
    assert err.startswith(f"template-fix: {message}")
    assert err.count("\n") == 1


def test_stdin_stands_alone(pipe):
    code, _, err = pipe(LOSSY, "patch", "-", "other")
    assert code == 2
    assert "- reads a template from stdin, and must be the only MODEL" in err


def test_only_in_a_process_of_its_own_cycles_are_looked_for_less_often():
    before = gc.get_threshold()
    main(["--version"])
    assert gc.get_threshold() == before
    code = f"import gc; from template_fix.cli.main import main; main(); print(gc.get_threshold()[0] > {before[0]})"
    ran = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout.endswith("True\n") and not ran.stderr

"""`template-fix demo`: writes a broken model, checks it, patches it and checks it again, and shows a training row."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from template_fix import api
from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.cli import FAILED, run
from template_fix.cli.output import Format, print_one
from template_fix.conversations.builtin import Conversation
from template_fix.disk.replace import write_elsewhere
from template_fix.disk.store import WriteError
from template_fix.engine.patch import special_tokens
from template_fix.report.checks import check_lines
from template_fix.report.findings import by_gravity, count_levels, finding_lines, patch_lines
from template_fix.report.showing.lines import shown_lines
from template_fix.report.showing.rendering import Shown, render_all
from template_fix.report.terminal import WIDEST, Line, Piece, line, width_of
from template_fix.results import Failed, Patched, Report
from template_fix.text.json_nodes import JsonObject

ROW: tuple[JsonObject, ...] = (
    {"role": "user", "content": "What is 17 times 6?"},
    {"role": "assistant", "content": "<think>\n17 times 6 is 60 and 42.\n</think>\n\nIt is 102."},
    {"role": "user", "content": "And half of that?"},
    {"role": "assistant", "content": "<think>\nHalf of 102 is 51.\n</think>\n\nIt is 51."},
)


def model_files() -> dict[str, str]:
    """Return the texts of a small broken model by their file names.

    As in DeepSeek-R1-Distill, its template cuts the reasoning out of every turn, and its files mark the reasoning tags
    as special tokens.
    """
    folder = files("template_fix.cli").joinpath("demo_model")
    return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}


@dataclass(frozen=True)
class Row:
    """The training row as it is rendered, its tokens, and a decoded reply of the model.

    ``reply`` are the tokens of the reply, each with whether ``skip_special_tokens=True`` drops it.
    """

    shown: Shown
    tokens: tuple[str, ...]
    reply: tuple[tuple[str, bool], ...]

    @property
    def decoded(self) -> str:
        """The decoded reply, without the tokens that are dropped."""
        return "".join(token for token, dropped in self.reply if not dropped)


@dataclass(frozen=True)
class Demo:
    """The results of all steps of the demo."""

    directory: str
    before: Report
    row_before: Row
    patched: Patched
    after: Report
    row_after: Row


def make_demo(directory: str | None) -> Demo | Failed:
    """Write the demo's model to ``directory``, by default a temporary one, run all steps and return the results."""
    try:
        path = str(_write_model(directory))
    except (WriteError, OSError) as error:
        return Failed(directory or tempfile.gettempdir(), str(error))

    def run_demo() -> Demo:
        before, row_before = api.check(path), _render_row(path)
        patched = api.patch(path)
        return Demo(path, before, row_before, patched, api.check(path), _render_row(path))

    return run.try_one(path, run_demo)


def _write_model(directory: str | None) -> Path:
    path = Path(tempfile.mkdtemp(prefix="template-fix-demo-") if directory is None else directory)
    if path.is_dir() and any(path.iterdir()):
        raise WriteError(f"{path}: is not empty; name a new or an empty directory")
    write_elsewhere(path, model_files())
    return path


def _render_row(path: str) -> Row:
    from tokenizers import Tokenizer

    checkpoint = Checkpoint.read(path)
    _, [row] = render_all(checkpoint.templates[0].source, special_tokens(checkpoint), [Conversation("row", ROW)])
    tokenizer = Tokenizer.from_str(checkpoint.files["tokenizer.json"])
    text = "".join(run.text for turn in row.turns for run in turn.runs if run.kind != "dropped")
    tokens = tuple(tokenizer.decode([number], skip_special_tokens=False) for number in tokenizer.encode(text).ids)
    ids = tokenizer.encode(ROW[-1]["content"]).ids
    reply = (tuple(tokenizer.decode([number], skip_special_tokens=skip) for skip in (False, True)) for number in ids)
    return Row(row, tokens, tuple((token, token != left) for token, left in reply))


def demo_lines(demo: Demo, width: int = WIDEST) -> Iterator[Line]:
    """Yield the lines of the demo, in six steps."""
    name = shlex.quote(demo.directory)
    yield from _step_lines(1, "A small model that fails as DeepSeek-R1-Distill does", f"ls {name}")
    yield line(", ".join(sorted(model_files())), indent=2)
    yield from _step_lines(2, "What is wrong with it", f"template-fix check {name}")
    yield from check_lines(demo.before, width)
    yield from _step_lines(3, "A training row as this model renders it: the marked text is lost, and never trained on")
    yield from _row_lines(demo.row_before)
    yield from _step_lines(4, "The repair", f"template-fix patch {name}")
    yield from patch_lines(demo.patched.result, demo.patched.written, width=width)
    yield from _step_lines(5, "What is wrong with it now", f"template-fix check {name}")
    yield line(Piece(demo.directory, "title"), ": ", *count_levels(demo.after.findings))
    for finding in by_gravity(demo.after.findings):
        yield line("")
        yield from finding_lines(finding, width, brief=True)
    yield from _step_lines(6, "The same row")
    yield from _row_lines(demo.row_after)
    yield line("")
    yield line(Piece("Try next", "title"))
    for command, what in _TRY:
        yield line(what, indent=2)
        yield line(Piece(f"$ template-fix {command.format(name)}", "code"), indent=4, fixed=True)


_TRY = (
    ("show {}", "render more conversations; --messages FILE renders yours"),
    ("undo {}", "undo the repair"),
    ("explain", "list all rules"),
    ("check MODEL", "check a model of yours; nothing in it is changed"),
)


def _step_lines(number: int, title: str, command: str | None = None) -> Iterator[Line]:
    yield line("")
    yield line(Piece(f"{number}. {title}", "title"), hang=3)
    if command:
        yield line(Piece(f"$ {command}", "code"), fixed=True)


def _row_lines(row: Row) -> Iterator[Line]:
    yield from list(shown_lines(row.shown))[1:]
    yield line(Piece("as tokens:", "dim"), indent=2)
    yield line("·".join(row.tokens), indent=4)
    reply = [Piece(token, "lost" if dropped else "") for token, dropped in row.reply]
    yield line(Piece("a reply of the model, decoded with skip_special_tokens=True:", "dim"), indent=2)
    yield line(*reply, indent=4)


def print_demo(demo: Demo | Failed, form: Format) -> int:
    """Print the demo and return the exit code of its last check."""
    print_one("demo", demo, form, demo_json, lambda made: demo_lines(made, width_of(sys.stdout)))
    return FAILED if isinstance(demo, Failed) else run.exit_code([demo.after])


def demo_json(demo: Demo) -> JsonObject:
    """Return the JSON answer of ``demo``."""
    from template_fix.report.as_json import report_json, shown_json

    return {
        "directory": demo.directory,
        "before": report_json(demo.before),
        "after": report_json(demo.after),
        **{
            name: {"turns": shown_json(row.shown)["turns"], "tokens": list(row.tokens), "decoded": row.decoded}
            for name, row in (("row_before", demo.row_before), ("row_after", demo.row_after))
        },
    }

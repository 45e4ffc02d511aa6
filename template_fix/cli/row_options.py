"""The options on training data: which rows to look at, and which one to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from template_fix.cli.options import FILLED, check_tag_pairs, gather_options, set_flags

if TYPE_CHECKING:
    from template_fix.report.showing.engines import Engine


def _parse_columns(_: click.Context, __: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    from template_fix.conversations.rows import NAMEABLE

    named = dict(each.partition("=")[::2] for each in given)
    if wrong := [what for what, name in named.items() if what not in NAMEABLE or not name]:
        raise click.BadParameter(f"{wrong[0]}: write WHAT=NAME, with WHAT one of {', '.join(NAMEABLE)}")
    return named


_column = click.option(
    "--column", "columns", multiple=True, callback=_parse_columns, metavar="WHAT=NAME", help="Its columns."
)
_subset = click.option("--subset", metavar="NAME", help="The subset (configuration) of a data set on the Hub.")
_DATA = (
    click.option("--config", type=FILLED, metavar="FILE", help="A training's own file: an Axolotl or TRL YAML."),
    click.option("--data", multiple=True, type=FILLED, metavar="DATA", help="Training data to render, as told above."),
    _column,
    click.option("--split", default="train", show_default=True, help="The split of a data set on the Hub."),
    _subset,
    click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N rows."),
    click.option("--sample", type=click.IntRange(1), metavar="N", help="Only N rows, taken at random."),
    click.option(
        "--transformers",
        type=click.Choice(["4.57", "5"]),
        help="Render as this version does.  [default: 5]",
    ),
    click.option(
        "--rows",
        "listing",
        type=FILLED,
        metavar="OUT",
        help="Write a line for each row in trouble to OUT, a new file.",
    ),
    click.option(
        "--rewrite",
        type=FILLED,
        metavar="OUT",
        help="Write all rows to OUT, a new file, with reasoning where it is printed as such.",
    ),
    click.option("--processes", type=click.IntRange(1), metavar="N", help="How many at once.  [default: one a CPU]"),
    click.option("--exact", is_flag=True, help="Render each row, also where others of its shape were rendered."),
)


class DataOptions(NamedTuple):
    """Which training data to look at, and how much of it."""

    config: str | None
    data: tuple[str, ...]
    columns: dict[str, str]
    split: str
    subset: str | None
    limit: int | None
    sample: int | None
    transformers: str | None
    listing: str | None
    rewrite: str | None
    processes: int | None
    exact: bool

    @property
    def needs_data(self) -> bool:
        """Whether anything is asked for that makes no sense without data."""
        some = (self.columns, self.subset, self.limit, self.sample, self.processes, self.exact)
        return any(some) or self.writes

    @property
    def writes(self) -> bool:
        """Whether anything is asked for that is said of rows alone."""
        return bool(self.transformers or self.listing or self.rewrite)

    @property
    def release(self) -> int:
        """The version of transformers as which rows are rendered."""
        return 4 if self.transformers == "4.57" else 5


class ShowOptions(NamedTuple):
    """What to show, and how."""

    messages: str | None
    data: str | None
    row: int | None
    columns: dict[str, str]
    split: str | None
    subset: str | None
    variant: str | None
    tags: tuple[str, str] | None
    flags: tuple[tuple[str, object], ...]
    engine: Engine | None
    mask: bool

    @property
    def needs_data(self) -> bool:
        """Whether anything is asked for that makes no sense without data."""
        return bool(self.row or self.columns or self.split or self.subset)


_SHOW = (
    click.option(
        "--messages", type=FILLED, metavar="FILE", help="A conversation: JSON, or the first line of a JSONL file."
    ),
    click.option("--data", type=FILLED, metavar="DATA", help="Training data, to show a row of."),
    click.option("--row", type=click.IntRange(1), metavar="N", help="The row's number.  [default: 1]"),
    _column,
    click.option("--split", type=FILLED, help="The split of a data set on the Hub.  [default: train]"),
    _subset,
    click.option("--variant", metavar="NAME", help="The template of this name, such as tool_use."),
    click.option("--tag", "tags", nargs=2, callback=check_tag_pairs, metavar="OPEN CLOSE", help="The reasoning tags."),
    set_flags,
    click.option(
        "--engine", type=click.Choice(["minijinja", "transformers.js"]), help="Render in this engine, if it is there."
    ),
    click.option("--mask", is_flag=True, help="Show the tokens, and which of them assistant_only_loss trains on."),
)
# Which training data to look at, as one `DataOptions` value.
data_options = gather_options("rows", DataOptions, *_DATA)
# What to show, as one `ShowOptions` value.
show_options = gather_options("wanted", ShowOptions, *_SHOW)

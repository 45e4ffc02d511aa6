"""The options for training data: which rows to check, and which one to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from template_fix.cli.options import FILLED, check_tag_pairs, gather_options, set_flags

if TYPE_CHECKING:
    from template_fix.report.showing.engines import Engine


def _parse_columns(_: click.Context, __: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    if not given:
        return {}
    from template_fix.conversations.rows import NAMEABLE

    named = dict(each.partition("=")[::2] for each in given)
    if wrong := [what for what, name in named.items() if what not in NAMEABLE or not name]:
        raise click.BadParameter(f"{wrong[0]}: write WHAT=NAME, with WHAT one of {', '.join(NAMEABLE)}")
    return named


_column = click.option(
    "--column",
    "columns",
    multiple=True,
    callback=_parse_columns,
    metavar="WHAT=NAME",
    help="The column that holds the messages, tools and so on.",
)
_subset = click.option("--subset", metavar="NAME", help="The subset (configuration) of a data set on the Hub.")
_DATA = (
    click.option("--config", type=FILLED, metavar="FILE", help="A trainer's configuration: an Axolotl or TRL YAML."),
    click.option("--data", multiple=True, type=FILLED, metavar="DATA", help="Training data to check; see above."),
    _column,
    click.option("--split", default="train", show_default=True, help="The split of a data set on the Hub."),
    _subset,
    click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N rows."),
    click.option("--sample", type=click.IntRange(1), metavar="N", help="Only N rows, taken at random."),
    click.option(
        "--transformers",
        type=click.Choice(["4.57", "5"]),
        help="Render rows as this version does.  [default: 5]",
    ),
    click.option(
        "--rows",
        "listing",
        type=FILLED,
        metavar="OUT",
        help="Write a line for each row in trouble to the new file OUT.",
    ),
    click.option(
        "--rewrite",
        type=FILLED,
        metavar="OUT",
        help="Write all rows to the new file OUT, with reasoning where the template prints it.",
    ),
    click.option(
        "--processes", type=click.IntRange(1), metavar="N", help="How many run at once.  [default: one per CPU]"
    ),
    click.option("--exact", is_flag=True, help="Render every row by itself, even if a similar row was rendered."),
)


class DataOptions(NamedTuple):
    """Which training data to check, and how many rows of it."""

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
        """Whether any option is set that needs --data."""
        some = (self.columns, self.subset, self.limit, self.sample, self.processes, self.exact)
        return any(some) or self.writes

    @property
    def writes(self) -> bool:
        """Whether any option is set that concerns rows only."""
        return bool(self.transformers or self.listing or self.rewrite)

    @property
    def release(self) -> int:
        """The major version of transformers whose rendering is used, 4 or 5."""
        return 4 if self.transformers == "4.57" else 5


class ShowOptions(NamedTuple):
    """What to render, and how."""

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
        """Whether any option is set that needs --data."""
        return bool(self.row or self.columns or self.split or self.subset)


_SHOW = (
    click.option(
        "--messages", type=FILLED, metavar="FILE", help="A conversation: JSON, or the first line of a JSONL file."
    ),
    click.option("--data", type=FILLED, metavar="DATA", help="Training data, to render one of its rows."),
    click.option("--row", type=click.IntRange(1), metavar="N", help="The number of the row.  [default: 1]"),
    _column,
    click.option("--split", type=FILLED, help="The split of a data set on the Hub.  [default: train]"),
    _subset,
    click.option("--variant", metavar="NAME", help="The name of the template, such as tool_use."),
    click.option("--tag", "tags", nargs=2, callback=check_tag_pairs, metavar="OPEN CLOSE", help="The reasoning tags."),
    set_flags,
    click.option(
        "--engine",
        type=click.Choice(["minijinja", "transformers.js"]),
        help="Render with this engine, if installed.",
    ),
    click.option("--mask", is_flag=True, help="Show the tokens; those that assistant_only_loss trains on are marked."),
)
# Which training data to check, as one `DataOptions` value.
data_options = gather_options("rows", DataOptions, *_DATA)
# What to render, as one `ShowOptions` value.
show_options = gather_options("wanted", ShowOptions, *_SHOW)

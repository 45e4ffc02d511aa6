"""Training data by the batch: JSON lines, JSON, Parquet and Arrow files, folders of them, and data sets on the Hub.

JSON is read row by row, so that a broken row is a row and doesn't end the run. All else is read by the ``datasets``
library, an extra, and Parquet by pyarrow beneath it. Nothing is held but the batch at hand.
"""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from template_fix.bounds.limits import limit_memory
from template_fix.conversations.rows import BESIDE, MESSAGES, NAMEABLE, BrokenRow, names_reasoning
from template_fix.data.batches import Batch, DataError, limited, sampled, unreadable
from template_fix.data.json_files import holds_lines, lines, values
from template_fix.data.row_check import BATCH

LINES, JSON, PARQUET, ARROW = (".jsonl", ".ndjson", ".jsonl.gz"), (".json",), (".parquet",), (".arrow",)
KNOWN = (*LINES, *JSON, *PARQUET, *ARROW)
# What `save_to_disk` puts beside its Arrow files.
_SIDE_FILES = ("dataset_info.json", "dataset_dict.json", "state.json")

_MEGABYTES, _BATCH_BYTES, _BUFFER = 512, 64 << 20, 1 << 20
_DECODED_AT_ONCE = 50


@dataclass(frozen=True)
class Source:
    """Where rows come from; ``split`` and ``subset`` are of a data set on the Hub, ``columns`` more that are wanted.

    ``limit`` is how many rows are taken from the beginning, ``sample`` how many at random, the same ones each time.
    """

    names: tuple[str, ...]
    split: str = "train"
    subset: str | None = None
    limit: int | None = None
    sample: int | None = None
    columns: tuple[str, ...] = ()

    def batches(self) -> Iterator[Batch]:
        """Return the rows in batches. Raises DataError where a name leads to no data, before any is read."""
        readers = [reader for name in self.names for reader in self._readers(name)]
        read = limited(_read(readers), self.limit)
        return read if self.sample is None else sampled(read, self.sample)

    def _readers(self, name: str) -> list[_Reader]:
        if os.path.lexists(name):
            return [_Reader(path, _of_file(path, self._wanted)) for path in files(Path(name))]
        if name.endswith(KNOWN) or name.count("/") > 1 or name.startswith((".", "/")):
            raise DataError(f"{name}: no such file or directory")
        return [_Reader(None, _on_hub(name, self.subset, self.split, self._wanted))]

    @property
    def _wanted(self) -> frozenset[str]:
        return frozenset({*MESSAGES, *NAMEABLE, *self.columns})


class _Reader(NamedTuple):
    """What yields the batches of one file, with ``done`` as a share of the file."""

    path: Path | None
    read: Callable[[], Iterator[Batch]]


def files(path: Path) -> list[Path]:
    """Return the data files at a path: itself, or those below a directory. Raises DataError where there are none."""
    if not path.is_dir():
        if not path.name.endswith(KNOWN):
            raise DataError(f"{path}: not a kind of file that is read; those are {', '.join(KNOWN)}")
        return [path]
    found = sorted(
        each
        for each in path.rglob("*")
        if each.name.endswith(KNOWN) and each.name not in _SIDE_FILES and each.is_file()
        if not any(part.startswith(".") for part in each.relative_to(path).parts)
    )
    if not found:
        raise DataError(f"{path}: holds no data files; those that are read are {', '.join(KNOWN)}")
    return found


def _read(readers: Sequence[_Reader]) -> Iterator[Batch]:
    sizes = [reader.path.stat().st_size if reader.path else None for reader in readers]
    known = [size for size in sizes if size is not None]
    total, before = sum(known) if len(known) == len(sizes) else 0, 0
    for reader, size in zip(readers, sizes, strict=True):
        for batch in reader.read():
            part = None if batch.done is None or not total or size is None else (before + batch.done * size) / total
            yield replace(batch, done=part)
        before += size or 0


def _of_file(path: Path, wanted: frozenset[str]) -> Callable[[], Iterator[Batch]]:
    if path.name.endswith(LINES) or (path.name.endswith(JSON) and holds_lines(path)):
        return partial(lines, path)
    if path.name.endswith(JSON):
        return partial(values, path)
    return partial(_parquet if path.name.endswith(PARQUET) else _arrow, path, wanted)


class _Table:
    """Rows of an Arrow table, decoded when they are iterated: in the process that checks them."""

    def __init__(self, table: Any, features: Any) -> None:
        self.table, self.features = table, features

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, part: slice) -> _Table:
        start, stop, _ = part.indices(len(self))
        return _Table(self.table.slice(start, stop - start), self.features)

    def __iter__(self) -> Iterator[object]:
        for start in range(0, len(self), _DECODED_AT_ONCE):
            with limit_memory(_MEGABYTES):
                rows = self[start : start + _DECODED_AT_ONCE]._decoded()
            yield from rows

    def _decoded(self) -> list[object]:
        try:
            rows = self.table.to_pylist()
            return [self.features.decode_example(row) for row in rows] if self.features else rows
        except MemoryError:  # of the process that checks rows, which is started again with fewer
            raise
        except Exception as error:  # whatever is wrong with a row is that row's fault
            if len(self) == 1:
                return [BrokenRow(f"it can't be decoded: {_reason(error)}")]
            return [row for at in range(len(self)) for row in self[at : at + 1]._decoded()]


def _parquet(path: Path, wanted: frozenset[str]) -> Iterator[Batch]:
    """Read a Parquet file by pyarrow, which the library stands on: its own reader can abort Python at its exit."""
    _library(str(path))
    from datasets import Features
    from pyarrow import Table

    number = 0
    try:
        for batch, total in _parquet_batches(path, wanted):
            table = Table.from_batches([batch])
            rows = _Table(*_chosen(table, Features.from_arrow_schema(table.schema), wanted))
            numbers = range(number + 1, number + 1 + len(rows))
            number += len(rows)
            yield Batch(str(path), numbers, rows, min(number / max(total, 1), 1.0))
    except Exception as error:  # whatever a reader of the library raises is this file's fault
        yield Batch(str(path), [number + 1], [unreadable(_reason(error))])


def _parquet_batches(path: Path, wanted: frozenset[str]) -> Iterator[tuple[object, int]]:
    """Yield record batches of the columns that are wanted, with the number of all rows; without any, all columns.

    How many rows a batch has goes by the size of all that the file's metadata tells of.
    """
    from pyarrow.parquet import ParquetFile

    with limit_memory(_MEGABYTES):
        file = ParquetFile(path, buffer_size=_BUFFER)
    with file:
        names = file.schema_arrow.names
        columns = _columns(names, wanted) or names
        size, total = _uncompressed(file.metadata, columns), file.metadata.num_rows
        at_once = max(1, min(BATCH, _BATCH_BYTES * total // max(size, 1)))
        for batch in _each_sparing(file.iter_batches(at_once, columns=columns, use_threads=False)):
            yield batch, total


def _uncompressed(metadata: Any, columns: Sequence[str]) -> int:
    groups = (metadata.row_group(at) for at in range(metadata.num_row_groups))
    chunks = (group.column(at) for group in groups for at in range(group.num_columns))
    beginnings = tuple(f"{name}." for name in columns)
    return sum(each.total_uncompressed_size for each in chunks if f"{each.path_in_schema}.".startswith(beginnings))


def _each_sparing(values: Iterator[object]) -> Iterator[object]:
    """Yield what ``values`` does, each made with little memory."""
    while True:
        with limit_memory(_MEGABYTES):
            value = next(values, None)
        if value is None:
            return
        yield value


def _arrow(path: Path, wanted: frozenset[str]) -> Iterator[Batch]:
    # The library reads the name as a pattern.
    yield from _streamed(str(path), wanted, "arrow", data_files=[glob.escape(str(path.absolute()))])


def _on_hub(name: str, subset: str | None, split: str, wanted: frozenset[str]) -> Callable[[], Iterator[Batch]]:
    return partial(_streamed, name, wanted, name, name=subset, split=split)


def _streamed(
    label: str, wanted: frozenset[str], path: str, *, split: str = "train", **given: object
) -> Iterator[Batch]:
    """Read a data set of the ``datasets`` library, of columns that aren't wanted only the names."""
    load_dataset = _library(label)
    number = 0
    try:
        data = load_dataset(path, split=split, streaming=True, **given)
        tables = data.with_format("arrow").iter(batch_size=BATCH)
        # The Hub is read by several threads, which can't go on where memory is short.
        for table in _each_sparing(tables) if path == "arrow" else tables:
            rows = _Table(*_chosen(table, data.features, wanted))
            yield Batch(label, range(number + 1, number + 1 + len(rows)), rows)
            number += len(rows)
    except Exception as error:  # whatever a reader of the library raises is this file's fault
        if not os.path.exists(label) and not number:
            raise DataError(
                f"{label}: no such file or directory, nor a data set on the Hub: {_reason(error)}"
            ) from None
        yield Batch(label, [number + 1], [unreadable(_reason(error))])


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"it takes more than {_MEGABYTES} MB of memory"
    return " ".join(str(error).split()) or type(error).__name__


def _chosen(table: Any, features: Any, wanted: frozenset[str]) -> tuple[Any, object]:
    """Return the columns of a table that are wanted, and how they are decoded; without any, all as they are."""
    from datasets import Features

    names = _columns(table.column_names, wanted)
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"it has the column {twice[0]} twice")
    if not names or not features:
        return table, None
    return table.select(names), Features({name: _closed(features[name]) for name in names})


def _columns(names: Sequence[str], wanted: frozenset[str]) -> list[str]:
    """Return the columns that are wanted or hold reasoning; none where no whole conversation can be in them."""
    found = [name for name in names if name in wanted or names_reasoning(name)]
    return found if wanted.intersection(found).difference(BESIDE, ["prompt"]) else []


def _closed(feature: Any) -> object:
    """Return a feature that opens no files: what a row calls its image may be any file, a pipe or an address."""
    if isinstance(feature, dict):
        return {name: _closed(each) for name, each in feature.items()}
    if isinstance(feature, (list, tuple)):
        return [_closed(each) for each in feature]
    if hasattr(feature, "feature"):
        return replace(feature, feature=_closed(feature.feature))
    opens = hasattr(feature, "decode") and type(feature).__name__ != "Json"
    return replace(feature, decode=False) if opens else feature


def _library(name: str) -> Callable[..., Any]:
    try:
        import datasets
    except ImportError:
        what = "this is" if os.path.exists(name) else "no such file or directory; data sets on the Hub are"
        raise DataError(
            f"{name}: {what} read by the datasets library, which isn't installed: pip install 'template-fix[data]'"
        ) from None
    datasets.utils.logging.set_verbosity(logging.CRITICAL)  # what it can't read is told here, in one line
    datasets.disable_progress_bars()
    load: Callable[..., Any] = datasets.load_dataset
    return load

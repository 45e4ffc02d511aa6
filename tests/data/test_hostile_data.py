"""Training data that a stranger wrote to cost time or memory, or to break the reader: it is told, the rest is read."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from template_fix.conversations.builtin import ConversationError, read_conversation
from template_fix.conversations.rows import BrokenRow, row_of
from template_fix.data import json_files as json_rows
from template_fix.data.sources import Source

ROW = {"messages": [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]}
LINE = json.dumps(ROW) + "\n"


def read(path: Path, **settings: Any) -> list[Any]:
    return [row for batch in Source((str(path),), **settings).batches() for row in batch.rows]


@contextmanager
def within(seconds: float) -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < seconds


def why(rows: list[Any]) -> str:
    """Return why the last row is broken, the only one that is."""
    assert [row for row in rows if isinstance(row, BrokenRow)] == rows[-1:]
    return str(rows[-1]).removeprefix("the file can't be read from here on: ")


@pytest.mark.parametrize("length", [1000, 5000, 100_000])
@pytest.mark.parametrize("compressed", [False, True], ids=["as it is", "compressed"])
def test_a_line_that_is_too_long_ends_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, compressed: bool
) -> None:
    monkeypatch.setattr(json_rows, "_LONGEST_LINE", 999)
    text = (LINE + "x" * length + "\n" + LINE).encode()
    path = tmp_path / ("a.jsonl.gz" if compressed else "a.jsonl")
    path.write_bytes(gzip.compress(text) if compressed else text)
    rows = read(path)
    assert (len(rows), why(rows)) == (2, "a line has more than 0 MB")


@pytest.mark.parametrize(
    "line", [b"x" * 2**20 + b"\n", b"\n", b"x" * 100_000 + b"\n"], ids=["long", "blank", "shorter"]
)
def test_what_is_compressed_beyond_belief_ends_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    monkeypatch.setattr(json_rows, "_BOMB_BYTES", 2**20)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(line * (2**23 // len(line))))
    with within(2):
        assert why(read(tmp_path / "a.jsonl.gz")) == "it is compressed to less than 1/200, as no data is"


def test_what_is_compressed_well_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_rows, "_BOMB_BYTES", 2**10)
    lines = [json.dumps({"messages": [{"role": "user", "content": f"{n} + {n}?"}]}) for n in range(5000)]
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    assert len(read(tmp_path / "a.jsonl.gz")) == 5000


@pytest.mark.parametrize("value", ["[1,", '["a",', '{"a":', '"aaaa', "[[],"])
def test_a_value_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setattr(json_rows, "_CHUNK", 500)
    monkeypatch.setattr(json_rows, "_LONGEST_VALUE", 3000)
    body = {'{"a":': '{"a":[' + "1," * 10_000, "[[],": "[" + "[]," * 10_000}.get(value, value[0] + value[1:] * 10_000)
    (tmp_path / "a.json").write_text(f"[{json.dumps(ROW)}, {body}")
    rows = read(tmp_path / "a.json")
    assert (rows[:-1], why(rows)) == ([ROW], "a value has more than 0 MB")


@pytest.mark.parametrize("between", [",", ",\n", ", \n  "])
def test_many_values_are_read_as_fast_as_few(tmp_path: Path, between: str) -> None:
    (tmp_path / "a.json").write_text("[" + between.join([json.dumps(ROW)] * 30_000) + "]")
    with within(3):
        assert read(tmp_path / "a.json") == [ROW] * 30_000


DEEP, DIGITS = "[" * 100_000, "9" * 5000
STRANGE = [
    pytest.param(DEEP, "nested too deeply", id="a nest"),
    pytest.param(DIGITS, "a number in it has too many digits", id="a number of 5,000 digits"),
]


@pytest.mark.parametrize("value, told", STRANGE)
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize("text", ["%s", '{"messages": %s', '[{"messages": %s', '{"messages": %s}\n'])
def test_what_python_can_not_take_is_a_broken_row(tmp_path: Path, name: str, text: str, value: str, told: str) -> None:
    (tmp_path / name).write_text(text % value)
    with pytest.raises(BrokenRow, match=f"{told}|a number|not an object"):
        row_of(read(tmp_path / name)[-1], {})


@pytest.mark.parametrize("value, told", STRANGE)
@pytest.mark.parametrize("column", ["tools", "chat_template_kwargs"])
def test_what_python_can_not_take_is_told_in_a_column_of_json(column: str, value: str, told: str) -> None:
    with pytest.raises(BrokenRow, match=f"^{column} is {told}"):
        row_of({**ROW, column: f"[{value}"}, {})


@pytest.mark.parametrize("value, told", STRANGE)
@pytest.mark.parametrize("text", ["%s", '[{"role": %s', '{"messages": [], "tools": %s'])
def test_what_python_can_not_take_is_told_of_a_conversation(tmp_path: Path, text: str, value: str, told: str) -> None:
    (tmp_path / "a.json").write_text(text % value)
    with pytest.raises(ConversationError, match=rf"a.json:1:\d+: {told}$|not a list of messages"):
        read_conversation(tmp_path / "a.json")


@pytest.mark.parametrize("path", [Path("/dev/zero"), None], ids=["a device", "a file"])
def test_a_conversation_without_end_is_not_read_to_its_end(tmp_path: Path, path: Path | None) -> None:
    with open(tmp_path / "a.json", "wb") as file:
        file.truncate(2**34)
    with within(2), pytest.raises(ConversationError, match="more than 16 MB are no conversation to show"):
        read_conversation(path or tmp_path / "a.json")


def test_a_row_of_a_hundred_thousand_columns_is_told_in_short() -> None:
    with pytest.raises(BrokenRow, match=r"the row has c0, c1, .*, c19, …$"):
        row_of({f"c{number}": 1 for number in range(100_000)}, {})


@given(st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_compressed_file_that_is_damaged_gives_rows_and_no_error(tmp_path: Path, data: st.DataObject) -> None:
    damaged = bytearray(gzip.compress((LINE * 20).encode()))
    for at in data.draw(st.sets(st.integers(0, len(damaged) - 1), min_size=1, max_size=3)):
        damaged[at] = data.draw(st.integers(0, 255))
    (tmp_path / "a.jsonl.gz").write_bytes(damaged)
    read(tmp_path / "a.jsonl.gz")


def tables() -> tuple[Any, Any]:
    pytest.importorskip("datasets")
    return pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")


@given(st.data())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_table_that_is_damaged_gives_rows_and_no_error(tmp_path: Path, data: st.DataObject) -> None:
    arrow, parquet = tables()
    table = arrow.Table.from_pylist([ROW] * 20)
    kind = data.draw(st.sampled_from(["parquet", "arrow"]))
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        parquet.write_table(table, path)
    else:
        with arrow.ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table)
    damaged = bytearray(path.read_bytes())
    for at in data.draw(st.sets(st.integers(0, len(damaged) - 1), min_size=1, max_size=3)):
        damaged[at] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged[: data.draw(st.sampled_from([len(damaged), len(damaged) // 2]))])
    read(path)


def test_columns_that_nobody_asked_for_may_be_anything(tmp_path: Path) -> None:
    arrow, parquet = tables()
    kinds = arrow.array(["a", "a"]).dictionary_encode()
    table = arrow.table([arrow.array([ROW["messages"]] * 2), kinds, kinds], names=["messages", "kind", "kind"])
    parquet.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == [ROW] * 2


def test_a_column_that_stands_twice_is_told(tmp_path: Path) -> None:
    arrow, parquet = tables()
    messages = arrow.array([ROW["messages"]] * 2)
    parquet.write_table(arrow.table([messages, messages], names=["messages", "messages"]), tmp_path / "a.parquet")
    assert why(read(tmp_path / "a.parquet")) == "it has the column messages twice"


@pytest.mark.parametrize("bad", [0, 7, 59])
def test_a_row_that_can_not_be_decoded_is_broken_by_itself(tmp_path: Path, bad: int) -> None:
    arrow, parquet = tables()
    texts = arrow.array([b"\xff" if number == bad else b"yes" for number in range(60)]).view(arrow.string())
    parquet.write_table(arrow.table({"messages": texts}), tmp_path / "a.parquet")
    rows = read(tmp_path / "a.parquet")
    assert [number for number, row in enumerate(rows) if isinstance(row, BrokenRow)] == [bad]
    assert str(rows[bad]).startswith("it can't be decoded: 'utf-8' codec can't decode")
    assert len(read(tmp_path / "a.parquet", sample=60)) == 60


@pytest.mark.parametrize("kind", ["Image", "Audio", "Video", "Pdf"])
@pytest.mark.parametrize("nested", [False, True], ids=["in a column", "in a list of blocks"])
@pytest.mark.parametrize("file", ["a.parquet", "a.arrow"])
def test_no_file_is_opened_that_a_row_names(
    tmp_path: Path, kind: str, nested: bool, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrow, parquet = tables()
    features = pytest.importorskip("datasets").features
    if not hasattr(features, kind):
        pytest.skip(f"this release knows no {kind}")
    opened: list[object] = []
    monkeypatch.setattr(getattr(features, kind), "decode_example", lambda *given, **named: opened.append(given))
    named = {"bytes": None, "path": "/dev/zero"}
    known = {"messages": [{"block": {"_type": kind}}] if nested else {"_type": kind}}
    about = {"huggingface": json.dumps({"info": {"features": known}})}
    stored = arrow.struct({"bytes": arrow.binary(), "path": arrow.string()})
    column = arrow.array(
        [[{"block": named}] if nested else named], arrow.list_(arrow.struct({"block": stored})) if nested else stored
    )
    table = arrow.table({"messages": column}).replace_schema_metadata(about)
    if file.endswith(".arrow"):
        with arrow.OSFile(str(tmp_path / file), "wb") as out, arrow.ipc.new_stream(out, table.schema) as writer:
            writer.write_table(table)
    else:
        parquet.write_table(table, tmp_path / file)
    assert read(tmp_path / file) == [{"messages": [{"block": named}] if nested else named}]
    assert not opened


BOMB = """
import resource, sys
import pyarrow as pa, pyarrow.parquet as pq
from template_fix.data.sources import Source
from template_fix.conversations.rows import BrokenRow

kind, path = sys.argv[1:]
value = pa.array(["x" * (1 << 20)])
many = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), value)
rows = {
    "rows": lambda: many,
    "lists": lambda: pa.ListArray.from_arrays(pa.array(range(20_001), pa.int32()), many),
    "one row": lambda: pa.ListArray.from_arrays(pa.array([0, 20_000], pa.int32()), many),
}[kind]()
pq.write_table(
    pa.table({"messages": rows}), path, compression="zstd", dictionary_pagesize_limit=1 << 26, store_schema=False
)
pa.default_memory_pool().release_unused()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
told = [str(row) for batch in Source((path,)).batches() if isinstance(batch.rows, list) for row in batch.rows]
print(told, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux alone")
@pytest.mark.parametrize(
    "kind", ["one row", *(pytest.param(each, marks=pytest.mark.slow) for each in ("rows", "lists"))]
)
def test_a_few_hundred_bytes_that_are_gigabytes_are_told(tmp_path: Path, kind: str) -> None:
    tables()
    line = [sys.executable, "-c", BOMB, kind, str(tmp_path / "a.parquet")]
    told = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    assert "the file can't be read from here on: it takes more than 512 MB of memory" in told
    assert int(told.split()[-1]) < 700
    assert (tmp_path / "a.parquet").stat().st_size < 5000

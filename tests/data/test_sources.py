from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from template_fix.conversations.rows import BrokenRow
from template_fix.data.batches import Batch, DataError
from template_fix.data.sources import Source, files

ROWS = [{"messages": [{"role": "user", "content": f"row {number}"}]} for number in range(1, 8)]


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def read(*names: Path, **settings: Any) -> list[tuple[int, Any]]:
    batches = list(Source(tuple(map(str, names)), **settings).batches())
    return [(number, row) for batch in batches for number, row in zip(batch.numbers, batch.rows, strict=True)]


def values(found: list[tuple[int, Any]]) -> list[Any]:
    return [json.loads(row) if isinstance(row, bytes) else row for _, row in found]


@pytest.mark.parametrize(
    "name, text",
    [
        pytest.param("a.jsonl", lines(ROWS), id="JSON lines"),
        pytest.param("a.ndjson", "\ufeff" + lines(ROWS).replace("\n", "\r\n"), id="JSON lines from Windows"),
        pytest.param("a.json", lines(ROWS), id="JSON lines in a .json file"),
        pytest.param("a.json", json.dumps(ROWS), id="a JSON list"),
        pytest.param("a.json", json.dumps(ROWS, indent=2), id="a JSON list on many lines"),
        pytest.param("a.json", "\n".join(json.dumps(row, indent=1) for row in ROWS), id="JSON objects in a row"),
    ],
)
def test_rows_are_read_with_their_numbers(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = read(tmp_path / name)
    assert values(found) == ROWS
    assert [number for number, _ in found] == list(range(1, 8))


def test_long_json_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("template_fix.data.json_files._CHUNK", 25)
    (tmp_path / "a.json").write_text(json.dumps(ROWS), encoding="utf-8")
    assert values(read(tmp_path / "a.json")) == ROWS


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines(ROWS).encode()))
    assert values(read(tmp_path / "a.jsonl.gz")) == ROWS


def test_a_file_that_is_cut_off_gives_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines(ROWS).encode())[:-20])
    (tmp_path / "b.json").write_text(json.dumps(ROWS)[:-20], encoding="utf-8")
    zipped, listed = read(tmp_path / "a.jsonl.gz"), read(tmp_path / "b.json")
    assert isinstance(zipped[-1][1], BrokenRow)
    assert values(listed[:-1]) == ROWS[:-1]
    assert str(listed[-1][1]) == "the file can't be read from here on: not JSON: Unterminated string starting at"


def test_lines_are_numbered_as_editors_do(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n\n{}\n\n{}\n", encoding="utf-8")
    assert [number for number, _ in read(tmp_path / "a.jsonl")] == [3, 5]


def test_a_limit_is_kept_and_nothing_more_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(ROWS), encoding="utf-8")
    (tmp_path / "b.jsonl").write_text(lines(ROWS), encoding="utf-8")
    assert len(read(tmp_path, limit=3)) == 3
    assert len(read(tmp_path, limit=9)) == 9
    assert len(read(tmp_path, limit=99)) == 14


def test_a_sample_is_the_same_each_time_and_in_order(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(ROWS * 100), encoding="utf-8")
    found = read(tmp_path / "a.jsonl", sample=20)
    numbers = [number for number, _ in found]
    assert found == read(tmp_path / "a.jsonl", sample=20)
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 20
    assert max(numbers) > 350
    assert len(read(tmp_path / "a.jsonl", sample=1000)) == 700


def test_how_much_is_done_goes_from_nothing_to_all(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_text(lines(ROWS * 300), encoding="utf-8")
    done = [batch.done for batch in Source((str(tmp_path),)).batches()]
    assert done == sorted(done, key=lambda each: each or 0)
    assert done[-1] == 1


def test_a_folder_is_searched_for_what_is_data(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.json", "deep/c.parquet", "d.arrow", "state.json", "readme.md", ".hidden/x.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in files(tmp_path)] == ["a.json", "b.jsonl", "d.arrow", "c.parquet"]


@pytest.mark.parametrize(
    "name, why",
    [
        pytest.param("no.jsonl", "no.jsonl: no such file or directory", id="a file that isn't there"),
        pytest.param("a.txt", "a.txt: not a kind of file that is read; those are .jsonl", id="another kind of file"),
        pytest.param("empty", "empty: holds no data files; those that are read are .jsonl", id="a folder without any"),
    ],
)
def test_what_leads_to_no_data_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, why: str) -> None:
    (tmp_path / "a.txt").touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f"^{why}"):
        read(Path(name))


def test_a_batch_has_parts() -> None:
    batch = Batch("a", range(5, 9), list("abcd"))
    assert (list(batch[1:3].numbers), batch[1:3].rows, len(batch[1:3])) == ([6, 7], ["b", "c"], 2)


@pytest.mark.parametrize(
    "columns, read_of_them",
    [
        pytest.param(["messages", "thinking", "source"], ["messages", "thinking"], id="a column of reasoning"),
        pytest.param(["question", "reasoning", "answer"], ["question", "reasoning", "answer"], id="plain text"),
        pytest.param(["prompt", "response"], ["prompt", "response"], id="a prompt and something else"),
        pytest.param(["prompt", "completion", "source"], ["prompt", "completion"], id="prompt and completion"),
    ],
)
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_columns_that_tell_what_a_table_holds_are_read(
    tmp_path: Path, kind: str, columns: list[str], read_of_them: list[str]
) -> None:
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_list([dict.fromkeys(columns, "some text")])
    if kind == "parquet":
        made.to_parquet(tmp_path / "a.parquet")
    else:
        made.save_to_disk(tmp_path)
    [(_, row)] = read(tmp_path)
    assert sorted(row) == sorted(read_of_them)


@pytest.mark.parametrize("kind", ["parquet", "arrow", "saved"])
def test_tables_are_read_by_the_library(tmp_path: Path, kind: str) -> None:
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_list([{**row, "id": number} for number, row in enumerate(ROWS)])
    path = tmp_path / f"[1] a.{kind}"
    if kind == "parquet":
        made.to_parquet(path)
    else:
        made.save_to_disk(path if kind == "saved" else tmp_path / "saved")
    if kind == "arrow":
        next((tmp_path / "saved").glob("*.arrow")).rename(path)
    assert values(read(path)) == ROWS
    assert values(read(path, sample=3)) == [ROWS[number - 1] for number, _ in read(path, sample=3)]


def test_a_table_that_is_broken_is_a_broken_row(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no table")
    (tmp_path / "b.jsonl").write_text(lines(ROWS), encoding="utf-8")
    [broken, *rest] = read(tmp_path)
    assert str(broken[1]).startswith("the file can't be read from here on: ")
    assert values(rest) == ROWS


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    (tmp_path / "a.parquet").touch()
    with pytest.raises(DataError, match=r"pip install 'template-fix\[data\]'"):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize("part", [1, 2, 7, 64, 1000])
@pytest.mark.parametrize("end", ["", "\n", "\r\n \n"])
def test_lines_are_the_same_in_whatever_parts_a_file_is_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int, end: str
) -> None:
    monkeypatch.setattr("template_fix.data.json_files._PART", part)
    monkeypatch.setattr("template_fix.data.json_files._LINES", 2)
    text = "\ufeff" + lines([*ROWS, *ROWS]).replace("\n", "\n \t \n\n", 1) + '  {"a": "é\u2028"}' + end
    (tmp_path / "a.jsonl").write_bytes(text.encode())
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    plain, packed = ([*Source((str(tmp_path / name),)).batches()] for name in ("a.jsonl", "b.jsonl.gz"))
    assert [row for batch in plain for row in batch.rows] == [row for batch in packed for row in batch.rows]
    assert [number for batch in plain for number in batch.numbers] == [n for batch in packed for n in batch.numbers]
    assert [list(batch[:1].rows) for batch in plain] == [list(batch.rows)[:1] for batch in plain]


def test_rows_are_read_in_whatever_folder_the_process_that_reads_them_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jsonl").write_text(lines(ROWS), encoding="utf-8")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    batches = [*Source(("a.jsonl",)).batches()]
    monkeypatch.chdir("elsewhere")
    rows = [row for batch in batches for row in batch.rows]
    assert len(rows) == len(ROWS) and not any(isinstance(row, BrokenRow) for row in rows)


def test_rows_of_a_file_that_is_gone_before_they_are_read_are_broken(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(ROWS), encoding="utf-8")
    batches = [*Source((str(tmp_path / "a.jsonl"),)).batches()]
    (tmp_path / "a.jsonl").unlink()
    rows = [row for batch in batches for row in batch.rows]
    assert len(rows) == len(ROWS) and all(isinstance(row, BrokenRow) for row in rows)


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        pytest.param(lambda text: text + b"\n" + text, [0, 1, 2, 3, 4, 5, 6], id="it has grown"),
        pytest.param(lambda text: text.rstrip() + b" more", [0, 1, 2, 3, 4, 5], id="its last line has grown"),
        pytest.param(lambda text: text[: text.index(b"\n") + 3], [0], id="it has shrunk"),
        pytest.param(lambda text: text[3:] + b"more\n", [], id="its lines begin elsewhere"),
        pytest.param(lambda text: text.replace(b"\n", b" ") + b" more", [], id="its lines have no end"),
        pytest.param(lambda text: b"", [], id="it is empty"),
    ],
)
@pytest.mark.parametrize("end", ["", "\n"])
def test_rows_of_a_file_that_is_changed_before_they_are_read_are_lines_of_it_or_broken(
    tmp_path: Path, change: Any, kept: list[int], end: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes((lines(ROWS).strip() + end).encode())
    before = path.read_bytes().splitlines()
    batches = [*Source((str(path),)).batches()]
    path.write_bytes(change(path.read_bytes()))
    rows = [row for batch in batches for row in batch.rows]
    assert len(rows) == len(before)
    for number, row in enumerate(rows):
        assert row.strip() == before[number] if number in kept else "changed meanwhile" in str(row)

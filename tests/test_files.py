"""Rows from files: formats, globs and captures, joins; what is malformed is told."""

from __future__ import annotations

import bz2
import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from row_files import AS_JSONL, TWO, opened, rows, write

from assay.errors import DatasetError, SpecError


@pytest.mark.parametrize(
    ("name", "content", "more"),
    [
        ("t.jsonl", AS_JSONL, {}),
        ("t.jsonl", "\ufeff" + AS_JSONL, {}),
        ("t.jsonl.gz", gzip.compress(AS_JSONL.encode(), mtime=0), {}),
        ("t.txt.bz2", bz2.compress(AS_JSONL.encode()), {"format": "jsonl"}),
        ("t.json", json.dumps(TWO), {}),
        ("t.json", json.dumps({"x": {"list": TWO}}), {"records": "x.list"}),
        ("t.json", json.dumps([["1", "x"], ["2", "y"]]), {"columns": ["a", "b"]}),
        ("t.json", json.dumps({"1": "x", "2": "y"}), {"records": "*", "columns": ["b"], "rename": "key"}),
        ("t.csv", '\ufeffa,b\r\n1,x\r\n\r\n"2","y"\r\n', {}),
        ("t.csv", "1,x\n2,y\n", {"columns": ["a", "b"]}),
        ("t.csv", "a;b\n1;x\n2;y", {"options": {"delimiter": ";"}}),
        ("t.csv", "a,b\n1,x\n2,y".encode("utf-16"), {"options": {"encoding": "utf-16"}}),
        ("t.tsv", "a\tb\n1\tx\n2\ty\n", {}),
        ("t.lst", "1\nx\n2\ny\n", {"format": "txt", "records": 2, "columns": ["a", "b"]}),
    ],
)
def test_formats(folder: Path, name: str, content: str | bytes, more: dict[str, Any]) -> None:
    rename = more.pop("rename", "a")
    write(folder, name, content)
    found = [{"a" if key == rename else key: value for key, value in row.items()} for row in rows(folder, name, **more)]
    assert found == TWO


def test_parquet_keeps_types(folder: Path) -> None:
    table = pa.table({"q": ["one", "two"], "choices": [["a", "b"], []], "label": [1, 0]})
    pq.write_table(table, folder / "t.parquet")
    assert rows(folder, "t.parquet") == table.to_pylist()


def test_csv_fields_hold_commas_quotes_and_lines(folder: Path) -> None:
    write(folder, "t.csv", 'q,n\n"He said ""no"", then\nleft",007\n' + f"{'x' * 200_000},1e3\n")
    first, second = rows(folder, "t.csv")
    assert first == {"q": 'He said "no", then\nleft', "n": "007"}
    assert (len(second["q"]), second["n"]) == (200_000, "1e3")


def test_a_quotation_mark_in_a_tsv_is_a_character(folder: Path) -> None:
    write(folder, "t.tsv", 'q\tn\n"Stop" is said\t1\n"a\tb\n')
    assert rows(folder, "t.tsv") == [{"q": '"Stop" is said', "n": "1"}, {"q": '"a', "n": "b"}]
    write(folder, "u.tsv", 'q\tn\n"a\tb"\t1\n')
    assert rows(folder, "u.tsv", options={"quotes": True}) == [{"q": "a\tb", "n": "1"}]


def test_json_lines_hold_line_separators_and_long_integers(folder: Path) -> None:
    write(folder, "t.jsonl", '{"a": "x\u2028y\x85z", "n": 12345678901234567890123, "m": -5}\n')
    assert rows(folder, "t.jsonl") == [{"a": "x\u2028y\x85z", "n": "12345678901234567890123", "m": -5}]


def test_what_stands_above_a_list_is_in_its_records(folder: Path) -> None:
    squad = {"version": "1", "data": [{"title": "T", "paragraphs": [{"context": "C", "qas": [{"id": 1}, {"id": 2}]}]}]}
    write(folder, "t.json", json.dumps(squad))
    beside = {"version": "1", "title": "T", "context": "C"}
    assert rows(folder, "t.json", records="data.paragraphs.qas") == [{**beside, "id": 1}, {**beside, "id": 2}]


def test_text_by_lines_and_whole(folder: Path) -> None:
    write(folder, "t.txt", "one\n\ntwo\n")
    assert rows(folder, "t.txt") == [{"text": "one"}, {"text": ""}, {"text": "two"}]
    assert rows(folder, "t.txt", records=0) == [{"text": "one\n\ntwo\n"}]


def test_captures_become_columns_in_the_order_of_names(folder: Path) -> None:
    for subject, split in (("law", "test"), ("art", "test"), ("art", "dev")):
        write(folder, f"q/{split}/{subject}_{split}.csv", f"n\n{subject}{split}\n")
    found = rows(folder, "q/{split}/{subject}_{split}.csv")
    assert [(r["split"], r["subject"], r["n"]) for r in found] == [
        ("dev", "art", "artdev"), ("test", "art", "arttest"), ("test", "law", "lawtest"),
    ]  # fmt: skip
    assert len(rows(folder, "q/*/*.csv")) == len(rows(folder, "**/*.csv")) == 3
    with pytest.raises(DatasetError):
        rows(folder, "q/*.csv")


def test_members_of_a_zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "t.zip", "w") as packed:
        for part in ("b", "a"):
            packed.writestr(f"data/{part}.jsonl", json.dumps({"n": part}))
        packed.writestr("README.txt", "hello")
    assert rows(folder, "t.zip/data/{part}.jsonl") == [{"n": "a", "part": "a"}, {"n": "b", "part": "b"}]
    with pytest.raises(DatasetError, match="no member"):
        rows(folder, "t.zip/data/{part}.csv")


def test_joined_row_by_row(folder: Path) -> None:
    write(folder, "q.jsonl", '{"q": "a"}\n{"q": "b"}\n')
    write(folder, "labels.lst", "0\n1\n")
    labels = {"path": "labels.lst", "format": "txt", "columns": ["label"]}
    assert rows(folder, "q.jsonl", join=labels) == [{"label": "0", "q": "a"}, {"label": "1", "q": "b"}]
    for text in ("0\n", "0\n1\n1\n"):
        write(folder, "labels.lst", text)
        with pytest.raises(DatasetError, match=r"labels\.lst has . rows and q\.jsonl has"):
            rows(folder, "q.jsonl", join=labels)


def test_joined_by_captures(folder: Path) -> None:
    write(folder, "q.jsonl", '{"q": "a", "id": 7}\n{"q": "b", "id": "x"}\n{"q": "c", "id": 7}\n')
    for name in ("7", "x", "unused"):
        write(folder, f"notes/{name}.txt", f"note {name}")
    notes = {"path": "notes/{id}.txt"}
    assert [row["text"] for row in rows(folder, "q.jsonl", join=notes)] == ["note 7", "note x", "note 7"]
    assert [row["id"] for row in rows(folder, "q.jsonl", join=notes)] == [7, "x", 7]
    (folder / "notes" / "x.txt").unlink()
    with pytest.raises(DatasetError, match=r"has 0 rows for id=x"):
        rows(folder, "q.jsonl", join=notes)


def test_one_file_beside_each_of_many(folder: Path) -> None:
    write(folder, "en.txt", "one\ntwo\n")
    write(folder, "to/de.txt", "eins\nzwei\n")
    write(folder, "to/fr.txt", "un\ndeux\n")
    found = rows(folder, "to/{lang}.txt", columns=["target"], join={"path": "en.txt"})
    assert [(r["lang"], r["text"], r["target"]) for r in found] == [
        ("de", "one", "eins"), ("de", "two", "zwei"), ("fr", "one", "un"), ("fr", "two", "deux"),
    ]  # fmt: skip


def test_a_whole_file_beside_every_row(folder: Path) -> None:
    write(folder, "q.jsonl", '{"q": "a"}\n{"q": "b"}\n')
    write(folder, "tools.json", '{"x": 1}')
    tools = {"path": "tools.json", "format": "txt", "records": 0}
    assert rows(folder, "q.jsonl", join=tools) == [{"text": '{"x": 1}', "q": "a"}, {"text": '{"x": 1}', "q": "b"}]


def test_readers(folder: Path) -> None:
    write(folder, "w.txt", " \n = A b = \n\n text\n = = Part = = \n more\n = C = \n\n end\n")
    assert [row["title"] for row in rows(folder, "w.txt", reader="wikitext")] == ["A b", "C"]
    write(folder, "t.xml", "<s><p ID='1'><Body>x <b>y</b></Body><Answer>3</Answer></p></s>")
    assert rows(folder, "t.xml", reader="xml", options={"tag": "p"}) == [{"ID": "1", "Body": "x y", "Answer": "3"}]
    write(folder, "q", "#Q How\nmany?\n^ Two\nA One\nB Two\n\n#Q Which?\n^ This\nA This\nB That\n")
    assert rows(folder, "q", reader="trivia") == [
        {"question": "How many?", "answer": "Two", "choices": ["One", "Two"]},
        {"question": "Which?", "answer": "This", "choices": ["This", "That"]},
    ]
    with pytest.raises(SpecError, match="no reader 'wikitxt'; did you mean wikitext"):
        opened(folder, "w.txt", reader="wikitxt")
    with pytest.raises(DatasetError, match=r"the reader xml .*tagg"):
        rows(folder, "t.xml", reader="xml", options={"tagg": "p"})
    write(folder, "q", "#Q How many?\nA One\n")
    with pytest.raises(DatasetError, match="no line of its answer"):
        rows(folder, "q", reader="trivia")


@pytest.mark.parametrize(
    ("name", "content", "more", "said"),
    [
        ("t.jsonl", '{"a": 1}\n{"a": \n', {}, r"t\.jsonl, line 2: this is not JSON"),
        ("t.json", '{"a": 1}\n{"a": 2}\n', {}, "say `format: jsonl`"),
        ("t.json", '{"rows": []}', {}, "with the keys rows: say with `records:`"),
        ("t.json", '{"rows": []}', {"records": "row"}, "no key 'row'; did you mean rows"),
        ("t.json", '{"rows": 3}', {"records": "rows.x"}, "wanted a map with 'x', got a int"),
        ("t.csv", "a,b\n1,2,3\n", {}, r"t\.csv, line 2: wanted 2 columns \(a, b\), got 3"),
        ("t.csv", "a,b\n1\n", {}, r"t\.csv, line 2: wanted 2 columns \(a, b\), got 1"),
        ("t.csv", "a,a\n1,2\n", {}, "two columns have one name"),
        ("t.csv", b"a\n\xff\n", {}, "options: {encoding"),
        ("t.csv", "a\n1\n", {"options": {"encoding": "utf-9"}}, "utf-9"),
        ("t.csv.gz", b"not gzip", {}, "cannot be read as csv"),
        ("t.csv.gz", gzip.compress(b"a\n1\n", mtime=0)[:-6], {}, "cannot be read as csv"),
        ("t.parquet", b"PAR1 nonsense", {}, "cannot be read as parquet"),
        ("t.zip", b"PK nonsense", {}, "is not a zip"),
        ("t.txt", "a\nb\nc\n", {"records": 2}, "wanted 2 lines a record, got 3"),
    ],
)
def test_malformed_files(folder: Path, name: str, content: str | bytes, more: dict[str, Any], said: str) -> None:
    write(folder, name, content)
    with pytest.raises(DatasetError, match=said):
        rows(folder, name, **more)


@pytest.mark.parametrize(
    ("path", "more", "said"),
    [
        ("t.dat", {}, "no format 'dat'.*say it with `format:`"),
        ("t.csv", {"format": "jsonlines"}, "no format 'jsonlines'; did you mean jsonl"),
        ("t.csv", {"options": {"delimeter": ";"}}, "no option of the format csv 'delimeter'; did you mean delimiter"),
        ("t.txt", {"records": "rows"}, "how many lines"),
        ("{not-a-name}.csv", {}, "wanted a column's name"),
    ],
)
def test_a_source_that_is_wrong(folder: Path, path: str, more: dict[str, Any], said: str) -> None:
    for name in ("t.dat", "t.csv", "t.txt"):
        write(folder, name, "a\n1\n")
    with pytest.raises(SpecError, match=said):
        rows(folder, path, **more)


def test_a_short_line_is_filled_where_that_is_said(folder: Path) -> None:
    write(folder, "t.csv", "a,b\n1\n2,y\n")
    assert rows(folder, "t.csv", options={"ragged": True}) == [{"a": "1", "b": None}, {"a": "2", "b": "y"}]


def test_a_capture_that_is_a_column_already(folder: Path) -> None:
    write(folder, "law.csv", "subject,n\nart,1\n")
    with pytest.raises(DatasetError, match=r"capture \{subject\} is a column already"):
        rows(folder, "{subject}.csv")

"""Rows from files: formats, globs and captures, joins, pins; what is missing, corrupt or malformed is told."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import DATA, needs_data

from adapters.datasets import Opened, fetch, open_source
from adapters.datasets.fetch import data_folder
from assay import lock
from assay.errors import DatasetError, SpecError
from assay.samples import samples
from assay.spec import Benchmark, Source


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue folder; the data folder is another, empty one."""
    monkeypatch.setenv("ASSAY_DATA", str(tmp_path / "data"))
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def opened(folder: Path, path: str, **more: Any) -> Opened:
    return open_source([Source.model_validate({"files": {"path": path, **more}})], [folder])


def rows(folder: Path, path: str, **more: Any) -> list[Any]:
    return list(opened(folder, path, **more).rows)


def pin(folder: Path, name: str, content: bytes, url: bool = False) -> None:
    origin = ["owner/repo", "c0ffee", f"x/{name}"] if url else []
    line = [name, hashlib.sha256(content).hexdigest(), str(len(content)), *origin]
    with (folder / "datasets.lock").open("a") as stream:
        stream.write("\t".join(line) + "\n")


TWO = [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]
AS_JSONL = '{"a": "1", "b": "x"}\n\n{"a": "2", "b": "y"}\n'


@pytest.mark.parametrize(
    ("name", "content", "more"),
    [
        ("t.jsonl", AS_JSONL, {}),
        ("t.jsonl", "\ufeff" + AS_JSONL, {}),
        ("t.jsonl.gz", gzip.compress(AS_JSONL.encode()), {}),
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
        ("t.csv.gz", gzip.compress(b"a\n1\n")[:-6], {}, "cannot be read as csv"),
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


def test_a_pinned_file_is_looked_up_and_verified(folder: Path, tmp_path: Path) -> None:
    content = b'{"a": 1}\n'
    pin(folder, "set/t.jsonl", content)
    with pytest.raises(DatasetError, match=r"set/t\.jsonl is not under .*no URL"):
        opened(folder, "set/t.jsonl")
    write(tmp_path / "data", "set/t.jsonl", content)
    found = opened(folder, "set/t.jsonl")
    assert (found.facts["source"], found.facts["sha256"]) == ("files", hashlib.sha256(content).hexdigest())
    assert str(tmp_path) not in json.dumps(found.facts)
    write(tmp_path / "data", "set/t.jsonl", b'{"a": 2}\n')
    with pytest.raises(DatasetError, match=r"wanted SHA-256 .*, got .*remove it"):
        opened(folder, "set/t.jsonl")


def test_all_pinned_files_of_a_pattern_must_be_there(folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        pin(folder, f"set/{name}.csv", b"n\n1\n")
    write(tmp_path / "data", "set/a.csv", "n\n1\n")
    with pytest.raises(DatasetError, match=r"set/b\.csv is not under"):
        opened(folder, "set/{part}.csv")
    write(folder, "set/b.csv", "n\n1\n")
    write(folder, "set/c.csv", "n\n9\n")
    assert rows(folder, "set/{part}.csv") == [{"n": "1", "part": "a"}, {"n": "1", "part": "b"}]


def test_facts_change_with_how_it_is_read_and_with_the_data(folder: Path) -> None:
    write(folder, "t.json", json.dumps({"x": TWO, "y": TWO[:1]}))
    first, second = opened(folder, "t.json", records="x").facts, opened(folder, "t.json", records="y").facts
    assert first["sha256"] == second["sha256"] and first != second
    write(folder, "t.json", json.dumps({"x": TWO * 2}))
    assert opened(folder, "t.json", records="x").facts["sha256"] != first["sha256"]


def test_rows_can_be_read_twice(folder: Path) -> None:
    write(folder, "t.jsonl", AS_JSONL)
    found = opened(folder, "t.jsonl")
    assert list(found.rows) == list(found.rows) == TWO


def test_fetched_whole_and_verified(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "RAW", f"{tmp_path.as_uri()}/server")
    pin(folder, "set/t.jsonl", AS_JSONL.encode(), url=True)
    with pytest.raises(DatasetError) as caught:
        opened(folder, "set/t.jsonl")
    assert "server/owner/repo/c0ffee/x/set/t.jsonl" in str(caught.value) and "$ASSAY_DATA" in str(caught.value)
    served = write(tmp_path, "server/owner/repo/c0ffee/x/set/t.jsonl", AS_JSONL[:9])
    with pytest.raises(DatasetError, match="gave another file than pinned"):
        opened(folder, "set/t.jsonl")
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    served.write_text(AS_JSONL)
    assert rows(folder, "set/t.jsonl") == TWO
    assert [path.name for path in (tmp_path / "data" / "set").iterdir()] == ["t.jsonl"]
    served.unlink()
    assert opened(folder, "set/t.jsonl").facts["revision"] == "owner/repo@c0ffee"


def test_a_busy_server_is_asked_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = [503, 429, 200, 404]

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(codes.pop(0))
            self.end_headers()
            self.wfile.write(AS_JSONL.encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    waited: list[float] = []
    monkeypatch.setattr(fetch.time, "sleep", waited.append)
    for name in ("set/t.jsonl", "set/gone.jsonl"):
        pin(folder, name, AS_JSONL.encode(), url=True)
    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        monkeypatch.setattr(lock, "RAW", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            assert rows(folder, "set/t.jsonl") == TWO
            assert waited == [2.0, 4.0]
            with pytest.raises(DatasetError, match="HTTP Error 404"):
                opened(folder, "set/gone.jsonl")
        finally:
            server.shutdown()
            thread.join()
    assert not codes


def test_the_first_source_that_is_there(folder: Path) -> None:
    write(folder, "here.jsonl", AS_JSONL)
    sources = [Source.model_validate({"files": {"path": path}}) for path in ("gone.jsonl", "here.jsonl")]
    assert open_source(sources, [folder]).source == sources[1]
    with pytest.raises(DatasetError, match=r"gone\.jsonl"):
        open_source(sources[:1], [folder])
    with pytest.raises(DatasetError, match="no source is named"):
        open_source([])


def test_a_corrupt_file_is_no_reason_to_take_another_source(folder: Path, tmp_path: Path) -> None:
    pin(folder, "set/t.jsonl", AS_JSONL.encode())
    write(tmp_path / "data", "set/t.jsonl", AS_JSONL[:-3])
    write(folder, "here.jsonl", AS_JSONL)
    sources = [Source.model_validate({"files": {"path": path}}) for path in ("set/t.jsonl", "here.jsonl")]
    with pytest.raises(DatasetError, match="is not the pinned"):
        open_source(sources, [folder])


def test_generated_rows() -> None:
    source = Source.model_validate({"generated": {"name": "add", "count": 3, "options": {"split": "train"}}})
    found = open_source([source])
    assert found.facts.items() >= {"source": "generated", "name": "add", "count": 3, "seed": 0}.items()
    assert len(list(found.rows)) == 3


def test_an_empty_data_set_is_an_error(folder: Path) -> None:
    write(folder, "t.jsonl", "\n")
    benchmark = Benchmark.model_validate(
        {"name": "b", "dimension": "knowledge", "sources": [{"files": {"path": "t.jsonl"}}]}
        | {"sample": {"input": "a"}, "score": ["exact_match"]}
    )
    with pytest.raises(DatasetError, match="b: the source has no rows"):
        list(samples(benchmark, open_source(benchmark.sources, [folder]).rows))


def test_where_the_data_folder_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_DATA", str(tmp_path / "named"))
    assert data_folder() == tmp_path / "named"
    monkeypatch.delenv("ASSAY_DATA")
    monkeypatch.setattr(fetch, "_ROOT", tmp_path / "nowhere" / "root")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert data_folder() == tmp_path / "cache" / "assay" / "data"
    (tmp_path / "shared" / "data").mkdir(parents=True)
    assert data_folder() == tmp_path / "shared" / "data"


def test_a_first_folder_that_is_a_pattern_is_a_users(folder: Path) -> None:
    write(folder, "de/test.jsonl", AS_JSONL)
    assert {row["lang"] for row in rows(folder, "{lang}/test.jsonl")} == {"de"}


@needs_data
@pytest.mark.parametrize(
    ("path", "more", "count", "column"),
    [
        ("gsm8k/test.jsonl", {}, 1319, "answer"),
        ("mmlu/test/{subject}_test.csv", {"columns": ["q", "A", "B", "C", "D", "answer"]}, 14042, "subject"),
        ("hellaswag/hellaswag_val_full.txt.bz2", {"format": "txt", "records": 6, "columns": [*"cl0123"]}, 10042, "3"),
        ("xcopa/{lang}/test.{lang}.jsonl", {}, 5500, "lang"),
        ("xquad/xquad.{lang}.json", {"records": "data.paragraphs.qas"}, 7140, "context"),
        ("clinc150/data_small.json", {"records": "test", "columns": ["text", "intent"]}, 4500, "intent"),
        ("piqa/valid.jsonl", {"join": {"path": "piqa/dev-labels.lst", "format": "txt", "columns": ["n"]}}, 1838, "n"),
        ("asdiv/ASDiv.xml", {"reader": "xml", "options": {"tag": "Problem"}}, 2305, "Answer"),
        ("open_trivia_qa/{category}", {"reader": "trivia", "options": {"encoding": "latin-1"}}, 49716, "choices"),
        ("blimp/BLiMP.zip/data/{part}.jsonl", {}, 67000, "sentence_good"),
    ],
)
def test_real_files(path: str, more: dict[str, Any], count: int, column: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_DATA", str(DATA))
    found = rows(Path("nowhere"), path, **more)
    assert len(found) == count
    assert all(row[column] not in ("", None) for row in found)

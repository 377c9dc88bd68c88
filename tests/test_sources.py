"""Where rows come from: pinned files are verified, missing ones fetched, the first source that is there counts."""

from __future__ import annotations

import hashlib
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from conftest import DATA, needs_data
from row_files import AS_JSONL, TWO, opened, pin, rows, write

from adapters.datasets import fetch, open_source
from adapters.datasets.fetch import data_folder
from assay import lock
from assay.errors import DatasetError
from assay.samples import samples
from assay.spec import Benchmark, Source


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

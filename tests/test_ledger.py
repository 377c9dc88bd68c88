"""The ledger's door: one writer at a time, whole or not at all, and a clear word where it cannot be opened."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from assay.errors import LedgerError
from storage import ledger as ledger_module
from storage import lock
from storage.ledger import Ledger
from storage.migrations import steps

ROOT = Path(__file__).parent.parent
SPAWN = multiprocessing.get_context("spawn")


def add(path: Path, name: str) -> None:
    with Ledger(path).write() as con:
        con.execute("INSERT INTO runs (run_id, state, created) VALUES (?, 'done', now()::TIMESTAMP)", [name])


def names(path: Path) -> list[str]:
    with Ledger(path).read() as con:
        return [row[0] for row in con.execute("SELECT run_id FROM runs ORDER BY run_id").fetchall()]


def python(code: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, **env},
    )  # fmt: skip


def test_nothing_is_made_before_it_is_written(tmp_path: Path) -> None:
    book = Ledger(tmp_path / "l.duckdb")
    with pytest.raises(LedgerError, match=r"no ledger at .*l\.duckdb"), book.read():
        pass
    assert list(tmp_path.iterdir()) == []
    add(book.path, "a")
    assert names(book.path) == ["a"]
    assert {p.name for p in tmp_path.iterdir()} <= {"l.duckdb", "l.duckdb.lock"}


def test_an_error_rolls_back(tmp_path: Path) -> None:
    path = tmp_path / "l.duckdb"
    add(path, "a")
    with pytest.raises(ZeroDivisionError), Ledger(path).write() as con:
        con.execute("DELETE FROM runs")
        raise ZeroDivisionError
    assert names(path) == ["a"]


def test_one_thread_has_one_connection(tmp_path: Path) -> None:
    path = tmp_path / "l.duckdb"
    done: list[str] = []
    with Ledger(path).write() as outer:
        Ledger(path).after_commit(lambda: done.append("committed"))
        with Ledger(path).write() as inner, Ledger(path).read() as reader:
            assert inner is outer and reader is outer
        assert not done
    assert done == ["committed"]
    with Ledger(path).read(), pytest.raises(LedgerError, match="open for reading"), Ledger(path).write():
        pass
    Ledger(path).checkpoint()


def test_what_was_to_follow_a_commit_does_not_follow_a_rollback(tmp_path: Path) -> None:
    book, done = Ledger(tmp_path / "l.duckdb"), []
    with pytest.raises(ZeroDivisionError), book.write():
        book.after_commit(lambda: done.append(1))
        raise ZeroDivisionError
    add(book.path, "a")
    assert done == []


def test_every_step_of_the_schema_is_applied_once(tmp_path: Path) -> None:
    path = tmp_path / "l.duckdb"
    for name in "ab":
        add(path, name)
    with Ledger(path).read() as con:
        rows = con.execute("SELECT version, name FROM schema_versions ORDER BY version").fetchall()
    assert rows == [(step.version, step.name) for step in steps()]


def test_a_reader_brings_an_older_ledger_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, more = tmp_path / "l.duckdb", tmp_path / "999_more.sql"
    add(path, "a")
    more.write_text("CREATE VIEW more AS SELECT 2 AS two;")
    later = [*steps(), steps()[0]._replace(version=steps()[-1].version + 1, name="more", path=more)]
    monkeypatch.setattr("storage.migrations.steps", lambda: later)
    monkeypatch.setattr("storage.ledger.steps", lambda: later)
    with Ledger(path).read() as con:
        assert con.execute("SELECT two FROM more").fetchall() == [(2,)]


STAMPS = """
from storage.ledger import Ledger
with Ledger({path!r}).write() as con:
    con.execute("INSERT INTO runs (run_id, state, created) VALUES ('a', 'done', now()::TIMESTAMP)")
"""


def test_stamps_are_utc_wherever_one_is(tmp_path: Path) -> None:
    with python(STAMPS.format(path=str(tmp_path / "l.duckdb")), TZ="Asia/Tokyo") as process:
        assert process.communicate()[1] == ""
    with Ledger(tmp_path / "l.duckdb").read() as con:
        (age,) = con.execute("SELECT epoch(now()) - epoch(created) FROM runs").fetchall()[0]
    assert -5 < age < 60


def _newer(path: Path) -> None:
    add(path, "a")
    with Ledger(path).write() as con:
        con.execute("INSERT INTO schema_versions VALUES (99, 'future', now()::TIMESTAMP)")


def _foreign(path: Path) -> None:
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE TABLE groceries (milk INTEGER)")


BAD: list[tuple[str, Callable[[Path], object], str]] = [
    ("newer", _newer, r"is of schema 99, and this assay knows schemas up to \d+"),
    ("foreign", _foreign, "is a DuckDB file but no ledger: it holds groceries"),
    ("text", lambda p: p.write_text("hello " * 1000), "not a valid DuckDB database file"),
    ("folder", lambda p: p.mkdir(), "is a folder"),
]


@pytest.mark.parametrize(("make", "word"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
@pytest.mark.parametrize("writing", [True, False], ids=["write", "read"])
def test_what_is_no_ledger_is_left_as_it_is(
    tmp_path: Path, make: Callable[[Path], object], word: str, writing: bool
) -> None:
    path = tmp_path / "l.duckdb"
    make(path)
    path.with_name("l.duckdb.lock").unlink(missing_ok=True)
    before = path.read_bytes() if path.is_file() else None
    book = Ledger(path)
    with pytest.raises(LedgerError, match=word) as caught, book.write() if writing else book.read():
        pass
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["l.duckdb"]
    assert before is None or path.read_bytes() == before


@pytest.mark.parametrize("folder", ["file", "missing", "/proc"])
def test_where_nothing_can_be_written(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / folder / "l.duckdb"
    with pytest.raises(LedgerError, match=r"cannot be written: \w+") as caught, Ledger(path).write():
        pass
    assert str(path) in str(caught.value)
    with pytest.raises(LedgerError, match="no ledger at"), Ledger(path).read():
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_an_empty_file_is_what_a_killed_creation_leaves(tmp_path: Path) -> None:
    path = tmp_path / "l.duckdb"
    path.touch()
    with pytest.raises(LedgerError, match="no ledger at"), Ledger(path).read():
        pass
    add(path, "a")
    assert names(path) == ["a"]


FULL = """
import resource
from pathlib import Path
from storage.ledger import Ledger
from assay.errors import LedgerError
path = Path({path!r})
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000))
try:
    with Ledger(path).write() as con:
        con.execute("INSERT INTO headers SELECT sha256(i::VARCHAR), sha256(i::VARCHAR) FROM range(600000) t(i)")
except LedgerError as error:
    print(error)
"""


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "l.duckdb"
    add(path, "a")
    with python(FULL.format(path=str(path))) as process:
        out, err = process.communicate()
    assert re.fullmatch(r"the ledger \S+ failed: .+\n", out), out + err
    assert names(path) == ["a"]
    with Ledger(path).read() as con:
        assert con.execute("SELECT count(*) FROM headers").fetchall() == [(0,)]


KILLED = """
import os, signal
from pathlib import Path
from storage.ledger import Ledger
book = Ledger(Path({path!r}))
with book.write() as con:
    con.execute("INSERT INTO headers SELECT 'kept' || i, sha256(i::VARCHAR) FROM range(200000) t(i)")
with book.write() as con:
    con.execute("INSERT INTO headers SELECT 'lost' || i, sha256(i::VARCHAR) FROM range(200000) t(i)")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_loses_only_what_it_had_not_committed(tmp_path: Path) -> None:
    path = tmp_path / "l.duckdb"
    with python(KILLED.format(path=str(path))) as process:
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    for door in (Ledger(path).read, Ledger(path).write):
        with door() as con:
            rows = con.execute("SELECT header_key[:4], count(*) FROM headers GROUP BY 1").fetchall()
        assert rows == [("kept", 200_000)]


def _writes(path: Path, name: str, count: int) -> None:
    for i in range(count):
        add(path, f"{name}{i}")


def _reads(path: Path, wanted: int) -> None:
    while len(found := names(path)) < wanted:
        assert len(found) == len(set(found))


def test_two_writers_and_a_reader_at_once(tmp_path: Path) -> None:
    path = tmp_path / "l.duckdb"
    add(path, "first")
    processes = [
        SPAWN.Process(target=_writes, args=(path, "a", 8)),
        SPAWN.Process(target=_writes, args=(path, "b", 8)),
        SPAWN.Process(target=_reads, args=(path, 17)),
    ]
    threads = [threading.Thread(target=_writes, args=(path, f"t{i}-", 4)) for i in range(2)]
    for worker in [*processes, *threads]:
        worker.start()
    for worker in [*processes, *threads]:
        worker.join(60)
    assert [p.exitcode for p in processes] == [0, 0, 0]
    assert len(names(path)) == 1 + 16 + 8


HOLDS = """
import sys, time
from pathlib import Path
from storage.ledger import Ledger
with Ledger(Path({path!r})).write():
    print("held", flush=True)
    time.sleep(1.5)
"""


def test_who_waits_says_for_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "l.duckdb"
    monkeypatch.setattr(lock, "PATIENCE", 0.2)
    with python(HOLDS.format(path=str(path))) as process:
        assert process.stdout and process.stdout.readline() == "held\n"
        add(path, "after")
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and f"held by process {process.pid} (-c)" in err
    assert names(path) == ["after"]


def test_a_shell_that_has_it_open_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "l.duckdb"
    add(path, "a")
    monkeypatch.setattr(ledger_module, "PATIENCE", 0.2)
    code = f"import duckdb, time; c = duckdb.connect({str(path)!r}); print('held', flush=True); time.sleep(1)"
    with python(code) as process:
        assert process.stdout and process.stdout.readline() == "held\n"
        start = time.monotonic()
        add(path, "b")
        assert time.monotonic() - start > 0.3
    assert "open elsewhere" in capsys.readouterr().err
    assert names(path) == ["a", "b"]

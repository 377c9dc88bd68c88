"""A ledger that is written anew: all of it is there, and whoever is killed leaves the old one or the new one."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from assay.errors import LedgerError
from storage.ledger import Ledger
from storage.prune import Pruned, prune

COUNT = 100_000
OLD = "now()::TIMESTAMP - INTERVAL 60 DAY"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger with an old run, whose answers fill most of it, and its scores."""
    path = tmp_path / "l.duckdb"
    change(
        path,
        f"INSERT INTO runs (run_id, state, created) VALUES ('old', 'done', {OLD})",
        "INSERT INTO completions (completion_key, request_key, model_key, sampling_key, replica, text, created, run_id)"
        " SELECT sha256(i::VARCHAR), 'r', 'm', 's', 0, sha256('a' || i) || sha256('b' || i),"
        f" {OLD}, 'old' FROM range({COUNT}) t(i)",
        "INSERT INTO scores (scored, ordinal, sample_key, replica, filter, scorer, value)"
        " SELECT 'k', i, i::VARCHAR, 0, '', 'exact_match', i % 2 FROM range(1000) t(i)",
    )
    return path


def change(path: Path, *queries: str) -> None:
    with Ledger(path).write() as con:
        for query in queries:
            con.execute(query)


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with Ledger(path).read() as con:
        found: list[tuple[Any, ...]] = con.execute(query).fetchall()
    return found


def pruned(path: Path, **more: Any) -> Pruned:
    return prune(Ledger(path), path.parent / "spool", timedelta(days=30), **more)


def answers(path: Path) -> int:
    """How many are left, of a ledger in which all scores are."""
    assert rows(path, "SELECT count(*), sum(value) FROM scores") == [(1000, 500)]
    return int(rows(path, "SELECT count(text) FROM completions")[0][0])


def nothing_else(path: Path) -> bool:
    return {p.name for p in path.parent.iterdir()} <= {"l.duckdb", "l.duckdb.lock"}


def test_the_file_is_smaller_after(ledger: Path) -> None:
    ledger.chmod(0o640)
    told = pruned(ledger)
    [size] = [one.bytes for one in told.going]
    assert told.before - 1.2 * size < told.after < told.before - 0.8 * size
    assert told.after == ledger.stat().st_size
    assert ledger.stat().st_mode & 0o777 == 0o640
    assert answers(ledger) == 0 and nothing_else(ledger)


def test_a_link_stays_one(ledger: Path) -> None:
    link = ledger.with_name("link.duckdb")
    link.symlink_to(ledger)
    assert pruned(link).going
    assert link.is_symlink() and answers(ledger) == 0


def test_views_compression_and_what_others_put_there_survive(ledger: Path) -> None:
    change(
        ledger,
        "CREATE TABLE notes (text VARCHAR)",
        "INSERT INTO notes VALUES ('mine')",
        "CREATE SCHEMA s",
        'CREATE TABLE s."a b" AS SELECT 7 AS n',
        'CREATE VIEW own AS FROM notes, s."a b"',
    )
    schema = (
        "SELECT schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal"
        " UNION ALL SELECT schema_name, table_name, sql FROM duckdb_tables()"
        " UNION ALL SELECT schema_name, function_name, macro_definition FROM duckdb_functions() WHERE NOT internal"
        " ORDER BY ALL"
    )
    before, versions = rows(ledger, schema), rows(ledger, "FROM schema_versions ORDER BY version")
    assert any("ZSTD" in sql for _, _, sql in before) and len(before) > 25
    assert pruned(ledger).going
    assert rows(ledger, schema) == before
    assert rows(ledger, "FROM schema_versions ORDER BY version") == versions
    assert rows(ledger, "FROM own") == [("mine", 7)]


KILLED = """
import os, signal
from datetime import timedelta
from pathlib import Path
from storage import prune, rewrite
from storage.ledger import Ledger
publish = rewrite.publish

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def told(table):
    if table == {moment!r}:
        die()

def published(*paths):
    if {moment!r} == "before it is in place":
        die()
    publish(*paths)
    die()

rewrite.publish = published
prune.prune(Ledger({path!r}), Path("nowhere"), timedelta(days=30), told=told)
"""


@pytest.mark.parametrize(
    ("moment", "left"), [("asked", COUNT), ("steps", COUNT), ("before it is in place", COUNT), ("after that", 0)]
)
def test_whoever_is_killed_leaves_the_old_one_or_the_new_one(ledger: Path, moment: str, left: int) -> None:
    code = KILLED.format(path=str(ledger), moment=moment)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert answers(ledger) == left
    assert ledger.with_name("l.duckdb.fresh").exists() == bool(left)
    pruned(ledger)
    assert answers(ledger) == 0
    ledger.with_name("l.duckdb.lock.json").unlink(missing_ok=True)
    assert nothing_else(ledger)


LOGGED = """
import os, signal
from storage.ledger import Ledger
book = Ledger({path!r})
with book.kept():
    with book.write() as con:
        con.execute("INSERT INTO datasets (dataset_key, benchmark) VALUES ('late', 'x')")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_only_the_log_has_is_kept(ledger: Path) -> None:
    subprocess.run([sys.executable, "-c", LOGGED.format(path=str(ledger))], cwd=ROOT, check=False)
    assert ledger.with_name("l.duckdb.wal").exists()
    assert pruned(ledger).going
    assert not ledger.with_name("l.duckdb.wal").exists()
    assert rows(ledger, "SELECT dataset_key FROM datasets") == [("late",)]


WAITS = """
from storage.ledger import Ledger
print("ready", flush=True)
with Ledger({path!r}).write() as con:
    con.execute("INSERT INTO datasets (dataset_key, benchmark) VALUES ('after', 'x')")
"""


def test_whoever_writes_meanwhile_writes_into_the_new_one(ledger: Path) -> None:
    waiting: list[subprocess.Popen[str]] = []

    def told(table: str) -> None:
        if table == "asked":
            code = WAITS.format(path=str(ledger))
            waiting.append(subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True))
            assert waiting[0].stdout and waiting[0].stdout.readline() == "ready\n"

    assert pruned(ledger, told=told).going
    waiting[0].communicate()
    assert rows(ledger, "SELECT dataset_key FROM datasets") == [("after",)]
    assert answers(ledger) == 0


def test_where_there_is_no_room_nothing_changes(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, real = ledger.read_bytes(), shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=1 << 20))
    with pytest.raises(LedgerError, match=r"is as it was: .* takes up to \d+ MiB beside it, and the disk has 1 MiB"):
        pruned(ledger)
    assert ledger.read_bytes() == content and nothing_else(ledger)


FULL = """
import resource
from datetime import timedelta
from pathlib import Path
from assay.errors import LedgerError
from storage.ledger import Ledger
from storage.prune import prune
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    prune(Ledger({path!r}), Path("nowhere"), timedelta(days=30))
except LedgerError as error:
    print(error)
"""


def test_a_disk_that_fills_up_changes_nothing(ledger: Path) -> None:
    content = ledger.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", FULL.format(path=str(ledger))], cwd=ROOT, capture_output=True, text=True
    )
    assert "l.duckdb is as it was: " in done.stdout and done.stdout.count("\n") == 1, done.stderr
    assert ledger.read_bytes() == content and nothing_else(ledger)


def test_a_shell_that_has_it_open_is_waited_for(ledger: Path) -> None:
    code = f"import duckdb, time; c = duckdb.connect({str(ledger)!r}); print('held', flush=True); time.sleep(1)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "held\n"
        assert pruned(ledger).going
    assert answers(ledger) == 0

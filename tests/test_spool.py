"""The spool and the way through it: open requests out, answers in, nothing twice and nothing lost."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay.keys import digest
from assay.messages import join_messages, turns_json
from assay.types import Completion, Request, Sampling
from storage.collect import Collected, collect, orphans
from storage.ledger import Ledger
from storage.spool import answered, read_requests, segment_paths, write_segment
from storage.steps import (
    Counts,
    Written,
    bury,
    claim,
    open_columns,
    open_requests,
    release,
    renew_lease,
    waiting,
    write_shards,
)  # fmt: skip

MODEL, GREEDY = digest(b"model"), digest(b"greedy")
HEADER = turns_json([("system", "Be brief."), ("user", "Add.\n\n")])
PARTS = '[{"role":"user","content":[{"type":"text","text":"look"}]}]'
GOLD = {0: '"1"', 1: "2", 2: "[0,1]"}


@pytest.fixture
def book(tmp_path: Path) -> Ledger:
    """Run `a` has asked six questions under two prompt keys, of which one twice; run `b` asks two of them."""
    ledger = Ledger(tmp_path / "l.duckdb")
    with ledger.write() as con:
        for run in "ab":
            begin(con, run)
        con.execute("INSERT INTO headers VALUES ('h1', ?), ('h2', ?)", [HEADER, turns_json([("user", "Or else.")])])
        for i in range(6):
            header, tail = [("h1", question(i)), (None, question(i)), ("h2", PARTS)][i % 3]
            con.execute(
                "INSERT INTO requests VALUES (?, 'generate', ?, ?, ?, ?)",
                [digest(str(i).encode()), header, tail, [" yes", " no"][: i % 3], ["prompt_sums"][: i % 2]],
            )
            ask(con, "p0" if i < 4 else "p1", i)
        ask(con, "p1", 0)
        ask(con, "pb", 1)
        ask(con, "pb", 2)
    return ledger


def begin(con: object, run: str, refresh: bool = False) -> None:
    con.execute(  # type: ignore[attr-defined]
        "INSERT INTO runs (run_id, state, created, lease, refresh) VALUES (?, 'running', now()::TIMESTAMP, ?, ?)",
        [run, time.time() + 60, refresh],
    )


def ask(con: object, prompted: str, i: int) -> None:
    con.execute(  # type: ignore[attr-defined]
        "INSERT INTO asked VALUES (?, ?, ?, ?, 'subject', -1, 0, 0, 0, ?, ?, ?, ?, NULL)",
        [prompted, i, f"s{i}", digest(str(i).encode()), '{"max_tokens":7}', GREEDY, i, GOLD.get(i)],
    )


def question(i: int) -> str:
    return turns_json([("user", f"What is “{i}” + 1?\n")])


def key_of(i: int) -> str:
    return digest((digest(str(i).encode()) + MODEL + GREEDY + "0").encode())


def plan(book: Ledger, folder: Path, run: str, prompted: Sequence[str], size: int = 4) -> tuple[Counts, list[Written]]:
    """Shards of `size` requests each, claimed."""
    with book.write() as con:
        counts = open_requests(con, run, MODEL, prompted)
        keys = open_columns(con)["completion_key"]
        names = pa.array([f"{run}-{i // size:04d}" for i in range(len(keys))], pa.string())
        shards = write_shards(con, MODEL, pa.table({"completion_key": keys, "shard": names}), folder)
        claim(con, run, 60)
    return counts, shards


def answers(requests: Sequence[Request], text: str = "one") -> list[Completion]:
    return [Completion(r.key, text=text, sums=[-1.5], tokens=[2], greedy=[True], rendering="seen") for r in requests]


def count(book: Ledger, table: str) -> int:
    with book.read() as con:
        return int(con.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])


def test_a_request_comes_out_as_it_went_in(book: Ledger, tmp_path: Path) -> None:
    counts, shards = plan(book, tmp_path / "spool", "a", ["p0", "p1"])
    assert counts == Counts(asked=6, answered=0, waiting=0, open=6)
    assert [(s.shard, s.requests) for s in shards] == [("a-0000", 4), ("a-0001", 2)]
    found = {r.key: r for s in shards for chunk in read_requests(s.path, chunk=3) for r in chunk}
    assert found.keys() == {key_of(i) for i in range(6)}
    for i in range(6):
        header, tail = [(HEADER, question(i)), (None, question(i)), (turns_json([("user", "Or else.")]), PARTS)][i % 3]
        assert found[key_of(i)] == Request(
            key=key_of(i), kind="generate", messages=join_messages(header, tail),
            continuations=[" yes", " no"][: i % 3], sampling=Sampling(max_tokens=7),
            needs=frozenset(["prompt_sums"][: i % 2]), seed=i, gold=orjson.loads(GOLD.get(i, "null")),
        )  # fmt: skip
    assert sorted((tmp_path / "spool").iterdir()) == [s.path for s in shards]


def test_turns_of_one_request_are_its_own(book: Ledger, tmp_path: Path) -> None:
    _, (shard,) = plan(book, tmp_path / "spool", "a", ["p0"])
    (requests,) = read_requests(shard.path)
    headed = [r for r in requests if len(r.messages) == 2 and r.messages[0]["role"] == "system"]
    headed[0].messages[0]["content"] = "changed"
    assert len(headed) == 2 and headed[1].messages[0]["content"] == "Be brief."


def test_what_a_partitioner_goes_by(book: Ledger) -> None:
    with book.write() as con:
        open_requests(con, "a", MODEL, ["p0", "p1"])
        rows = open_columns(con).to_pylist()
    assert [r["completion_key"] for r in rows] == [key_of(i) for i in range(6)]
    assert [r["prompted"] for r in rows] == ["p0"] * 4 + ["p1"] * 2
    first = rows[2]
    assert first["bytes"] == len(PARTS) + len(" yes no") and first["continuations"] == 2
    assert rows[0]["header_bytes"] == len(HEADER.encode()) and rows[1]["header_bytes"] == 0
    assert {r["max_tokens"] for r in rows} == {7} and {r["kind"] for r in rows} == {"generate"}


def test_many_shards_have_a_file_each(book: Ledger, tmp_path: Path) -> None:
    with book.write() as con:
        con.execute(
            "INSERT INTO requests SELECT sha256('big' || i)[:32], 'generate', 'h1', ?, [], [] FROM range(5000) t(i)",
            [question(0)],
        )
        con.execute(
            "INSERT INTO asked SELECT 'big', i, 's' || i, sha256('big' || i)[:32], 'subject', -1, 0, 0, 0, '{}', ?, 0,"
            " NULL, NULL FROM range(5000) t(i)", [GREEDY],
        )  # fmt: skip
    _, shards = plan(book, tmp_path / "spool", "a", ["big"], size=20)
    assert [s.shard for s in shards] == [f"a-{i:04d}" for i in range(250)]
    assert {s.requests for s in shards} == {20}
    (requests,) = read_requests(shards[-1].path)
    assert {r.messages[1]["content"] for r in requests} == {"Add.\n\nWhat is “0” + 1?\n"}


def test_answers_come_in_once(book: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "spool" / "a"
    _, shards = plan(book, folder, "a", ["p0", "p1"])
    for shard in shards:
        (requests,) = read_requests(shard.path)
        write_segment(folder, shard.shard, 0, answers(requests))
    (requests,) = read_requests(shards[0].path)
    write_segment(folder, shards[0].shard, 1, answers(requests, "late"))
    kept = [(path, path.read_bytes()) for path in segment_paths(folder)]
    assert collect(book, folder, "a") == Collected(6, 0)
    assert segment_paths(folder) == []
    for path, data in kept:  # as after a kill between the commit and the removal
        path.write_bytes(data)
    assert collect(book, folder, "a") == Collected(0, 0)
    with book.read() as con:
        rows = con.execute("SELECT DISTINCT text, sums, tokens, greedy, run_id, model_key FROM completions").fetchall()
    assert rows == [("one", [-1.5], [2], [True], "a", MODEL)]
    assert count(book, "completions") == count(book, "renderings") == 6
    counts, shards = plan(book, folder, "a", ["p0", "p1"])
    assert counts == Counts(6, 6, 0, 0) and shards == []


def test_failures_are_rows_and_no_cache_hits(book: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    _, (shard,) = plan(book, folder, "a", ["p0"])
    (requests,) = read_requests(shard.path)
    failed = [Completion(r.key, error="timed out") for r in requests[:3]]
    path = write_segment(folder, shard.shard, 0, [*failed, *answers(requests[3:])])
    assert answered(folder, shard.shard) == {requests[3].key}
    data = path.read_bytes()
    assert collect(book, folder, "a", [shard.shard]) == Collected(1, 3)
    path.write_bytes(data)
    assert collect(book, folder, "a") == Collected(0, 0)
    with book.read() as con:
        assert con.execute("SELECT DISTINCT run_id, model_key, error FROM failures").fetchall() == [
            ("a", MODEL, "timed out")
        ]
    assert plan(book, folder, "a", ["p0"])[0] == Counts(4, 1, 0, 3)


def test_a_rollback_keeps_the_segments(book: Ledger, tmp_path: Path) -> None:
    _, (shard,) = plan(book, tmp_path, "a", ["p0"])
    (requests,) = read_requests(shard.path)
    write_segment(tmp_path, shard.shard, 0, answers(requests))
    with pytest.raises(ZeroDivisionError), book.write():
        assert collect(book, tmp_path, "a").completions == 4
        raise ZeroDivisionError
    assert len(segment_paths(tmp_path)) == 1 and count(book, "completions") == 0
    assert collect(book, tmp_path, "a") == Collected(4, 0)


@pytest.mark.parametrize("harm", ["truncated", "text", "empty", "part", "other"])
def test_a_torn_segment_is_left_out(book: Ledger, tmp_path: Path, harm: str) -> None:
    _, (shard,) = plan(book, tmp_path, "a", ["p0"])
    (requests,) = read_requests(shard.path)
    write_segment(tmp_path, shard.shard, 0, answers(requests[:2]))
    torn = write_segment(tmp_path, shard.shard, 0, answers(requests[2:]))
    assert torn.name == f"{shard.shard}.0-00001.parquet"
    data = torn.read_bytes()
    if harm == "part":
        torn.rename(torn.with_name(torn.name + ".part"))
    elif harm == "other":
        pq.write_table(pa.table({"x": [1]}), torn)
    else:
        torn.write_bytes({"truncated": data[: len(data) // 2], "text": b"hello", "empty": b""}[harm])
    found = collect(book, tmp_path, "a")
    assert found == Collected(2, 0, () if harm == "part" else (torn,))
    assert not torn.exists()
    assert answered(tmp_path, shard.shard) == set()
    assert [p.name for p in tmp_path.glob("a-*")] == [shard.path.name]
    assert plan(book, tmp_path, "a", ["p0"])[0].open == 2


def test_an_interrupted_shard_goes_on(book: Ledger, tmp_path: Path) -> None:
    _, (shard,) = plan(book, tmp_path, "a", ["p0"])
    (requests,) = read_requests(shard.path)
    write_segment(tmp_path, shard.shard, 0, answers(requests[:3]))
    done = answered(tmp_path, shard.shard)
    left = [r for chunk in read_requests(shard.path) for r in chunk if r.key not in done]
    assert [r.key for r in left] == [requests[3].key]
    write_segment(tmp_path, shard.shard, 0, answers(left))
    assert collect(book, tmp_path, "a") == Collected(4, 0)


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(pa.ArrowException):
        write_segment(tmp_path, "s", 0, [Completion("k", text="x", tokens=["no number"])])  # type: ignore[list-item]
    assert list(tmp_path.iterdir()) == []


def test_two_runs_do_not_ask_the_same(book: Ledger, tmp_path: Path) -> None:
    plan(book, tmp_path / "a", "a", ["p0"])
    counts, shards = plan(book, tmp_path / "b", "b", ["pb"])
    assert counts == Counts(asked=2, answered=0, waiting=2, open=0) and shards == []
    with book.write() as con:
        assert waiting(con, "b", MODEL, ["pb"]) == 2
        release(con, "a")
        assert waiting(con, "b", MODEL, ["pb"]) == 0
        assert open_requests(con, "a", MODEL, ["p0"]).open == 4
        claim(con, "a", 60)
        claim(con, "a", 60)
    assert count(book, "claims") == 4
    with book.write() as con:
        renew_lease(con, "a", -1)
        assert waiting(con, "b", MODEL, ["pb"]) == 0
        renew_lease(con, "a", 60)
        assert waiting(con, "b", MODEL, ["pb"]) == 2


def test_a_run_whose_process_is_no_more_is_buried(book: Ledger, tmp_path: Path) -> None:
    plan(book, tmp_path / "a", "a", ["p0"])
    with book.write() as con:
        con.execute("UPDATE runs SET host = ?, pid = ?", [socket.gethostname(), os.getpid()])
        assert bury(con) == []
        con.execute("UPDATE runs SET pid = 4194305 WHERE run_id = 'a'")
        assert orphans(con, tmp_path) == []
        write_segment(tmp_path / "a", "a-0000", 0, [])
        assert orphans(con, tmp_path) == []
        assert bury(con) == ["a"]
        assert orphans(con, tmp_path) == ["a"]
        assert waiting(con, "b", MODEL, ["pb"]) == 0


def test_a_refreshing_run_asks_again(book: Ledger, tmp_path: Path) -> None:
    _, (shard,) = plan(book, tmp_path / "a", "a", ["p0"])
    (requests,) = read_requests(shard.path)
    write_segment(tmp_path / "a", shard.shard, 0, answers(requests, "old"))
    collect(book, tmp_path / "a", "a")
    with book.write() as con:
        con.execute("UPDATE completions SET created = ?", [datetime(2020, 1, 1)])
        release(con, "a")
        begin(con, "c", refresh=True)
    counts, (shard,) = plan(book, tmp_path / "c", "c", ["p0"])
    assert counts == Counts(4, 0, 0, 4)
    (requests,) = read_requests(shard.path)
    write_segment(tmp_path / "c", shard.shard, 0, answers(requests[:3], "new"))
    assert collect(book, tmp_path / "c", "c") == Collected(3, 0)
    with book.read() as con:
        rows = con.execute("SELECT text, count(*) FROM completions GROUP BY 1 ORDER BY 1").fetchall()
    assert rows == [("new", 3), ("old", 1)]
    assert plan(book, tmp_path / "c", "c", ["p0"])[0] == Counts(4, 3, 0, 1)
    assert plan(book, tmp_path / "a", "a", ["p0"])[0].answered == 4

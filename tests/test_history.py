"""How fast a model is, learned from shards whose rates are known; and what is believed where little is known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from assay.workload import USUAL, Rates
from storage.history import ENOUGH, FASTER, last_device, rates_of
from storage.ledger import Ledger

TRUE = Rates(tokens_per_byte=0.3, prefill=5000.0, decode=250.0, written=0.4, load=42.0)
H100, CPU = "NVIDIA H100 80GB HBM3", "cpu"


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A ledger with two models of an adapter, the one twice the other, and one of another adapter."""
    with Ledger(tmp_path / "l.duckdb").write() as con:
        for name, adapter, size in (("mine", "hf", 2e9), ("half", "hf", 1e9), ("other", "openai", None)):
            facts = f'{{"parameters": {size}}}' if size else "{}"
            con.execute(
                "INSERT INTO models (model_key, label, adapter, facts) VALUES (?, ?, ?, ?)",
                [name, name, adapter, facts],
            )
        yield con


def answered(con: duckdb.DuckDBPyConnection, *shards: dict[str, Any]) -> None:
    """Shards that took as long as the true rates say, unless they are told otherwise."""
    for shard in shards:
        read, written = shard.get("read", 0), shard.get("written", 0)
        [(before,)] = con.execute("SELECT count(*) FROM shards").fetchall()
        row = {
            "run_id": "r", "shard": str(before), "model_key": "mine", "round": 0, "state": "done", "device": H100,
            "worker": "w", "finished": datetime(2026, 1, 1) + timedelta(minutes=before), "input_tokens": read,
            "bytes": read / TRUE.tokens_per_byte, "output_tokens": written, "allowance": written / TRUE.written,
            "load_seconds": TRUE.load if before % 4 == 0 else 0.0,
            "seconds": (read / TRUE.prefill + written / TRUE.decode) * shard.get("slower", 1.0),
        }  # fmt: skip
        row |= {name: value for name, value in shard.items() if name in row}
        con.execute(f"INSERT INTO shards ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", [*row.values()])


def rates(con: duckdb.DuckDBPyConnection, model: str = "mine", device: str = H100) -> Rates:
    return rates_of(con, model, "hf", device)


def mixed(count: int = 12, noise: float = 0.0, **more: Any) -> list[dict[str, Any]]:
    """Shards of which some are mostly read and some mostly written."""
    rng = np.random.default_rng(count)
    return [
        {"read": int(rng.integers(20_000, 400_000)), "written": int(rng.integers(0, 3)) * 4000,
         "slower": float(rng.lognormal(0, noise)), **more}
        for _ in range(count)
    ]  # fmt: skip


def test_what_shards_of_both_kinds_took_is_found_again(con: duckdb.DuckDBPyConnection) -> None:
    answered(con, *mixed())
    got = rates(con)
    assert (got.prefill, got.decode) == pytest.approx((TRUE.prefill, TRUE.decode), rel=0.02)
    assert (got.tokens_per_byte, got.written, got.load) == pytest.approx((0.3, 0.4, 42.0), rel=1e-3)
    assert got.source == f"this model on {H100}"


@pytest.mark.parametrize("count", [30, 300])
def test_noise_is_averaged_out(con: duckdb.DuckDBPyConnection, count: int) -> None:
    answered(con, *mixed(count, noise=0.2))
    got = rates(con)
    assert (got.prefill, got.decode) == pytest.approx((TRUE.prefill, TRUE.decode), rel=1.2 / count**0.5)


def test_the_estimates_of_the_past_come_to_what_it_took(con: duckdb.DuckDBPyConnection) -> None:
    shards = mixed(5, noise=0.5)
    answered(con, *shards)
    got = rates(con)
    [(took,)] = con.execute("SELECT sum(seconds) FROM shards").fetchall()
    read, written = (sum(shard[name] for shard in shards) for name in ("read", "written"))
    assert read / got.prefill + written / got.decode == pytest.approx(took)


def test_shards_that_are_only_read_tell_how_writing_stands_to_it_as_usual(con: duckdb.DuckDBPyConnection) -> None:
    answered(con, *({"read": n} for n in (50_000, 100_000, 70_000)))
    got = rates(con)
    assert got.prefill == pytest.approx(TRUE.prefill)
    assert got.decode == pytest.approx(TRUE.prefill * USUAL.decode / USUAL.prefill)
    assert got.written == USUAL.written


@pytest.mark.parametrize("count", [1, 40])
def test_shards_all_alike_divide_their_time_as_usual(con: duckdb.DuckDBPyConnection, count: int) -> None:
    answered(con, *[{"read": 50_000, "written": 5000}] * count)
    got = rates(con)
    assert 50_000 / got.prefill + 5000 / got.decode == pytest.approx(30)
    assert got.prefill / got.decode == pytest.approx(USUAL.prefill / USUAL.decode)


def test_no_rate_is_without_bound(con: duckdb.DuckDBPyConnection) -> None:
    """All the time lies in writing, as a cache of all prompts would have it."""
    answered(con, *({"read": n, "written": w, "seconds": w / 100} for n, w in
                    ((10_000, 9000), (900_000, 1000), (500_000, 5000))))  # fmt: skip
    got = rates(con)
    assert got.decode == pytest.approx(100, rel=0.3)
    slower = 150 / (1_410_000 / USUAL.prefill + 15_000 / USUAL.decode)
    assert got.prefill == pytest.approx(FASTER * USUAL.prefill / slower, rel=0.3)


def test_little_work_is_not_believed(con: duckdb.DuckDBPyConnection) -> None:
    assert rates(con) == USUAL
    answered(con, {"read": int(TRUE.prefill * ENOUGH * 0.9)})
    assert rates(con) == USUAL
    answered(con, {"read": int(TRUE.prefill * ENOUGH * 0.2)})
    assert rates(con).prefill == pytest.approx(TRUE.prefill)


def test_shards_that_say_nothing_are_passed_over(con: duckdb.DuckDBPyConnection) -> None:
    answered(
        con,
        {"read": 10**6, "seconds": None},  # not answered
        {"read": 10**6, "bytes": None},  # from a ledger before the planner
        {"read": 0, "bytes": 5000, "seconds": 99.0},  # an API that counts no tokens
        {"read": 10**6, "seconds": 0.0},
    )
    assert rates(con) == USUAL


def test_devices_are_apart(con: duckdb.DuckDBPyConnection) -> None:
    answered(con, *mixed(6), *mixed(6, device=CPU, slower=50.0, worker=""))
    assert rates(con).prefill == pytest.approx(TRUE.prefill, rel=0.05)
    assert rates(con, device=CPU).prefill == pytest.approx(TRUE.prefill / 50, rel=0.05)
    assert rates(con, device="TPU") == USUAL
    assert last_device(con, "mine", "hf", pooled=True) == H100
    assert last_device(con, "mine", "hf", pooled=False) == CPU
    assert last_device(con, "half", "hf", pooled=False) == CPU  # as its like
    assert last_device(con, "other", "openai", pooled=False) is None


def test_a_model_without_a_past_is_as_fast_as_its_like_by_its_size(con: duckdb.DuckDBPyConnection) -> None:
    answered(con, *mixed(12, model_key="half"))
    got = rates(con)
    assert (got.prefill, got.decode) == pytest.approx((TRUE.prefill / 2, TRUE.decode / 2), rel=0.02)
    assert (got.load, got.tokens_per_byte) == pytest.approx((2 * TRUE.load, TRUE.tokens_per_byte), rel=1e-3)
    assert got.source == f"hf models on {H100}"
    answered(con, *mixed(12))
    assert rates(con).prefill == pytest.approx(TRUE.prefill, rel=0.02)
    assert rates(con, "other").source == f"hf models on {H100}"  # its size is not known: as they are
    assert rates_of(con, "other", "openai", H100) == USUAL


def test_a_header_is_read_once_a_shard(con: duckdb.DuckDBPyConnection) -> None:
    """Of 100 bytes 90 are of a header that all prompts of the shard have: a tenth is what took the time."""
    answered(con, *mixed(8))
    con.execute("UPDATE shards SET distinct_bytes = bytes // 10")
    got = rates(con)
    assert got.prefill == pytest.approx(TRUE.prefill / 10, rel=0.05)
    assert got.tokens_per_byte == pytest.approx(0.3, rel=1e-3)

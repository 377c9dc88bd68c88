"""How fast models were: what a plan goes by, fitted to the shards that a ledger has seen answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import duckdb
import numpy as np
from scipy.optimize import nnls

from assay.workload import USUAL, Floats, Rates

ENOUGH = 3.0
"""Seconds of answering from which on a rate is believed; so much weight has what was believed before."""
NEWEST = 2000
"""Shards that are looked at: models and machines change."""
FASTER = 10.0
"""No rate is believed that is so many times as fast, against the other, as what was believed before."""

# The tokens of another model count as many as this model would do in the time, where both say their parameters.
_PAST = """
WITH known AS (SELECT *, nullif((facts->>'$.parameters')::DOUBLE, 0) AS parameters FROM models)
SELECT s.bytes, coalesce(s.distinct_bytes, s.bytes) AS distinct_bytes, s.allowance, s.input_tokens, s.output_tokens,
       s.seconds, s.load_seconds, coalesce(m.parameters / o.parameters, 1) AS size
FROM shards s JOIN known m USING (model_key) LEFT JOIN known o ON o.model_key = $model
WHERE {whose} AND s.device = $device AND s.seconds > 0 AND s.bytes > 0 AND s.input_tokens > 0
ORDER BY s.finished DESC LIMIT {newest}
"""


def rates_of(con: duckdb.DuckDBPyConnection, model_key: str, adapter: str, device: str, usual: Rates = USUAL) -> Rates:
    """How fast a model is on a device: by its own past, else by that of the adapter's other models, else as usual.

    Each only where that past is long enough; what is known less surely shapes what little data leave open.
    """
    given: dict[str, Any] = {"model": model_key, "device": device}
    alike = _past(con, "m.adapter = $adapter AND s.model_key <> $model", given | {"adapter": adapter})
    known = fitted(alike, usual, f"{adapter} models on {device}")
    return fitted(_past(con, "s.model_key = $model", given), known, f"this model on {device}")


def planned(con: duckdb.DuckDBPyConnection, run_id: str, shards: Sequence[str]) -> float:
    """The seconds that some shards of a run were estimated to take."""
    row = con.execute(
        "SELECT coalesce(sum(cost), 0) FROM shards WHERE run_id = ? AND list_contains(?, shard)", [run_id, list(shards)]
    ).fetchone()
    return float(row[0]) if row else 0.0


def last_device(con: duckdb.DuckDBPyConnection, model_key: str, adapter: str, pooled: bool) -> str | None:
    """What a model last ran on, else what another of its adapter did: on a worker, or in a run's own process."""
    row = con.execute(
        "SELECT s.device FROM shards s JOIN models m USING (model_key)"
        " WHERE m.adapter = ? AND s.device IS NOT NULL AND (coalesce(s.worker, '') <> '') = ?"
        " ORDER BY s.model_key = ? DESC, s.finished DESC LIMIT 1", [adapter, pooled, model_key]
    ).fetchone()  # fmt: skip
    return row[0] if row else None


def fitted(past: dict[str, Floats], usual: Rates, source: str) -> Rates:
    """The rates that explain how long some shards took, or what is usual where they took less than `ENOUGH` in all.

    Non-negative least squares (Lawson and Hanson 1974) of seconds ≈ read ÷ prefill + written ÷ decode, the squares over
    seconds. Where the shards do not tell the two apart (all of one kind, or few), they stand to each other as is usual:
    that counts like `ENOUGH` seconds more. The sum of the estimates is the sum of the seconds.
    """
    seconds = past["seconds"]
    read = past["input_tokens"] * past["size"] * past["distinct_bytes"] / past["bytes"]
    written = past["output_tokens"] * past["size"]
    parts = np.stack([read / usual.prefill, written / usual.decode], axis=1)
    if seconds.sum() < ENOUGH or parts.sum() <= 0:
        return usual
    slower = seconds.sum() / parts.sum()
    weighed = np.concatenate([slower * parts / np.sqrt(seconds)[:, None], np.sqrt(ENOUGH) * np.eye(2)])
    factor, _ = nnls(weighed, np.concatenate([np.sqrt(seconds), np.full(2, np.sqrt(ENOUGH))]))
    factor = slower * np.maximum(factor, 1 / FASTER)
    factor *= seconds.sum() / (parts @ factor).sum()
    loads = (past["load_seconds"] / past["size"])[past["load_seconds"] > 0]
    return replace(
        usual, source=source, prefill=float(usual.prefill / factor[0]), decode=float(usual.decode / factor[1]),
        tokens_per_byte=float(past["input_tokens"].sum() / past["bytes"].sum()), written=_share(past, usual),
        load=float(np.median(loads)) if len(loads) else usual.load,
    )  # fmt: skip


def _share(past: dict[str, Floats], usual: Rates) -> float:
    """What was written of what might have been."""
    asked = past["allowance"] > 0
    if not asked.any() or not past["output_tokens"][asked].any():
        return usual.written
    return min(1.0, float(past["output_tokens"][asked].sum() / past["allowance"][asked].sum()))


def _past(con: duckdb.DuckDBPyConnection, whose: str, given: dict[str, Any]) -> dict[str, Floats]:
    columns = con.execute(_PAST.format(whose=whose, newest=NEWEST), given).fetchnumpy()
    return {name: np.ma.filled(column.astype(np.float64), 0.0) for name, column in columns.items()}

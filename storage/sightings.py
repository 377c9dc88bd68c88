"""Which checkpoints nightly runs are done with."""

from __future__ import annotations

from typing import NamedTuple

import duckdb


class Sighting(NamedTuple):
    """How a checkpoint was found, or what came of its evaluation."""

    state: str
    """`done`, `failed`, or `broken`."""
    cause: str | None


def sightings(con: duckdb.DuckDBPyConnection, wanted: str, family: str) -> dict[tuple[str, str], Sighting]:
    """(place, fingerprint) -> the newest sighting of a family's checkpoints, for an evaluation or as broken."""
    rows = con.execute(
        "SELECT place, fingerprint, state, cause FROM sightings WHERE wanted IN (?, '') AND family = ?"
        " ORDER BY recorded", [wanted, family]
    ).fetchall()  # fmt: skip
    return {(place, fingerprint): Sighting(state, cause) for place, fingerprint, state, cause in rows}


def record(
    con: duckdb.DuckDBPyConnection, seen: tuple[str, str], wanted: str, checkpoint: tuple[str, int],
    sighting: Sighting, run_id: str | None = None,
) -> None:  # fmt: skip
    """Record what is done: of a checkpoint (place, fingerprint), for an evaluation, of a family and step."""
    con.execute(
        "INSERT INTO sightings VALUES (?, ?, ?, ?, ?, ?, ?, ?, make_timestamp(epoch_us(now())))",
        [*seen, wanted, *checkpoint, *sighting, run_id],
    )

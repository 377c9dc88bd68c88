"""The open requests, divided by the partitioner that a run names; without Prefect, as checks before a run use it."""

from __future__ import annotations

import inspect

import pyarrow as pa

from assay.errors import AssayError, SpecError
from assay.partition import Shards, partitioner
from assay.registry import Step, name_of
from assay.workload import USUAL, Amounts, Rates, amounts

OURS = {"prefix": "what the run names its shards by", "rates": "what the ledger has seen of the model"}


def divide(columns: pa.Table, step: Step, prefix: str = "", rates: Rates = USUAL, workers: int | None = None) -> Shards:
    """What a partitioner makes of some requests. Where it takes `rates` and `workers`, it gets these; an option of that
    name overrides the number of workers.

    Raises SpecError for an unknown one, for an option that it does not have or that makes no sense, and where it breaks
    down or leaves requests out.
    """
    name, options = name_of(step)
    for ours in OURS.keys() & options.keys():
        raise SpecError(f"partitioner {name}: `{ours}` is {OURS[ours]}, not an option")
    taken = inspect.signature(partitioner[name]).parameters
    known = {"rates": rates} | ({} if workers is None else {"workers": workers})
    options = {one: value for one, value in known.items() if one in taken} | options
    divided = partitioner.fitting(name, columns, prefix=prefix, **options)
    try:
        shards = divided(columns, prefix=prefix, **options)
    except AssayError:
        raise
    except Exception as error:  # it may be a user's
        raise SpecError(f"partitioner {name} on {len(columns)} requests: {type(error).__name__}: {error}") from error
    unnamed = set(shards.assignment["shard"].unique().to_pylist()) - shards.costs.keys()
    if len(shards.assignment) != len(columns) or unnamed:
        lacking = f"; it says no cost of {', '.join(sorted(unnamed))}" if unnamed else ""
        raise SpecError(f"partitioner {name} divided {len(shards.assignment)} of {len(columns)} requests{lacking}")
    return shards


def in_shards(columns: pa.Table, shards: Shards) -> pa.Table:
    """The columns of the requests with the shard of each."""
    return columns.join(shards.assignment, "completion_key")


def shard_amounts(columns: pa.Table, shards: Shards) -> dict[str, Amounts]:
    """What the requests of each shard come to."""
    return amounts(in_shards(columns, shards), "shard")

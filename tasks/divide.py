"""The open requests, divided by the partitioner that a run names; without Prefect, as checks before a run use it."""

from __future__ import annotations

import pyarrow as pa

from assay.errors import AssayError, SpecError
from assay.partition import Shards, partitioner
from assay.reading import name_of
from assay.spec import Step


def divide(columns: pa.Table, step: Step, prefix: str = "") -> Shards:
    """What a partitioner makes of some requests. Raises SpecError for an unknown one, for an option that it does not
    have or that makes no sense, and where it breaks down or leaves requests out."""
    name, options = name_of(step)
    if "prefix" in options:
        raise SpecError(f"partitioner {name}: `prefix` is what the run names its shards by, not an option")
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

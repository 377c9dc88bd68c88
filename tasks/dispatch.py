"""Where a model's shards go: into the run's own process, or to workers on a Prefect work pool or a cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence

from adapters import cluster_backend
from assay.errors import SpecError
from assay.partition import replicas_worth
from assay.spec import EvalSpec
from storage.exchange import exchange
from storage.history import planned
from tasks.cluster import Cluster
from tasks.context import Run, Subject, elsewhere, resolve
from tasks.estimate import rates_for
from tasks.fleet import Fleet, Hand
from tasks.pool import Pool, most


def pool_of(spec: EvalSpec, subject: Subject) -> str | None:
    """The work pool of a model; None where it has none. Raises SpecError for a name that cannot be filled in."""
    if not elsewhere(spec, subject) or spec.compute.pool is None:
        return None
    try:
        return spec.compute.pool.format(devices=subject.devices)
    except (KeyError, IndexError, ValueError) as error:
        raise SpecError(
            f"compute.pool: {spec.compute.pool!r} may hold {{devices}} and nothing else in braces"
        ) from error


def replicas(spec: EvalSpec, subject: Subject) -> int:
    """How many workers may have a model at a time: as the run says, else as many as its pool admits, else one.

    Raises SpecError where there is no such pool.
    """
    pool = pool_of(spec, subject)
    limit = most(pool) if pool else None
    asked = spec.compute.replicas if elsewhere(spec, subject) else 1
    return min(n for n in (asked or limit or 1, limit) if n is not None)


def check_place(spec: EvalSpec) -> None:
    """Raise SpecError where workers are to answer and there is no server, pool or back end for them."""
    if spec.compute.pool and not os.environ.get("PREFECT_API_URL"):
        raise SpecError(
            f"compute.pool: {spec.compute.pool} wants a Prefect server with workers: `make cluster` starts one on this"
            " machine; set PREFECT_API_URL to its address"
        )
    if spec.compute.spool:
        exchange(spec.compute.spool)
    if spec.compute.cluster:
        cluster_backend(spec.compute.cluster, spec.catalog)
    for subject in resolve(spec)[1].values():
        replicas(spec, subject)


def ask_elsewhere(run: Run, model: str, shards: Sequence[str]) -> None:
    """Have workers answer some shards, and collect what they answered: as many as the run says, else as are worth
    loading the model."""
    subject, compute = run.models[model], run.spec.compute
    pool, most = pool_of(run.spec, subject), replicas(run.spec, subject)
    hand: Hand = Pool(pool, run, model) if pool else Cluster(str(compute.cluster), run, model)
    with run.ledger.read() as con:
        seconds, load = planned(con, run.id, shards), rates_for(con, run, model).load
    Fleet(run, model, shards, hand, most if compute.replicas else replicas_worth(seconds, load, most)).ask()

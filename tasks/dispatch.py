"""Where a model's shards go: into the run's own process, or to workers on a Prefect work pool or a cluster."""

from __future__ import annotations

from collections.abc import Sequence

from prefect.settings import PREFECT_API_URL

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
from tasks.pool import Pool, limit


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


def most(spec: EvalSpec, subject: Subject) -> int | None:
    """How many workers may have a model at a time; None where nothing says.

    Raises SpecError where the pool that it is to be asked on is not there.
    """
    if not elsewhere(spec, subject):
        return 1
    pool = pool_of(spec, subject)
    return min((n for n in (spec.compute.replicas, limit(pool) if pool else None) if n is not None), default=None)


def replicas(spec: EvalSpec, subject: Subject, seconds: float, load: float) -> int:
    """How many workers of a model to start for so many seconds of work: as many as the run says and the pool admits;
    where the run does not say, as are worth the seconds of loading. Raises SpecError as `most` does."""
    known = most(spec, subject) or 1
    return known if spec.compute.replicas else replicas_worth(seconds, load, known)


def check_place(spec: EvalSpec) -> None:
    """Raise SpecError where workers are to answer and there is no server, pool or back end for them."""
    if spec.compute.pool and not PREFECT_API_URL.value():  # of the environment or the profile
        raise SpecError(
            f"compute.pool: {spec.compute.pool} wants a Prefect server with workers: `make cluster` starts one on this"
            " machine; set PREFECT_API_URL to its address"
        )
    if spec.compute.spool:
        exchange(spec.compute.spool)
    if spec.compute.cluster:
        cluster_backend(spec.compute.cluster, spec.catalog)
    for subject in resolve(spec)[1].values():
        most(spec, subject)


def ask_elsewhere(run: Run, model: str, shards: Sequence[str]) -> None:
    """Have workers answer some shards, and collect what they answered."""
    subject = run.models[model]
    pool = pool_of(run.spec, subject)
    hand: Hand = Pool(pool, run, model) if pool else Cluster(str(run.spec.compute.cluster), run, model)
    with run.ledger.read() as con:
        seconds, load = planned(con, run.id, shards), rates_for(con, run, model).load
    Fleet(run, model, shards, hand, replicas(run.spec, subject, seconds, load)).ask()

"""Sharing work out: which open request goes into which shard.

A partitioner is a function of columns, `name(columns, **options) -> Shards`: those of the open requests of one model
over all benchmarks (`assay.workload`). What it gives depends on the rows and not on their order; of no rows it makes no
shards. Shards are named from the costliest to the cheapest, which is the order in which workers take them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from assay.errors import SpecError
from assay.registry import Registry
from assay.workload import USUAL, Floats, Ints, Rates, Work, runs, sums, workload


class Shards(NamedTuple):
    """How requests are divided."""

    assignment: pa.Table
    """completion_key, shard: each request once."""
    costs: dict[str, float]
    """Shard -> its estimated seconds, in order of name."""


Partitioner = Callable[..., Shards]
Limit = Callable[[Any], Any]
"""What a shard may cost, by the cost of all before it."""

START = 10.0
"""Seconds that a worker's process takes until it begins to load a model."""

partitioner: Registry[Partitioner] = Registry("partitioner")


@partitioner
def naive(columns: pa.Table, *, prefix: str = "", n: int = 1, rates: Rates = USUAL) -> Shards:
    """One shard for every n benchmarks, as OpenCompass's NaivePartitioner."""
    _at_least(1, n=n)
    work = workload(columns, rates)
    return _shards(work, work.benchmark // n, prefix)


@partitioner
def size(
    columns: pa.Table, *, prefix: str = "", max_task_size: int = 40_000, gen_task_coef: int = 20, rates: Rates = USUAL
) -> Shards:
    """As OpenCompass's SizePartitioner: a benchmark's size is its requests × `gen_task_coef`, or × its choices.

    What is larger than `max_task_size` is split evenly, the rest merged by next fit, from large to small. Its list of
    names that count ten times is left out: it stands for answers that are long.
    """
    _at_least(1, max_task_size=max_task_size, gen_task_coef=gen_task_coef)
    work = workload(columns, rates)
    factor = np.where(work.generate, gen_task_coef, np.maximum(work.continuations, 1))
    count = np.bincount(work.benchmark)
    each = np.zeros(len(count), np.int64)
    np.maximum.at(each, work.benchmark, factor)
    parts = -(-count // np.maximum(max_task_size // each, 1))
    parts[each * count <= max_task_size] = 1
    piece, pieces = _even(work.benchmark, count, -(-count // parts))
    whole = np.where(parts == 1, each * count, max_task_size)  # a part counts as a full task
    cost = np.repeat(whole, pieces).astype(np.float64)
    order = np.argsort(-cost, kind="stable")
    task = np.empty(len(cost), np.int64)
    task[order] = _next_fit(cost[order], lambda _: np.float64(max_task_size), np.zeros(len(cost)))
    return _shards(work, task[piece], prefix)


@partitioner
def num_worker(
    columns: pa.Table, *, prefix: str = "", workers: int = 8, num_split: int | None = None, min_task_size: int = 16,
    rates: Rates = USUAL,
) -> Shards:  # fmt: skip
    """As OpenCompass's NumWorkerPartitioner: benchmarks cut into `num_split` parts, dealt out to the workers in turn.

    A part has at least `min_task_size` requests; there is one shard a worker.
    """
    num_split = workers if num_split is None else num_split
    _at_least(1, workers=workers, num_split=num_split, min_task_size=min_task_size)
    work = workload(columns, rates)
    count = np.bincount(work.benchmark)
    step = np.where(count > min_task_size, np.maximum(-(-count // num_split), min_task_size), count)
    piece, _ = _even(work.benchmark, count, step)
    return _shards(work, piece % workers, prefix)


@partitioner
def balanced(
    columns: pa.Table, *, prefix: str = "", workers: int = 1, per_worker: int = 48, min_seconds: float = 5.0,
    max_seconds: float = 300.0, max_shards: int | None = None, rates: Rates = USUAL,
) -> Shards:  # fmt: skip
    """Shards over all benchmarks for workers that claim the longest open one: large ones first, small ones to end with.

    A shard has a third of what is then left to a worker: guided self-scheduling (Polychronopoulos and Kuck 1987),
    and less than all that is left, since neither speeds nor costs are surely known, as in factoring (Hummel,
    Schonberg and Flynn 1992). None is more than `max_seconds`, or an eighth of a worker's share where that is more;
    or less than `min_seconds`, or a worker's share and load time ÷ `per_worker`, or what would make more than
    `max_shards`. Small benchmarks are merged and big ones split. Requests with the same header stay together where
    that is less than a shard, and else in as few as will do; a benchmark is in few shards, so that it can be scored
    early. No shard costs more than its share (or twice a header, where that is more) and one request.
    """
    _at_least(1, workers=workers, per_worker=per_worker, max_shards=1 if max_shards is None else max_shards)
    if not 0 < min_seconds <= max_seconds:
        raise SpecError(f"balanced: wanted 0 < min_seconds <= max_seconds, got {min_seconds} and {max_seconds}")
    work = workload(columns, rates)
    total, share = work.total, work.total / workers
    least = max((share + rates.load) / per_worker, min_seconds)
    least = max(least, 2 * total / max_shards) if max_shards else least  # next fit fills at least half
    most = max(max_seconds, share / 8, least)

    def limit(done: Floats) -> Floats:
        return np.clip((total - done) / (3 * workers), least, most)

    piece, own, again = _pieces(work, limit)
    return _shards(work, _next_fit(own, limit, again)[piece], prefix)


def replicas_worth(total_seconds: float, load_seconds: float, most: int) -> int:
    """How many replicas of a model are worth loading it for: as many as still answer for as long as they load.

    So at least half of the devices' time goes into answers, and no run takes more than twice as long as with any
    number of replicas. A worker's own start counts as `START` seconds of loading at least.
    """
    return max(1, min(most, int(total_seconds / max(load_seconds, START))))


def _pieces(work: Work, limit: Limit) -> tuple[Ints, Floats, Floats]:
    """What stays together, cut where it is more than a shard at its place: the piece of each request; what each piece
    costs, with its header where it is the first that has it; and what that header costs where it is said again."""
    groups = sums(work.group, work.seconds)
    header = np.zeros(len(groups))
    header[work.group] = work.header_seconds
    share = limit(np.cumsum(groups + header))  # at the end of each group: no shard before that is smaller
    room = np.maximum(share - header, header)  # never spend more on saying the header again than on what follows it
    parts = np.maximum(np.ceil(groups / np.maximum(room, 1e-12)), 1)
    done = np.cumsum(work.seconds) - work.seconds - (np.cumsum(groups) - groups)[work.group]
    into = np.clip(done / np.maximum(groups[work.group], 1e-12), 0, 1)
    part = np.minimum(np.floor(into * parts[work.group]), parts[work.group] - 1).astype(np.int64)
    piece = runs(work.group, part)
    owner = work.group[np.flatnonzero(np.diff(piece, prepend=-1))]
    first = np.diff(owner, prepend=-1) != 0
    return piece, sums(piece, work.seconds) + header[owner] * first, header[owner] * ~first


def _even(benchmark: Ints, count: Ints, step: Ints) -> tuple[Ints, Ints]:
    """Runs of `step` requests of each benchmark: the piece of each request, and how many pieces each benchmark has."""
    pieces = -(-count // step)
    first = np.cumsum(pieces) - pieces
    by_benchmark = np.argsort(benchmark, kind="stable")
    inside = np.empty(len(benchmark), np.int64)
    inside[by_benchmark] = np.arange(len(benchmark)) - np.repeat(np.cumsum(count) - count, count)
    return first[benchmark] + inside // step[benchmark], pieces


def _next_fit(cost: Floats, limit: Limit, again: Floats) -> Ints:
    """The bin of each: the same as the one before while that holds no more than the limit for what is done before it.

    A bin costs `again` more where it begins in the middle of what stays together.
    """
    passed = np.cumsum(cost)
    bins = np.empty(len(cost), np.int64)
    start = number = 0
    while start < len(cost):
        done = passed[start - 1] if start else np.float64(0)
        full = done - again[start] + limit(done) * (1 + 1e-9)
        end = max(start + 1, int(np.searchsorted(passed, full, "right")))
        bins[start:end] = number
        start, number = end, number + 1
    return bins


def _shards(work: Work, number: Ints, prefix: str) -> Shards:
    """Shards by name, the costliest first; a header counts once in each shard that has it."""
    if not len(number):
        return Shards(pa.table({"completion_key": work.key, "shard": pa.array([], pa.string())}), {})
    cost = sums(number, work.seconds)
    once = np.unique(number * (work.group.max() + 1) + work.group, return_index=True)[1]
    cost += sums(number[once], work.header_seconds[once], len(cost))
    used = np.flatnonzero(np.bincount(number))
    ordered = used[np.argsort(-cost[used], kind="stable")]
    names = [f"{prefix}{i:04d}" for i in range(len(ordered))]
    rank = np.empty(len(cost), np.int64)
    rank[ordered] = np.arange(len(ordered))
    shard = pa.DictionaryArray.from_arrays(pa.array(rank[number]), pa.array(names)).cast(pa.string())
    return Shards(
        pa.table({"completion_key": work.key, "shard": shard}),
        dict(zip(names, cost[ordered].tolist(), strict=True)),
    )


def _at_least(least: int, **given: Any) -> None:
    for name, value in given.items():
        if value < least:
            raise SpecError(f"partitioner: wanted {name} of at least {least}, got {value}")

"""What a run will take, before anything is asked: requests, shards, tokens, time, cost; by what the ledger has seen."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import duckdb
import pyarrow as pa

from assay.partition import Shards, replicas_worth
from assay.types import Record
from assay.workload import ELSEWHERE, ON_CPU, USUAL, Amounts, Rates, amounts
from storage.history import last_device, rates_of
from storage.steps import Counts, open_columns, open_requests
from tasks.context import Run, Subject, elsewhere, now
from tasks.devices import count
from tasks.divide import divide, in_shards

SHOWN = (1, 8, 64)
"""Replicas for which the time is told, beside those that a run asks for."""
MANY = 4096
"""Replicas that nobody has more of."""


class Share(Record):
    """What is open of a benchmark."""

    benchmark: str
    requests: int
    shards: int
    """That have some of it."""
    prompt_tokens: int
    written_tokens: int
    seconds: float
    """Of one replica, without the loading."""


class Time(Record):
    """How long so many replicas take, the loading counted."""

    replicas: int
    seconds: float


class Estimate(Record):
    """What a model's part of a run comes to."""

    model: str
    asked: int
    cached: int
    """Have an answer."""
    waiting: int
    """Another run is asking them just now."""
    open: int
    shards: int
    """As the replicas that the run asks for would share them out."""
    longest: float
    prompt_tokens: int
    written_tokens: int
    load: float
    times: tuple[Time, ...]
    worth: int
    """Replicas that are worth loading the model for."""
    device_hours: float
    """Of the replicas that the run asks for."""
    price: float | None
    """Of the tokens and the device hours; None where the model has no price."""
    prefill: float
    decode: float
    rates_from: str
    benchmarks: tuple[Share, ...]


class Open(NamedTuple):
    """What there is to ask a model."""

    counts: Counts
    columns: pa.Table
    rates: Rates


def rates_for(con: duckdb.DuckDBPyConnection, run: Run, model: str) -> Rates:
    """How fast a model of a run will be, on what it or its like last ran on: as the ledger has seen, else as usual."""
    subject = run.models[model]
    pooled = elsewhere(run.spec, subject)
    device = last_device(con, model, subject.spec.adapter, pooled)
    usual = _usual(subject, pooled)
    return rates_of(con, model, subject.spec.adapter, device, usual) if device else usual


def _usual(subject: Subject, pooled: bool) -> Rates:
    if subject.devices == 0:
        return ELSEWHERE
    return USUAL if pooled or count() else ON_CPU


def estimate(run: Run, model: str, refresh: bool = False) -> Estimate:
    """What a run's first round will ask a model; with `refresh`, as if nothing had been answered yet.

    The run's prompts have to be in the ledger. Nothing is claimed. Raises SpecError, LedgerError.
    """
    subject, found = run.models[model], _open(run, model, refresh)
    columns, rates = found.columns, found.rates
    asked = run.spec.compute.replicas or 1 if elsewhere(run.spec, subject) else 1
    shards = divide(columns, run.spec.partitioner, "", rates, asked)
    placed = in_shards(columns, shards)
    seconds = _seconds(placed, rates)
    total = sum(seconds)
    prompts, written = _tokens(amounts(columns, "prompted").values(), rates)
    worth = replicas_worth(total, rates.load, MANY if elsewhere(run.spec, subject) else 1)
    hours = subject.devices * (total + min(asked, len(seconds)) * rates.load) / 3600
    price = subject.spec.price
    return Estimate(
        model=subject.spec.label, asked=found.counts.asked, cached=found.counts.answered, waiting=found.counts.waiting,
        open=found.counts.open, shards=len(seconds), longest=max(seconds, default=0.0), prompt_tokens=prompts,
        written_tokens=written, load=rates.load, times=_times(run, subject, found, asked), worth=worth,
        device_hours=hours, prefill=rates.prefill, decode=rates.decode, rates_from=rates.source,
        price=price and (prompts * price.input + written * price.output) / 1e6 + hours * price.device_hour,
        benchmarks=_shares(run, model, placed, shards, rates),
    )  # fmt: skip


def _open(run: Run, model: str, refresh: bool) -> Open:
    prompted = [key for name in run.benchmarks for key in run.prompted(name, model)]
    with run.ledger.write() as con:
        before = con.execute("SELECT refresh, created FROM runs WHERE run_id = ?", [run.id]).fetchone()
        if refresh:  # an answer is old where it is older than such a run
            con.execute("UPDATE runs SET refresh = true, created = ? WHERE run_id = ?", [now(), run.id])
        counts = open_requests(con, run.id, model, prompted)
        columns, rates = open_columns(con), rates_for(con, run, model)
        if before:
            con.execute("UPDATE runs SET refresh = ?, created = ? WHERE run_id = ?", [*before, run.id])
    return Open(counts, columns, rates)


def _times(run: Run, subject: Subject, found: Open, asked: int) -> tuple[Time, ...]:
    """The time on each number of replicas that can be: the run's own process is one."""
    numbers = sorted({asked, *SHOWN}) if elsewhere(run.spec, subject) else [1]
    told = []
    for replicas in numbers:
        shards = divide(found.columns, run.spec.partitioner, "", found.rates, replicas)
        costs = _seconds(in_shards(found.columns, shards), found.rates)
        told.append(Time(replicas=replicas, seconds=claimed(costs, [1.0] * replicas, found.rates.load)))
    return tuple(told)


def claimed(costs: Iterable[float], speeds: Sequence[float], load: float) -> float:
    """Seconds until all is done where workers, each with a speed of its own, load the model once and then claim one
    shard after the other."""
    free = [(load, worker) for worker in range(len(speeds))]
    done = 0.0
    for cost in costs:
        at, worker = free[0]
        heapq.heapreplace(free, (at + cost / speeds[worker], worker))
        done = max(done, at + cost / speeds[worker])
    return done


def _seconds(placed: pa.Table, rates: Rates) -> list[float]:
    """What each shard takes, whatever its partitioner says, the longest first."""
    return sorted((one.seconds(rates) for one in amounts(placed, "shard").values()), reverse=True)


def _tokens(some: Iterable[Amounts], rates: Rates) -> tuple[int, int]:
    """Prompt tokens, a header in each prompt, as they are paid for; and tokens that will be written."""
    some = list(some)
    read = sum(one.bytes for one in some) * rates.tokens_per_byte
    return round(read), round(sum(one.allowance for one in some) * rates.written)


def _shares(run: Run, model: str, placed: pa.Table, shards: Shards, rates: Rates) -> tuple[Share, ...]:
    """By benchmark, in the run's order; what several ask alike is the first one's."""
    inside = placed.group_by("prompted").aggregate([("shard", "count_distinct")])
    pieces = dict(zip(inside["prompted"].to_pylist(), inside["shard_count_distinct"].to_pylist(), strict=True))
    some = amounts(placed, "prompted")
    told = []
    for name in run.benchmarks:
        for key in run.prompted(name, model):
            if key in some:
                one = some.pop(key)
                prompts, written = _tokens([one], rates)
                told.append(Share(
                    benchmark=name, requests=one.requests, shards=pieces[key], prompt_tokens=prompts,
                    written_tokens=written, seconds=one.seconds(rates),
                ))  # fmt: skip
    return tuple(told)

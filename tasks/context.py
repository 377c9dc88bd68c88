"""A run and what its steps share: the spec, the benchmarks, the models, the ledger, the spool.

Steps are handed a ledger's path and a run's id, never data; each process reads the rest from the ledger once.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
from filelock import FileLock

from adapters import model_adapter
from assay.catalog import load_benchmark, load_model, load_suite
from assay.errors import SpecError
from assay.functions import load_functions
from assay.keys import key
from assay.nightly import Nightly
from assay.spec import Benchmark, EvalSpec, ModelSpec
from assay.types import ModelInfo, Sampling
from storage.exchange import Exchange, Remote
from storage.ledger import Ledger
from tasks.manifest import versions

LEASE = 60.0
"""Seconds that a run counts as alive after its process last said so."""


MADE_BY = {
    "samples": "prepared", "asked": "prompted", "predictions": "predicted", "executed": "executed", "scores": "scored",
}  # fmt: skip
"""The column of each table that holds the key of the step that made a row."""


@dataclass(frozen=True)
class Subject:
    """A model of a run, described but not loaded."""

    key: str
    spec: ModelSpec
    info: ModelInfo
    devices: int = 1
    """That one replica wants; 0: it is asked from the run's own process."""


@dataclass
class StepRecord:
    """A step of one benchmark (or model) in one run."""

    fresh: bool
    """Whether its rows have to be made; else they are there from this or an earlier run, and are linked."""
    rows: int = 0


@dataclass(frozen=True)
class Run:
    """A run in this process."""

    ledger: Ledger
    id: str
    spec: EvalSpec
    benchmarks: Mapping[str, Benchmark]
    models: Mapping[str, Subject]
    """Those that are evaluated, and those that are asked about them."""
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Role -> the keys of the models that have it: `subject` of those that are evaluated, `judge`, `baseline`."""
    refresh: bool = False
    began: datetime = field(default_factory=lambda: now())
    """When this process took the run up: what failed since then is not asked again in this attempt."""
    keys: dict[tuple[str, str, str, int], str] = field(default_factory=dict)
    """(step, benchmark, model, round) -> step key, of what is done."""

    @property
    def spool(self) -> Path:
        """The folder of this run's shards and segments."""
        return spool_of(self.ledger.path) / self.id

    @property
    def subjects(self) -> tuple[str, ...]:
        """The keys of the models that are evaluated."""
        return self.roles["subject"]

    @property
    def others(self) -> tuple[str, ...]:
        """The keys of the models that are asked about those that are evaluated."""
        return tuple(dict.fromkeys(key for role, keys in self.roles.items() if role != "subject" for key in keys))

    def sampling(self, benchmark: Benchmark) -> Sampling:
        """The benchmark's sampling with the spec's overrides."""
        return Sampling.model_validate(benchmark.sampling.model_dump() | self.spec.sampling)

    @contextmanager
    def step(
        self, step: str, benchmark: str, step_key: str, table: str = "", model: str = "", round: int = 0
    ) -> Iterator[StepRecord]:
        """One step: `fresh` is false where its rows are in the ledger already; on leaving it is recorded as done.

        Two runs that want the same rows do not make them twice: the second waits and links. Rows of an attempt that
        was cut off are removed first (`table`, by its first column, the step's key).
        """
        locks = spool_of(self.ledger.path) / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / f"{step_key}.lock"):
            with self.ledger.read() as con:
                done = con.execute(
                    "SELECT rows FROM steps WHERE step_key = ? AND state = 'done' LIMIT 1", [step_key]
                ).fetchone()
            record = StepRecord(fresh=done is None, rows=done[0] if done else 0)
            if record.fresh and table:
                with self.ledger.write() as con:
                    for made in ("asked", "shown", "examples") if table == "asked" else (table,):
                        con.execute(f"DELETE FROM {made} WHERE {MADE_BY[table]} = ?", [step_key])
            began = time.perf_counter()
            yield record
            seconds = time.perf_counter() - began
            self._record(step, benchmark, model, round, step_key, "done", record.rows, seconds, None)
        self.keys[step, benchmark, model, round] = step_key

    def put(self, table: str, step_key: str, rows: pa.Table) -> None:
        """Add a chunk of what a step makes, in a transaction of its own."""
        with self.ledger.write() as con:
            con.register("chunk", rows)
            con.execute(f"INSERT INTO {table} BY NAME SELECT ? AS {MADE_BY[table]}, * FROM chunk", [step_key])

    def forget(self, step: str, benchmark: str, model: str, round: int) -> None:
        """Drop what an earlier attempt recorded of this round and later ones: it followed from other answers."""
        for place in [(step, benchmark, model, later) for *_, later in self.keys if later >= round]:
            self.keys.pop(place, None)
        with self.ledger.write() as con:
            con.execute(
                "DELETE FROM steps WHERE run_id = ? AND step = ? AND benchmark = ? AND model_key = ? AND round >= ?",
                [self.id, step, benchmark, model, round],
            )

    def fail(self, step: str, benchmark: str, error: Exception, model: str = "") -> None:
        """Record that a benchmark cannot go on, and why."""
        self._record(step, benchmark, model, 0, "", "failed", 0, 0.0, str(error))

    def _record(self, *row: Any) -> None:
        step, benchmark, model, round_, step_key, state, rows, seconds, error = row
        with self.ledger.write() as con:
            con.execute(
                "DELETE FROM steps WHERE run_id = ? AND step = ? AND benchmark = ? AND model_key = ? AND round = ?",
                [self.id, step, benchmark, model, round_],
            )
            con.execute(
                "INSERT INTO steps (run_id, step, benchmark, model_key, round, step_key, state, rows, seconds,"
                " recorded, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [self.id, step, benchmark, model, round_, step_key, state, rows, seconds, now(), error],
            )

    def key_of(self, step: str, benchmark: str, model: str = "", round: int = 0) -> str:
        """The key under which a step's rows lie."""
        return self.keys[step, benchmark, model, round]

    def prompted(self, benchmark: str, model: str) -> list[str]:
        """The keys of all that was asked of a model for a benchmark, round by round."""
        return [
            step_key
            for (step, name, owner, _), step_key in sorted(self.keys.items())
            if step == "prompt" and name == benchmark and owner == model
        ]

    def alive(self, benchmarks: Iterable[str], model: str = "") -> list[str]:
        """Those that have not failed: for every model, or for this one."""
        with self.ledger.read() as con:
            rows = con.execute(
                "SELECT benchmark FROM steps WHERE run_id = ? AND state = 'failed' AND model_key IN ('', ?)",
                [self.id, model],
            ).fetchall()
        failed = {row[0] for row in rows}
        return [name for name in benchmarks if name not in failed]


def spool_of(ledger: Path) -> Path:
    """The folder beside a ledger through which records pass between processes."""
    return ledger.with_name(ledger.name + ".spool")


def exchange_of(ledger: Path, run_id: str, spool: str | None) -> Exchange:
    """Where a run and its workers hand each other files: under `spool`, else in the run's folder beside the ledger.

    Raises SpecError where it cannot be reached.
    """
    folder, place = spool_of(ledger).absolute() / run_id, spool or os.environ.get("ASSAY_SPOOL")
    if not place:
        return Exchange(folder)
    url = place if "://" in place else str(Path(place).expanduser().absolute())
    return Remote(f"{url.rstrip('/')}/{run_id}", folder)


def now() -> datetime:
    """The time as the ledger keeps it: UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


def benchmarks_of(spec: EvalSpec | Nightly) -> dict[str, Benchmark]:
    """The benchmarks that are named, and those of the suites, each once. Raises SpecError for an unknown name."""
    load_functions(spec.catalog)
    names = dict.fromkeys([*spec.benchmarks, *(b for s in spec.suites for b in load_suite(s, spec.catalog))])
    return {b.id: b for b in (load_benchmark(name, spec.catalog) for name in names)}


def resolve(spec: EvalSpec) -> tuple[dict[str, Benchmark], dict[str, Subject]]:
    """The benchmarks that a spec names and the models that it evaluates, read and described.

    Raises SpecError and ModelError for what is misspelt, missing or cannot be loaded.
    """
    benchmarks = benchmarks_of(spec)
    return benchmarks, described(spec, spec.models)


def resolve_others(spec: EvalSpec) -> dict[str, dict[str, Subject]]:
    """The models that are asked about those that are evaluated, described, by role. Raises SpecError, ModelError."""
    baseline = () if spec.baseline is None else (spec.baseline,)
    return {"judge": described(spec, spec.judges), "baseline": described(spec, baseline)}


def described(spec: EvalSpec, models: Iterable[ModelSpec | str]) -> dict[str, Subject]:
    """Models as their adapters describe them, by their keys. Raises SpecError, ModelError."""
    subjects: dict[str, Subject] = {}
    for given in models:
        model = load_model(given, spec.catalog) if isinstance(given, str) else given
        adapter = model_adapter(model.adapter, spec.catalog)
        info = adapter.describe(model)
        own = info.facts.get("devices", getattr(adapter, "DEVICES", 1))
        devices = own if model.devices is None else model.devices
        subject = Subject(key(model.adapter, dict(info.identity)), model, info, devices)
        if subject.key in subjects:
            raise SpecError(f"{model.label} and {subjects[subject.key].spec.label} are the same model: name it once")
        subjects[subject.key] = subject
    return subjects


def elsewhere(spec: EvalSpec, subject: Subject) -> bool:
    """Whether workers answer for a model, and not the run's own process."""
    return subject.devices > 0 and bool(spec.compute.pool or spec.compute.cluster)


def create(spec: EvalSpec, ledger: Ledger, refresh: bool = False, flow_run: str = "") -> str:
    """Record a new run; its id."""
    benchmarks, subjects = resolve(spec)
    others = [subject for models in resolve_others(spec).values() for subject in models.values()]
    run_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
    with ledger.write() as con:
        con.execute(
            "INSERT INTO runs (run_id, spec, spec_hash, state, created, lease, pid, host, versions, refresh)"
            " VALUES (?, ?, ?, 'running', ?, ?, ?, ?, ?, ?)",
            [run_id, spec.model_dump_json(), spec.hash, now(), time.time() + LEASE, os.getpid(),
             socket.gethostname(), orjson.dumps(versions()).decode(), refresh],
        )  # fmt: skip
        for subject in (*subjects.values(), *others):
            record_model(con, subject)
        for benchmark in benchmarks.values():
            con.execute(
                "INSERT INTO recipes SELECT ?, ?, ?, ?, ? WHERE NOT EXISTS (FROM recipes WHERE recipe_key = ?)",
                [benchmark.recipe_key, benchmark.name, benchmark.variant, benchmark.dimension,
                 benchmark.model_dump_json(by_alias=True), benchmark.recipe_key],
            )  # fmt: skip
    return run_id


def record_model(con: duckdb.DuckDBPyConnection, subject: Subject) -> None:
    """Have a model among those that the ledger knows."""
    model, info = subject.spec, subject.info
    con.execute(
        "INSERT INTO models SELECT ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE NOT EXISTS (FROM models WHERE model_key = ?)",
        [subject.key, model.label, model.adapter, model.path, orjson.dumps(dict(info.identity)).decode(),
         orjson.dumps(dict(info.facts)).decode(), info.chat, model.family, model.step, subject.key],
    )  # fmt: skip


@lru_cache(maxsize=8)
def open_run(ledger: str, run_id: str) -> Run:
    """A run by its ledger's path and its id. Raises SpecError where the ledger has no such run."""
    book = Ledger(Path(ledger))
    with book.read() as con:
        found = con.execute("SELECT spec, refresh FROM runs WHERE run_id = ?", [run_id]).fetchone()
        if found is None:
            raise SpecError(f"the ledger {ledger} has no run {run_id!r}")
        done = con.execute(
            "SELECT step, benchmark, model_key, round, step_key FROM steps WHERE run_id = ? AND state = 'done'",
            [run_id],
        ).fetchall()
    spec = EvalSpec.model_validate_json(found[0])
    benchmarks, subjects = resolve(spec)
    others = resolve_others(spec)
    roles = {"subject": tuple(subjects)} | {role: tuple(models) for role, models in others.items()}
    models = {key: model for some in (*others.values(), subjects) for key, model in some.items()}
    return Run(book, run_id, spec, benchmarks, models, roles, found[1], keys={row[:4]: row[4] for row in done})

"""What Prefect costs: the same evaluation under it, and with its steps called as plain functions. One JSON line.

    python bench/orchestration.py [--limit N] [--rounds 3] [--no-postgres]

`all`: every benchmark that has data here, on a model of no cost. `real`: the suite `mini` on the model of
examples/tiny. Each evaluation is a process with a ledger of its own, servers running and modules imported; rounds take
turns. `outside` is what of a flow's seconds is spent outside its steps: before the first, between them, after the last;
for an embedded server the last is also what it takes until all history is written. `share` is this in percent of the
flow's time, without what `plain`, the same steps called as functions, has outside too; the median of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
REAL = {"adapter": "hf", "path": str(ROOT / "examples/tiny/checkpoints/step-3000"), "options": {"dtype": "float32"}}


Spans = list[tuple[float, float]]


def timed(spans: Spans, under: Callable[[str], Callable[[Any], Any]]) -> Callable[[str], Callable[[Any], Any]]:
    """A decorator `step` whose steps write down from when to when they are at work."""

    def step(name: str) -> Callable[[Any], Any]:
        def wrap(function: Any) -> Any:
            @wraps(function)
            def call(*args: Any, **options: Any) -> Any:
                start = time.perf_counter()
                try:
                    return function(*args, **options)
                finally:
                    spans.append((start, time.perf_counter()))

            return under(name)(call)

        return wrap

    return step


def told(spans: Spans, start: float, end: float) -> dict[str, Any]:
    """Seconds of a flow, and those before, between and after its steps."""
    between = sum(later[0] - sooner[1] for sooner, later in pairwise(spans))
    return {"seconds": end - start, "outside": (spans[0][0] - start, between, end - spans[-1][1])}


def plain(spec: Any, ledger: Path) -> dict[str, Any]:
    """The steps as functions, without Prefect."""
    import tasks.steps

    spans: Spans = []
    tasks.steps.step = timed(spans, lambda name: lambda function: function)
    import tasks.report

    tasks.report.create_table_artifact = lambda **_: None
    from flows.evaluation import evaluate
    from storage.ledger import Ledger
    from tasks.begin import begin

    run_id = begin(spec, Ledger(ledger)).run_id
    start = time.perf_counter()
    evaluate(str(ledger), run_id)
    return told(spans, start, time.perf_counter())


def under(spec: Any, ledger: Path, embedded: bool) -> dict[str, Any]:
    """The flow, on the server that the environment names or on an embedded one."""
    from flows.server import apply_settings, drain, serving

    apply_settings()  # before Prefect is imported, by the steps
    import tasks.steps

    spans: Spans = []
    tasks.steps.step = timed(spans, tasks.steps.step)
    with serving() as server:
        if server:
            os.environ["PREFECT_API_URL"] = server.ready()
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

        from flows.evaluation import evaluation
        from flows.form import EvalForm
        from storage.ledger import Ledger
        from tasks.begin import begin

        form = EvalForm.model_validate(spec.model_dump(mode="json"))
        run_id = begin(spec, Ledger(ledger)).run_id
        quiet = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None} if embedded else {}  # as flows/running.py has it
        with temporary_settings(quiet):
            start = time.perf_counter()
            state = evaluation(form, str(ledger), run_id, return_state=True)
            if server:
                drain(server.url, str(state.state_details.flow_run_id), tasks.steps.task_runs())
        assert state.is_completed(), state
        return told(spans, start, time.perf_counter()) | {"task_runs": tasks.steps.task_runs()}


def child(mode: str, asked: str, ledger: Path) -> None:
    from assay.catalog import make_spec

    spec = make_spec(json.loads(asked))
    print(json.dumps(plain(spec, ledger) if mode == "plain" else under(spec, ledger, mode == "embedded")))


def measure(mode: str, spec: dict[str, Any], env: dict[str, str]) -> dict[str, Any]:
    """One evaluation in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, __file__, "--child", mode, json.dumps(spec), str(Path(place) / "l.duckdb")]
        done = subprocess.run(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def served(home: Path, postgres: bool) -> Iterator[dict[str, str]]:
    """A server, and the environment of those who use it."""
    from flows.cluster import Cluster
    from flows.server import _free_port

    os.environ["PREFECT_HOME"] = str(home)
    cluster = Cluster(_free_port(), Path(sys.executable))
    try:
        cluster.serve(postgres)
        yield cluster.env | {"PREFECT_LOGGING_LEVEL": "CRITICAL"}
    finally:
        cluster.children.end()


def compare(spec: dict[str, Any], envs: dict[str, dict[str, str]], rounds: int) -> dict[str, Any]:
    """Times of each mode, and Prefect's share of those that have it."""
    found: dict[str, list[dict[str, Any]]] = {mode: [] for mode in envs}
    for _ in range(rounds):
        for mode, env in envs.items():
            found[mode].append(measure(mode, spec, env))
    bare = statistics.median(sum(one["outside"]) for one in found["plain"])
    prefect = {mode: all_ for mode, all_ in found.items() if mode != "plain"}
    shares = {
        mode: [100 * (sum(one["outside"]) - bare) / one["seconds"] for one in all_] for mode, all_ in prefect.items()
    }
    return {
        "benchmarks": len(spec["benchmarks"]),
        "seconds": {mode: [round(one["seconds"], 1) for one in all_] for mode, all_ in found.items()},
        "outside": {
            mode: [round(statistics.median(part), 2) for part in zip(*(one["outside"] for one in all_), strict=True)]
            for mode, all_ in found.items()
        },
        "share": {mode: round(statistics.median(one), 1) for mode, one in shares.items()},
        "task_runs": {mode: all_[0]["task_runs"] for mode, all_ in prefect.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-postgres", action="store_true")
    asked = parser.parse_args()
    from adapters.datasets.fetch import data_folder
    from assay.catalog import benchmark_ids, load_benchmark, load_suite

    os.environ.setdefault(
        "ASSAY_DATA", str(data_folder() if data_folder().is_dir() else ROOT.parent / "shared" / "data")
    )
    real = Path(os.environ["ASSAY_DATA"]).is_dir()
    ids = [one for one in benchmark_ids() if real or load_benchmark(one).sources[0].generated]
    everything = {"models": ["echo:oracle"], "benchmarks": ids, "limit": asked.limit}
    with ExitStack() as held:
        home = Path(held.enter_context(tempfile.TemporaryDirectory()))
        home.chmod(0o711)  # for the user who runs PostgreSQL
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
        envs = {"plain": clean, "embedded": clean | {"PREFECT_HOME": str(home / "embedded")}}
        envs["sqlite"] = held.enter_context(served(home / "sqlite", False))
        if not asked.no_postgres:
            envs["postgres"] = held.enter_context(served(home / "postgres", True))
        told = {"all": compare(everything, envs, asked.rounds)}
        told["real"] = compare({"models": [REAL], "benchmarks": load_suite("mini")}, envs, asked.rounds)
    print(json.dumps(told))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    else:
        main()

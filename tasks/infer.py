"""infer: a shard's requests are answered by a model; a segment goes to the spool as soon as a batch is done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from adapters import model_adapter
from assay.errors import AssayError
from assay.spec import ModelSpec
from assay.types import Completion, Model, Request
from storage.spool import answered, read_requests, shard_path, write_segment
from tasks.context import Run, open_run
from tasks.progress import advance
from tasks.steps import step

_loaded: dict[str, Model] = {}
"""The model that this process has in memory: one at a time."""


@step("infer")
def infer_task(ledger: str, run_id: str, model: str, shard: str) -> int:
    """How many segments the shard came to; a model that does not load is told once a benchmark."""
    run = open_run(ledger, run_id)
    try:
        loaded = load(run.models[model].spec, run.spec.catalog)
    except AssayError as error:
        return _give_up(run, model, error)
    except Exception as error:  # noqa: BLE001  a library's own: no file, no memory, no device
        return _give_up(run, model, AssayError(f"{type(error).__name__}: {error}"))
    return infer(loaded, run.spool, shard)


def infer(model: Model, folder: Path, shard: str) -> int:
    """Answer what is not yet answered of a shard; how many segments were written."""
    done = answered(folder, shard)
    advance("infer", len(done), total=0)
    number = 0
    for requests in read_requests(shard_path(folder, shard)):
        todo = [request for request in requests if request.key not in done] if done else requests
        for batch in _batches(model, todo):
            write_segment(folder, shard, number, batch)
            number += 1
            advance("infer", len(batch), total=0)
    return number


def _batches(model: Model, requests: Sequence[Request]) -> Iterable[Sequence[Completion]]:
    """The model's batches; where it breaks down, what is left fails with the cause."""
    left = {request.key for request in requests}
    try:
        for batch in model.answer(requests):
            left.difference_update(completion.key for completion in batch)
            yield batch
    except Exception as error:  # noqa: BLE001  an adapter may be a user's: the run goes on and the cause is a row
        cause = f"{type(error).__name__}: {error}"
        yield [Completion(key, error=cause) for key in sorted(left)]
        return
    if left:
        yield [Completion(key, error="the model adapter gave no completion for this request") for key in sorted(left)]


def load(spec: ModelSpec, catalog: Sequence[Path]) -> Model:
    """A model, loaded once a process. Raises ModelError."""
    key = spec.model_dump_json()
    if key not in _loaded:
        _loaded.clear()  # before the next is loaded: two may not fit
        _loaded[key] = model_adapter(spec.adapter, catalog).load(spec)
    return _loaded[key]


def _give_up(run: Run, model: str, error: Any) -> int:
    for name in run.alive(run.benchmarks, model):
        run.fail("infer", name, error, model)
    return 0

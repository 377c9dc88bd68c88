"""infer: a shard's requests are answered by a model; a segment goes to the spool as soon as a batch is done."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from adapters import model_adapter
from assay.errors import AssayError
from assay.solve import roles_of
from assay.spec import ModelSpec
from assay.types import Completion, Model, Request
from storage.exchange import Exchange
from storage.spool import answered, read_requests, shard_path, write_segment
from tasks.context import Run, open_run
from tasks.devices import device_name
from tasks.progress import advance
from tasks.steps import step

_loaded: dict[str, Model] = {}
"""The model that this process has in memory: one at a time."""
_load_seconds: dict[str, float] = {}
"""How long each took that has not answered a shard yet."""


@dataclass
class Receipt:
    """What there is to know of a shard that was asked: written beside it once all of it is."""

    shard: str
    worker: str = ""
    device: str = ""
    devices: int = 0
    answered: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    load_seconds: float = 0.0
    engine: str = ""
    """What the model says of how it computed the answers."""

    def add(self, batch: Sequence[Completion]) -> None:
        """Count a batch."""
        for completion in batch:
            if completion.error is None:
                self.answered += 1
                self.input_tokens += completion.input_tokens
                self.output_tokens += completion.output_tokens
            else:
                self.failed += 1


def receipt_name(shard: str) -> str:
    """The file that says that all of a shard has been asked."""
    return f"{shard}.receipt.json"


class Batch(NamedTuple):
    """What was answered at once."""

    segment: str
    """The name of its file."""
    completions: Sequence[Completion]


@step("infer")
def infer_task(ledger: str, run_id: str, model: str, shard: str) -> int:
    """How many segments the shard came to; a model that does not load is told once a benchmark."""
    run = open_run(ledger, run_id)
    try:
        loaded = load(run.models[model].spec, run.spec.catalog)
    except AssayError as error:
        return give_up(run, model, error)
    except Exception as error:  # noqa: BLE001  a library's own: no file, no memory, no device
        return give_up(run, model, AssayError(f"{type(error).__name__}: {error}"))
    before = answered(run.spool, shard)
    advance("infer", len(before), total=0)
    receipt, segments = Receipt(shard), 0
    for batch in infer(loaded, run.spool, shard, before, receipt):
        segments += 1
        advance("infer", len(batch.completions), total=0)
    sign(Exchange(run.spool), receipt, run.models[model].spec)
    return segments


def infer(
    model: Model, folder: Path, shard: str, before: set[str], receipt: Receipt, claim: int = 0
) -> Iterator[Batch]:
    """Answer what of a shard is not among the keys that were answered before, batch by batch; each is on the disk and
    counted when it is given out."""
    began = time.perf_counter()
    number = 0
    for requests in read_requests(shard_path(folder, shard)):
        todo = [request for request in requests if request.key not in before] if before else requests
        for completions in _batches(model, todo):
            segment = write_segment(folder, shard, number, completions, claim)
            number += 1
            receipt.add(completions)
            receipt.seconds = time.perf_counter() - began
            yield Batch(segment.name, completions)


def sign(exchange: Exchange, receipt: Receipt, spec: ModelSpec) -> None:
    """Leave the receipt of a shard of which everything was asked."""
    receipt.device = device_name()
    key = spec.model_dump_json()
    receipt.load_seconds = _load_seconds.pop(key, 0.0)
    receipt.engine = getattr(_loaded.get(key), "how", "")
    exchange.say(receipt_name(receipt.shard), asdict(receipt))


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
        began = time.perf_counter()
        _loaded[key] = model_adapter(spec.adapter, catalog).load(spec)
        _load_seconds[key] = time.perf_counter() - began
    return _loaded[key]


def give_up(run: Run, model: str, error: Any) -> int:
    """Record of every benchmark that a model cannot be asked; 0. Where a judge cannot be, it is the benchmarks that
    ask one which fail, for each model that is evaluated."""
    for name in run.alive(run.benchmarks, model):
        if model in run.subjects or roles_of(run.benchmarks[name]):
            run.fail("infer", name, error, model)
    return 0

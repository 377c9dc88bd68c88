"""The spool: what passes between the parent, which has the ledger, and the workers, which never open it.

    LEDGER.spool/RUN/SHARD.parquet             what is to be asked, written by the parent
    LEDGER.spool/RUN/SHARD.0-00007.parquet     a segment: what was answered, written by a worker, a file a batch

A file is whole or not at all: it is written as `.part`, synced and renamed. A segment holds completions by their key;
what they are the completions of stands in the shard beside it. The number in front is that of the claim under which it
was written (`storage.exchange`), 0 in the run's own process: so no two workers ever write the same file.
"""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from assay.errors import LedgerError
from assay.images import located
from assay.types import Completion, Message, Request, Sampling
from storage.arrow import lists

SHARD = pa.schema(
    {
        "completion_key": pa.string(), "request_key": pa.string(), "model_key": pa.string(),
        "sampling_key": pa.string(), "replica": pa.int32(), "kind": pa.string(), "header_key": pa.string(),
        "header": pa.string(), "messages": pa.string(), "continuations": pa.list_(pa.string()),
        "needs": pa.list_(pa.string()), "sampling": pa.string(), "seed": pa.int64(), "gold": pa.string(),
    }
)  # fmt: skip
"""A header's text stands in one row only of those that have its key."""
SEGMENT = pa.schema(
    {
        "completion_key": pa.string(), "text": pa.string(), "sums": pa.list_(pa.float64()),
        "tokens": pa.list_(pa.int32()), "greedy": pa.list_(pa.bool_()), "prompt_sums": pa.list_(pa.float64()),
        "prompt_lengths": pa.list_(pa.int32()), "token_logprobs": pa.list_(pa.list_(pa.float64())),
        "finish": pa.string(), "input_tokens": pa.int32(), "output_tokens": pa.int32(), "truncated": pa.int32(),
        "rendering": pa.string(), "error": pa.string(), "created": pa.timestamp("us"),
    }
)  # fmt: skip


SEGMENTS = ".[0-9]*-[0-9][0-9][0-9][0-9][0-9].parquet"
"""What the name of a shard's segments ends in."""


def shard_path(folder: Path, shard: str) -> Path:
    """Where a shard lies in a run's folder."""
    return folder / f"{shard}.parquet"


def segment_paths(folder: Path, shard: str = "*") -> list[Path]:
    """The segments of a shard, or of all, in the order of their numbers; whether they are whole is not looked at."""
    return sorted(folder.glob(f"{shard}{SEGMENTS}"))


def write_segment(folder: Path, shard: str, number: int, completions: Sequence[Completion], claim: int = 0) -> Path:
    """Put a batch of answers into the spool, whole or not at all; the segment's path. An earlier segment of the same
    number is not replaced: the next free number is taken."""
    path = folder / f"{shard}.{claim}-{number:05d}.parquet"
    while path.exists():
        number += 1
        path = folder / f"{shard}.{claim}-{number:05d}.parquet"
    now = datetime.now(UTC).replace(tzinfo=None)
    columns: dict[str, Any] = {"completion_key": [c.key for c in completions], "created": [now] * len(completions)}
    for name in SEGMENT.names:
        if name not in columns:
            columns[name] = [getattr(c, name) for c in completions]
    table = pa.table([pa.array(columns[f.name], f.type) for f in SEGMENT], schema=SEGMENT)
    with whole(path) as part:
        pq.write_table(table, part, compression="zstd", use_dictionary=["finish", "error"])
    return path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A place to write a file, which appears under its name once all of it is on the disk; on an error nothing does.

    Raises LedgerError where the disk takes no more.
    """
    part = path.with_name(path.name + ".part")
    try:
        yield part
        publish(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise LedgerError(f"the spool {path.parent} cannot be written: {error.strerror or error}") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def publish(part: Path, path: Path) -> None:
    """Give a finished file its name, once its bytes are on the disk."""
    handle = os.open(part, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    part.replace(path)


def read_requests(path: Path, chunk: int = 20_000) -> Iterator[list[Request]]:
    """The requests of a shard in the order in which they stand there, in lists of at most `chunk`."""
    with pq.ParquetFile(path, read_dictionary=["header_key", "sampling"]) as file:
        shared = file.read(columns=["header_key", "header"])
        shared = shared.filter(shared["header"].is_valid())
        headers = {
            key: orjson.loads(text)
            for key, text in zip(shared["header_key"].to_pylist(), shared["header"].to_pylist(), strict=True)
        }
        for batch in file.iter_batches(batch_size=chunk, columns=[n for n in SHARD.names if n != "header"]):
            found = _requests(batch, headers)
            if any("images" in request.needs for request in found):
                found = [replace(one, messages=located(one.messages, path.parent)) for one in found]
            yield found


def _requests(batch: pa.RecordBatch, headers: Mapping[str, list[Message]]) -> list[Request]:
    column = {name: batch.column(name) for name in batch.schema.names}
    with _no_collection():
        return _made(
            key=column["completion_key"].to_pylist(),
            kind=column["kind"].to_pylist(),
            messages=_dialogues(column["header_key"], headers, column["messages"]),
            continuations=lists(column["continuations"]),
            sampling=_repeated(column["sampling"], _sampling),
            needs=list(map(_needs, map(tuple, lists(column["needs"])))),
            seed=column["seed"].to_pylist(),
            gold=_parsed(column["gold"]),
        )


def _made(**columns: list[Any]) -> list[Request]:
    """Requests from columns, field by field: the constructor of a frozen record takes four times as long."""
    requests = [Request.__new__(Request) for _ in columns["key"]]
    for field in fields(Request):
        put = getattr(Request, field.name).__set__
        deque(map(put, requests, columns[field.name]), maxlen=0)
    return requests


@contextmanager
def _no_collection() -> Iterator[None]:
    """No search for garbage while many objects come to be that are none: it would double the time."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _parsed(texts: pa.Array) -> list[Any]:
    """The values of JSON texts, parsed as one; None where there is no text."""
    values: list[Any] = orjson.loads("[" + ",".join([text or "null" for text in texts.to_pylist()]) + "]")
    return values


def _dialogues(keys: pa.DictionaryArray, headers: Mapping[str, list[Message]], tails: pa.Array) -> list[list[Message]]:
    """The turns of header and messages, each header parsed once: as `assay.messages.join_messages` joins them."""
    known = [headers[key] for key in keys.dictionary.to_pylist()]
    dialogues: list[list[Message]] = _parsed(tails)
    for place, index in enumerate(keys.indices.to_pylist()):
        if index is None:
            continue
        header, dialogue = known[index], dialogues[place]
        last, first = header[-1], dialogue[0]
        if last["role"] == first["role"] and isinstance(last["content"], str) and isinstance(first["content"], str):
            first["content"] = last["content"] + first["content"]
            header = header[:-1]
        if header:
            dialogues[place] = [*map(dict, header), *dialogue]
    return dialogues


def _repeated(array: pa.DictionaryArray, made: Any) -> list[Any]:
    values = [made(value) for value in array.dictionary.to_pylist()]
    return [values[index] for index in array.indices.to_pylist()]


@lru_cache(maxsize=256)
def _sampling(text: str) -> Sampling:
    return Sampling.model_validate_json(text)


@lru_cache(maxsize=256)
def _needs(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(names)


def sound(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Segments that can be read to their end, and those that cannot."""
    good: list[Path] = []
    bad: list[Path] = []
    for path in paths:
        (good if _readable(path) else bad).append(path)
    return good, bad


def _readable(path: Path) -> bool:
    try:
        with pq.ParquetFile(path) as file:
            if set(file.schema_arrow.names) != set(SEGMENT.names):
                return False
            for _ in file.iter_batches(columns=["completion_key"]):
                pass
    except (pa.ArrowException, OSError):
        return False
    return True


def answered(folder: Path, shard: str) -> set[str]:
    """The keys of the completions in a shard's segments, without the failures: what need not be asked again.

    For the one worker that has the shard: what an earlier attempt left half-written is removed.
    """
    for part in folder.glob(f"{shard}.*.parquet.part"):
        part.unlink(missing_ok=True)
    keys: set[str] = set()
    good, bad = sound(segment_paths(folder, shard))
    for path in bad:
        path.unlink(missing_ok=True)
    for path in good:
        keys.update(told_by(path))
    return keys


def told_by(segment: Path) -> list[str]:
    """The keys of the completions in a segment, without the failures."""
    table = pq.read_table(segment, columns=["completion_key", "error"])
    keys: list[str] = table.filter(table["error"].is_null())["completion_key"].to_pylist()
    return keys

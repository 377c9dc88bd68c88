"""What there is to do, as columns: the open requests of one model, sorted, and what each of them costs.

The columns are completion_key, prompted (the benchmark's prompt step), kind, header_key, header_bytes, bytes,
continuations, max_tokens. What is made of them depends on the rows and not on their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

COLUMNS = pa.schema(
    {
        "completion_key": pa.string(), "prompted": pa.string(), "kind": pa.string(), "header_key": pa.string(),
        "header_bytes": pa.int64(), "bytes": pa.int64(), "continuations": pa.int64(), "max_tokens": pa.int64(),
    }
)  # fmt: skip
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rates:
    """What a request costs: prompts by their bytes, as they are not tokenised yet, and answers by their allowance."""

    tokens_per_byte: float = 0.25
    prefill: float = 20_000.0
    """Prompt tokens a second."""
    decode: float = 1_000.0
    """Written tokens a second, over a batch."""
    written: float = 0.5
    """The share of `max_tokens` that an answer has on average."""
    load: float = 0.0
    """Seconds until a worker has the model in memory."""
    source: str = "defaults"
    """Where they come from."""


USUAL = Rates(load=60.0)
"""Until a ledger has seen how fast a model is, on a GPU: what matters is how they stand to each other."""
ON_CPU = Rates(prefill=400.0, decode=40.0, load=5.0)
ELSEWHERE = Rates(prefill=50_000.0, decode=2_000.0)
"""Behind an API, where the model is in memory already."""


class Amounts(NamedTuple):
    """What some requests come to; a header is read anew in each prompt that has it, or once."""

    bytes: int
    distinct_bytes: int
    """With each header once."""
    allowance: int
    """Tokens that may be written."""
    requests: int

    def seconds(self, rates: Rates) -> float:
        """The time that they take a worker which has the model and keeps headers."""
        read = self.distinct_bytes * rates.tokens_per_byte / rates.prefill
        return read + self.allowance * rates.written / rates.decode


class Work(NamedTuple):
    """The requests in an order of their own: by benchmark, header and key."""

    key: pa.Array
    benchmark: Ints
    """0, 1, …: in this order."""
    group: Ints
    """Of what is best kept together: a header's, or a benchmark's where there is none."""
    generate: NDArray[np.bool_]
    continuations: Ints
    seconds: Floats
    """Without the header."""
    header_seconds: Floats

    @property
    def total(self) -> float:
        """The seconds of all, each header once."""
        first = np.flatnonzero(np.diff(self.group, prepend=-1))
        return float(self.seconds.sum() + self.header_seconds[first].sum())


def workload(columns: pa.Table, rates: Rates) -> Work:
    """The columns sorted, and each request's cost."""
    columns = columns.combine_chunks()
    prompted, _ = _ranks(columns["prompted"])
    header, last = _ranks(columns["header_key"])
    bare = header == last  # those without a header are a group for each benchmark
    home = np.full(last + 1, np.iinfo(np.int64).max)
    np.minimum.at(home, header, prompted)  # a header that benchmarks share is in the first one's place
    place = np.where(bare, prompted, home[header])
    keys, _ = _ranks(columns["completion_key"])
    order = np.lexsort((keys, header, place))
    sorted_ = columns.take(pa.array(order))
    numbers: dict[str, Floats] = {
        name: sorted_[name].to_numpy().astype(np.float64)
        for name in ("bytes", "header_bytes", "continuations", "max_tokens")
    }
    generate = np.asarray(pc.equal(sorted_["kind"], "generate").to_numpy())
    read = rates.tokens_per_byte / rates.prefill
    seconds = numbers["bytes"] * read + generate * numbers["max_tokens"] * rates.written / rates.decode
    return Work(
        sorted_["completion_key"], prompted[order], runs(place[order], header[order]), generate,
        numbers["continuations"].astype(np.int64), seconds, numbers["header_bytes"] * read,
    )  # fmt: skip


def _ranks(column: pa.ChunkedArray) -> tuple[Ints, int]:
    """The place of each string among the distinct ones, sorted; null comes last, at the number of distinct ones."""
    coded = column.combine_chunks().dictionary_encode()
    words = coded.dictionary
    rank = np.empty(len(words) + 1, np.int64)
    rank[pc.sort_indices(words).to_numpy()] = np.arange(len(words))
    rank[len(words)] = len(words)
    return rank[coded.indices.fill_null(len(words)).to_numpy()], len(words)


def runs(*columns: Ints) -> Ints:
    """0, 1, …: counts up wherever one of the columns changes."""
    if not len(columns[0]):
        return np.zeros(0, np.int64)
    changes = np.logical_or.reduce([np.diff(column) != 0 for column in columns])
    return np.concatenate([[0], np.cumsum(changes)])


def sums(where: Ints, what: Floats, length: int = 0) -> Floats:
    """The sum of what belongs to each number, of at least so many numbers."""
    return np.bincount(where, what, length).astype(np.float64)


def amounts(columns: pa.Table, by: str) -> dict[str, Amounts]:
    """What the requests come to by a column beside those of the workload: by shard (once it is joined) or benchmark."""
    written = pc.if_else(pc.equal(columns["kind"], "generate"), columns["max_tokens"], 0)
    columns = columns.append_column("written", written)
    own = columns.group_by(by).aggregate(
        [("bytes", "sum"), ("header_bytes", "sum"), ("written", "sum"), ("completion_key", "count")]
    )
    headers = columns.filter(pc.is_valid(columns["header_key"])).group_by([by, "header_key"])
    once = headers.aggregate([("header_bytes", "max")]).group_by(by).aggregate([("header_bytes_max", "sum")])
    distinct = dict(zip(once[by].to_pylist(), once["header_bytes_max_sum"].to_pylist(), strict=True))
    return {
        row[by]: Amounts(
            row["bytes_sum"] + row["header_bytes_sum"], row["bytes_sum"] + distinct.get(row[by], 0),
            row["written_sum"], row["completion_key_count"],
        )
        for row in own.to_pylist()
    }  # fmt: skip

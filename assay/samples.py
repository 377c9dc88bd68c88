"""Rows to samples: what a benchmark's `sample:`, `where:`, `group:` and `cluster:` make of a data source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from assay.circular import rotations
from assay.errors import DatasetError, SpecError
from assay.keys import canonical, digest
from assay.spec import Benchmark, Fewshot
from assay.template import value_template
from assay.types import Row


class Prepared(NamedTuple):
    """A sample as the ledger keeps it."""

    sample_key: str
    grp: str
    cluster: str
    fields: str
    """The mapped sample, canonical JSON."""


def mapper(benchmark: Benchmark, fewshot: Fewshot | None = None) -> Callable[[Row], dict[str, Any]]:
    """A function from a row to the mapped sample; a demonstration's, where its rows are mapped otherwise.

    The function raises SpecError where a template wants a column that the row lacks.
    """
    fields = fewshot.sample if fewshot and fewshot.sample is not None else benchmark.sample
    mapped: Callable[[Row], dict[str, Any]] = value_template(fields, f"{benchmark.id}: sample")
    return mapped


def samples(benchmark: Benchmark, rows: Iterable[Row], limit: int | None = None) -> Iterator[Prepared]:
    """The samples of a benchmark in data-set order; of at most `limit` questions of each group.

    A sample's key is its content's and how often that has been seen: the same from a file and from the hub.
    Raises DatasetError where there is not one, SpecError where a template fails or a value is none that JSON can hold.
    """
    name = benchmark.id
    mapped = mapper(benchmark)
    where = value_template(benchmark.where, f"{name}: where") if benchmark.where else None
    group = value_template(benchmark.group, f"{name}: group") if benchmark.group else None
    cluster = value_template(benchmark.cluster, f"{name}: cluster") if benchmark.cluster else None
    seen: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    prefix, place = benchmark.name.encode() + b"\0", 0
    for row in rows:
        if where and not truthy(where(row)):
            continue
        grp = str(group(row)) if group else ""
        counts[grp] += 1
        if limit is not None and counts[grp] > limit:
            if group is None:
                break
            continue
        sample = mapped(row)
        fields = _fields(sample, name)
        content = digest(prefix + fields)
        seen[content] += 1
        sample_key = content if seen[content] == 1 else digest(f"{content}\0{seen[content]}".encode())
        together = str(cluster(row)) if cluster else ""
        if not benchmark.circular:
            yield Prepared(sample_key, grp, together, fields.decode())
            continue
        for turn, turned in enumerate(rotations(sample, name, sample_key, place)):
            own = digest(f"{sample_key}\0turn {turn}".encode())
            yield Prepared(own, grp, together or sample_key, _fields(turned, name).decode())
        place += 1
    if not counts:
        raise DatasetError(f"{name}: the source has no rows{' for which `where` holds' if where else ''}")


def truthy(value: Any) -> bool:
    """Whether a row is kept for which `where` has come to this."""
    return value.strip() not in ("", "False", "false", "0") if isinstance(value, str) else bool(value)


def _fields(sample: dict[str, Any], name: str) -> bytes:
    """The mapped sample as canonical JSON. Raises SpecError for what JSON cannot hold, such as bytes."""
    try:
        return canonical(sample)
    except TypeError as error:  # orjson's: a type, a surrogate, an integer of more than 64 bits
        raise SpecError(f"{name}: sample: wanted what JSON can hold: {error}; got {sample!r:.200}") from error


def demonstrations(benchmark: Benchmark, rows: Iterable[Row]) -> dict[str, list[dict[str, Any]]]:
    """The pool of worked examples by group ('' where they are not divided), mapped, in the order of their source.

    Of the benchmark's own rows those that are questions: the ones for which its `where:` holds.
    """
    fewshot = benchmark.prompt.fewshot
    assert fewshot is not None
    mapped = mapper(benchmark, fewshot)
    divided = benchmark.group is not None and fewshot.by_group
    group = value_template(benchmark.group, f"{benchmark.id}: group") if divided else None
    where = value_template(benchmark.where, f"{benchmark.id}: where") if benchmark.where and fewshot.own else None
    pool: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if where and not truthy(where(row)):
            continue
        pool.setdefault(str(group(row)) if group else "", []).append(mapped(row))
    return pool


def loads(fields: str) -> dict[str, Any]:
    """The mapped sample that the ledger keeps as JSON."""
    sample: dict[str, Any] = orjson.loads(fields)
    return sample

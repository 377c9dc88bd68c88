"""Rows to samples: their keys, their order, and which of them there are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import DatasetError, SpecError
from assay.samples import demonstrations, loads, samples
from assay.spec import Benchmark


def bench(**fields: Any) -> Benchmark:
    base = {
        "name": "b", "dimension": "knowledge", "sources": [{"generated": {"name": "x"}}],
        "sample": {"input": "q", "target": "a"}, "score": ["exact"],
    }  # fmt: skip
    return Benchmark.model_validate(base | fields)


def row(q: Any, a: Any = "1", **more: Any) -> dict[str, Any]:
    return {"q": q, "a": a, **more}


def keys(benchmark: Benchmark, rows: list[dict[str, Any]], limit: int | None = None) -> list[str]:
    return [one.sample_key for one in samples(benchmark, rows, limit)]


ROWS = st.lists(st.builds(row, st.sampled_from("pqr"), st.sampled_from("12"), s=st.sampled_from("xy")), min_size=1)


def test_a_sample_is_what_was_mapped() -> None:
    benchmark = bench(sample={"target": "{{ a | int }}", "input": "Q: {{ q }}"}, group="s", cluster="c")
    (one,) = samples(benchmark, [row("why", "7", s="logic", c=3, rest="x")])
    assert one.fields == '{"input":"Q: why","target":7}' and loads(one.fields) == {"input": "Q: why", "target": 7}
    assert (one.grp, one.cluster) == ("logic", "3") and len(one.sample_key) == 32


def test_a_key_is_the_contents_and_the_benchmarks() -> None:
    (key,) = keys(bench(), [row("p")])
    assert keys(bench(), [{"a": "1", "other": 2, "q": "p"}]) == [key]  # whatever else the row has, in any order
    assert keys(bench(variant="v", group="q"), [row("p")]) == [key]
    assert keys(bench(name="c"), [row("p")]) != [key] != keys(bench(), [row("p", 1)])


def test_what_occurs_again_has_keys_of_its_own() -> None:
    found = keys(bench(), [row("p"), row("q"), row("p"), row("p")])
    assert len(set(found)) == 4
    assert found[::2] == keys(bench(), [row("p"), row("p")])[:2]


@given(ROWS)
def test_keys_are_unique_and_stable(rows: list[dict[str, Any]]) -> None:
    found = keys(bench(), rows)
    assert len(set(found)) == len(rows) and found == keys(bench(), rows)
    assert sorted(found) == sorted(keys(bench(), rows[::-1]))  # in another order: the same samples


@given(ROWS, st.integers(1, 4))
def test_a_limit_takes_the_first_of_each_group(rows: list[dict[str, Any]], limit: int) -> None:
    assert keys(bench(), rows, limit) == keys(bench(), rows)[:limit]
    divided = bench(group="s")
    found = [(loads(one.fields)["input"], one.grp) for one in samples(divided, rows, limit)]
    everything = [(r["q"], r["s"]) for r in rows]
    for group in "xy":
        assert [f for f in found if f[1] == group] == [e for e in everything if e[1] == group][:limit]
    assert set(keys(divided, rows, limit)) <= set(keys(divided, rows))


def test_a_limit_reads_no_further() -> None:
    def endless() -> Any:
        yield row("p")
        yield row("q")
        raise AssertionError("a third row was read for two samples and a look ahead")

    found = samples(bench(), endless(), 1)
    assert len(list(found)) == 1


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("{{ keep }}", [0, 1, 2, 3]),
        ("keep", [0, 1, 2, 3]),
        ("{{ keep is string }}", [1, 3, 5, 6]),
        ("{% if keep %}yes{% endif %}", [0, 1, 2, 3, 5, 6]),
    ],
)
def test_where(where: str, kept: list[int]) -> None:
    values = [True, "x", [0], "1", [], " ", "False", False, None, 0, 0.0]
    rows = [row(str(i), keep=value) for i, value in enumerate(values)]
    found = [int(loads(one.fields)["input"]) for one in samples(bench(where=where), rows)]
    assert found == kept


def test_where_a_limit_counts_what_is_left() -> None:
    rows = [row(str(i), keep=i % 2) for i in range(10)]
    found = [loads(one.fields)["input"] for one in samples(bench(where="keep"), rows, 2)]
    assert found == ["1", "3"]


def test_no_rows() -> None:
    with pytest.raises(DatasetError, match=r"b: the source has no rows$"):
        list(samples(bench(), []))
    with pytest.raises(DatasetError, match="no rows for which `where` holds"):
        list(samples(bench(where="keep"), [row("p", keep=False)]))


def test_a_column_that_is_not_there_and_a_value_that_is_no_json() -> None:
    with pytest.raises(SpecError, match=r"b: sample\.target wants the column 'a'; the row has 'q'"):
        list(samples(bench(), [{"q": "p"}]))
    for value in (b"bytes", 2**70, "\ud800", object()):
        with pytest.raises(SpecError, match="b: sample: wanted what JSON can hold"):
            list(samples(bench(), [row(value)]))


def test_a_benchmarks_own_examples_are_questions_of_it() -> None:
    rows = [row("p", keep=True), row("q", keep=False), row("r", keep=True)]
    for source, inputs in (("self", ["p", "r"]), ([{"generated": {"name": "y"}}], ["p", "q", "r"])):
        benchmark = bench(where="keep", prompt={"fewshot": {"from": source, "k": 1}})
        assert [demo["input"] for demo in demonstrations(benchmark, rows)[""]] == inputs


def test_demonstrations_by_group() -> None:
    rows = [row("p", s="x"), row("q", s="y"), row("r", s="x")]
    shots: dict[str, Any] = {"samples": [], "k": 1}
    whole = demonstrations(bench(prompt={"fewshot": shots}), rows)
    assert [one["input"] for one in whole[""]] == ["p", "q", "r"]
    pool = demonstrations(bench(prompt={"fewshot": shots}, group="s"), rows)
    assert {group: [one["input"] for one in found] for group, found in pool.items()} == {"x": ["p", "r"], "y": ["q"]}
    mixed = demonstrations(bench(prompt={"fewshot": {**shots, "by_group": False}}, group="s"), rows)
    assert list(mixed) == [""]
    other = demonstrations(bench(prompt={"fewshot": {**shots, "sample": {"input": "a", "target": "q"}}}), rows)
    assert other[""][0] == {"input": "1", "target": "p"}

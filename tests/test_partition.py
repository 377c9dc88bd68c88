"""Partitioners: every request once, whatever the order of the rows, within bounds."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.errors import SpecError
from assay.partition import Shards, partitioner, replicas_worth
from assay.workload import Rates, workload
from tasks.divide import divide, shard_amounts
from tasks.estimate import claimed

STRATEGIES = ["balanced", "naive", "num_worker", "size"]
SECOND = Rates(tokens_per_byte=1, prefill=1, decode=1, written=1)
"""A byte is a second, and so is a written token."""

SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("completion_key", "prompted", "kind", "header_key")]
    + [(name, pa.int64()) for name in ("header_bytes", "bytes", "continuations", "max_tokens")]
)


def requests(*benchmarks):
    """Columns of (name, count, overrides) benchmarks; a request costs 10 bytes unless told otherwise."""
    rows = []
    for name, count, more in benchmarks:
        row = {
            "prompted": name, "kind": "loglikelihood", "header_key": None, "header_bytes": 0, "bytes": 10,
            "continuations": 4, "max_tokens": 0,
        } | more  # fmt: skip
        rows += [{"completion_key": f"{name}-{i:05d}"} | row for i in range(count)]
    return pa.Table.from_pylist(rows, SCHEMA)


def by_shard(shards):
    members = defaultdict(list)
    for key, shard in zip(*shards.assignment.to_pydict().values(), strict=True):
        members[shard].append(key)
    return dict(members)


def sizes(shards):
    return [len(keys) for _, keys in sorted(by_shard(shards).items())]


def request_cost(row, rates):
    written = row["max_tokens"] * rates.written / rates.decode if row["kind"] == "generate" else 0
    return row["bytes"] * rates.tokens_per_byte / rates.prefill + written


def shard_cost(rows, rates):
    """The cost of a shard said again, one row after the other: its requests, and each header once."""
    headers = {row["header_key"]: row["header_bytes"] for row in rows if row["header_key"]}
    return sum(request_cost(row, rates) for row in rows) + sum(headers.values()) * rates.tokens_per_byte / rates.prefill


benchmark = st.tuples(
    st.integers(1, 60),
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["generate", "loglikelihood", "rolling"]),
            "bytes": st.integers(1, 3000),
            "continuations": st.integers(0, 5),
            "max_tokens": st.integers(0, 500),
        }
    ),
    st.sampled_from([None, "shared", "two", "each"]),
    st.integers(0, 5000),
)


@st.composite
def columns(draw):
    rows = []
    for b, (count, more, headers, header_bytes) in enumerate(draw(st.lists(benchmark, min_size=1, max_size=6))):
        for i in range(count):
            header = {"shared": "all", "two": f"{b}-{i % 2}", "each": f"{b}-{i}"}.get(headers)
            size = 700 if header == "all" else header_bytes if header else 0
            key = {"completion_key": f"{b}-{i}", "prompted": str(b), "header_key": header, "header_bytes": size}
            rows.append(key | more)
    return pa.Table.from_pylist(rows, SCHEMA)


@pytest.mark.parametrize("name", STRATEGIES)
@settings(deadline=None, max_examples=50)
@given(table=columns(), seed=st.integers(0, 9))
def test_every_request_once_whatever_the_order(name, table, seed):
    shards = partitioner[name](table, prefix="r0-")
    assert sorted(shards.assignment["completion_key"].to_pylist()) == sorted(table["completion_key"].to_pylist())
    shuffled = table.take(pa.array(np.random.default_rng(seed).permutation(len(table))))
    again = partitioner[name](shuffled, prefix="r0-")
    assert by_shard(again) == by_shard(shards) and list(again.costs) == list(shards.costs)
    assert list(shards.costs) == [f"r0-{i:04d}" for i in range(len(shards.costs))] == sorted(by_shard(shards))
    costs = list(shards.costs.values())
    assert costs == sorted(costs, reverse=True)
    rows = {row["completion_key"]: row for row in table.to_pylist()}
    for shard, keys in by_shard(shards).items():
        assert math.isclose(shards.costs[shard], shard_cost([rows[key] for key in keys], Rates()), rel_tol=1e-9)


@settings(deadline=None, max_examples=50)
@given(table=columns(), seconds=st.floats(0.05, 20), workers=st.sampled_from([1, 2, 50]))
def test_balanced_keeps_within_its_bounds(table, seconds, workers):
    shards = partitioner["balanced"](
        table, workers=workers, min_seconds=seconds, max_seconds=2 * seconds, rates=Rates()
    )
    rows = table.to_pylist()
    alone = [request_cost(row, Rates()) for row in rows]
    header = max(table["header_bytes"].to_pylist()) * 0.25 / 20_000
    share = shard_cost(rows, Rates()) / workers
    most = max(2 * seconds, share / 8)
    assert max(shards.costs.values()) <= max(most, 2 * header) + max(alone) + 1e-9
    least = max(seconds, share / 48)
    assert len(shards.costs) <= 2 * sum(shards.costs.values()) / least + 1  # two neighbours are more than one share


@pytest.mark.parametrize("name", STRATEGIES)
def test_nothing_to_share_out(name):
    shards = partitioner[name](requests())
    assert shards.assignment.num_rows == 0 and shards.assignment.column_names == ["completion_key", "shard"]
    assert shards.costs == {}


def test_balanced_merges_what_is_small_and_splits_what_is_big():
    table = requests(("big", 300, {}), *((f"small{i}", 4, {}) for i in range(10)))
    shards = partitioner["balanced"](table, min_seconds=500, max_seconds=500, rates=SECOND)
    members = [{key.split("-")[0] for key in keys} for keys in by_shard(shards).values()]
    assert sum("big" in names for names in members) == 6
    assert sum("small3" in names for names in members) == 1
    assert len(members) == 7 and max(map(len, members)) >= 10
    assert sum(shards.costs.values()) == 3400


@pytest.mark.parametrize("workers", [1, 2, 10, 100])
def test_balanced_begins_with_what_is_large_and_ends_with_what_is_small(workers):
    table = requests(("one", 48_000, {}))
    options = {"workers": workers, "min_seconds": 1, "max_seconds": 1e9}
    costs = list(partitioner["balanced"](table, rates=SECOND, **options).costs.values())
    share = 480_000 / workers
    least = share / 48
    assert share / 3 - least <= costs[0] <= share / 3
    assert costs[-2] == pytest.approx(least, abs=10) and costs[-1] <= costs[-2]
    left = np.cumsum(costs[::-1])[::-1]  # of what is then left, a third of a worker's
    assert np.all(np.array(costs) <= np.maximum(left / (3 * workers), least) + 10)
    assert 9 * workers <= len(costs) <= 13 * workers


def test_balanced_heeds_its_limits():
    table = requests(("one", 1600, {}))
    few = partitioner["balanced"](table, workers=100, max_shards=50, min_seconds=1, rates=SECOND).costs
    assert 25 <= len(few) <= 51
    options = {"workers": 2, "min_seconds": 1}
    assert max(partitioner["balanced"](table, max_seconds=600, rates=SECOND, **options).costs.values()) == 1000
    assert max(partitioner["balanced"](table, max_seconds=1500, rates=SECOND, **options).costs.values()) == 1500
    slow = replace(SECOND, load=40_000.0)  # shards that are small beside the loading gain nothing
    assert min(partitioner["balanced"](table, rates=slow, **options).costs.values()) == 1000


@pytest.mark.parametrize(("workers", "load"), [(8, 0.0), (64, 120.0), (256, 60.0)])
def test_balanced_ends_within_five_hundredths_of_the_bound(workers, load):
    rng = np.random.default_rng(workers)
    table = requests(
        *((f"b{i}", int(n), {"bytes": int(n) % 90 + 10, "header_key": f"h{i}", "header_bytes": 9})
          for i, n in enumerate(rng.lognormal(6, 1.2, 60)))
    )  # fmt: skip
    rates = replace(SECOND, prefill=5000 / workers, load=load)
    shards = list(partitioner["balanced"](table, workers=workers, rates=rates).costs.values())
    for _ in range(3):
        speeds = rng.lognormal(0, 0.2, workers)
        bound = max(workload(table, rates).total / speeds.sum() + load, shards[0])
        assert claimed(shards, speeds, load) <= 1.05 * bound


def test_claiming_is_longest_first_with_one_load_each():
    assert claimed([6.0, 3.0, 2.0, 1.0], [1.0, 1.0], 10.0) == 16
    assert claimed([6.0, 3.0, 2.0, 1.0], [2.0, 1.0], 10.0) == 14  # 3 + 1 on the one, 3 and 1 on the other
    assert claimed([4.0], [1.0] * 8, 10.0) == 14
    assert claimed([], [1.0], 10.0) == 0


@pytest.mark.parametrize(
    ("total", "load", "most", "worth"),
    [
        (3600, 60, 512, 60),  # the 61st would answer for less than it loads
        (3600, 60, 8, 8),
        (3600, 0, 10_000, 360),  # its process has to start at least
        (30, 60, 8, 1),
        (0, 60, 8, 1),
    ],
)
def test_a_replica_is_worth_the_loading_while_it_answers_for_as_long(total, load, most, worth):
    assert replicas_worth(total, load, most) == worth
    assert worth == 1 or total >= worth * load


def bare(columns, *, prefix=""):
    """A user's own, that takes neither rates nor workers."""
    names = pa.array([prefix + "all"] * len(columns), pa.string())
    return Shards(pa.table({"completion_key": columns["completion_key"], "shard": names}), {prefix + "all": 7.0})


def test_a_run_tells_a_partitioner_how_fast_and_how_many(monkeypatch):
    monkeypatch.setitem(partitioner.items, "bare", bare)
    table = requests(("a", 100, {}))
    assert list(divide(table, "bare", "r-", SECOND, 4).costs.values()) == [7]
    assert list(divide(table, "naive", "r-", SECOND, 4).costs.values()) == [1000]
    assert list(divide(table, "num_worker", "r-", SECOND, 4).costs.values()) == [250] * 4
    assert list(divide(table, {"num_worker": {"workers": 2}}, "r-", SECOND, 4).costs.values()) == [500] * 2
    assert len(divide(table, "num_worker", "r-").costs) == 7  # its own default is 8: parts of at least 16
    assert max(divide(table, "balanced", "r-", SECOND, 5).costs.values()) == 200 / 3 // 10 * 10
    with pytest.raises(SpecError, match="`rates` is what the ledger has seen of the model, not an option"):
        divide(table, {"balanced": {"rates": 3}}, "r-")


@settings(deadline=None, max_examples=30)
@given(table=columns())
def test_what_shards_come_to(table):
    shards = partitioner["balanced"](table, workers=3, min_seconds=0.2, max_seconds=1.0)
    rows = {row["completion_key"]: row for row in table.to_pylist()}
    told = shard_amounts(table, shards)
    assert told.keys() == shards.costs.keys()
    for shard, keys in by_shard(shards).items():
        inside = [rows[key] for key in keys]
        own, headers = sum(row["bytes"] for row in inside), [row["header_bytes"] for row in inside]
        once = sum({row["header_key"]: row["header_bytes"] for row in inside if row["header_key"]}.values())
        written = sum(row["max_tokens"] for row in inside if row["kind"] == "generate")
        assert told[shard] == (own + sum(headers), own + once, written, len(keys))
        assert math.isclose(told[shard].seconds(Rates()), shards.costs[shard], rel_tol=1e-9)


def test_balanced_keeps_a_header_together():
    shared = [(f"b{b}", 20, {"header_key": f"h{b % 4}", "header_bytes": 100}) for b in range(12)]
    table = requests(*shared)  # a header and its 60 requests of three benchmarks: 700 seconds
    shards = partitioner["balanced"](table, min_seconds=1500, max_seconds=1500, rates=SECOND)
    header = dict(zip(table["completion_key"].to_pylist(), table["header_key"].to_pylist(), strict=True))
    places = defaultdict(set)
    for shard, keys in by_shard(shards).items():
        for one in keys:
            places[header[one]].add(shard)
    assert [len(found) for found in places.values()] == [1, 1, 1, 1]
    assert sorted(shards.costs.values()) == [1400, 1400]


def test_balanced_cuts_a_header_into_as_few_as_will_do():
    table = requests(("b", 300, {"header_key": "h", "header_bytes": 1000}))
    shards = partitioner["balanced"](table, min_seconds=2000, max_seconds=2000, rates=SECOND)
    assert list(shards.costs.values()) == [2000, 2000, 2000]  # 1000 of header, 1000 of requests


def test_balanced_does_not_say_a_long_header_again_for_every_request():
    table = requests(("b", 300, {"header_key": "h", "header_bytes": 3000}))
    shards = partitioner["balanced"](table, min_seconds=500, max_seconds=500, rates=SECOND)
    assert list(shards.costs.values()) == [6000]


def test_balanced_counts_what_is_written():
    read, written = ("read", 100, {}), ("written", 100, {"kind": "generate", "max_tokens": 90})
    costs = partitioner["naive"](requests(read, written), rates=SECOND).costs
    assert list(costs.values()) == [10_000, 1000]
    half = Rates(tokens_per_byte=0.5, prefill=10, decode=2, written=0.5)
    assert list(partitioner["naive"](requests(read, written), rates=half).costs.values()) == pytest.approx([2300, 50])


def test_naive_is_a_shard_for_n_benchmarks():
    table = requests(*((f"b{i}", i + 1, {}) for i in range(5)))
    assert sorted(sizes(partitioner["naive"](table))) == [1, 2, 3, 4, 5]
    assert sorted(sizes(partitioner["naive"](table, n=2))) == [3, 5, 7]


def test_size_splits_evenly_and_merges_by_next_fit():
    # sizes: 1100 × 4 = 4400 > 2000 (three parts of 367, 367, 366), 60 × 20 = 1200, 300 × 4, 100 × 4, 90 × 4
    table = requests(("a", 1100, {}), ("b", 60, {"kind": "generate"}), ("c", 300, {}), ("d", 100, {}), ("e", 90, {}))
    members = by_shard(partitioner["size"](table, max_task_size=2000))
    got = Counter(tuple(sorted(Counter(key.split("-")[0] for key in keys).items())) for keys in members.values())
    # from large to small: a, a, a (a full task each), b 1200, c 1200 + d 400 + e 360
    assert got == {(("a", 367),): 2, (("a", 366),): 1, (("b", 60),): 1, (("c", 300), ("d", 100), ("e", 90)): 1}


def test_size_splits_down_to_single_requests():
    table = requests(("a", 3, {"kind": "generate"}))
    assert sizes(partitioner["size"](table, max_task_size=5)) == [1, 1, 1]


def test_num_worker_deals_out_in_turn():
    # step = max(ceil(100 / 4), 16) = 25: four parts; 20 > 16: parts of 16 and 4; 10 is not split
    table = requests(("a", 100, {}), ("b", 20, {}), ("c", 10, {}))
    members = by_shard(partitioner["num_worker"](table, workers=4))
    got = sorted(tuple(sorted(Counter(key.split("-")[0] for key in keys).items())) for keys in members.values())
    assert got == [(("a", 25),), (("a", 25), ("b", 4)), (("a", 25), ("b", 16)), (("a", 25), ("c", 10))]
    assert len(partitioner["num_worker"](requests(("c", 10, {})), workers=4).costs) == 1
    assert sizes(partitioner["num_worker"](table, workers=2, num_split=1)) == [110, 20]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("naive", {"n": 0}, "wanted n of at least 1, got 0"),
        ("size", {"max_task_size": 0}, "wanted max_task_size of at least 1"),
        ("num_worker", {"workers": 0}, "wanted workers of at least 1"),
        ("balanced", {"workers": -1}, "wanted workers of at least 1, got -1"),
        ("balanced", {"min_seconds": 10, "max_seconds": 5}, "got 10 and 5"),
    ],
)
def test_options_that_make_no_sense(name, options, message):
    with pytest.raises(SpecError, match=message):
        partitioner[name](requests(("a", 3, {})), **options)


def test_an_unknown_partitioner_is_told_with_its_neighbours():
    with pytest.raises(SpecError, match="did you mean balanced"):
        partitioner["balance"]

"""Everything that a user can add, added from outside: the files that docs/extending.md shows, in a real evaluation."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from adapters import adapter_names, cluster_backend
from assay.catalog import benchmark_ids, load_spec, make_spec, model_names, suite_names
from assay.errors import SpecError
from assay.extract import extractor
from assay.generate import generated
from assay.metrics import metric
from assay.partition import partitioner
from assay.readers import reader
from assay.registry import Registry, load_plugins
from assay.retrieve import retriever
from assay.score import scorer
from assay.solve import solver
from assay.template import template_filter
from flows.running import run_spec
from storage.ledger import Ledger
from tasks import infer

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
REGISTRIES: dict[str, Registry[Any]] = {
    "last_name": extractor, "near": scorer, "worst": metric, "alike": retriever, "plan_first": solver,
    "by_length": partitioner, "bars": reader, "additions": generated, "quoted": template_filter,
}  # fmt: skip
PACKAGE = ("pyproject.toml", "mine/__init__.py")


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory; what a test registers or loads is forgotten after it."""
    before = {name: dict(registry.items) for name, registry in REGISTRIES.items()}
    modules = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    infer._loaded.clear()
    yield tmp_path
    infer._loaded.clear()
    for name, registry in REGISTRIES.items():
        registry.items.clear()
        registry.items.update(before[name])
    for name in set(sys.modules) - modules:
        if name.partition(".")[0] in ("mine", "lame"):
            del sys.modules[name]


def write(folder: Path, *left_out: str) -> None:
    for name, text in FILES.items():
        if name not in left_out:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)


def install(folder: Path, name: str, points: dict[str, dict[str, str]]) -> None:
    """What pip leaves behind of a distribution."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    sections = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in named.items()) for group, named in points.items()]
    (info / "entry_points.txt").write_text("\n".join(sections))


def evaluated(spec: dict[str, Any], ledger: Path) -> None:
    """Run the spec; every part that came from outside has left its trace in the ledger."""
    assert run_spec(make_spec(spec), ledger) == 0
    with Ledger(ledger).read() as con:
        found = con.execute("SELECT model, benchmark, metric, value, n FROM leaderboard ORDER BY ALL").fetchall()
        shards = con.execute("SELECT shard, round, requests FROM shards ORDER BY round, shard").fetchall()
        shown = con.execute(
            "SELECT x.fields->>'$.input', d.demo->>'$.target' FROM demonstrations d JOIN samples x USING (sample_key)"
            " ORDER BY x.ordinal"
        ).fetchall()
        [(said,)] = con.execute(
            "SELECT header || messages FROM lineage WHERE benchmark = 'capitals' AND metric = 'near' AND ordinal = 0"
        ).fetchall()
        sources = con.execute("SELECT benchmark, source, rows FROM datasets ORDER BY ALL").fetchall()
    # Madrid is right, Roma has three of Rome's four letters, nothing is said of Kenya
    assert found == [
        ("rules", "capitals", "near", pytest.approx(1.75 / 3), 3),
        ("rules", "capitals", "near_worst", pytest.approx(0.75 / 2), 3),
        ("rules", "plus", "number_match", 1.0, 20),
    ]
    assert [(shard.rpartition("-")[2], round_, asked) for shard, round_, asked in shards] == [
        ("long", 0, 3), ("short", 0, 20), ("short", 1, 20),
    ]  # fmt: skip
    assert shown == [("Spain", "Paris"), ("Italy", "Cairo"), ("Kenya", "Paris")]
    assert r"The capital of \"Spain\" is" in said and r"The capital of \"France\" is Paris" in said
    assert sources == [("capitals", "files", 3), ("plus", "generated", 20)]


@pytest.mark.usefixtures("prefect_server")
def test_a_folder_brings_each_of_them(bare: Path) -> None:
    write(bare, *PACKAGE)
    spec = load_spec(Path("mine/run.yaml"))
    assert not any(name in registry for name, registry in REGISTRIES.items())
    assert spec["catalog"] == ["mine"]
    evaluated(spec, bare / "l.duckdb")
    assert steps_and_answers(bare / "l.duckdb") == ({"prepare": 2, "prompt": 3, "postprocess": 2, "score": 2}, 43)

    for name in ("quoted", "near"):  # a template's filter and a scorer are written otherwise
        path = bare / "mine" / f"{name}.py"
        path.write_text(path.read_text() + "# the same\n")
    assert run_spec(make_spec(spec), bare / "l.duckdb") == 0
    assert steps_and_answers(bare / "l.duckdb") == ({"prepare": 2, "prompt": 4, "postprocess": 3, "score": 3}, 43)


@pytest.mark.usefixtures("prefect_server")
def test_a_cluster_back_end_runs_the_workers(bare: Path) -> None:
    write(bare, *PACKAGE)
    settings = ["compute.cluster=behind", "compute.replicas=2"]
    assert run_spec(make_spec(load_spec(Path("mine/run.yaml")), settings), bare / "l.duckdb") == 0
    with Ledger(bare / "l.duckdb").read() as con:
        figures = con.execute("SELECT benchmark, value FROM leaderboard ORDER BY ALL").fetchall()
        workers = con.execute("SELECT count(*), count(DISTINCT worker), min(state) FROM shards").fetchall()
    assert figures == [("capitals", pytest.approx(0.75 / 2)), ("capitals", pytest.approx(1.75 / 3)), ("plus", 1.0)]
    assert workers[0][0] == 3 and workers[0][1] >= 2 and workers[0][2] == "done"


def steps_and_answers(ledger: Path) -> tuple[dict[str, int], int]:
    """How often each step was done on something new, and how many answers there are."""
    with Ledger(ledger).read() as con:
        steps = con.execute("SELECT step, count(DISTINCT step_key) FROM steps WHERE rows > 0 GROUP BY step").fetchall()
        [(answers,)] = con.execute("SELECT count(*) FROM completions").fetchall()
    return dict(steps), answers


@pytest.mark.usefixtures("prefect_server")
def test_a_distribution_brings_each_of_them(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(bare)
    install(bare, "mine", tomllib.loads(FILES["pyproject.toml"])["project"]["entry-points"])
    spec = load_spec(Path("mine/run.yaml"))
    del spec["catalog"]
    with pytest.raises(SpecError, match="no model 'rules'"):
        make_spec(spec, ["model.options={}"])
    monkeypatch.syspath_prepend(bare)
    assert {"capitals", "plus"} <= set(benchmark_ids())
    assert "rules" in model_names() and "small" in suite_names() and "program" in adapter_names("models")
    assert not any(name in registry for name, registry in REGISTRIES.items())
    evaluated(spec, bare / "l.duckdb")
    assert callable(cluster_backend("behind").run)


def test_a_plugin_that_does_not_import_is_told(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare / "lame.py").write_text("raise RuntimeError('out of order')\n")
    install(bare, "lame", {"assay.plugins": {"lame": "lame"}})
    monkeypatch.syspath_prepend(bare)
    with pytest.raises(SpecError, match="plug-in lame = lame: RuntimeError: out of order"):
        load_plugins()


LOSES = """
from assay import partitioner
from assay.partition import Shards

@partitioner
def loses(columns, *, prefix=""):
    half = columns.slice(len(columns) // 2).select(["completion_key"])
    return Shards(half.append_column("shard", [[prefix + "a"] * len(half)]), {prefix + "a": 1.0})

@partitioner
def breaks(columns, *, prefix=""):
    return columns["no_such_column"]
"""


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("balance", "no partitioner 'balance'; did you mean balanced"),
        ({"balanced": {"worker": 3}}, "partitioner balanced: .*'worker'; its options: .*workers"),
        ({"balanced": {"workers": 0}}, "wanted workers of at least 1, got 0"),
        ({"balanced": {"prefix": "x"}}, "`prefix` is what the run names its shards by"),
        ("breaks", "partitioner breaks on 6 requests: KeyError"),
        ("loses", "partitioner loses divided 3 of 6 requests"),
    ],
)
def test_a_partitioner_that_does_not_do_is_told(bare: Path, step: Any, message: str) -> None:
    import pyarrow as pa

    from assay.registry import load_catalog
    from assay.workload import COLUMNS
    from tasks.divide import divide

    (bare / "loses.py").write_text(LOSES)
    load_catalog(bare)
    row = {field.name: 1 if pa.types.is_integer(field.type) else "x" for field in COLUMNS}
    columns = pa.Table.from_pylist([row | {"completion_key": str(i)} for i in range(6)], schema=COLUMNS)
    assert len(divide(columns, "balanced").assignment) == 6
    with pytest.raises(SpecError, match=message):
        divide(columns, step)


def test_a_partitioner_does_not_make_it_another_evaluation() -> None:
    spec = {"models": ["oracle"], "benchmarks": ["mini_add"]}
    assert make_spec(spec).hash == make_spec(spec | {"partitioner": {"naive": {"n": 2}}}).hash
    assert make_spec(spec).hash != make_spec(spec | {"seed": 1}).hash

"""docs/benchmarks.md: every benchmark in a table, made from their files by `make docs`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import get_args

from assay.catalog import benchmark_ids, load_benchmark, load_suite, suite_names
from assay.functions import load_functions
from assay.spec import Benchmark, Dimension

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Made from `assay/benchmarks/*.yaml` by `make docs`. `assay show NAME` prints a recipe, `assay prompt NAME` what a model
will be asked, `NAME@VARIANT` names a variant; where rows come from and how they differ from upstream:
[data.md](data.md). Questions are those of the pinned data; licences are the data's own.
"""


def page() -> str:
    """The page's text."""
    load_functions()
    families: dict[str, list[Benchmark]] = {}
    for name, ids in groupby(benchmark_ids(), key=lambda id: id.partition("@")[0]):
        families[name] = [load_benchmark(id) for id in ids]
    return "\n".join([HEAD, *_totals(families), "", *_suites(), *_tables(families)])


def _totals(families: Mapping[str, Sequence[Benchmark]]) -> Iterator[str]:
    yield "| dimension | benchmarks | variants | questions |"
    yield "|---|---|---|---|"
    rows = [(name, [own for own in families.values() if own[0].dimension == name]) for name in get_args(Dimension)]
    for name, found in (*rows, ("all", list(families.values()))):
        variants = sum(len(own) - 1 for own in found)
        yield f"| {name} | {len(found)} | {variants} | {sum(own[0].questions or 0 for own in found):,} |"


def _suites() -> Iterator[str]:
    yield "| suite | benchmarks | questions |"
    yield "|---|---|---|"
    for name in suite_names():
        listed = [load_benchmark(id) for id in load_suite(name)]
        yield f"| `{name}` | {len(listed)} | {sum(one.questions or 0 for one in listed):,} |"


def _tables(families: Mapping[str, Sequence[Benchmark]]) -> Iterator[str]:
    for dimension in get_args(Dimension):
        yield f"\n## {dimension}\n"
        yield "| benchmark | what it asks | questions | kinds | variants | rows from | licence |"
        yield "|---|---|---|---|---|---|---|"
        yield from (_row(name, own) for name, own in families.items() if own[0].dimension == dimension)


def _row(name: str, family: Sequence[Benchmark]) -> str:
    own, *variants = family
    about = re.split(r"(?<=[.?!;]) |\n", own.about)[0].rstrip(".;")
    asked = f"[{about}]({own.paper})" if own.paper else about
    kinds = ", ".join(dict.fromkeys(one.kind for one in family))
    named = ", ".join(f"`{one.variant}`" for one in variants)
    places = ", ".join(dict.fromkeys(_place(one) for one in own.sources))
    count = f"{own.questions:,}" if own.questions else ""
    return f"| `{name}` | {asked} | {count} | {kinds} | {named} | {places} | {own.licence.replace('|', '/')} |"


def _place(source: object) -> str:
    given = source.model_dump(exclude_none=True)  # type: ignore[attr-defined]
    if "files" in given:
        return "files"
    return f"hub `{given['hub']['path']}`" if "hub" in given else "generated"


if __name__ == "__main__":
    (Path(sys.argv[1]) if sys.argv[1:] else PAGE).write_text(page() + "\n", encoding="utf-8")

"""docs/opencompass.md: each of OpenCompass's 84 launch rows, with benchmarks and variants that there are."""

from __future__ import annotations

import re

from conftest import ROOT

from assay.catalog import benchmark_ids

PAGE = (ROOT / "docs" / "opencompass.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")]


def test_all_rows_are_there_and_name_what_there_is() -> None:
    _, *rows = ROWS
    assert len({row[0] for row in rows}) == len(rows) == 84
    known = benchmark_ids()
    for row, named, variants, _ in rows:
        benchmarks = re.findall(r"`(\w+)`", named)
        assert set(benchmarks) <= set(known), row
        for variant in re.findall(r"`(\w+)`", re.sub(r"by `\w+`|`kind: \w+`", "", variants)):
            assert any(f"{benchmark}@{variant}" in known for benchmark in benchmarks), (row, variant)

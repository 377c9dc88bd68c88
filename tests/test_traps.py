"""What goes wrong in Prefect without a word, as far as no server is needed to see it; docs/operations.md lists it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from prefect.settings import Settings
from prefect.settings.legacy import _get_valid_setting_names

from assay.catalog import benchmark_ids
from assay.spec import EvalSpec
from flows import cluster, database, server
from flows.form import EvalForm

FILES = [path for folder in ("flows", "tasks") for path in sorted((ROOT / folder).rglob("*.py"))]
SOURCES = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
SLOW = (".submit(", ".map(", ".delay(", "TaskRunner", "rate_limit(", "prefect.concurrency", "submit_to_work_pool")
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def test_every_setting_is_one_that_prefect_has() -> None:
    """A misspelt one is ignored."""
    wanted = {*server.SETTINGS, *cluster.CLUSTER, *database.SETTINGS} - {"DO_NOT_TRACK"}
    known = _get_valid_setting_names(Settings)
    redis = {name for name in wanted if name.startswith("PREFECT_REDIS_")}
    assert wanted - known - redis == set()
    for name in redis:
        assert name.removeprefix("PREFECT_REDIS_MESSAGING_PUBLISHER_") in ("BATCH_SIZE", "PUBLISH_EVERY")


def test_settings_are_there_before_prefect_is_imported_and_it_reads_them(tmp_path: Path) -> None:
    code = """
import sys
from flows.server import apply_settings
assert "prefect" not in sys.modules
apply_settings()
from prefect.settings import get_current_settings
told = get_current_settings().server
print(told.services.task_run_recorder.batch_size, told.services.event_persister.read_batch_size,
      told.analytics_enabled, told.ui.api_url, int(told.ephemeral.startup_timeout_seconds))
"""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    env = clean | {"PREFECT_HOME": str(tmp_path)}
    told = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["200", "200", "False", "/api", "90"]


@SOURCES
def test_flows_are_sync_and_tasks_keep_no_results(path: Path) -> None:
    """An async subflow stalls on SQLite; results are never cleaned up; arguments are hashed for a cache."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"@(flow|task|step)\b[^\n]*\n(?:@[^\n]*\n)*async def", text)
    for made in re.findall(r"^.*(?<![\w.])task\((?!s).*$", text, re.MULTILINE):
        assert "cache_policy=NO_CACHE" in made and "persist_result=False" in made, made


@SOURCES
def test_what_was_measured_to_be_slow_or_to_hang_is_not_used(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for word in (
        ".submit(",
        ".map(",
        ".delay(",
        "TaskRunner",
        "rate_limit(",
        "prefect.concurrency",
        "submit_to_work_pool",
    ):
        assert word not in text, word
    for call in re.findall(r"run_deployment\((.*?)\n *\)\n", text, re.DOTALL):
        assert "timeout=0" in call  # it would wait, and look every five seconds


def test_parameters_of_a_run_are_far_from_the_servers_limit() -> None:
    whole = EvalSpec(models=tuple(f"echo:{i}" for i in range(20)), benchmarks=tuple(benchmark_ids()), suites=("mini",))
    form = EvalForm.model_validate(whole.model_dump(mode="json"))
    assert len(json.dumps(form.model_dump(mode="json"))) < 524_288 / 10


def test_each_trap_on_the_page_names_what_is_there() -> None:
    table = PAGE.split("## Traps")[1]
    lines = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| trap")]
    assert len(lines) > 30
    for line in lines:
        answer = line.split("|")[2]
        named = [*re.findall(r"`((?:tests|flows|tasks|storage|adapters|assay|bench)/[\w/]+\.\w+)`", answer)]
        files = named + [name for name in ("prefect.yaml", "pyproject.toml", "constraints.txt") if name in answer]
        assert files, line
        for file in files:
            assert (ROOT / file).exists(), line
        for test in re.findall(r"`(test_\w+)`", answer):
            assert any(f"def {test}(" in (ROOT / file).read_text() for file in named), f"{test}: {line}"

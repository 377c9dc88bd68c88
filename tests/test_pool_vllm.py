"""vLLM's engine in a worker of the GPU pool that has an environment of its own, while the run is in another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import slow_runs
from clusters import cluster
from conftest import ROOT, TINY

from storage.ledger import Ledger

pytestmark = pytest.mark.server

PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
ON_CPU = {
    "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_HOST_IP": "127.0.0.1", "TORCH_COMPILE_DISABLE": "1", "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
}  # fmt: skip


@pytest.mark.skipif(not PYTHON.exists(), reason="no .venv-vllm: make test-vllm makes it")
def test_a_worker_in_an_environment_of_its_own_answers_with_vllm(tmp_path: Path) -> None:
    model = {"path": str(TINY / "step-3000"), "options": {"dtype": "float32"}}
    spec = {
        "models": [{"adapter": "hf", "name": "hf", **model}, {"adapter": "vllm", "name": "vllm", **model}],
        "benchmarks": ["mini_facts", "mini_translate"],
        "limit": 20,
        "compute": {"pool": "gpu-1"},
    }
    (tmp_path / "spec.yaml").write_text(json.dumps(spec))
    with (
        cluster(tmp_path / "cluster", "--gpu-python", str(PYTHON), ASSAY_DEVICES="", **ON_CPU) as running,
        slow_runs.assay(tmp_path, "run", str(tmp_path / "spec.yaml"), "--json", PREFECT_API_URL=running.api) as process,
    ):
        out, err = process.communicate(timeout=500)
        assert process.returncode == 0, err
    scores = json.loads(out.strip().splitlines()[-1])["scores"]
    told = {(one["benchmark"], one["model"]): one["value"] for one in scores}
    assert len(told) == 4
    for benchmark in spec["benchmarks"]:
        assert told[benchmark, "hf"] == told[benchmark, "vllm"]
    with Ledger(tmp_path / "l.duckdb").read() as con:
        found = con.execute(
            "SELECT DISTINCT m.adapter, s.worker <> '', s.state FROM shards s JOIN models m USING (model_key)"
        ).fetchall()
    assert sorted(found) == [("hf", True, "done"), ("vllm", True, "done")]

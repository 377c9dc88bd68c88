"""The cluster back end `slurm`, against a stand-in for sbatch: no Slurm is at hand.

The stand-in does what the back end relies on: it takes `--wait`, `--gpus=N` and `--wrap COMMAND`, says that a job was
submitted, runs it in the folder it was called in with the job's output in `slurm-ID.out`, gives it GPUs, and with
`--wait` ends when the job does, with its exit code. It has no queue, no time limit and no second machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from slow_runs import COUNT, asked, askers, assay, finished, place, rows

from adapters.clusters import slurm

__all__ = ["place"]  # a fixture

SBATCH = f"""#!{sys.executable}
import argparse, json, os, subprocess, sys
parser = argparse.ArgumentParser()
parser.add_argument("--wait", action="store_true")
parser.add_argument("--gpus", type=int, default=0)
parser.add_argument("--partition")
parser.add_argument("--wrap", required=True)
told = parser.parse_args()
with open(os.environ["STAND_IN_LOG"], "a") as log:
    log.write(json.dumps(vars(told)) + "\\n")
print(f"Submitted batch job {{os.getpid()}}")
given = dict(os.environ, CUDA_VISIBLE_DEVICES=",".join(map(str, range(told.gpus))), SLURM_JOB_ID=str(os.getpid()))
with open(f"slurm-{{os.getpid()}}.out", "w") as out:
    job = subprocess.Popen(["/bin/sh", "-c", told.wrap], env=given, stdout=out, stderr=out)
sys.exit(job.wait() if told.wait else 0)
"""


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for sbatch on the path; where it writes down how it was called."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sbatch").write_text(SBATCH)
    (tmp_path / "bin" / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "sbatch.log"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "sbatch.log"


def calls(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_a_command_runs_to_its_end_on_its_gpus(tmp_path: Path, sbatch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_SBATCH", "--partition 'big gpus'")
    code = "import os; print('it\\'s', os.environ['CUDA_VISIBLE_DEVICES'])"
    slurm.run([sys.executable, "-c", code], 2)
    [call] = calls(sbatch)
    assert call["wait"] and call["gpus"] == 2 and call["partition"] == "big gpus"
    [out] = tmp_path.glob("slurm-*.out")
    assert out.read_text() == "it's 0,1\n"


def test_a_command_that_fails_is_an_error(sbatch: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError, match="exit status 3"):
        slurm.run([sys.executable, "-c", "raise SystemExit(3)"], 1)


def test_a_run_on_slurm_is_shared_by_its_jobs(place: Path, sbatch: Path, prefect_server: str) -> None:
    spec = json.loads((place / "spec.yaml").read_text())
    spec["models"][0]["devices"] = 2
    spec["partitioner"] = {"num_worker": {"workers": 6, "min_task_size": 10}}
    spec["compute"] = {"cluster": "slurm", "replicas": 2}
    (place / "spec.yaml").write_text(json.dumps(spec))
    with assay(place, "run", str(place / "spec.yaml"), "--json", PREFECT_API_URL=prefect_server) as process:
        code, told = finished(process)
    assert code == 0 and told["scores"][0]["value"] == 1
    assert len(asked(place)) == COUNT and len(set(askers(place))) == 2
    assert [call["gpus"] for call in calls(sbatch)] == [2, 2]
    visible = {line.split()[1] for line in (place / "loaded.log").read_text().splitlines()}
    assert visible == {"0,1"}  # as Slurm gave them to each job
    assert rows(place, "SELECT DISTINCT devices FROM shards") == [(2,)]

"""Slurm: each worker is a job of its own. $ASSAY_SBATCH has further options of sbatch, such as `--partition=gpu`."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence


def run(command: Sequence[str], gpus: int) -> None:
    """Run a command to its end on that many GPUs. Raises CalledProcessError where it fails."""
    options = shlex.split(os.environ.get("ASSAY_SBATCH", ""))
    subprocess.run(["sbatch", "--wait", f"--gpus={gpus}", *options, "--wrap", shlex.join(command)], check=True)

"""What a run ran on: versions, commit, machine. Columns beside the results, never part of a key."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import assay

LIBRARIES = ("prefect", "duckdb", "pyarrow", "torch", "transformers", "datasets", "openai", "vllm", "math-verify")


def versions() -> dict[str, str]:
    """Versions of assay, Python, and the libraries that are installed; the commit of a checkout; the platform."""
    found = {"assay": assay.__version__, "python": platform.python_version(), "platform": platform.platform()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    commit = _commit()
    return found | ({"commit": commit} if commit else {})


def _commit() -> str:
    """The commit of the checkout that is run, marked where it has changes; '' outside a checkout."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return ""
    git = ["git", "-C", str(root)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    changed = subprocess.run(
        [*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=False
    ).stdout
    return head + ("+changes" if changed.strip() else "")

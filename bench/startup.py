"""How long one waits: `assay --help`, and from the command to the first answer in the ledger. One JSON line.

    python bench/startup.py [--times 3]

Embedded: each run starts a Prefect server of its own, from the second start on. Server: one is running already.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC
from pathlib import Path

import duckdb

from flows.server import Embedded, apply_settings

ROOT = Path(__file__).parents[1]
HF = f"hf:{ROOT / 'examples/tiny/checkpoints/step-3000'}"


def help_seconds() -> float:
    """Seconds of `assay --help`."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "flows.cli", "--help"], check=True, capture_output=True)
    return time.perf_counter() - start


def first_answer(model: str, **environ: str) -> float:
    """Seconds from the command to the first answer in the ledger."""
    with tempfile.TemporaryDirectory() as place:
        ledger = Path(place) / "l.duckdb"
        command = [sys.executable, "-m", "flows.cli", "run", "-m", model, "-b", "mini_facts", "--limit", "20"]
        start = time.time()
        subprocess.run([*command, "--ledger", str(ledger)], check=True, capture_output=True, env=os.environ | environ)
        with duckdb.connect(str(ledger), read_only=True) as con:
            [(created,)] = con.execute("SELECT min(created) FROM completions").fetchall()
    return float(created.replace(tzinfo=UTC).timestamp() - start)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--times", type=int, default=3)
    times = options.parse_args().times
    os.chdir(ROOT)
    for name in ("PREFECT_API_URL", "PREFECT_PROFILES_PATH"):
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory() as home:
        os.environ["PREFECT_HOME"] = home
        found: dict[str, list[float]] = {"help_s": [help_seconds() for _ in range(times)]}
        first_answer("echo:oracle")  # makes Prefect's database
        for name, model in (("echo", "echo:oracle"), ("hf", HF)):
            found[f"{name}_embedded_s"] = []
            for _ in range(times):
                time.sleep(5)  # the last one's server has ended
                found[f"{name}_embedded_s"].append(first_answer(model))
        apply_settings()
        server = Embedded()
        server.start()
        url = server.ready()
        for name, model in (("echo", "echo:oracle"), ("hf", HF)):
            found[f"{name}_server_s"] = [first_answer(model, PREFECT_API_URL=url) for _ in range(times)]
        server.stop()
        time.sleep(5)
    middle = {name: round(statistics.median(values), 2) for name, values in found.items()}
    print(json.dumps({"bench": "startup", "times": times, **middle}))


if __name__ == "__main__":
    main()

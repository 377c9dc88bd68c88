"""vLLM in whole runs: models one after the other in one process, and vLLM's own server behind the adapter `openai`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, TINY
from hf_models import TOLERANCE, answers, reference, score, write

from adapters.models import hf, openai
from assay.spec import ModelSpec

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not here: make test-vllm"),
]
ON_CPU = {
    "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_HOST_IP": "127.0.0.1", "TORCH_COMPILE_DISABLE": "1", "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1", "VLLM_NO_USAGE_STATS": "1",
}  # fmt: skip
START = 300.0
"""Seconds that the server may take to start: half a minute where the machine has nothing else to do."""


def test_a_run_of_two_models_finds_what_hf_finds(tmp_path: Path) -> None:
    """The first gives way to the second; the figures of both are the last line of what is printed."""
    models = [
        {"adapter": adapter, "path": str(TINY / step), "options": {"dtype": "float32", **options}}
        for adapter, options in (("vllm", {"enforce_eager": True}), ("hf", {"device": "cpu"}))
        for step in ("step-700", "step-3000")
    ]
    run = {"models": models, "benchmarks": ["mini_facts", "mini_add"], "limit": 12}
    (tmp_path / "run.yaml").write_text(json.dumps(run))
    command = [sys.executable, "-m", "flows.cli", "run", str(tmp_path / "run.yaml"), "--json", "--ledger", "l.duckdb"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    settings = {"PREFECT_HOME": str(tmp_path / "prefect"), "PYTHONPATH": str(ROOT), **ON_CPU}
    done = subprocess.run(command, env=clean | settings, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    figures: dict[str, list[Any]] = {"vllm": [], "hf": []}
    for one in json.loads(done.stdout.splitlines()[-1])["scores"]:
        adapter, _, path = one["model"].partition(":")
        figures[adapter].append((path, one["benchmark"], one["metric"], one["value"], one["n_errors"]))
    assert len(figures["vllm"]) >= 4 and sorted(figures["vllm"]) == sorted(figures["hf"])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a real vLLM server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    command = [
        str(Path(sys.executable).parent / "vllm"), "serve", str(TINY / "step-3000"), "--served-model-name", "tiny",
        "--dtype", "float32", "--enforce-eager", "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    with log.open("w") as out:
        server = subprocess.Popen(command, env=os.environ | ON_CPU, stdout=out, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + START
        while not healthy(port):
            assert server.poll() is None and time.monotonic() < end, log.read_text()[-3000:]
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(60)


def healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


CONTEXTS = (
    "The word of Emma is honey. What is the word of Emma?\nAnswer:",
    "80 + 3 =\nAnswer:",
    "The ",
    "Zo\u00eb \u00fcber",
)
TEXTS = (" honey", " 83", " A", " \u00dcn\u00ef na\u00efve", " two plus two")


def ask(url: str, **options: Any) -> Any:
    return openai.load(ModelSpec(adapter="openai", path="tiny", options={"base_url": url, **options}))


def test_the_server_scores_and_writes_as_hf(served: str) -> None:
    needs = ("prompt_sums", "token_logprobs")
    requests = [score(f"s {text}", text, *TEXTS, needs=needs) for text in (*CONTEXTS, "")]
    requests += [score(f"c {text}", text, *TEXTS, kind="choice") for text in CONTEXTS]
    requests += [write(f"w {text} {n}", text, max_tokens=n) for text in CONTEXTS for n in (1, 12)]
    requests += [write(f"stop {text}", text, max_tokens=12, stop=("", "e", " 8")) for text in CONTEXTS]
    mine = answers(ask(served, api="completions", logprobs=True), requests)
    theirs = answers(
        hf.load(ModelSpec(adapter="hf", path=str(TINY / "step-3000"), options={"dtype": "float32"})), requests
    )
    for key, one in theirs.items():
        assert mine[key].error is None, key
        assert list(mine[key].sums) == pytest.approx(list(one.sums), abs=TOLERANCE), key
        assert list(mine[key].prompt_sums) == pytest.approx(list(one.prompt_sums), rel=1e-7, abs=TOLERANCE), key
        for name in ("text", "finish", "tokens", "greedy", "prompt_lengths", "input_tokens"):
            assert getattr(mine[key], name) == getattr(one, name), (key, name)


def test_the_servers_seeds(served: str) -> None:
    model = ask(served, api="completions")
    drawn = [write(str(i), "The", seed=s, max_tokens=12, temperature=2.0) for i, s in enumerate((7, 7, 2**64 - 3))]
    texts = [answers(model, drawn)[one.key].text for one in drawn]
    assert texts[0] == texts[1] != texts[2]


def test_what_the_server_has_no_room_for_is_an_error(served: str) -> None:
    """Its window has 512 tokens. It cuts an answer short without a word, and refuses a prompt that is too long."""
    model = ask(served, api="completions")
    rows = "Reverse: r n h v\nAnswer: v h n r\n\n" * 25
    room = 512 - len(reference(TINY / "step-3000")[1].encode(rows))
    done = answers(model, [
        write("answer", rows, max_tokens=400, min_tokens=room), write("prompt", rows * 9, max_tokens=4),
    ])  # fmt: skip
    assert f"after {room} of 400 tokens" in str(done["answer"].error)
    assert "its window is full" in str(done["answer"].error)
    assert "400" in str(done["prompt"].error) and "512" in str(done["prompt"].error)

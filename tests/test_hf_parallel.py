"""A model over two processes, which on a CPU are as good as two GPUs: answers, and what ends them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hf_models import LINES, answers, close, save, score, spec, write

from adapters.hf.parallel import Spread
from adapters.models import hf
from assay.errors import ModelError

ASKED = [
    *(
        score(f"s{i}", line[: 12 + 9 * i], " red balls", " four", needs=("prompt_sums",))
        for i, line in enumerate(LINES)
    ),
    score("r", " ".join(LINES), kind="rolling"),
    *(write(f"w{i}", line[: 10 + i], max_tokens=9) for i, line in enumerate(LINES)),
    *(write(f"t{i}", LINES[i][:9], seed=i, temperature=1.0, max_tokens=9 - i) for i in range(3)),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    if torch.cuda.device_count() == 1:
        pytest.skip("it takes two GPUs, or none")
    return save(tmp_path_factory.mktemp("model"))


@pytest.fixture
def spread(made: Path) -> Iterator[Spread]:
    model = hf.load(spec(made, device="auto", tensor_parallel=2))
    assert isinstance(model, Spread)
    yield model
    model.others.end()


def ranks(model: Spread) -> list[int]:
    return [process.pid for process in model.others.processes]


def test_two_ranks_answer_as_one_does_as_long_as_they_are_read(made: Path, spread: Spread) -> None:
    plain, both = answers(hf.load(spec(made)), ASKED), answers(spread, ASKED)
    assert all(close(plain[k], both[k]) and plain[k].text == both[k].text for k in plain)
    weight = spread.model.likelihood.engine.network.lm_head.weight  # type: ignore[attr-defined]
    assert weight.to_local().shape[0] <= weight.shape[0] // 2 + 1  # the rest lies with the other
    (pid,) = ranks(spread)
    given = iter(spread.answer(ASKED))
    next(given)
    assert psutil.pid_exists(pid)
    given.close()  # type: ignore[attr-defined]
    assert not psutil.pid_exists(pid)
    with pytest.raises(ModelError, match="not read to their end"):
        answers(spread, ASKED)


@pytest.mark.server
def test_another_one_can_be_loaded_when_it_has_ended(made: Path) -> None:
    first = hf.load(spec(made, device="auto", tensor_parallel=2))
    with pytest.raises(ModelError, match="one such model at a time"):
        hf.load(spec(made, device="auto", tensor_parallel=2))
    (pid,) = ranks(first)
    first.others.end()
    assert not psutil.pid_exists(pid)
    second = hf.load(spec(made, device="auto", tensor_parallel=2))
    (pid,) = ranks(second)
    del first
    assert answers(second, ASKED[:1])["s0"].error is None
    del second
    assert not psutil.pid_exists(pid)


@pytest.mark.server
def test_a_rank_that_dies_is_an_error(spread: Spread) -> None:
    given = iter(spread.answer(ASKED))
    next(given)
    os.kill(*ranks(spread), signal.SIGKILL)
    with pytest.raises(ModelError, match=r"rank 1 of 2 has ended: exit code -9"):
        list(given)
    with pytest.raises(ModelError, match="exit code -9"):
        answers(spread, ASKED)


@pytest.mark.server
def test_memory_that_runs_out_on_one_rank_is_an_error(spread: Spread, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    engine = spread.model.likelihood.engine  # type: ignore[attr-defined]
    monkeypatch.setattr(engine.base.layers[1].mlp, "forward", full)
    monkeypatch.setattr("adapters.hf.parallel.LAST_WORDS", 0.5)
    with pytest.raises(ModelError, match=r"can't allocate memory .*fewer batch_tokens"):
        answers(spread, ASKED)
    assert not any(map(psutil.pid_exists, ranks(spread)))


@pytest.mark.server
def test_ranks_that_go_different_ways_are_an_error(spread: Spread) -> None:
    spread.model.likelihood.engine.tokens = 5  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="out of step"):
        answers(spread, ASKED[:3])
    assert not any(map(psutil.pid_exists, ranks(spread)))


@pytest.mark.server
def test_ranks_end_with_a_process_that_is_killed(made: Path) -> None:
    code = (
        "import sys, time; from hf_models import spec; from adapters.models import hf; from pathlib import Path;"
        "model = hf.load(spec(Path(sys.argv[1]), device='auto', tensor_parallel=2));"
        "print(model.others.processes[0].pid, flush=True); time.sleep(60)"
    )
    path = os.pathsep.join((str(Path(__file__).parent), str(Path(__file__).parents[1])))
    command = [sys.executable, "-c", code, str(made)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": path}) as first:
        assert first.stdout is not None
        pid = int(first.stdout.readline())
        assert psutil.pid_exists(pid)
        first.kill()
    until = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"device": "cuda:7"}, "not 'cuda:7'"),
        ({"peft": "lora"}, "tensor_parallel: does not go together with peft"),
        ({"device_map": "auto"}, "tensor_parallel: does not go together with device_map"),
        ({"compile": True}, "tensor_parallel: does not go together with compile"),
        ({"tensor_parallel": 0}, "tensor_parallel"),
    ],
)
def test_what_does_not_go_together(made: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        hf.load(spec(made, **{"tensor_parallel": 2} | options))


@pytest.mark.server
def test_a_network_that_cannot_be_spread(made: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="`GPT2LMHeadModel` has no `tp_plan`"):
        hf.load(spec(save(tmp_path, "gpt2"), device="auto", tensor_parallel=2))


def test_the_planner_is_told_how_many_devices_it_takes(made: Path) -> None:
    one, four = hf.describe(spec(made)), hf.describe(spec(made, tensor_parallel=4))
    assert (one.facts["devices"], four.facts["devices"]) == (1, 4)
    assert one.identity == four.identity

"""Batches that fail: halved where memory runs out, and one that fails alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hf_models import answers, close, save, score, spec

from adapters.models import hf


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("llama"))


def failing(model: Any, limit: int, error: Exception, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the network fail for batches of more than so many rows; the sizes of the batches that it got."""
    network, sizes = model.likelihood.engine.network, []
    forward = network.forward

    def limited(*args: Any, **options: Any) -> Any:
        sizes.append(options["input_ids"].shape[0])
        if sizes[-1] > limit:
            raise error
        return forward(*args, **options)

    monkeypatch.setattr(network, "forward", limited)
    return sizes


def test_a_batch_is_halved_where_memory_runs_out(
    llama: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    requests = [score(str(i), f"The cat {i} and the moon", " sat", " on the mat") for i in range(20)]
    expected = answers(hf.load(spec(llama)), requests)
    model = hf.load(spec(llama, batch_size=20))
    sizes = failing(model, 6, torch.OutOfMemoryError("CUDA out of memory"), monkeypatch)
    done = answers(model, requests)
    assert all(close(done[key], expected[key]) for key in expected)
    assert sizes[:3] == [20, 10, 5]
    assert all(size <= 6 for size in sizes[3:])
    assert "out of memory" in caplog.text


def test_one_that_fails_fails_alone(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = hf.load(spec(llama))
    network = model.likelihood.engine.network
    forward, bad = network.forward, model.likelihood.texts.encode(["The bad one"])[0][-1]

    def picky(*args: Any, **options: Any) -> Any:
        if (options["input_ids"] == bad).any():
            raise RuntimeError("a bad token")
        return forward(*args, **options)

    monkeypatch.setattr(network, "forward", picky)
    requests = [score(str(i), "The cat" * i, " sat") for i in range(1, 8)]
    requests.append(score("bad", "The bad one", " sat", " on"))
    done = answers(model, requests)
    assert done["bad"].error == "RuntimeError: a bad token"
    assert [key for key, completion in done.items() if completion.error] == ["bad"]


def test_memory_that_does_not_suffice_for_one(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    model = hf.load(spec(llama))
    failing(model, 0, torch.OutOfMemoryError("CUDA out of memory"), monkeypatch)
    done = answers(model, [score("a", "The", " cat"), score("b", "The moon", " cat")])
    assert all("out of memory" in str(completion.error) for completion in done.values())

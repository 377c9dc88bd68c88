"""Forward passes that fail: smaller ones where memory runs out, and one that fails alone."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
from hf_models import LINES, answers, close, network, save, score, spec, write

from adapters.hf import budget
from adapters.models import hf

HEAD = " ".join(LINES)


@pytest.fixture(scope="module", params=["llama", "mamba"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a network that computes packs, and of one that does not."""
    return save(tmp_path_factory.mktemp(request.param), request.param)


def failing(model: Any, limit: int, error: Exception, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the network fail for more than so many tokens at once; how many it got each time."""
    base, sizes = model.likelihood.engine.base, []
    forward = base.forward

    def limited(*args: Any, **options: Any) -> Any:
        sizes.append(given(args, options).numel())
        if sizes[-1] > limit:
            raise error
        return forward(*args, **options)

    monkeypatch.setattr(base, "forward", limited)
    return sizes


def given(args: Any, options: Any) -> Any:
    """The tokens that a network's forward pass is given."""
    return options["input_ids"] if "input_ids" in options else args[0]


def no_memory() -> Exception:
    import torch

    return torch.OutOfMemoryError("CUDA out of memory")


def test_a_batch_is_halved_where_memory_runs_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    requests = [score(str(i), f"{HEAD} {i} and the moon", " sat", " on the mat") for i in range(20)]
    model = hf.load(spec(folder))
    expected = answers(model, requests)
    sizes = failing(model, 60, no_memory(), monkeypatch)
    done = answers(model, requests)
    assert all(close(done[key], expected[key]) for key in expected)
    assert sizes[0] > 120 and any(30 < size <= 60 for size in sizes)
    assert sum(size > 60 for size in sizes) < 8  # it learns
    assert "out of memory" in caplog.text


def test_one_that_fails_fails_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = hf.load(spec(folder))
    answers(model, [score("first", "The moon", " sat")])
    base = model.likelihood.engine.base
    forward, bad = base.forward, model.likelihood.texts.encode(["The bad one"])[0][-1]

    def picky(*args: Any, **options: Any) -> Any:
        if (given(args, options) == bad).any():
            raise RuntimeError("a bad token")
        return forward(*args, **options)

    monkeypatch.setattr(base, "forward", picky)
    requests = [score(str(i), "The cat" * i, " sat") for i in range(1, 8)]
    requests.append(score("bad", "The bad one", " sat", " on"))
    requests += [write("good text", "The cat", max_tokens=3), write("bad text", "The bad one", max_tokens=3)]
    done = answers(model, requests)
    assert done["bad"].error == done["bad text"].error == "RuntimeError: a bad token"
    assert [key for key, completion in done.items() if completion.error] == ["bad", "bad text"]


def test_memory_that_does_not_suffice_for_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = hf.load(spec(folder))
    answers(model, [score("first", "The moon", " sat")])
    failing(model, 0, no_memory(), monkeypatch)
    done = answers(model, [score("a", "The", " cat"), score("b", "The moon", " cat"), write("c", "The", max_tokens=2)])
    assert all("out of memory" in str(completion.error) for completion in done.values())


@pytest.mark.parametrize(("more", "limit"), [("", 24), (" cat" * 5, 28)], ids=["written", "read"])
def test_texts_are_written_though_memory_runs_out(
    tmp_path: Path, more: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While answers are written, and while prompts are read."""
    folder = save(tmp_path)
    prompts = [f"{LINES[1]} {i}{more}" for i in range(8)]
    requests = [
        write(f"{prompt} {s}", prompt, s, max_tokens=5, temperature=0.7) for prompt in prompts for s in range(4)
    ]
    model = hf.load(spec(folder))
    expected = answers(model, requests)
    sizes = failing(model, limit, no_memory(), monkeypatch)
    assert answers(model, requests) == expected
    assert max(sizes) > limit


@pytest.mark.parametrize(("free", "told"), [(None, "most"), (1e12, "most"), (4e6, "fewer"), (0.0, "one")])
def test_what_memory_has_room_for(free: float | None, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of this network: 2 x 2 layers x 2 heads x 8 wide kept, and 4 bytes for each number."""
    most = budget.Budget(budget.CPU_TOKENS, budget.CPU_KEPT)
    monkeypatch.setattr(budget, "_free", lambda _: free)
    found = budget.budget_of(network(400), None, alone=True)
    if told == "fewer":
        assert found.kept == int(4e6 * 0.8 / 2 / (4 * 2 * 2 * 2 * 8)) and 1 < found.tokens < most.tokens
    else:
        assert found == (most if told == "most" else (1, 1))
    assert budget.budget_of(network(400), 7, alone=True) == (7, 7)
    assert budget.budget_of(network(400), None, alone=False) == most


def test_a_network_that_is_let_go_is_gone_at_once(folder: Path) -> None:
    """Not when Python next looks for circles: the next model may not fit beside it."""
    model = hf.load(spec(folder))
    answers(model, [score("a", "The", " cat"), write("c", "The", max_tokens=2)])
    network = weakref.ref(model.likelihood.engine.network)
    gc.disable()
    try:
        del model
        assert network() is None
    finally:
        gc.enable()

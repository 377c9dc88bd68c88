"""Texts that a network writes side by side, in slots, after beginnings that they share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hf_models import LINES, PACKED, answers, generated, save, spec, write

from adapters.hf.packing import Packing
from adapters.hf.slots import SlotLook
from adapters.models import hf
from assay.types import Request

PROMPTS = [f"{line} {line} Number {i}:" for line in LINES[:2] for i in range(6)] + ["", "The"]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The forward passes of a network: over tokens that are read, over slots that are written."""
    made: list[tuple[str, int]] = []
    states, following = Packing.states, Packing.next

    def read(self: Packing, pack: Any, *more: Any, **how: Any) -> Any:
        made.append(("read", len(pack.tokens)))
        return states(self, pack, *more, **how)

    def written(self: Packing, tokens: Any, slots: Any) -> Any:
        made.append(("written", len(tokens)))
        return following(self, tokens, slots)

    monkeypatch.setattr(Packing, "states", read)
    monkeypatch.setattr(Packing, "next", written)
    return made


def drawn(text: str, count: int, **how: Any) -> list[Request]:
    return [write(f"{text} {i}", text, seed=i, temperature=0.9, **how) for i in range(count)]


@pytest.mark.parametrize("kind", PACKED)
def test_greedy_is_what_generate_writes(kind: str, tmp_path: Path) -> None:
    folder = save(tmp_path, kind)
    model = hf.load(spec(folder, batch_tokens=150))
    done = answers(model, [write(text, text, max_tokens=3 + i % 4 * 5) for i, text in enumerate(PROMPTS)])
    assert model.generation.probe.refusal is None
    for i, text in enumerate(PROMPTS):
        assert done[text].text == generated(folder, text, 3 + i % 4 * 5)


def test_what_prompts_begin_with_and_replicas_are_read_once(llama: Path, passes: list[tuple[str, int]]) -> None:
    model = hf.load(spec(llama))
    answers(model, [write("first", "The", max_tokens=2)])  # it is tried both ways
    passes.clear()
    answers(model, [request for text in PROMPTS for request in drawn(text, 3, max_tokens=4)])
    prompts = [row[:-1] for row in model.likelihood.texts.encode(PROMPTS)]
    unique = len({tuple(row[: i + 1]) for row in prompts for i in range(len(row))})
    read = sum(count for what, count in passes if what == "read")
    assert unique <= read <= unique + 20 < sum(map(len, prompts)) / 2
    assert [count for what, count in passes if what == "written"] == [3 * len(PROMPTS)] * 4


def test_a_text_that_is_done_makes_room(llama: Path, passes: list[tuple[str, int]]) -> None:
    requests = [write(text, text, max_tokens=2 + 5 * i % 17) for i, text in enumerate(PROMPTS)]
    requests += drawn(PROMPTS[0], 5, max_tokens=9) + drawn(PROMPTS[7], 9, max_tokens=30)
    expected = answers(hf.load(spec(llama, batch_size=1)), requests)
    model = hf.load(spec(llama, batch_size=8))
    answers(model, [write("first", "The", max_tokens=2)])
    passes.clear()
    assert answers(model, requests) == expected
    slots = [count for what, count in passes if what == "written"]
    assert max(slots) == 8
    assert sum(count == 8 for count in slots) > len(slots) / 2  # it is the last ones that stand alone
    assert sum(slots) == sum(done.output_tokens for done in expected.values())


def test_texts_with_different_beginnings_are_written_together(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []
    attend = SlotLook.attend

    def watched(self: SlotLook, *given: Any) -> Any:
        groups.append(len(self.groups))
        return attend(self, *given)

    monkeypatch.setattr(SlotLook, "attend", watched)
    requests = [write(text, text, max_tokens=6) for text in PROMPTS]
    done = answers(hf.load(spec(llama)), requests)
    assert max(groups) == 2
    assert done == answers(hf.load(spec(llama, batch_size=1)), requests)


def test_slots_that_read_wrongly_are_found_out(
    llama: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    requests = [write(text, text, max_tokens=6) for text in PROMPTS]
    expected = answers(hf.load(spec(llama)), requests)
    attend = SlotLook.attend
    monkeypatch.setattr(SlotLook, "attend", lambda self, layer, *given: attend(self, layer, *given) * 1.1)
    model = hf.load(spec(llama))
    assert answers(model, requests) == expected
    assert "in a pack" in model.how and model.how.startswith("row by row")
    assert "one by one" in caplog.text

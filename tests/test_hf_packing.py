"""Packs of a trie of tokens, held against each row by itself."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hf_models import LINES, PACKED, answers, close, network, save, score, spec, user
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.hf.budget import Budget
from adapters.hf.engine import Engine
from adapters.hf.packed import Packed
from adapters.hf.packing import Packing
from adapters.hf.packs import packed
from adapters.hf.plain import Plain
from adapters.hf.plan import Limits, Stem, divide
from adapters.hf.probe import Probe
from adapters.hf.spans import Asked, Row, Span
from adapters.hf.trie import Trie
from adapters.models import hf
from assay.types import Request

VOCABULARY = 50
tokens = st.lists(st.integers(0, 3), min_size=1, max_size=12)


@st.composite
def texts(draw: st.DrawFn) -> list[list[int]]:
    """Beginnings, questions that go on from them, choices that go on from those: alike as often as not."""
    return [
        [*beginning, *question, *choice]
        for beginning in draw(st.lists(tokens, min_size=1, max_size=2))
        for question in draw(st.lists(tokens, min_size=1, max_size=3))
        for choice in draw(st.lists(tokens, min_size=1, max_size=3))
    ]


def rows_of(texts: Sequence[Sequence[int]], counts: Sequence[int]) -> list[Row]:
    """Each text once, with its last few tokens asked, and another token after the same."""
    rows: dict[tuple[int, ...], Row] = {}
    for text, count in zip(texts, counts, strict=False):
        row = rows.setdefault(tuple(text), Row(np.asarray(text, np.int32)))
        for last in (1, 2):
            asked = Asked(Request("", "loglikelihood", []), open=1)
            asked.spans.append(Span(asked, np.asarray([*text, last], np.int32), min(count, len(text))))
            row.spans += asked.spans
    return list(rows.values())


@lru_cache
def packing(kind: str) -> Packing:
    return Packing(Engine(network(VOCABULARY, kind), 96, Budget(4096, 4096), None))


@given(texts(), st.lists(st.integers(1, 40), min_size=18, max_size=18), st.sampled_from([0, 1, 4, 16, 64]), st.data())
@settings(max_examples=60, deadline=None)
def test_packs_say_what_rows_say(texts: list[list[int]], counts: list[int], unit: int, data: st.DataObject) -> None:
    kind, batch = data.draw(st.sampled_from(PACKED)), data.draw(st.sampled_from([3, 16, 512]))
    engine = packing(kind).engine
    plain, rows = rows_of(texts, counts), rows_of(texts, counts)
    assert not [done.error for some in Plain(engine, plain).answer() for done in some if done.error]
    trie, limits = Trie([row.tokens for row in rows]), Limits(unit, batch, data.draw(st.integers(0, 9)), 96)
    engine.tokens = batch
    done = [one for some in Packed(packing(kind), trie, rows).answer(limits) for one in some]
    engine.tokens = 4096
    assert len(done) == sum(len(row.spans) for row in rows) and not [one.error for one in done if one.error]
    for one, other in zip(plain, rows, strict=True):
        for expected, found in zip(one.spans, other.spans, strict=True):
            assert found.values == pytest.approx(expected.values, abs=1e-4)


@given(texts(), st.sampled_from([0, 1, 4, 16, 64]), st.integers(0, 9), st.integers(1, 300))
def test_a_plan_computes_every_row_once(texts: list[list[int]], unit: int, overhead: int, reach: int) -> None:
    trie = Trie([np.asarray(text, np.int32) for text in {tuple(text): text for text in texts}.values()])
    limits = Limits(unit, 20, overhead, reach)
    seen: list[int] = []

    def walk(stem: Stem, before: list[int]) -> None:
        assert stem.start == len(before)
        begun = [*before, *trie.rows[stem.low][stem.start : stem.end].tolist()]
        seen.extend(stem.ended(trie))
        for one in stem.units:
            pack = packed(trie, [one])
            assert len(pack.tokens) == one.size <= (limits.batch if one.high == one.low + 1 else unit)
            for row in range(one.low, one.high):
                assert [*begun, *pack.tokens[pack.paths[row]].tolist()] == trie.rows[row].tolist()
                seen.append(row)
        for child in stem.stems:
            walk(child, begun)

    walk(divide(trie, limits), [])
    assert sorted(seen) == list(range(len(trie.rows)))


def test_what_questions_share_is_computed_once() -> None:
    draw = random.Random(1)
    shots = [draw.randrange(50) for _ in range(100)]
    questions = [[*shots, *(draw.randrange(50) for _ in range(30))] for _ in range(20)]
    choices = [[*question, *(draw.randrange(50) for _ in range(5))] for question in questions for _ in range(4)]
    trie = Trie([np.asarray(choice, np.int32) for choice in choices])
    (stem,) = divide(trie, Limits(1024, 2048, 64, 96)).stems
    assert stem.end >= 100
    computed = stem.end - stem.start + sum(unit.size for unit in stem.units)
    unique = len({tuple(choice[: i + 1]) for choice in choices for i in range(len(choice))})
    assert unique <= computed <= 1.02 * unique


REQUESTS = [
    *(
        score(f"{i} {j}", f"{LINES[i % 3]} {LINES[j % 2]} Number {j}:", " cat", " a little girl", " red balls", "!")
        for i in range(3)
        for j in range(5)
    ),
    score("whole", f"{LINES[0]} {LINES[1]}", " four", " five.", needs=("prompt_sums",)),
    Request("roll", "rolling", user(" ".join(LINES * 3))),
]  # fmt: skip


@pytest.mark.parametrize("kind", PACKED)
def test_neither_path_nor_batch_nor_order_nor_shard_matters(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(tmp_path, kind)
    model = hf.load(spec(folder))
    done = answers(model, REQUESTS)
    assert model.likelihood.probe.refusal is None
    ways: list[dict[str, Any]] = []
    shuffled = random.Random(3).sample(REQUESTS, len(REQUESTS))
    for size in (1, 2, 7, 64):
        ways.append(answers(hf.load(spec(folder, batch_size=size)), shuffled))
    ways.append(answers(hf.load(spec(folder, batch_tokens=20)), REQUESTS))
    ways.append(answers(model, REQUESTS[::2]) | answers(model, REQUESTS[1::2]))
    monkeypatch.setattr(model.likelihood.probe, "refusal", "told so")
    ways.append(answers(model, REQUESTS))
    assert all(close(way[key], done[key]) for way in ways for key in done)


def test_half_precision_differs_by_its_rounding_alone(tmp_path: Path) -> None:
    folder = save(tmp_path)
    model, plain = (hf.load(spec(folder, dtype="bfloat16")) for _ in range(2))
    plain.likelihood.probe.refusal = "told so"
    done, alone = answers(model, REQUESTS), answers(plain, REQUESTS)
    assert model.how == "packs"
    for key, expected in alone.items():
        assert done[key].sums == pytest.approx(expected.sums, rel=0.02, abs=0.02)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("mamba", "its state is not one of keys and values"),
        ("mistral", "a window of 12 tokens"),
        ("gemma2", "it has layers of sliding_attention"),
    ],
)
def test_networks_that_cannot_be_packed_take_the_plain_path(kind: str, why: str, tmp_path: Path) -> None:
    folder = save(tmp_path, kind)
    model = hf.load(spec(folder))
    assert why in str(model.likelihood.probe.refusal)
    done, alone = answers(model, REQUESTS), answers(hf.load(spec(folder, batch_size=1)), REQUESTS)
    assert all(close(done[key], alone[key]) for key in done)


def test_a_network_whose_packs_differ_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One that is told nothing of its window: it looks at the last twelve tokens, whatever is computed."""
    folder = save(tmp_path, "mistral")
    expected = answers(hf.load(spec(folder)), REQUESTS)
    model = hf.load(spec(folder))
    probe = Probe(model.likelihood.probe.packing)
    probe.refusal = None
    monkeypatch.setattr("adapters.hf.attention.CANNOT", ())
    model.likelihood.probe = probe
    with caplog.at_level(logging.WARNING):
        done = answers(model, REQUESTS)
    assert "in a pack" in str(probe.refusal)
    assert "not as packs: a sum of" in caplog.text
    assert all(close(done[key], expected[key]) for key in done)

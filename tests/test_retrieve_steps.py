"""Retrievers in the steps of a run: whom they ask, what the ledger keeps, and prompts that a model has room for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hf_models import answers, save, user
from hf_models import spec as model_spec

from adapters.models import hf
from assay.catalog import load_benchmark, make_spec
from assay.errors import ModelError, SpecError
from assay.retrieve_mdl import sureness
from assay.types import Request
from flows.commands.samples import EXAMPLES
from storage.ledger import Ledger
from tasks.check import check
from tasks.planned import Plan, plan
from tasks.preview import preview, written

TEXTS = ["The cat sat", "A cat sat down", "Two plus two", "What is two plus two", "Red balls", "A girl liked red balls",
         "The moon", "Look at the moon", "Four", "A mat", "Once upon a time", "Upon a time"]  # fmt: skip
BENCH: dict[str, Any] = {
    "dimension": "knowledge",
    "sources": [{"files": {"path": "rows.jsonl"}}],
    "sample": {"input": "text", "target": "answer"},
    "prompt": {"template": "{{ input }}:", "separator": "\n", "fewshot": {"from": "self", "k": 3, "retriever": "topk"}},
    "kind": "loglikelihood",
    "choices": ["yes", "no"],
    "score": ["acc"],
    "variants": {
        "last": {"prompt": {"fewshot": {"order": "best_last"}}},
        "mdl": {"prompt": {"fewshot": {"retriever": "mdl", "options": {"candidates": 5, "draws": 4}}}},
        "votek": {"prompt": {"fewshot": {"retriever": "votek"}}},
        "fit": {"prompt": {"fewshot": {"retriever": "bm25", "k": 8, "fit": True}}},
        "written": {"kind": "generate", "choices": None, "sampling": {"max_tokens": 8}, "score": ["exact_match"],
                    "prompt": {"fewshot": {"retriever": "mdl"}}},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue folder with the benchmark `near` and its rows."""
    monkeypatch.setenv("ASSAY_DATA", str(tmp_path / "data"))
    (tmp_path / "near.yaml").write_text(yaml.safe_dump(BENCH))
    rows = [{"text": text, "answer": i % 2} for i, text in enumerate(TEXTS)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def spec(place: Path, *names: str, **given: Any) -> Any:
    given = {"models": ["echo:oracle"], "benchmarks": list(names), "catalog": [str(place)], **given}
    return make_spec(given)


def planned(place: Path, *names: str, ledger: str = "l", **given: Any) -> tuple[Ledger, Plan]:
    book = Ledger(place / f"{ledger}.duckdb")
    made = spec(place, *names, **given)
    check(made)
    return book, plan(made, book)


def rows(book: Ledger, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with book.read() as con:
        found: list[tuple[Any, ...]] = con.execute(query, list(values)).fetchall()
    return found


def shown(book: Ledger, name: str) -> dict[str, list[tuple[str, float | None]]]:
    """Question -> its examples and their scores, as the ledger has them for a benchmark."""
    found = rows(
        book,
        "SELECT DISTINCT x.fields->>'$.input', d.rank, d.demo->>'$.input', d.score FROM demonstrations d"
        " JOIN steps s ON s.step_key = d.prompted JOIN samples x ON x.sample_key = d.sample_key"
        " WHERE s.step = 'prompt' AND s.benchmark = ? ORDER BY 1, 2", name
    )  # fmt: skip
    told: dict[str, list[tuple[str, float | None]]] = {}
    for question, _, demo, score in found:
        told.setdefault(question, []).append((demo, score))
    return told


def vectors(llama: Path) -> Any:
    done = answers(hf.load(model_spec(llama)), [Request(text, "embed", user(text)) for text in TEXTS])
    found = np.array([done[text].vector for text in TEXTS], dtype=float)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def embedder(llama: Path) -> dict[str, Any]:
    return model_spec(llama).model_dump(mode="json")


def test_the_nearest_are_shown_and_the_ledger_has_them_with_their_scores(place: Path, llama: Path) -> None:
    book, told = planned(place, "near", "near@last", embedder=embedder(llama))
    assert not told.failed
    unit, found, last = vectors(llama), shown(book, "near"), shown(book, "near@last")
    for i, text in enumerate(TEXTS):
        near = [j for j in np.argsort(-(unit @ unit[i])).tolist() if j != i][:3]
        assert [demo for demo, _ in found[text]] == [TEXTS[j] for j in near]
        assert [score for _, score in found[text]] == pytest.approx((unit @ unit[i])[near].tolist(), abs=1e-4)
        assert last[text] == found[text][::-1]
    assert rows(book, "SELECT DISTINCT wanted, len(places), len(scores) FROM shown") == [(3, 3, 3)]
    [(header,)] = rows(
        book,
        "SELECT h.messages FROM requests r JOIN headers h USING (header_key)"
        " WHERE r.messages LIKE '%\"The moon:\"%' AND h.messages LIKE ?",
        f"%{found['The moon'][0][0]}:%{found['The moon'][2][0]}:%"
    )  # fmt: skip
    assert header.index(found["The moon"][0][0]) < header.index(found["The moon"][2][0])
    [(run, key)] = rows(book, "SELECT run_id, sample_key FROM runs, samples WHERE ordinal = 6")
    of = {"run": run, "benchmark": "near", "model": "echo:oracle", "sample_key": key}
    with book.read() as con:  # what `assay samples` shows
        told_of = [(TEXTS[place], score) for place, score in con.execute(EXAMPLES, of).fetchall()]
    assert told_of == found["The moon"]


def test_no_text_is_embedded_twice(place: Path, llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book, _ = planned(place, "near", embedder=embedder(llama))
    assert rows(book, "SELECT count(*), count(DISTINCT text_hash), min(len(vector)) FROM embeddings") == [(12, 12, 32)]
    first = shown(book, "near")
    monkeypatch.setattr(hf, "load", lambda spec: pytest.fail("a model was loaded"))
    for module in ("tasks.vectors.load", "tasks.trials.load"):
        monkeypatch.setattr(module, lambda *told: pytest.fail("a model was loaded"))
    again, told = planned(place, "near", "near@votek", embedder=embedder(llama), seed=5)
    assert not told.failed and shown(again, "near") == first
    assert len({tuple(demos) for demos in shown(again, "near@votek").values()}) < 8  # the same, but for the question


@pytest.mark.parametrize("name", ["near", "near@mdl"])
def test_a_limit_changes_nothing(place: Path, llama: Path, name: str) -> None:
    whole, _ = planned(place, name, embedder=embedder(llama))
    part, _ = planned(place, name, embedder=embedder(llama), ledger="part", limit=3)
    all_, some = shown(whole, name), shown(part, name)
    assert len(all_) == 12 and len(some) == 3
    for text, demos in some.items():
        assert [demo for demo, _ in demos] == [demo for demo, _ in all_[text]]


def test_mdl_shows_what_makes_the_model_surest_and_asks_once(
    place: Path, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, told = planned(place, "near@mdl", embedder=embedder(llama))
    assert not told.failed
    [(asked, label)] = rows(
        book, "SELECT count(*), any_value(m.label) FROM completions c JOIN models m USING (model_key)"
    )
    assert asked <= 12 * 4 and label == f"hf:{llama}"
    model, unit = hf.load(model_spec(llama)), vectors(llama)
    found = shown(book, "near@mdl")
    others = 0
    for i, text in enumerate(TEXTS):
        near = [TEXTS[j] for j in np.argsort(-(unit @ unit[i])).tolist() if j != i][:5]
        demos, scores = [demo for demo, _ in found[text]], {score for _, score in found[text]}
        assert set(demos) <= set(near) and len(set(demos)) == 3

        def sure(demos: list[str], text: str = text) -> float:
            before = "".join(f"{demo}: {['yes', 'no'][TEXTS.index(demo) % 2]}\n" for demo in demos)
            texts = (f"{text}: yes", f"{text}: no")
            done = answers(model, [Request("k", "loglikelihood", user(before), texts)])["k"]
            return sureness(done.sums, done.tokens)

        assert [*scores] == [pytest.approx(sure(demos), abs=1e-5)]
        assert sure(demos) >= sure(near[:3]) - 1e-5
        others += demos != near[:3]
    assert others > 3
    monkeypatch.setattr("tasks.trials.load", lambda *told: pytest.fail("a model was loaded"))
    again, told = planned(place, "near@mdl", embedder=embedder(llama), sampling={"replicas": 2})
    assert not told.failed and shown(again, "near@mdl") == found


def test_the_model_that_weighs_may_be_another(place: Path, llama: Path) -> None:
    whole = yaml.safe_load((place / "near.yaml").read_text())
    whole["variants"]["mdl"]["prompt"]["fewshot"]["options"]["model"] = "echo:random"
    (place / "near.yaml").write_text(yaml.safe_dump(whole))
    book, told = planned(place, "near@mdl", embedder=embedder(llama))
    assert not told.failed
    assert rows(book, "SELECT DISTINCT label FROM completions JOIN models USING (model_key)") == [("echo:random",)]


def test_who_is_asked_is_known_before_a_run_begins(place: Path, llama: Path) -> None:
    with pytest.raises(SpecError, match=r"near: the retriever topk wants an embedder.*--embedder hf:.*`embedder:`"):
        check(spec(place, "near"))
    with pytest.raises(ModelError, match="near: the retriever topk asks for embed, and echo:oracle can choice"):
        check(spec(place, "near", embedder="echo:oracle"))
    with pytest.raises(
        SpecError, match="near@written: the retriever mdl weighs answers, and the benchmark has no `cho"
    ):
        check(spec(place, "near@written", embedder=embedder(llama)))
    with pytest.raises(ModelError, match=r"no such folder"):
        check(spec(place, "near", embedder="hf:/nowhere/at all"))
    check(spec(place, "near", "near@mdl", embedder=embedder(llama)))


def test_another_embedder_makes_other_prompts(place: Path, llama: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other", seed=1)
    book, _ = planned(place, "near", embedder=embedder(llama))
    planned(place, "near", embedder=embedder(other))
    keys = rows(book, "SELECT DISTINCT step_key FROM steps WHERE step = 'prompt'")
    assert len(keys) == 2 and rows(book, "SELECT count(DISTINCT embedder_key) FROM embeddings") == [(2,)]


def test_a_preview_asks_no_model_and_says_so(place: Path) -> None:
    benchmark = load_benchmark("near", [place])
    [first, second, *_] = preview(benchmark, [place])
    assert [demo["input"] for demo in first.demos] == TEXTS[1:4] and second.demos[0]["input"] == TEXTS[0]
    assert "## other examples stand here in a run" in written(benchmark, first)
    assert "other examples" not in written(load_benchmark("near@fit", [place]), first)


def test_the_last_examples_are_left_out_until_a_model_has_room(place: Path, llama: Path) -> None:
    small = model_spec(llama, max_length=60).model_dump(mode="json")
    book, told = planned(place, "near@fit", models=["echo:oracle", small])
    assert not told.failed
    prompts = rows(book, "SELECT model_key, step_key FROM steps WHERE step = 'prompt' ORDER BY model_key")
    assert len({step_key for _, step_key in prompts}) == 2
    count = hf.counter(model_spec(llama))
    told_of = rows(
        book,
        "SELECT m.adapter, a.sample_key, s.wanted, len(s.places), len(s.scores), h.messages, r.messages"
        " FROM asked a JOIN shown s USING (prompted, sample_key) JOIN steps p ON p.step_key = a.prompted"
        " JOIN models m USING (model_key) JOIN requests r USING (request_key) LEFT JOIN headers h USING (header_key)"
    )  # fmt: skip
    dropped = set()
    for adapter, sample_key, wanted, used, scores, header, tail in told_of:
        text = json.loads(header)[0]["content"] + json.loads(tail)[0]["content"]
        tokens = count(Request("", "loglikelihood", user(text), [" yes", " no"]))
        assert (wanted, scores) == (8, used) and text.count(":") == used + 1
        assert used == 8 if adapter == "echo" else used < 8 and tokens <= 61
        dropped |= set() if adapter == "echo" else {sample_key}
    assert len(dropped) == 12
    found = rows(book, "SELECT model, sample_key, cause FROM problems WHERE problem = 'examples left out'")
    assert {key for _, key, _ in found} == dropped and {model for model, _, _ in found} == {f"hf:{llama}"}
    assert all("of 8 are shown" in cause for _, _, cause in found)
    # one more than are shown would not have fitted
    by = {(adapter, key): (used, h, t) for adapter, key, _, used, _, h, t in told_of}
    for key in dropped:
        used, header, tail = by["hf", key]
        lines = json.loads(by["echo", key][1])[0]["content"].splitlines(keepends=True)
        assert json.loads(header)[0]["content"] == "".join(lines[:used])
        more = "".join(lines[: used + 1]) + json.loads(tail)[0]["content"]
        assert count(Request("", "loglikelihood", user(more), [" yes", " no"])) > 61


def test_a_question_that_does_not_fit_alone_is_an_error(place: Path, llama: Path) -> None:
    tiny = model_spec(llama, max_length=4).model_dump(mode="json")
    book, told = planned(place, "near@fit", models=[tiny])
    [(name, error)] = told.failed
    assert name == "near@fit" and f"hf:{llama} has room for 5" in error and "alone is" in error
    assert rows(book, "FROM shown") == []

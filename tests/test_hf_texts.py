"""Texts that transformers models write, held against `generate`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from conftest import STORIES, needs_stories
from hf_models import LINES, answers, generated, save, spec, user, write

from adapters.hf.writing import draw
from adapters.models import hf
from assay.reasoning import apart
from assay.spec import MetaTemplate, ModelSpec
from assay.types import Reply, Request

STARTS = ("Once upon a time", "The cat", "Tom and Lily went to the park", "One day, a big dog", "She", "")


@pytest.fixture(scope="module")
def stories() -> Any:
    assert STORIES is not None
    return hf.load(ModelSpec(adapter="hf", path=str(STORIES)))


@pytest.fixture(scope="module", params=["llama", "gpt2", "mamba"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("llama"), chat=True)


@needs_stories
def test_stories_goes_on_as_known(stories: Any) -> None:
    done = answers(stories, [write("k", "Once upon a time", max_tokens=45)])["k"]
    assert str(done.text).startswith(", there was a little girl named Lily. She loved to play outside in the park. One")
    assert (done.finish, done.input_tokens, done.output_tokens, done.rendering) == ("length", 5, 45, None)


def test_greedy_is_what_generate_writes(folder: Path) -> None:
    model = hf.load(spec(folder))
    done = answers(model, [write(text, text, max_tokens=20) for text in STARTS])
    assert (model.generation.probe.refusal is None) == ("mamba" not in folder.name)
    assert {text: done[text].text for text in STARTS} == {text: generated(folder, text, 20) for text in STARTS}


@needs_stories
def test_neither_batch_nor_order_matters(stories: Any) -> None:
    requests = [write(f"greedy {t}", t, max_tokens=20 + 10 * i, stop=("day",)) for i, t in enumerate(STARTS)]
    requests += [write(f"drawn {t}", t, seed=i, max_tokens=30, temperature=0.8) for i, t in enumerate(STARTS)]
    together = answers(stories, requests)
    assert {r.key: answers(stories, [r])[r.key] for r in requests[::-2]}.items() <= together.items()
    assert len({done.text for done in together.values()}) > len(STARTS)


@needs_stories
def test_seeds(stories: Any) -> None:
    def texts(seeds: list[int]) -> list[str | None]:
        done = answers(
            stories, [write(str(i), "Once", seed=s, max_tokens=30, temperature=1.0) for i, s in enumerate(seeds)]
        )
        return [done[str(i)].text for i in range(len(seeds))]

    first, again, other = texts([7, 7, 2**64 + 8])
    assert first == again != other


@needs_stories
@pytest.mark.parametrize("knobs", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}])
def test_drawing_from_one_token_is_greedy(stories: Any, knobs: dict[str, Any]) -> None:
    greedy = answers(stories, [write(t, t, max_tokens=25) for t in STARTS])
    drawn = answers(stories, [write(t, t, max_tokens=25, **{"temperature": 1.0, **knobs}) for t in STARTS])
    assert [drawn[t].text for t in STARTS] == [greedy[t].text for t in STARTS]


def test_tokens_are_drawn_as_often_as_they_are_likely(llama: Path) -> None:
    import torch

    model = hf.load(spec(llama))
    logits = torch.log(torch.tensor([0.05, 0.5, 0.15, 0.3]))
    writing = model.generation.writing
    rows = [writing.row(writing.drafts.draft(r, model.likelihood.texts.prompt(r), [0])) for r in [
        write("k", "x", seed=11, temperature=1.0), write("k", "x", seed=12, temperature=1.0, top_k=2),
        write("k", "x", seed=13, temperature=1.0, top_p=0.79), write("k", "x", seed=14, temperature=0.5),
    ]]  # fmt: skip
    draws = torch.stack([draw(logits.repeat(4, 1), rows) for _ in range(4000)])
    shares = [[Counter(draws[:, i].tolist())[t] / 4000 for t in range(4)] for i in range(4)]
    squares = [0.0025, 0.25, 0.0225, 0.09]
    expected = [[0.05, 0.5, 0.15, 0.3], [0, 0.625, 0, 0.375], [0, 0.625, 0, 0.375], [s / sum(squares) for s in squares]]
    for got, wanted in zip(shares, expected, strict=True):
        assert got == pytest.approx(wanted, abs=0.04)
        assert [g == 0 for g in got] == [w == 0 for w in wanted]


@needs_stories
def test_a_stop_string_ends_the_text(stories: Any) -> None:
    whole = str(answers(stories, [write("k", "Once upon a time", max_tokens=60)])["k"].text)
    for stops in (("One day",), ("red", "ne da"), (".",), ("", "She"), ("  no such", "Lily")):
        done = answers(stories, [write("k", "Once upon a time", max_tokens=60, stop=stops)])["k"]
        at = min(whole.find(stop) for stop in stops if stop and stop in whole)
        assert (done.text, done.finish) == (whole[:at], "stop")
        assert done.output_tokens < 60
    missed = answers(stories, [write("k", "Once upon a time", max_tokens=60, stop=("no such",))])["k"]
    assert (missed.text, missed.finish) == (whole, "length")


@needs_stories
def test_min_tokens(stories: Any) -> None:
    requests = [write(str(n), "Once upon a time", max_tokens=60, min_tokens=n, stop=(",",)) for n in (0, 15)]
    done = answers(stories, requests)
    early, late = done["0"], done["15"]
    assert early.output_tokens == 1
    assert late.output_tokens == 15
    assert early.text == late.text == ""


def test_the_end_of_a_text(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network says A, B, then the end; or, where that is not yet allowed, what is next best."""
    import torch

    model = hf.load(spec(llama))
    a, b = model.likelihood.texts.plain(["A", "B"])
    said = [a[0], b[0], 1]

    def step(ids: Any, mask: Any, cache: Any) -> Any:
        logits = torch.zeros(len(ids), model.likelihood.engine.vocabulary)
        logits[:, a[0]] = 0.5
        logits[:, said[min(mask.shape[1] - width, 2)]] = 1.0
        return logits, Cache()

    class Cache:
        def batch_select_indices(self, index: Any) -> None:
            pass

    width = len(model.likelihood.texts.encode([model.likelihood.texts.prompt(write("k", "x")).text])[0])
    monkeypatch.setattr(model.likelihood.engine, "step", step)
    requests = [
        write("end", "x", max_tokens=9), write("long", "x", max_tokens=9, min_tokens=4),
        write("zero", "x", max_tokens=0), write("short", "x", max_tokens=2),
        write("by name", "x", max_tokens=9, stop=("</s>",)),
    ]  # fmt: skip
    done = answers(model, requests)
    assert {k: (c.text, c.finish, c.output_tokens) for k, c in done.items()} == {
        "end": ("AB", "stop", 3),
        "by name": ("AB", "stop", 3),
        "long": ("ABAA", "stop", 5),
        "short": ("AB", "length", 2),
        "zero": ("", "length", 0),
    }


def test_a_long_prompt_loses_its_left_end(llama: Path) -> None:
    text = " ".join(LINES * 6)
    model = hf.load(spec(llama, chat=False))
    total = len(model.likelihood.texts.encode([text])[0])
    done = answers(model, [write("k", text, max_tokens=20), write("wide", text, max_tokens=500)])
    assert (done["k"].input_tokens, done["k"].truncated, done["k"].output_tokens) == (76, total - 76, 20)
    assert (done["wide"].input_tokens, done["wide"].truncated) == (48, total - 48)
    assert done["wide"].finish == "stop" or done["wide"].output_tokens == 48
    assert answers(model, [write("short", "The cat", max_tokens=20)])["short"].truncated == 0


def test_a_chat_model_is_asked_through_its_template(llama: Path) -> None:
    refused = [{"role": "system", "content": "Be brief."}, *user("The cat?")]
    prefix = [*user("The cat?"), {"role": "assistant", "content": "It"}]
    requests = [write("k", "The cat?", max_tokens=8)]
    requests += [Request("system", "generate", refused), Request("prefix", "generate", prefix)]
    done = answers(hf.load(spec(llama)), requests)
    rendering = "<s><user>The cat?</s><assistant>"
    assert (done["k"].rendering, done["prefix"].rendering) == (rendering, rendering + "It")
    assert "no system turns" in str(done["system"].error)
    base = answers(hf.load(spec(llama, chat=False, add_bos=False)), [write("k", rendering, max_tokens=8)])["k"]
    assert done["k"].text == base.text and base.rendering is None


def test_reasoning_that_a_template_began_is_told_apart(folder: Path) -> None:
    roles = [{"role": "user", "begin": "Q "}, {"role": "assistant", "begin": "A <think>\n", "generate": True}]
    meta = MetaTemplate.model_validate({"round": roles})
    model = hf.load(ModelSpec(adapter="hf", path=str(folder), meta_template=meta))
    done = answers(model, [write("k", "two and two", max_tokens=5)])["k"]
    assert str(done.rendering).endswith("<think>\n") and str(done.text).startswith("<think>\n")
    assert apart(Reply(str(done.text))).text == ""

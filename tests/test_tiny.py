"""The embedded model and its suite: what it is, that it was not shown the questions, and what it has learned."""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from adapters.datasets.generated import rows
from assay.catalog import load_benchmark, load_spec, load_suite, make_spec
from assay.generate import generated, split_of
from assay.keys import generator
from assay.messages import splice
from assay.prompt import Prompter, gold_index
from assay.samples import demonstrations, loads, samples
from assay.spec import Benchmark
from tests.conftest import ROOT, TINY

STEPS = sorted(int(folder.name.removeprefix("step-")) for folder in TINY.glob("step-*"))
FIRST, LAST = STEPS[0], STEPS[-1]
MINI = {name: load_benchmark(name) for name in load_suite("mini")}


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "examples" / "tiny"))
        yield importlib.import_module("train")


def asked(benchmark: Benchmark, count: int) -> Iterator[tuple[dict[str, Any], str, list[str]]]:
    """The first samples, each with the text that a base model sees and its continuations."""
    prompter, fewshot = Prompter(benchmark), benchmark.prompt.fewshot
    assert benchmark.sources[0].generated
    pool: dict[str, list[dict[str, Any]]] = {}
    if fewshot:
        assert fewshot.sources[0].generated
        pool = demonstrations(benchmark, rows(fewshot.sources[0].generated))
    for made in islice(samples(benchmark, rows(benchmark.sources[0].generated)), count):
        sample = loads(made.fields)
        (ask,) = prompter.asks(sample, pool[made.grp][: fewshot.k] if fewshot else [])
        turns = orjson.loads(splice(ask.header, ask.messages))
        yield sample, "".join(turn["content"] for turn in turns), ask.continuations


class Tiny:
    """A checkpoint, run by transformers alone."""

    def __init__(self, step: int) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(TINY / f"step-{step}")
        self.model = AutoModelForCausalLM.from_pretrained(TINY / f"step-{step}", dtype=torch.float32)

    def accuracy(self, name: str, count: int = 60) -> float:
        benchmark = MINI[name]
        right = self._written if benchmark.kind == "generate" else self._chosen
        results = right(list(asked(benchmark, count)))
        return sum(results) / len(results)

    def _written(self, items: list[tuple[dict[str, Any], str, list[str]]]) -> list[bool]:
        batch = self.tokenizer([prompt for _, prompt, _ in items], return_tensors="pt", padding=True)
        out = self.model.generate(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        texts = self.tokenizer.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
        targets = [sample["target"] for sample, _, _ in items]
        return [text.split("\n")[0].strip() == target for text, target in zip(texts, targets, strict=True)]

    def _chosen(self, items: list[tuple[dict[str, Any], str, list[str]]]) -> list[bool]:
        right = []
        for sample, prompt, choices in items:
            sums = [self._sum(prompt, choice) for choice in choices]
            right.append(sums.index(max(sums)) == gold_index(sample, [choice[1:] for choice in choices]))
        return right

    def _sum(self, prompt: str, continuation: str) -> float:
        context = self.tokenizer(prompt)["input_ids"]
        ids = context + self.tokenizer(continuation, add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            logits = self.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        return sum(float(logits[at - 1, ids[at]]) for at in range(len(context), len(ids)))


@pytest.fixture(scope="module")
def last() -> Tiny:
    return Tiny(LAST)


@pytest.fixture(scope="module")
def first() -> Tiny:
    return Tiny(FIRST)


def test_the_checkpoints_are_small_and_many() -> None:
    files = [path for path in TINY.rglob("*") if path.is_file()]

    assert len(STEPS) >= 4
    assert sum(path.stat().st_size for path in files) <= 16e6
    for step in STEPS:
        with safe_open(TINY / f"step-{step}" / "model.safetensors", "pt") as held:
            sizes = [held.get_tensor(name).numel() for name in held.keys()]  # noqa: SIM118  no mapping
        assert sum(sizes) <= 900_000


def test_the_checkpoints_come_from_this_script(script: ModuleType, last: Tiny) -> None:
    tokenizer = script.make_tokenizer(generator("tiny", "tokenizer", 0))

    assert tokenizer.get_vocab() == last.tokenizer.get_vocab()
    assert script.make_model(tokenizer).num_parameters() == last.model.num_parameters()
    assert {*script.SAVED} < {*STEPS}


def test_the_tokenizer_keeps_every_question(last: Tiny) -> None:
    for name in {benchmark.sources[0].generated.name for benchmark in MINI.values()}:
        for row in generated[name](random.Random(3), 20):
            text = f"{row['question']}\nAnswer: {row['answer']}"
            ids = last.tokenizer(text)["input_ids"]
            assert ids[0] == last.tokenizer.bos_token_id
            assert last.tokenizer.decode(ids, skip_special_tokens=True) == text


def test_a_prompt_is_encoded_as_it_was_trained(script: ModuleType, last: Tiny) -> None:
    encode = script.Encoder(last.tokenizer)
    for benchmark in MINI.values():
        fewshot = benchmark.prompt.fewshot
        for sample, prompt, _ in asked(benchmark, 5):
            ids, labels = encode([(sample["input"], sample["target"])])
            answer = last.tokenizer(f" {sample['target']}", add_special_tokens=False)["input_ids"]
            assert last.tokenizer(prompt)["input_ids"][-len(ids) + len(answer) + 2 :] == ids[1 : -len(answer) - 1]
            assert [label for label in labels if label >= 0] == [*answer, last.tokenizer.eos_token_id]
            assert fewshot or script.prompt(sample["input"]) == prompt


def test_worked_examples_are_joined_as_in_training(script: ModuleType, last: Tiny) -> None:
    drawn = script.documents(random.Random(5))
    for document in islice((one for one in drawn if len(one) > 1), 40):
        ids, _ = script.Encoder(last.tokenizer)(document)
        assert ids[:-1] == last.tokenizer(script.text(document))["input_ids"]


def test_training_never_shows_a_question_of_the_suite(script: ModuleType) -> None:
    kept = {sample["input"] for benchmark in MINI.values() for sample, _, _ in asked(benchmark, 1000)}
    shown = {question for one in islice(script.documents(random.Random(7)), 3000) for question, _ in one}

    assert len(kept) > 1500
    assert not kept & shown
    assert {split_of(question) for question in shown} == {"train"}


def test_the_suite_spans_dimensions_kinds_and_shots() -> None:
    assert len({benchmark.name for benchmark in MINI.values()}) >= 8
    assert {benchmark.dimension for benchmark in MINI.values()} == {
        "knowledge", "language", "understanding", "reasoning", "examination", "long_context",
    }  # fmt: skip
    for kind in ("generate", "loglikelihood"):
        for few in (True, False):
            assert any(b.kind == kind and (b.prompt.fewshot is not None) == few for b in MINI.values()), (kind, few)
    assert all(source.generated for benchmark in MINI.values() for source in benchmark.sources)


def test_the_quickstart_names_two_checkpoints_and_the_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    spec = make_spec(load_spec(Path("examples/quickstart.yaml")))

    assert spec.suites == ("mini",)
    assert all(Path(model.path, "model.safetensors").exists() for model in spec.models)  # type: ignore[union-attr]
    assert max(model.step or 0 for model in spec.models) == LAST  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["mini_facts", "mini_odd", "mini_translate", "mini_sentiment", "mini_reverse"])
def test_the_last_checkpoint_has_learned(last: Tiny, name: str) -> None:
    assert last.accuracy(name) >= 0.9


def test_some_of_it_is_half_learned(last: Tiny) -> None:
    assert 0.4 <= last.accuracy("mini_add", 100) <= 0.9
    assert 0.4 <= last.accuracy("mini_where", 100) <= 0.9


def test_the_parity_of_bits_stays_at_chance(last: Tiny) -> None:
    assert 0.35 <= last.accuracy("mini_parity", 120) <= 0.65


@pytest.mark.parametrize("name", ["mini_facts", "mini_odd", "mini_add", "mini_where", "mini_reverse"])
def test_the_first_checkpoint_knows_less(first: Tiny, last: Tiny, name: str) -> None:
    assert last.accuracy(name) >= first.accuracy(name) + 0.3

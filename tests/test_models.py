"""What every model adapter keeps to, whatever stands behind it."""

from __future__ import annotations

import importlib
import math
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest
from api_server import MODEL, ApiServer
from conftest import STORIES

from adapters import adapter_names, model_adapter
from assay.errors import ModelError, SpecError
from assay.keys import canonical
from assay.spec import ModelSpec
from assay.types import Completion, Kind, Message, Model, ModelInfo, Request, Sampling

KINDS: tuple[Kind, ...] = ("generate", "loglikelihood", "rolling", "choice", "embed")
HEAVY = ("torch", "transformers", "openai", "datasets", "duckdb")


@dataclass(frozen=True)
class Case:
    """One way to have a model of an adapter."""

    adapter: str
    path: str
    options: tuple[tuple[str, Any], ...] = ()
    served: bool = False
    """Behind the fake server."""
    real: bool = True
    """It is a distribution over texts: its figures belong together."""
    needs: tuple[str, ...] = ()
    """Packages."""

    @property
    def id(self) -> str:
        options = dict(self.options) if self.served else {}
        told = [str(options["api"]), *(["logprobs"] if "logprobs" in options else [])] if options else []
        return "-".join([self.adapter, *told, self.path.rsplit("/")[-1]])


CASES = [
    Case("echo", "oracle", real=False),
    Case("echo", "random", real=False),
    Case("echo", "echo", real=False),
    Case("echo", "scripted", (("default", "Paris"),), real=False),
    Case("openai", MODEL, (("api", "chat"),), served=True, needs=("openai",)),
    Case("openai", MODEL, (("api", "chat"), ("logprobs", True)), served=True, needs=("openai",)),
    Case("openai", MODEL, (("api", "completions"), ("logprobs", True)), served=True, needs=("openai",)),
    Case("hf", str(STORIES), needs=("torch", "transformers")),
]


@dataclass(frozen=True)
class Subject:
    """A model of a case, loaded."""

    case: Case
    spec: ModelSpec
    info: ModelInfo
    model: Model

    def __call__(self, *requests: Request) -> list[Completion]:
        """The completions in the requests' order; there is one for each."""
        got = [completion for batch in self.model.answer(requests) for completion in batch]
        assert sorted(c.key for c in got) == sorted(r.key for r in requests)
        found = {c.key: c for c in got}
        return [found[r.key] for r in requests]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.id)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    case: Case = request.param
    if case.adapter not in adapter_names("models"):
        pytest.skip(f"there is no adapter {case.adapter}")
    for package in case.needs:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{case.adapter} needs the package {package}")
    if case.adapter == "hf" and STORIES is None:
        pytest.skip("stories260K is not here: set ASSAY_STORIES to its folder")
    with ExitStack() as stack:
        url = {"base_url": stack.enter_context(ApiServer()).url} if case.served else {}
        spec = ModelSpec(adapter=case.adapter, path=case.path, options={**url, **dict(case.options)})
        adapter = model_adapter(case.adapter)
        yield Subject(case, spec, adapter.describe(spec), adapter.load(spec))


def user(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


def one(key: str, kind: Kind, text: str, **fields: Any) -> Request:
    if kind in ("loglikelihood", "choice"):
        fields = {"continuations": (" A", " the dog", " B"), "gold": 1, **fields}
    return Request(key, kind, user(text), **{"sampling": Sampling(max_tokens=6), **fields})


def several(subject: Subject, count: int = 9) -> list[Request]:
    """Some requests of each kind that the model answers, of different lengths, mixed."""
    texts = ["Once upon a time" + " there was a cat" * (i % 4) + f" {i}" for i in range(count)]
    made = [one(f"{kind}{i}", kind, text) for kind in sorted(subject.info.kinds) for i, text in enumerate(texts)]  # type: ignore[arg-type]
    return random.Random(1).sample(made, len(made))


def wants(subject: Subject, kind: str) -> None:
    if kind not in subject.info.kinds:
        pytest.skip(f"{subject.case.id} does not answer requests of kind {kind}")


def same(first: Completion, second: Completion) -> None:
    assert (first.text, list(first.tokens), list(first.greedy), first.error) == (
        second.text, list(second.tokens), list(second.greedy), second.error,
    )  # fmt: skip
    assert list(first.sums) == pytest.approx(list(second.sums), abs=1e-4)


def test_what_is_described_is_json_and_stable(subject: Subject) -> None:
    again = model_adapter(subject.case.adapter).describe(subject.spec)
    assert canonical(dict(again.identity)) == canonical(dict(subject.info.identity))
    assert subject.info.identity and canonical(dict(subject.info.facts))
    assert subject.info.kinds and subject.info.kinds <= set(KINDS)


def test_describing_is_light(subject: Subject) -> None:
    code = (
        "import sys; from adapters import model_adapter; from assay.spec import ModelSpec;"
        f"spec = ModelSpec.model_validate_json({subject.spec.model_dump_json()!r});"
        "model_adapter(spec.adapter).describe(spec);"
        f"print(sorted(set({HEAVY}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_an_option_that_there_is_not(subject: Subject) -> None:
    known = {"echo": ("random", "sead", "seed"), "openai": (MODEL, "base_ulr", "base_url"),
             "hf": (subject.spec.path, "dtpye", "dtype")}  # fmt: skip
    path, wrong, right = known[subject.case.adapter]
    spec = ModelSpec(adapter=subject.case.adapter, path=path, options={**subject.spec.options, wrong: "x"})
    if subject.case.adapter == "echo":
        spec = spec.model_copy(update={"options": {wrong: 1}})
    for function in (model_adapter(spec.adapter).describe, model_adapter(spec.adapter).load):
        with pytest.raises((SpecError, ModelError), match=f"'{wrong}'; did you mean {right}"):
            function(spec)


def test_kinds_that_are_claimed_are_answered_and_no_others(subject: Subject) -> None:
    for kind, said in zip(KINDS, subject(*(one(kind, kind, "Once upon a time") for kind in KINDS)), strict=True):
        assert (said.error is None) == (kind in subject.info.kinds), (kind, said.error)
        assert said.error is None or f"kind {kind!r}" in said.error


def test_extras_that_are_claimed_are_given(subject: Subject) -> None:
    needs = subject.info.needs - {"gold", "images"}
    if not needs:
        pytest.skip(f"{subject.case.id} gives no extras")
    assert needs <= {"prompt_sums", "token_logprobs", "windows"}
    said = subject(one("1", "loglikelihood", "Once upon a time", needs=needs))[0]
    assert [len(x) for x in said.token_logprobs] == list(said.tokens)
    assert [sum(x) for x in said.token_logprobs] == pytest.approx(said.sums)
    assert len(said.prompt_sums) == len(said.prompt_lengths) == len(said.sums)
    assert all(p <= s + 1e-6 for p, s in zip(said.prompt_sums, said.sums, strict=True))
    assert all(p > t for p, t in zip(said.prompt_lengths, said.tokens, strict=True))
    before = [p - s for p, s in zip(said.prompt_sums, said.sums, strict=True)]
    assert before == pytest.approx([before[0]] * len(before), abs=1e-4)  # the context is the same for all


def test_no_requests(subject: Subject) -> None:
    assert subject() == []


def test_each_is_answered_once_and_in_full(subject: Subject) -> None:
    requests = several(subject)
    for request, said in zip(requests, subject(*requests), strict=True):
        assert said.error is None
        if request.kind == "generate":
            assert isinstance(said.text, str) and said.finish and list(said.sums) == []
            continue
        count = 1 if request.kind == "rolling" else len(request.continuations)
        assert said.text is None and len(said.sums) == len(said.tokens) == count
        assert all(math.isfinite(x) and x <= 1e-6 for x in said.sums) and all(n > 0 for n in said.tokens)
        assert request.kind == "rolling" or len(said.greedy) == count


def test_order_and_company_do_not_matter(subject: Subject) -> None:
    requests = several(subject)
    together = subject(*requests)
    for expected, said in zip(reversed(together), subject(*reversed(requests)), strict=True):
        same(expected, said)
    for request, expected in list(zip(requests, together, strict=True))[::5]:
        same(expected, subject(request)[0])


def test_continuations_do_not_matter_to_each_other(subject: Subject) -> None:
    wants(subject, "loglikelihood")
    texts = (" A", " the dog", " B")
    said, turned = subject(
        one("1", "loglikelihood", "Once upon a time", continuations=texts),
        one("2", "loglikelihood", "Once upon a time", continuations=texts[::-1], gold=1),
    )
    assert list(turned.sums)[::-1] == pytest.approx(list(said.sums), abs=1e-4) or subject.case.path == "random"
    assert list(turned.tokens)[::-1] == list(said.tokens)


def test_choices_are_weighed_among_each_other(subject: Subject) -> None:
    wants(subject, "choice")
    if not subject.case.real:
        pytest.skip("a test double's figures belong to no distribution")
    said = subject(one("1", "choice", "Once upon a time"))[0]
    assert sum(map(math.exp, said.sums)) == pytest.approx(1, abs=1e-4) and list(said.tokens) == [1, 1, 1]


def test_stop_strings_are_cut(subject: Subject) -> None:
    whole = subject(one("1", "generate", "Paris is a city", sampling=Sampling(max_tokens=12), gold="Paris is big"))[0]
    assert whole.text and len(whole.text) > 3
    inner = whole.text[2:4]
    stops = ("", "never written", "nor this", "nor that", "none", inner, inner + "x")
    cut = subject(
        one("1", "generate", "Paris is a city", sampling=Sampling(max_tokens=12, stop=stops), gold="Paris is big")
    )[0]
    assert cut.text == whole.text[: whole.text.find(inner)] and cut.finish == "stop" and cut.error is None


def test_the_same_seed_draws_the_same(subject: Subject) -> None:
    drawn = Sampling(max_tokens=12, temperature=1.0)
    requests = [one(str(i), "generate", "Once upon a time", sampling=drawn, seed=i) for i in range(4)]
    first, second = subject(*requests), subject(*reversed(requests))[::-1]
    assert [c.text for c in first] == [c.text for c in second]
    assert not subject.case.real or len({c.text for c in first}) > 1


def test_max_tokens_are_not_exceeded(subject: Subject) -> None:
    if not subject.case.real:
        pytest.skip("a test double has its answer ready")
    short, long = (one(str(n), "generate", "Once upon a time", sampling=Sampling(max_tokens=n)) for n in (2, 5))
    first, second = subject(short, long)
    assert (first.output_tokens, first.finish) == (2, "length") and second.output_tokens <= 5
    assert (second.text or "").startswith(first.text or "?")


def test_what_it_would_write_is_greedy(subject: Subject) -> None:
    wants(subject, "loglikelihood")
    if not subject.case.real:
        pytest.skip("a test double writes and weighs by different rules")
    written = subject(one("1", "generate", "Once upon a time,", sampling=Sampling(max_tokens=2)))[0].text
    assert written
    text = written if written.startswith(" ") else f" {written}"
    said = subject(one("2", "loglikelihood", "Once upon a time,", continuations=(text, " the the dog B")))[0]
    assert list(said.greedy) == [True, False] and said.sums[0] > said.sums[1]


def test_log_probabilities_add_up(subject: Subject) -> None:
    wants(subject, "loglikelihood")
    if not subject.case.real:
        pytest.skip("a test double's figures belong to no distribution")
    both, first, second = (
        subject(one("1", "loglikelihood", context, continuations=(text,)))[0]
        for context, text in [("Once upon", " a dog"), ("Once upon", " a"), ("Once upon a", " dog")]
    )
    assert both.sums[0] == pytest.approx(first.sums[0] + second.sums[0], abs=1e-4)
    assert both.tokens[0] == first.tokens[0] + second.tokens[0]


def test_what_fails_is_a_completion(subject: Subject) -> None:
    image: list[Message] = [{"role": "user", "content": [{"type": "image", "sha256": "0" * 64}]}]
    bad = [replace(one(kind, kind, ""), messages=image) for kind in sorted(subject.info.kinds)]  # type: ignore[arg-type]
    first, *failed, last = subject(one("first", "generate", "Once"), *bad, one("last", "generate", "upon"))
    assert first.error is None and last.error is None
    assert all(c.error and "image" in c.error and c.text is None and not c.sums for c in failed)

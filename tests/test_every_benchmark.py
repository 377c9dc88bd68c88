"""What holds for every benchmark and variant that there is, and for each that will be.

The first prompt of each is on record in tests/prompts: `ASSAY_RECORD=1 pytest tests/test_every_benchmark.py` writes
them anew where a recipe was changed on purpose.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from conftest import DATA

from adapters.datasets.files import pinned_names
from assay.catalog import benchmark_ids, load_benchmark
from assay.execute import jobs_of
from assay.extract import run_chain
from assay.functions import load_functions
from assay.lock import read_lock
from assay.prompt import Prompter, gold_index
from assay.reading import readings, scorings
from assay.registry import name_of
from assay.solve import roles_of
from assay.spec import Benchmark
from assay.types import Judgement, Reply, Scored
from tasks.preview import Preview, preview, written
from tasks.score import score_of

load_functions()
RECORD = Path(__file__).parent / "prompts"
SHOWN = 30
"""Samples that are looked at: two of each group, of at most fifteen groups."""


def _needs_data(benchmark: Benchmark) -> bool:
    return benchmark.sources[0].generated is None


def _pinned(benchmark: Benchmark) -> bool:
    lock = read_lock()
    return any(one.generated or (one.files and pinned_names(one.files, lock)) for one in benchmark.sources)


@lru_cache(maxsize=1)
def _previews(name: str) -> list[Preview]:
    return list(islice(preview(load_benchmark(name), limit=2), SHOWN))


@pytest.fixture(params=benchmark_ids(), scope="module")  # so that all tests of one run together, on the same samples
def benchmark(request: pytest.FixtureRequest) -> Iterator[Benchmark]:
    """Each benchmark and each variant in turn."""
    found = load_benchmark(request.param)
    if not _pinned(found):
        pytest.skip("its rows are on the hub, or a user's own: tests/test_hub_benchmarks_*.py have rows of their form")
    if _needs_data(found) and DATA is None:
        pytest.skip("the real questions are not here: set ASSAY_DATA to their folder")
    yield found


def _scores(benchmark: Benchmark, shown: Preview, reply: Reply) -> dict[str, float]:
    """What every scorer whose figure is a plain mean gives for a reply, by its title."""
    found = {r.filter: run_chain(r.chain, reply, shown.sample) for r in readings(benchmark)}
    scores: dict[str, float] = {}
    for one in scorings(benchmark):
        if one.metric not in ("mean", "f1", "mcc"):
            continue
        value: Any = found[one.filter].value
        given = 0.0 if value is None else one.function(value, shown.sample, **one.options)
        scores[one.shown] = float(given.value if isinstance(given, Scored) else given)
    return scores


def _answer(benchmark: Benchmark, text: str) -> Reply:
    """A text as a model writes it: after a blank, cut where generation stops."""
    for stop in benchmark.sampling.stop:
        text = text.split(stop, 1)[0]
    return Reply(text=" " + text, finish="stop")


def _choose(benchmark: Benchmark, shown: Preview, right: bool) -> Reply:
    """A reply in which the right choices, or the wrong ones, are nearly certain."""
    choices = [text for _, text in Prompter(benchmark).choices(shown.sample)]
    gold = gold_index(shown.sample, choices)
    chosen = {gold} if isinstance(gold, int) else set(gold)
    if not right:
        chosen = set(range(len(choices))) - chosen
    sums = [-1e-6 if i in chosen else -1000.0 - 50 * len(text) for i, text in enumerate(choices)]
    lengths = [len(text) for text in choices]
    neutral = Reply(sums=[0.0] * len(sums), tokens=lengths, choices=choices)
    return Reply(
        sums=sums, tokens=lengths, greedy=[s > -1 for s in sums], prompt_sums=sums, prompt_lengths=lengths,
        choices=choices, token_logprobs=[[s] for s in sums],
        turns=(Reply(sums=sums, tokens=lengths, choices=choices), neutral),
    )  # fmt: skip


def _judged(benchmark: Benchmark, best: bool | None) -> Reply:
    """A reply about which a judge says the best, the worst, or nothing that can be read."""
    name, options = name_of(next(iter(benchmark.extract.values()))[-1])  # type: ignore[arg-type]
    if best is None:
        return Reply("?", judgements=[Judgement("j", 0, "Hard to say.")])
    if name == "rating":
        said = [f"{options.get('high', 10) if best else options.get('low', 1)}"] * 2
    elif name == "rubric":
        said = [json.dumps({one: bounds[best] for one, bounds in options["criteria"].items()})]
    elif name == "verdict":
        said = [key for key, label in options["labels"].items() if (label == "correct") == best][:1]
    else:
        ranked = sorted(options["labels"], key=options["labels"].__getitem__)
        said = [ranked[-best], ranked[best - 1]]  # in the second order the answer stands last
    pattern = options.get("pattern", r"\[\[(.*)\]\]" if name == "rating" else "")
    return Reply("?", judgements=[Judgement("j", i, _as(one, pattern)) for i, one in enumerate(said)])


def _as(label: str, pattern: str) -> str:
    """A label in the form that a pattern finds."""
    written = pattern.replace(r"\[", "[").replace(r"\]", "]").removesuffix(r"\Z")
    return re.sub(r"\(.*\)", lambda _: label, written, count=1) if pattern else label


def test_what_judges_say_counts_and_what_cannot_be_read_does_not(benchmark: Benchmark) -> None:
    if "judge" not in roles_of(benchmark):
        pytest.skip("no judge is asked")
    shown = _previews(benchmark.id)[0]
    best, worst, unknown = (_first(benchmark, shown, _judged(benchmark, how)) for how in (True, False, None))
    assert best is not None and worst is not None and best > worst, (best, worst)
    assert unknown is None or unknown <= worst


def _first(benchmark: Benchmark, shown: Preview, reply: Reply) -> float | None:
    one = scorings(benchmark)[0]
    found = {r.filter: run_chain(r.chain, reply, shown.sample) for r in readings(benchmark)}[one.filter].value
    return score_of(benchmark.id, one, found, shown.sample).value


def test_the_gold_answer_scores_one_and_a_wrong_one_less(benchmark: Benchmark) -> None:
    prompter, previews = Prompter(benchmark), _previews(benchmark.id)
    if "judge" in roles_of(benchmark):
        pytest.skip("a judge says what is right")
    if any(jobs_of(one.function) for one in scorings(benchmark)):
        pytest.skip("programs are run: tests/test_code.py runs those that are right, and others")
    if benchmark.kind == "rolling" or previews[0].sample.get("target") is None:
        pytest.skip("it has no gold answer: a text's own probability is its score, or its rules are checked one by one")
    tried = 0
    for place, shown in enumerate(previews):
        if benchmark.kind == "generate":
            gold = prompter.answer(shown.sample)
            if any(stop in gold for stop in benchmark.sampling.stop):
                continue  # lm-eval's bbh stops at "Q", and so nobody can answer "(Q)"
            tried += 1
            others = (prompter.answer(p.sample) for p in previews[place + 1 :] + previews[:place])
            right = _answer(benchmark, gold)
            given = islice((text for text in others if text != gold), 3)
            wrong = [*(_answer(benchmark, text) for text in given), Reply(text="?")]
        else:
            right, wrong = _choose(benchmark, shown, True), [_choose(benchmark, shown, False)]
            tried += 1
        scored = _scores(benchmark, shown, right)
        assert scored, f"{benchmark.id} has no score that is a mean"
        assert scored == pytest.approx(dict.fromkeys(scored, 1.0), abs=1e-4), (shown.sample, right)
        if len({tuple(_scores(benchmark, shown, w).items()) for w in wrong} | {tuple(scored.items())}) == 1:
            pytest.fail(f"{benchmark.id}: {wrong} scores as the gold answer of {shown.sample} does")
        assert all(value < 1 for value in _scores(benchmark, shown, wrong[-1]).values()), (shown.sample, wrong[-1])
    assert tried >= len(previews) * 0.9


def test_the_first_prompt_is_on_record(benchmark: Benchmark) -> None:
    text = written(benchmark, _previews(benchmark.id)[0])
    path = RECORD / f"{benchmark.id}.txt"
    if os.environ.get("ASSAY_RECORD"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode())  # as it is: some have Windows' line ends
    how = f"look at `assay prompt {benchmark.id}`, then run with ASSAY_RECORD=1"
    assert path.exists(), f"no {path.name} in {RECORD}: {how}"
    assert path.read_bytes().decode() == text


def test_every_record_is_of_a_benchmark_that_is_there() -> None:
    assert {path.stem for path in RECORD.glob("*.txt")} <= set(benchmark_ids())

"""Benchmarks, models and suites by name; evaluations from a map and settings; what is wrong is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.catalog import (
    benchmark_ids,
    load_benchmark,
    load_model,
    load_spec,
    load_suite,
    make_spec,
    model_names,
    suite_names,
)
from assay.errors import SpecError
from assay.samples import samples
from assay.spec import Benchmark

CAPITALS = """\
# Capitals of countries.
# https://example.org/capitals
dimension: knowledge
sources:
  - files: {path: capitals.jsonl}
sample: {input: country, target: capital}
prompt: {template: "{{ input }}:", fewshot: {from: self, k: 2}}
sampling: {max_tokens: 8, stop: ["\\n"]}
extract: [stripped]
score: [exact_match]
variants:
  zero_shot: {prompt: {fewshot: null}}
  long: {from: zero_shot, sampling: {max_tokens: 64}}
  choices: {kind: loglikelihood, choices: [no, yes], extract: null, score: [acc]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "capitals.yaml").write_text(CAPITALS)
    return tmp_path


def changed(folder: Path, old: str, new: str) -> list[Path]:
    assert old in CAPITALS
    (folder / "benchmarks" / "capitals.yaml").write_text(CAPITALS.replace(old, new))
    return [folder]


def test_a_benchmark_and_its_comment(folder: Path) -> None:
    benchmark = load_benchmark("capitals", [folder])
    assert (benchmark.id, benchmark.about) == ("capitals", "Capitals of countries.")
    assert benchmark.paper == "https://example.org/capitals"
    assert benchmark.prompt.fewshot and benchmark.prompt.fewshot.k == 2


def test_a_variant_is_a_merge_patch(folder: Path) -> None:
    benchmark = load_benchmark("capitals@zero_shot", [folder])
    assert benchmark.id == "capitals@zero_shot"
    assert benchmark.prompt.fewshot is None
    assert benchmark.prompt.template == "{{ input }}:"
    assert benchmark.sampling.max_tokens == 8


def test_a_variant_from_another(folder: Path) -> None:
    benchmark = load_benchmark("capitals@long", [folder])
    assert benchmark.prompt.fewshot is None
    assert (benchmark.sampling.max_tokens, benchmark.sampling.stop) == (64, ("\n",))


def test_no_and_yes_are_words(folder: Path) -> None:
    assert load_benchmark("capitals@choices", [folder]).choices == ("no", "yes")


def test_all_ids_and_their_files_hold(folder: Path) -> None:
    ids = benchmark_ids([folder])
    assert {"capitals", "capitals@zero_shot", "capitals@long", "capitals@choices"} <= set(ids)
    assert len(ids) == len(set(ids))


def test_our_own_all_load() -> None:
    for name in benchmark_ids():
        assert load_benchmark(name).id == name
    for suite in suite_names():
        assert set(load_suite(suite)) <= set(benchmark_ids()), suite
    for model in model_names():
        assert load_model(model).label == model


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("sources:\n  - files: {path: capitals.jsonl}", "sorces: []", ["capitals.yaml", "'sorces'", "sources"]),
        ("dimension: knowledge", "dimension: knowlege", ["capitals.yaml", "dimension", "knowlege", "knowledge"]),
        ("k: 2}", "kk: 2}", ["capitals.yaml", "prompt.fewshot.kk"]),
        ("max_tokens: 8,", "max_tokens: many,", ["capitals.yaml", "sampling.max_tokens", "'many'"]),
        ("score: [exact_match]\n", "", ["capitals.yaml", "score", "required"]),
        ("files: {path: capitals.jsonl}", "{files: {path: a}, hub: {path: b, split: c}}", ["sources.0", "one of"]),
        ("sample: {input", "sample: {input: [", ["capitals.yaml, line 6", "not YAML"]),
        ("extract: [stripped]", "score: [acc]", ["capitals.yaml, line 10", "'score' stands twice"]),
        ("dimension: knowledge", "dimension: knowledge\nname: towns", ["'name'"]),
        ("variants:\n", "variants: [a]\nmore:\n", ["capitals.yaml", "variants", "NAME: PATCH"]),
    ],
)
def test_a_file_that_is_wrong(folder: Path, old: str, new: str, said: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        load_benchmark("capitals", changed(folder, old, new))
    for part in said:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("long: {from: long}", "circle"),
        ("long: {from: zero_shut}", "did you mean zero_shot"),
        ("long: [1]", "wanted a map"),
    ],
)
def test_a_variant_that_is_wrong(folder: Path, new: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        load_benchmark("capitals@long", changed(folder, "long: {from: zero_shot, sampling: {max_tokens: 64}}", new))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("capitols", "no benchmark 'capitols'; did you mean capitals"),
        ("capitals@zero_shut", "no variant 'zero_shut'; did you mean zero_shot"),
        ("capitals@", "names no variant"),
    ],
)
def test_unknown_benchmarks_are_told_what_is_near(folder: Path, name: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        load_benchmark(name, [folder])


def test_a_file_changed_is_read_anew(folder: Path) -> None:
    assert load_benchmark("capitals", [folder]).sampling.max_tokens == 8
    assert load_benchmark("capitals", changed(folder, "max_tokens: 8", "max_tokens: 12")).sampling.max_tokens == 12


def test_two_files_of_one_name(folder: Path) -> None:
    (folder / "capitals.yaml").write_text(CAPITALS)
    with pytest.raises(SpecError, match="two benchmarks are named capitals"):
        benchmark_ids([folder])


def test_a_run_beside_benchmarks_is_none(folder: Path) -> None:
    (folder / "nightly.yaml").write_text("models: [echo:oracle]\nbenchmarks: [capitals]\n")
    assert "nightly" not in benchmark_ids([folder])
    assert load_benchmark("capitals", [folder, folder]).name == "capitals"


def test_a_catalogue_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such folder"):
        benchmark_ids([tmp_path / "nowhere"])


def test_models(folder: Path) -> None:
    (folder / "models.yaml").write_text("mine: {adapter: hf, path: ./ck/7, step: 7, options: {dtype: float32}}\n")
    mine = load_model("mine", [folder])
    assert (mine.label, mine.path, mine.step, mine.options) == ("mine", "./ck/7", 7, {"dtype": "float32"})
    assert "mine" in model_names([folder])
    given = load_model("openai:http://localhost:8000/v1")
    assert (given.adapter, given.path, given.label) == (
        "openai", "http://localhost:8000/v1", "openai:http://localhost:8000/v1",
    )  # fmt: skip
    for name, said in (("mien", "did you mean mine"), ("hf:", "lacks a path"), (":x", "lacks an adapter")):
        with pytest.raises(SpecError, match=said):
            load_model(name, [folder])


@pytest.mark.parametrize(
    ("row", "said"),
    [("7", "wanted {adapter"), ("{adapter: hf, pth: x}", "'pth'; did you mean path"), ("{path: x}", "adapter")],
)
def test_a_row_that_is_wrong(folder: Path, row: str, said: str) -> None:
    (folder / "models.yaml").write_text(f"mine: {row}\n")
    with pytest.raises(SpecError, match=r"models\.yaml: mine") as caught:
        load_model("mine", [folder])
    assert said in str(caught.value)


def test_suites(folder: Path) -> None:
    plain, told = "plain: [capitals, capitals@long]", "told: {about: x, benchmarks: [capitals]}"
    (folder / "suites.yaml").write_text(f"{plain}\n{told}\nnone: []\n")
    assert load_suite("plain", [folder]) == ["capitals", "capitals@long"]
    assert load_suite("told", [folder]) == ["capitals"]
    assert {"plain", "told"} <= set(suite_names([folder]))
    with pytest.raises(SpecError, match="did you mean plain"):
        load_suite("plian", [folder])
    with pytest.raises(SpecError, match=r"suites\.yaml: none: wanted a list"):
        load_suite("none", [folder])


def test_a_name_in_two_tables(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    for place in (folder, other):
        (place / "suites.yaml").write_text("same: [capitals]\n")
    with pytest.raises(SpecError, match=r"same is in .* and in .*: rename one"):
        load_suite("same", [folder, other])


def test_settings(folder: Path) -> None:
    (folder / "models.yaml").write_text("mine: {adapter: hf, path: ./ck, options: {dtype: auto, batch_size: 4}}\n")
    spec = make_spec(
        {"models": ["mine", "hf:examples/x"], "benchmarks": "capitals", "catalog": [str(folder)]},
        ["model.dtype=float32", "model.family=fam", "sampling.stop=[no, '\\n']", "sampling.max_tokens=5", "limit=3"],
    )
    mine, other = spec.models
    assert not isinstance(mine, str) and not isinstance(other, str)
    assert mine.options == {"dtype": "float32", "batch_size": 4}
    assert (mine.family, other.path, other.options) == ("fam", "examples/x", {"dtype": "float32"})
    assert (spec.limit, spec.benchmarks) == (3, ("capitals",))
    assert spec.sampling == {"stop": ["no", "\\n"], "max_tokens": 5}
    assert make_spec({"models": ["mine"], "benchmarks": ["a"], "limit": 3}, ["limit=null"]).limit is None


def test_models_stay_as_written_without_settings() -> None:
    assert make_spec({"models": "hf:examples/x", "suites": "mini"}).models == ("hf:examples/x",)


@pytest.mark.parametrize(
    ("more", "settings", "said"),
    [
        ({"limits": 3}, [], "no key of an evaluation 'limits'; did you mean limit"),
        ({}, ["limit"], "wants KEY=VALUE"),
        ({}, ["=3"], "wants KEY=VALUE"),
        ({}, ["model.=3"], "wants KEY=VALUE"),
        ({}, ["limt=3"], "did you mean limit"),
        ({}, ["limit=few"], "limit.*'few'"),
        ({}, ["limit=0"], "limit"),
        ({}, ["limit=[1"], "--set limit.*not YAML"),
        ({}, ["sampling.max_token=3"], "no key of sampling 'max_token'; did you mean max_tokens"),
        ({}, ["sampling.max_tokens=lots"], "sampling.*max_tokens.*'lots'"),
        ({"models": [{"adaptor": "hf"}]}, [], r"models\.0: no key of a model 'adaptor'; did you mean adapter"),
        ({"models": [3]}, [], r"models\.0: wanted a name"),
        ({"models": []}, [], "models"),
        ({"models": ["mien"]}, ["model.x=1"], "no model 'mien'"),
        ({"benchmarks": []}, [], "no benchmarks and no suites"),
    ],
)
def test_an_evaluation_that_is_wrong(more: dict[str, object], settings: list[str], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        make_spec({"models": ["echo:oracle"], "benchmarks": ["capitals"], **more}, settings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"models: [a", "line 2.*not YAML"),
        (b"models: a\n  b: c", "line 2.*not YAML"),
        (b"- a\n- b", "wanted a map"),
        (b"just text", "wanted a map.*got a str"),
        (b"1: a", "wanted a text as key"),
        (b"a: \xff\xfe", "cannot be read as YAML"),
        (b"a: !!python/object:os.system x", "not YAML"),
    ],
)
def test_a_spec_file_that_is_wrong(tmp_path: Path, text: bytes, said: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(text)
    with pytest.raises(SpecError, match=said) as caught:
        load_spec(path)
    assert "run.yaml" in str(caught.value)


def test_a_spec_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"run\.yaml: No such file"):
        load_spec(tmp_path / "run.yaml")
    with pytest.raises(SpecError, match=r"cannot be read|Is a directory"):
        load_spec(tmp_path)


def test_a_column_that_the_data_lacks(folder: Path) -> None:
    benchmark: Benchmark = load_benchmark("capitals", [folder])
    with pytest.raises(SpecError) as caught:
        list(samples(benchmark, [{"country": "France", "town": "Paris"}]))
    for part in ("capitals", "'capital'", "'country'", "'town'"):
        assert part in str(caught.value)

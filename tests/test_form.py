"""The form of the Prefect UI: it takes every evaluation and gives it back, and knows what the catalogue has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from prefect import flow
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import is_valid_schema, validate

from assay.catalog import benchmark_ids, load_spec, make_spec, model_names, suite_names
from assay.partition import partitioner
from assay.spec import Compute, EvalSpec, MetaItem, MetaTemplate, ModelSpec, Price
from flows.form import EvalForm

MODELS: list[ModelSpec | str] = [
    "tiny",
    "echo:oracle",
    ModelSpec(adapter="hf", path="a/b", options={"dtype": "float32", "peft": "c"}, family="f", step=3),
    ModelSpec(adapter="vllm", path="a/b", devices=2, price=Price(input=1, output=2.5, device_hour=3)),
    ModelSpec(name="n", adapter="openai", path="gpt-x", options={"base_url": "http://localhost:1/v1", "api": "chat"}),
    ModelSpec(adapter="echo", path="scripted", options={"answers": {"a": "b"}}),
    ModelSpec(adapter="own", path="x", meta_template=MetaTemplate(round=(MetaItem(role="user", begin="U"),))),
]
SPECS = [
    *(EvalSpec(models=(model,), suites=("mini",)) for model in MODELS),
    EvalSpec(models=tuple(MODELS), benchmarks=("gsm8k", "gsm8k@cot"), limit=3, seed=5, max_rounds=2),
    EvalSpec(models=("random",), suites=("mini",), sampling={"temperature": 0.5, "stop": ["a"]}, catalog=(Path("x"),)),
    EvalSpec(models=("tiny",), suites=("mini",), partitioner={"size": {"max_task_size": 100}}),
    EvalSpec(models=("tiny",), suites=("mini",), compute=Compute(pool="gpu-{devices}", replicas=2, spool="s3://a/b")),
    *(make_spec(load_spec(path)) for path in sorted((ROOT / "examples").glob("*.yaml"))),
]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The schema that a deployment of a flow with this form has on the server."""

    @flow
    def asked(spec: EvalForm) -> None: ...

    found: dict[str, Any] = parameter_schema(asked).model_dump_for_openapi()
    is_valid_schema(found)
    return found


@pytest.mark.parametrize("spec", SPECS)
def test_every_evaluation_is_taken_by_the_form_and_by_the_server_and_comes_back(
    spec: EvalSpec, schema: dict[str, Any]
) -> None:
    told = spec.model_dump(mode="json")
    back = EvalForm.model_validate(told).spec()
    assert (back, back.hash) == (spec, spec.hash)
    assert type(back) is EvalSpec
    assert validate({"spec": told}, schema) == []


@given(
    st.builds(
        EvalSpec,
        models=st.lists(st.builds(ModelSpec, step=st.none() | st.integers(0, 9)) | st.text(), min_size=1).map(tuple),
        suites=st.just(("anything",)),
        sampling=st.dictionaries(st.text(), st.none() | st.integers() | st.lists(st.text())),
    )
)
def test_python_takes_any_name_and_any_evaluation(spec: EvalSpec) -> None:
    assert EvalForm.model_validate(spec.model_dump(mode="json")).spec() == spec


def test_what_a_person_leaves_out_is_as_in_a_file(schema: dict[str, Any]) -> None:
    least = {"models": ["oracle"], "suites": ["mini"]}
    assert validate({"spec": least}, schema) == []
    assert EvalForm.model_validate(least).spec() == EvalSpec(models=("oracle",), suites=("mini",))


@pytest.mark.parametrize(
    "wrong",
    [
        {"suites": ["mini"]},
        {"models": [], "suites": ["mini"]},
        {"models": ["nobody"], "suites": ["mini"]},
        {"models": ["oracle"], "suites": ["none"]},
        {"models": ["oracle"], "benchmarks": ["gsm9k"]},
        {"models": [{"adapter": "hf", "path": "x", "options": {"dtpye": "float32"}}], "suites": ["mini"]},
        {"models": [{"path": "x"}], "suites": ["mini"]},
        {"models": ["oracle"], "suites": ["mini"], "limit": 0},
        {"models": ["oracle"], "suites": ["mini"], "sampling": {"temprature": 1}},
        {"models": ["oracle"], "suites": ["mini"], "partitioner": "balancd"},
        {"models": ["oracle"], "suites": ["mini"], "compute": {"queue": "gpu"}},
        {"models": ["oracle"], "suites": ["mini"], "extra": 1},
    ],
)
def test_the_server_refuses_what_is_not_there(wrong: dict[str, Any], schema: dict[str, Any]) -> None:
    assert validate({"spec": wrong}, schema)


def test_the_form_lists_what_there_is(schema: dict[str, Any]) -> None:
    kinds = schema["definitions"]
    fields = kinds["EvalForm"]["properties"]
    tabs = fields["models"]["items"]["anyOf"]
    assert fields["benchmarks"]["items"]["enum"] == benchmark_ids()
    assert fields["suites"]["items"]["enum"] == suite_names()
    assert fields["partitioner"]["anyOf"][0]["enum"] == list(partitioner)
    assert tabs[0]["enum"] == model_names()
    named = [tab.get("title") or tab["$ref"].removeprefix("#/definitions/") for tab in tabs]
    assert named == ["listed", "adapter:path", "hf", "vllm", "openai", "echo", "other"]
    assert fields["limit"]["description"] == "At most so many samples of each group of each benchmark."
    assert kinds["options_of_hf"]["properties"]["peft"]["description"].startswith("Folder of a PEFT adapter")


def test_a_users_own_catalogue_is_in_the_form(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / "models.yaml").write_text(yaml.safe_dump({"mine": {"adapter": "echo", "path": "oracle"}}))
    monkeypatch.setenv("ASSAY_CATALOG", str(own))
    fields = EvalForm.model_json_schema()["properties"]
    assert "sums" in fields["benchmarks"]["items"]["enum"]
    assert "mine" in fields["models"]["items"]["anyOf"][0]["enum"]
    assert EvalForm.model_validate({"models": ["mine"], "benchmarks": ["sums"]}).spec().catalog == (own,)

"""The form in which the Prefect UI asks for an evaluation: an EvalSpec whose JSON schema a person can fill in.

Python takes and gives what an EvalSpec does; only the schema differs, which the server shows as a form and holds
parameters to: models as tabs, one an adapter, with its options; names from the catalogue as lists to choose from;
descriptions from the records' own docstrings. The catalogue is the one of the moment of deployment, with the folders of
$ASSAY_CATALOG, which are then the default of `catalog`.
"""

from __future__ import annotations

import ast
import inspect
import os
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, Field, GetJsonSchemaHandler, TypeAdapter, WithJsonSchema, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import chain_schema

from adapters.api.openai_wire import Options as OpenAIOptions
from adapters.hf.options import Options as HFOptions
from adapters.vllm_engine.options import Options as VLLMOptions
from assay.catalog import benchmark_ids, model_names, suite_names
from assay.functions import load_functions
from assay.partition import partitioner
from assay.registry import Step
from assay.spec import Compute, EvalSpec, ModelSpec, Price
from assay.types import Record, Sampling

TABS = ("hf", "vllm", "openai", "echo")


def catalogs() -> tuple[Path, ...]:
    """The folders that $ASSAY_CATALOG names, divided as $PATH is."""
    return tuple(Path(folder) for folder in os.environ.get("ASSAY_CATALOG", "").split(os.pathsep) if folder)


@dataclass(frozen=True)
class OneOf:
    """A name, shown as a list of those that there are."""

    names: Callable[[], list[str]]
    title: str = "Name"

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "title": self.title, "enum": self.names()}


@dataclass(frozen=True)
class ShownAs:
    """A value that the form shows as if it were of another type, or of the type that a function makes."""

    kind: Any

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        kind = self.kind() if inspect.isfunction(self.kind) else self.kind
        return handler(chain_schema([TypeAdapter(kind).core_schema]))  # which a record's own schema needs around it


class Schema(BaseModel):
    """Gives a record's schema its descriptions, and a plain field in place of one with a tab for `null`: the server
    takes null for each field that need not be there and has no default."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        shown = handler(core)
        schema = handler.resolve_ref_schema(shown)
        schema.pop("description", None)
        told = _docstrings(cls)
        for place, (name, field) in enumerate(schema["properties"].items()):
            field["position"] = place  # PostgreSQL keeps no order
            if name in told:
                field.setdefault("description", told[name])
            if "const" in field:
                schema["required"].append(name)
            plain = [one for one in field.get("anyOf", []) if one != {"type": "null"}]
            if len(plain) == 1 and plain[0].get("type") in ("string", "integer", "number", "array"):
                del field["anyOf"]
                field.pop("default", None)
                field.update(plain[0])
        return shown


def _docstrings(record: type) -> dict[str, str]:
    """What stands under each field of a class and of those it is made from."""
    found: dict[str, str] = {}
    for cls in reversed(record.__mro__):
        if getattr(sys.modules[cls.__module__], cls.__name__, None) is not cls or not issubclass(cls, Record):
            continue  # it was made by a function, or has nothing to say
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
        assert isinstance(body, ast.ClassDef)
        for line, below in zip(body.body, body.body[1:], strict=False):
            if isinstance(line, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(line.target, ast.Name):
                found[line.target.id] = inspect.cleandoc(str(ast.literal_eval(below.value))).replace("\n", " ")
    return found


def shown(record: type[BaseModel], name: str, **fields: Any) -> type[BaseModel]:
    """A record as the form shows it, under a name, with some fields of another type."""
    return create_model(name, __base__=(Schema, record), **fields)


def _model(adapter: str, path: str, options: Any = dict[str, Any]) -> Any:
    """A tab of the form: a model of one adapter; of an adapter that has no tab, where it is `other`."""
    only: Any = (Literal[adapter], adapter)
    if adapter == "other":
        rule: dict[str, Any] = {"pattern": f"^(?!({'|'.join(TABS)})$)"}
        only = (str, Field(description="Its name: one of a catalogue or a plug-in.", json_schema_extra=rule))
    return shown(
        ModelSpec,
        adapter,
        adapter=only,
        path=(str, Field(description=path)),
        options=(options, Field(default={}, description="What its adapter can be told.")),
        price=(shown(Price, "price") | None, None),
    )


def _models() -> Any:
    """The tabs: a row of models.yaml, `adapter:path`, and one an adapter."""
    listed = Annotated[str, OneOf(lambda: model_names(catalogs()), "listed")]
    short = Annotated[str, WithJsonSchema({"type": "string", "title": "adapter:path", "pattern": "^[^:]+:."})]
    weights = "A folder, or a name on the Hugging Face hub."
    arms = (
        listed,
        short,
        _model("hf", weights, shown(HFOptions, "options of hf")),
        _model("vllm", weights, shown(VLLMOptions, "options of vllm")),
        _model("openai", "What the server calls it.", shown(OpenAIOptions, "options of openai")),
        _model("echo", "oracle, random, scripted or echo: a test double."),
        _model("other", "What the adapter makes of it."),
    )
    return Annotated[list[Union[arms]], Field(min_length=1)]  # type: ignore[valid-type]  # noqa: UP007


def _sampling() -> Any:
    fields = {name: (field.annotation | None, None) for name, field in Sampling.model_fields.items()}  # type: ignore[operator]
    return shown(Sampling, "sampling", **fields)


def _partitioners() -> Any:
    load_functions(catalogs())
    return Annotated[str, OneOf(lambda: list(partitioner), "strategy")] | dict[str, Any]


Named = Annotated[str, WithJsonSchema({"type": "string", "title": "a name of models.yaml, or adapter:path"})]
Benchmarks = list[Annotated[str, OneOf(lambda: benchmark_ids(catalogs()))]]
Suites = list[Annotated[str, OneOf(lambda: suite_names(catalogs()))]]


class EvalForm(Schema, EvalSpec):
    """What is asked for, as the Prefect UI shows it."""

    models: Annotated[tuple[ModelSpec | str, ...], ShownAs(_models)] = Field(min_length=1)
    """By name, or with all that their adapters can be told."""
    benchmarks: Annotated[tuple[str, ...], ShownAs(Benchmarks)] = ()
    """With their variants, such as gsm8k@cot. Benchmarks or suites, or both."""
    suites: Annotated[tuple[str, ...], ShownAs(Suites)] = ()
    """Named lists of benchmarks."""
    seed: int = 0
    """Of everything that is drawn."""
    sampling: Annotated[dict[str, Any], ShownAs(_sampling)] = {}
    """In place of what benchmarks say; what is left out is as they say."""
    judges: Annotated[tuple[ModelSpec | str, ...], ShownAs(list[Named])] = ()
    baseline: Annotated[ModelSpec | str | None, ShownAs(Named | None)] = None
    embedder: Annotated[ModelSpec | str | None, ShownAs(Named | None)] = None
    partitioner: Annotated[Step, ShownAs(_partitioners)] = "balanced"
    compute: Annotated[Compute, ShownAs(lambda: shown(Compute, "compute"))] = Compute()
    """Where models are asked; by default in the process of the run."""
    catalog: tuple[Path, ...] = Field(default_factory=catalogs)

    def spec(self) -> EvalSpec:
        """The same as an EvalSpec."""
        return EvalSpec.model_validate(self.model_dump(mode="json"))

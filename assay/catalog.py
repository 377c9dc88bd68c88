"""What there is by name: benchmarks with their variants, models, suites; and the evaluation that names them.

A catalogue folder is a user's own: DIR/benchmarks/*.yaml and DIR/*.yaml are benchmarks, DIR/models.yaml and
DIR/suites.yaml are rows beside ours. So is the folder of an installed plug-in that is a package. A file with a key
`models` is a run's specification, no benchmark. What is there twice is an error: a name must mean one thing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from assay.circular import circular, divide
from assay.documents import merge_patch, parse, read_comment, read_map
from assay.errors import SpecError, unknown
from assay.registry import folders
from assay.sized import options_of, sized
from assay.spec import Benchmark, EvalSpec, ModelSpec, explain
from assay.types import Sampling

OURS = Path(__file__).parent
_TABLES = ("models.yaml", "suites.yaml")
_LISTS = ("models", "benchmarks", "suites", "judges", "catalog")

M = TypeVar("M", bound=BaseModel)


def load_benchmark(id: str, catalog: Sequence[Path] = ()) -> Benchmark:
    """A benchmark, or a variant of it (`gsm8k@cot`), or one with its choices turned (`mmlu@gen+circular`),
    or with options of its generated source (`ruler@tokens=128k`).

    Raises SpecError for an unknown name or a file that is wrong.
    """
    name, at, variant = id.partition("@")
    files = _files(catalog)
    if name not in files:
        raise SpecError(unknown("benchmark", name, files))
    path = files[name]
    plain, options = options_of(variant)
    if options:
        return sized(load_benchmark(f"{name}@{plain}" if plain else name, catalog), variant, options)
    if variant not in _variants(path) and (base := divide(variant)) is not None:
        return circular(load_benchmark(f"{name}@{base}" if base else name, catalog))
    if at and not variant:
        raise SpecError(f"{id!r} names no variant after the @; {name} has {', '.join(_variants(path)) or 'none'}")
    data = _variant(path, variant)
    comment = read_comment(path)
    links = re.findall(r"https?://\S*[^\s.,;)]", comment)
    told = {"about": re.sub(r"\s*https?://\S+", "", comment).strip(), "paper": links[0] if links else ""}
    what = f"{path} (variant {variant})" if variant else str(path)
    return _checked(Benchmark, {**told, **data}, what, "key of a benchmark", {"name": name, "variant": variant})


def benchmark_ids(catalog: Sequence[Path] = ()) -> list[str]:
    """Every benchmark and every variant of it, sorted. Raises SpecError where a file is no YAML."""
    found = []
    for name, path in sorted(_files(catalog).items()):
        found += [name, *(f"{name}@{variant}" for variant in _variants(path))]
    return found


def load_model(name: str, catalog: Sequence[Path] = ()) -> ModelSpec:
    """A row of models.yaml, or `adapter:path`, divided at the first colon. Raises SpecError for anything else."""
    rows = _table("models.yaml", catalog)
    if name in rows:
        path, row = rows[name]
        if not isinstance(row, Mapping):
            raise SpecError(f"{path}: {name}: wanted {{adapter: …, path: …}}, got {row!r:.80}")
        return _checked(ModelSpec, {"name": name, **row}, f"{path}: {name}", "key of a model")
    adapter, colon, place = name.partition(":")
    if not colon:
        raise SpecError(f"{unknown('model', name, rows)} (or write adapter:path, such as hf:{name})")
    if not adapter or not place:
        lacking = "a path" if adapter else "an adapter"
        raise SpecError(f"the model {name!r} lacks {lacking}: wanted adapter:path, such as hf:gpt2")
    return ModelSpec(adapter=adapter, path=place)


def model_names(catalog: Sequence[Path] = ()) -> list[str]:
    """The rows of models.yaml, sorted."""
    return sorted(_table("models.yaml", catalog))


def load_suite(name: str, catalog: Sequence[Path] = ()) -> list[str]:
    """The benchmarks of a suite, in its order. Raises SpecError for an unknown suite or one that lists none."""
    rows = _table("suites.yaml", catalog)
    if name not in rows:
        raise SpecError(unknown("suite", name, rows))
    path, row = rows[name]
    listed = row.get("benchmarks") if isinstance(row, Mapping) else row
    if not isinstance(listed, list) or not listed or not all(isinstance(one, str) for one in listed):
        raise SpecError(f"{path}: {name}: wanted a list of benchmarks, got {listed!r:.80}")
    return list(dict.fromkeys(listed))


def suite_names(catalog: Sequence[Path] = ()) -> list[str]:
    """The suites, sorted."""
    return sorted(_table("suites.yaml", catalog))


def load_spec(path: Path) -> dict[str, Any]:
    """What a file says of an evaluation, not yet checked. Raises SpecError where it is missing or no map."""
    return dict(read_map(Path(path)))


def make_spec(data: Mapping[str, Any], settings: Sequence[str] = ()) -> EvalSpec:
    """The evaluation that a map asks for, with settings put on it: `model.KEY=VALUE` on every model (its field, else
    its option), `sampling.KEY=VALUE`, or `KEY=VALUE`; a value is YAML.

    Raises SpecError for an unknown key, a value of the wrong form, or a model that is not there.
    """
    spec = dict(data)
    model: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name:
            raise SpecError(f"--set wants KEY=VALUE, such as sampling.max_tokens=64, got {setting!r}")
        first, _, rest = name.partition(".")
        patch = _nested((rest if first == "model" else name).split("."), parse(text, f"--set {name}"), setting)
        if first == "model":
            model = _overlay(model, patch)
        else:
            spec = _overlay(spec, patch)
    for name in _LISTS:
        if isinstance(spec.get(name), str | Path):
            spec[name] = [spec[name]]
    catalog = [Path(folder) for folder in spec.get("catalog") or []]
    if isinstance(spec.get("models"), list | tuple):
        spec["models"] = [_model(i, one, model, catalog) for i, one in enumerate(spec["models"])]
    if isinstance(spec.get("sampling"), Mapping):
        _checked(Sampling, spec["sampling"], "sampling", "key of sampling")
    return _checked(EvalSpec, spec, "the evaluation", "key of an evaluation")


def _model(place: int, given: Any, patch: Mapping[str, Any], catalog: Sequence[Path]) -> Any:
    """A model of an evaluation: by name as long as no setting changes it, else written out."""
    if isinstance(given, str):
        if not patch:
            return given
        given = load_model(given, catalog)
    if isinstance(given, ModelSpec):
        given = given.model_dump(mode="json", exclude_unset=True)
    if not isinstance(given, Mapping):
        raise SpecError(f"models.{place}: wanted a name, adapter:path or {{adapter: …, path: …}}, got {given!r:.80}")
    fields = {name: value for name, value in patch.items() if name in ModelSpec.model_fields}
    options = {name: value for name, value in patch.items() if name not in fields}
    changed = _overlay(given, {**fields, "options": {**fields.get("options", {}), **options}} if patch else {})
    return _checked(ModelSpec, changed, f"models.{place}", "key of a model")


def _overlay(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Maps merge, anything else replaces; null is a value, since `--set limit=null` sets it."""
    merged = dict(base)
    for name, value in patch.items():
        below = merged.get(name)
        merged[name] = _overlay(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _nested(names: Sequence[str], value: Any, setting: str) -> dict[str, Any]:
    if not all(names):
        raise SpecError(f"--set wants KEY=VALUE, such as model.dtype=float32, got {setting!r}")
    for name in reversed(names):
        value = {name: value}
    nested: dict[str, Any] = value
    return nested


def _checked(kind: type[M], data: Any, what: str, key: str, more: Mapping[str, Any] | None = None) -> M:
    """The record that a map makes. An unknown key is told with those that are near it."""
    names = {field.alias or name for name, field in kind.model_fields.items()} - set(more or ())
    for name in data:
        if name not in names:
            raise SpecError(f"{what}: {unknown(key, str(name), names)}")
    try:
        return kind.model_validate({**data, **(more or {})})
    except ValidationError as error:
        raise explain(error, what) from None


def _variants(path: Path) -> dict[str, Any]:
    variants = read_map(path).get("variants") or {}
    if not isinstance(variants, dict) or any(not isinstance(name, str) or not name or "@" in name for name in variants):
        raise SpecError(f"{path}: variants: wanted a map NAME: PATCH, got {variants!r:.80}")
    return variants


def _variant(path: Path, variant: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """The file's map with a variant's patch, and the patch of the one that it is `from`, put on it."""
    variants = _variants(path)
    if not variant:
        return {name: value for name, value in read_map(path).items() if name != "variants"}
    if variant not in variants:
        raise SpecError(f"{path}: " + unknown("variant", variant, variants))
    if variant in above:
        raise SpecError(f"{path}: the variants {' from '.join((*above, variant))} go round in a circle")
    patch = variants[variant] if variants[variant] is not None else {}
    if not isinstance(patch, dict) or not isinstance(patch.get("from", ""), str):
        raise SpecError(f"{path}: the variant {variant}: wanted a map (its `from:` another variant), got {patch!r:.80}")
    base = _variant(path, patch.get("from", ""), (*above, variant))
    merged: dict[str, Any] = merge_patch(base, {name: value for name, value in patch.items() if name != "from"})
    return merged


def _files(catalog: Sequence[Path]) -> dict[str, Path]:
    """Benchmark files by name. Raises SpecError where a folder is missing or two files have one name."""
    found = {path.stem: path for path in (OURS / "benchmarks").glob("*.yaml")}
    for folder in folders(catalog):
        if not folder.is_dir():
            raise SpecError(f"--catalog {folder}: no such folder")
        beside = (path for path in sorted(folder.glob("*.yaml")) if path.name not in _TABLES)
        own = [path for path in beside if "models" not in read_map(path)]
        for path in (*own, *sorted((folder / "benchmarks").glob("*.yaml"))):
            if path.stem in found and found[path.stem].resolve() != path.resolve():
                raise SpecError(f"two benchmarks are named {path.stem}: {found[path.stem]} and {path}; rename one")
            found[path.stem] = path
    return found


def _table(name: str, catalog: Sequence[Path]) -> dict[str, tuple[Path, Any]]:
    """The rows of models.yaml or suites.yaml, ours and each catalogue folder's, with the file of each."""
    rows: dict[str, tuple[Path, Any]] = {}
    for path in dict.fromkeys((OURS / name, *(folder / name for folder in folders(catalog)))):
        if not path.exists():
            continue
        for row, value in read_map(path).items():
            if row in rows:
                raise SpecError(f"{row} is in {rows[row][0]} and in {path}: rename one")
            rows[row] = (path, value)
    return rows

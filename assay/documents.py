"""YAML as a person means it: `no` is a word, a key stands once, an error says file and line.

PyYAML reads YAML 1.1, where `no`, `on`, `off` and `yes` are booleans, `1e3` is a text, `1:30` is ninety and a date is
an object. Choices, answers and codes of countries are full of these, so here the rules are those of YAML 1.2's core
schema: only `true` and `false` are booleans, only `null`, `~` and nothing are null, and a date is a text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from assay.errors import SpecError

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_LOADER):  # type: ignore[misc]
    """YAML 1.2's core schema, and a key that stands twice in one map is an error."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A map. Raises ConstructorError for a key that stands twice, with its line."""
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.value in seen:
                problem = f"the key {key.value!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        built: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return built


def _decimal(loader: Any, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    return int(text, 0) if text[:2] in ("0x", "0o") else int(text)


for _tag, _first, _pattern in (
    ("bool", "tTfF", r"true|True|TRUE|false|False|FALSE"),
    ("null", "~nN", r"~|null|Null|NULL"),
    ("int", "-+0123456789", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    ("float", "-+.0123456789", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf)|\.(nan|NaN)"),
    ("merge", "<", r"<<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^$"), [""])
_Loader.add_constructor("tag:yaml.org,2002:int", _decimal)


def parse(text: str, what: str) -> Any:
    """The value of a YAML text. Raises SpecError with what, line and cause where it is malformed."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        where = f"{what}, line {mark.line + 1}, column {mark.column + 1}" if mark else what
        cause = getattr(error, "problem", None) or str(error)
        raise SpecError(f"{where}: this is not YAML: {cause}") from None
    except ValueError as error:  # a value that looks like a number and is none
        raise SpecError(f"{what}: this is not YAML: {error}") from None


def read_map(path: Path) -> Mapping[str, Any]:
    """The map that a YAML file holds; read once while its time and size stay the same, so do not change it.

    Raises SpecError where the file is missing, is no YAML, or holds something else than a map with texts as keys.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror or error}; wanted a YAML file") from None
    return _read(path, stat.st_mtime_ns, stat.st_size)[0]


def read_comment(path: Path) -> str:
    """The comment at the top of a YAML file, its lines joined."""
    stat = path.stat()
    return _read(path, stat.st_mtime_ns, stat.st_size)[1]


@lru_cache(maxsize=4096)
def _read(path: Path, mtime_ns: int, size: int) -> tuple[Mapping[str, Any], str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} cannot be read as YAML: {error}") from None
    data = parse(text, str(path))
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise SpecError(f"{path}: wanted a map (KEY: VALUE lines), got a {type(data).__name__}")
    for name in data:
        if not isinstance(name, str):
            raise SpecError(f"{path}: wanted a text as key, got {name!r}: put it in quotes")
    comment = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# ").rstrip())
    return data, " ".join(comment).strip()


def merge_patch(target: Any, patch: Any) -> Any:
    """A value with a patch put on it (RFC 7396): maps merge, anything else replaces, null removes."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged

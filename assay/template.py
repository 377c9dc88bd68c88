"""Templates: sandboxed Jinja that refuses unknown names and keeps what it is given.

A text with `{{` or `{%` computes. In a `sample:` map any other text names a column; in a `prompt:` it is itself.
A field that is exactly one `{{ expression }}` keeps its native value, so a list stays a list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from jinja2 import StrictUndefined, TemplateError, Undefined, nodes
from jinja2.sandbox import SandboxedEnvironment

from assay.errors import SpecError
from assay.keys import generator
from assay.registry import Registry, version_of

template_filter: Registry[Callable[..., Any]] = Registry("template filter")

Fields = Mapping[str, Any]
T = TypeVar("T")


@template_filter
def regex_replace(text: str, pattern: str, replacement: str = "", count: int = 0) -> str:
    """The text with a pattern's matches replaced."""
    return re.sub(pattern, replacement, text, count=count)


@template_filter
def regex_search(text: str, pattern: str, group: int = 1) -> str:
    """A group of a pattern's first match; '' where there is none."""
    found = re.search(pattern, text)
    return str(found.group(group)) if found else ""


@template_filter
def shuffled(items: list[Any], by: str) -> list[Any]:
    """The items in an order that is drawn by a text, such as the question: the same wherever and whenever."""
    order = list(items)
    generator("shuffled", by).shuffle(order)
    return order


@template_filter
def filled(text: str, mark: str, items: list[Any]) -> list[str]:
    """The text once for each item, which stands in the place of a mark."""
    return [text.replace(mark, str(item)) for item in items]


@template_filter
def split(text: str, separator: str | None = None) -> list[str]:
    """The parts of a text between separators."""
    return text.split(separator)


def filters_in(spec: Any) -> list[tuple[str, str]]:
    """The registered filters that templates may use, by name and version: what they render depends on these.

    Every word of a template that is a filter's name counts: one too many does no harm.
    """
    words = {word for text in _texts(spec) for word in re.findall(r"\w+", text)}
    return [(name, version_of(template_filter[name])) for name in template_filter if name in words]


def _texts(spec: Any) -> Iterator[str]:
    """The texts in a value that compute."""
    if isinstance(spec, Mapping | list | tuple):
        for item in spec.values() if isinstance(spec, Mapping) else spec:
            yield from _texts(item)
    elif isinstance(spec, str) and computes(spec):
        yield spec


def environment() -> SandboxedEnvironment:
    """The one environment of all templates: sandboxed, strict, newline kept."""
    env = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    env.filters.update(template_filter.items)
    env.globals.update(zip=zip, enumerate=enumerate, len=len, chr=chr, ord=ord, str=str, int=int, float=float)
    return env


def computes(text: str) -> bool:
    """Whether a text is a template."""
    return "{{" in text or "{%" in text


def text_template(text: str, what: str) -> Callable[[Fields], str]:
    """A function from fields to text. Raises SpecError where the template is malformed; the function, where it wants
    a name that the fields lack."""
    if not computes(text):
        return lambda fields: text
    parts = _plain_parts(text, what)
    if parts is not None:
        return _joined(parts, text, what)
    template = _compiled(environment().from_string, text, text, what)
    return _guarded(lambda fields: template.render(fields), text, what)


def value_template(spec: Any, what: str) -> Callable[[Fields], Any]:
    """A function from a row to a value: a column by its name, a template's text, an expression's native value; lists
    and maps of these. Numbers, booleans and null are themselves."""
    if isinstance(spec, Mapping):
        inner = {name: value_template(item, f"{what}.{name}") for name, item in spec.items()}
        return lambda fields: {name: item(fields) for name, item in inner.items()}
    if isinstance(spec, list | tuple):
        items = [value_template(item, what) for item in spec]
        return lambda fields: [item(fields) for item in items]
    if not isinstance(spec, str):
        return lambda fields: spec
    if not computes(spec):
        return _column(spec, what)
    if "row[" in spec:  # a column whose name is no name of Jinja's: "Correct Answer"
        named = value_template(spec.replace("row[", "row_ ["), what)
        return lambda fields: named({**fields, "row_": fields})
    expression = _sole_expression(spec, what)
    if expression is None:
        return text_template(spec, what)
    compiled = _compiled(partial(environment().compile_expression, undefined_to_none=False), expression, spec, what)
    return _guarded(lambda fields: _native(compiled(fields)), spec, what)


def _native(value: Any) -> Any:
    """The value with what Jinja leaves lazy (`map`, `select`, `range`, `zip` …) as lists; all names in it are there."""
    if isinstance(value, Undefined):
        str(value)  # a strict undefined raises UndefinedError with the name that is missing
    elif isinstance(value, Mapping):
        return {name: _native(item) for name, item in value.items()}
    elif isinstance(value, list | tuple | range | Iterator):
        return [_native(item) for item in value]
    return value


def _column(name: str, what: str) -> Callable[[Fields], Any]:
    def read(fields: Fields) -> Any:
        try:
            return fields[name]
        except KeyError:
            raise SpecError(f"{what} wants the column {name!r}; the row has {_names(fields)}") from None

    return read


def _names(fields: Fields) -> str:
    return ", ".join(map(repr, fields)) or "no columns"


def _body(text: str, what: str) -> list[nodes.Node]:
    return list(_compiled(environment().parse, text, text, what).body)


def _compiled(compile_: Callable[[str], T], source: str, text: str, what: str) -> T:
    """What Jinja makes of a source; a filter or test that there is not is only found when it is compiled."""
    try:
        return compile_(source)
    except TemplateError as error:
        raise SpecError(f"{what}: the template {text!r:.120} is malformed: {error}") from None


Part = tuple[str, str | None, int | None]
"""A text; or '', a name and, for `{{ name[2] }}`, a place in its list."""


def _plain_parts(text: str, what: str) -> list[Part] | None:
    """The parts of a template that is only text, names and items of lists: these need no Jinja, and most are such."""
    body = _body(text, what)
    if len(body) != 1 or not isinstance(body[0], nodes.Output):
        return None
    parts: list[Part] = []
    for node in body[0].nodes:
        if isinstance(node, nodes.TemplateData):
            parts.append((node.data, None, None))
        elif isinstance(node, nodes.Name):
            parts.append(("", node.name, None))
        elif (
            isinstance(node, nodes.Getitem)
            and isinstance(node.node, nodes.Name)
            and isinstance(node.arg, nodes.Const)
            and type(node.arg.value) is int
        ):
            parts.append(("", node.node.name, node.arg.value))
        else:
            return None
    return parts


def _joined(parts: list[Part], text: str, what: str) -> Callable[[Fields], str]:
    def join(fields: Fields) -> str:
        try:
            return "".join(
                [
                    plain if name is None else str(fields[name] if place is None else fields[name][place])
                    for plain, name, place in parts
                ]
            )
        except KeyError as error:
            raise SpecError(f"{what}: {text!r:.120} wants {error}; there is {_names(fields)}") from None
        except (IndexError, TypeError) as error:
            raise SpecError(f"{what}: {text!r:.120}: {error} (there is {_names(fields)})") from None

    return join


def _sole_expression(text: str, what: str) -> str | None:
    body = _body(text, what)
    alone = len(body) == 1 and isinstance(body[0], nodes.Output) and len(body[0].nodes) == 1
    if not alone or isinstance(body[0].nodes[0], nodes.TemplateData):  # type: ignore[attr-defined]
        return None
    return text.strip().removeprefix("{{").removesuffix("}}").strip("-").strip()


def _guarded(render: Callable[[Fields], Any], text: str, what: str) -> Callable[[Fields], Any]:
    def guarded(fields: Fields) -> Any:
        try:
            return render(fields)
        except SpecError:
            raise
        except Exception as error:  # noqa: BLE001  a template is a user's code: whatever it raises is told with its text
            raise SpecError(f"{what}: {text!r:.120}: {error} (there is {_names(fields)})") from None

    return guarded

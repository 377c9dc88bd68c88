"""What the pages say is so: they name everything that there is, and their examples work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from pydantic import BaseModel

from assay.catalog import load_benchmark
from assay.documents import parse
from assay.extract import extractor
from assay.functions import load_functions
from assay.metrics import metric
from assay.partition import partitioner
from assay.registry import name_of
from assay.retrieve import retriever
from assay.score import scorer
from assay.spec import Benchmark, EvalSpec, Fewshot, FilesSource, MetaTemplate, ModelSpec, PromptSpec
from assay.types import Sampling
from flows.cli import FOLDER, assay
from storage.ledger import Ledger

PAGES = {path.relative_to(ROOT).as_posix(): path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))}


def text(page: str) -> str:
    return PAGES[page].read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text(page), re.MULTILINE | re.DOTALL)


def words(page: str) -> set[str]:
    """What stands in backquotes, and each word of it."""
    quoted = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text(page), flags=re.MULTILINE | re.DOTALL))
    return {word for part in quoted for word in [part, *re.findall(r"\w+", part)]}


@pytest.mark.parametrize(
    "record", [Benchmark, PromptSpec, Fewshot, Sampling, EvalSpec, ModelSpec, MetaTemplate], ids=lambda r: r.__name__
)
def test_every_key_is_told(record: type[BaseModel]) -> None:
    keys = {field.alias or name for name, field in record.model_fields.items()}
    told = words("docs/recipes.md") | set(re.findall(r"\w+", " ".join(blocks("docs/recipes.md", "yaml"))))
    assert keys - {"name", "variant", "own"} <= told


def test_every_key_of_files_is_told() -> None:
    assert set(FilesSource.model_fields) <= words("docs/data.md")


def test_every_function_that_the_page_of_recipes_should_name_is_named() -> None:
    told = words("docs/recipes.md")
    assert {*metric, *partitioner, *(name for name in retriever)} <= told
    assert {name for name in scorer if name.startswith("acc")} <= told


def test_every_command_is_told() -> None:
    told = text("docs/cli.md")
    for name in assay.list_commands(None):  # type: ignore[attr-defined]
        assert f"`assay {name}" in told, name
    assert set(re.findall(r"`assay (\w+)", told)) - {"COMMAND"} <= {path.stem for path in FOLDER.glob("*.py")}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """An empty one."""
    book = Ledger(tmp_path_factory.mktemp("ledger") / "l.duckdb")
    with book.write():
        pass
    return book


def test_every_table_and_view_is_told_and_no_other(ledger: Ledger) -> None:
    with ledger.read() as con:
        there = {name for (name,) in con.execute("SELECT table_name FROM information_schema.tables").fetchall()}
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text("docs/ledger.md").split("## Keys")[0], re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"\w+", row)} == there


@pytest.mark.parametrize("page", ["README.md", "docs/ledger.md"])
def test_questions_are_understood(page: str, ledger: Ledger) -> None:
    asked = blocks(page, "sql") + re.findall(r'^ {4}assay sql "(.*)"$', text(page), re.MULTILINE)
    assert len(asked) > 2
    with ledger.read() as con:
        for question in asked:
            assert con.execute(question).fetchall() == []


BLOCKS = [pytest.param(page, block, id=f"{page}-{n}") for page in PAGES for n, block in enumerate(blocks(page, "yaml"))]


@pytest.mark.parametrize(("page", "block"), BLOCKS)
def test_yaml_is_as_the_records_want_it(page: str, block: str, tmp_path: Path) -> None:
    """Whole benchmarks are loaded; what is a part of one is put into the first of them."""
    load_functions()
    data = parse(block, page)
    if page == "docs/extending.md":  # evaluated by test_out_of_tree
        return
    if "meta_template" in data:
        assert ModelSpec.model_validate({"adapter": "hf", "path": "x", **data}).meta_template
        return
    whole = parse(blocks("docs/recipes.md", "yaml")[0], page)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({**whole, **data}))
    names = ["mine", *(f"mine@{variant}" for variant in data.get("variants", {}))]
    for benchmark in [load_benchmark(name, [tmp_path]) for name in names]:
        for step in benchmark.score:
            assert name_of(step)[0] in scorer
        for chain in benchmark.extract.values():
            for step in chain:
                for one in [step] if isinstance(step, str | dict) else step:
                    assert name_of(one)[0] in extractor


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", text(page)):
        assert "://" in target or (PAGES[page].parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_are_there(page: str) -> None:
    named = re.findall(r"`((?:assay|adapters|storage|tasks|flows|tests|examples)/[\w./]+\.\w+)`", text(page))
    missing = [name for name in named if not (ROOT / name).exists() and "NAME" not in name]
    assert not missing


def test_the_page_of_benchmarks_is_made_from_their_files() -> None:
    from flows.page import PAGE, page

    assert PAGE.read_text(encoding="utf-8") == page() + "\n", "run make docs"

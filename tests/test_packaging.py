"""What is installed with it, what importing it costs, and the shape of the house."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
HEAVY = {"torch", "transformers", "datasets", "duckdb", "openai", "prefect", "pyarrow", "scipy", "sympy", "pydantic"}


def pins(file="constraints.txt"):
    """The versions in a file of pins by canonical name."""
    lines = (line.split("#")[0].strip() for line in (ROOT / file).read_text().splitlines())
    found = [Requirement(line) for line in lines if line]
    assert all(str(pin.specifier).startswith("==") and "*" not in str(pin.specifier) for pin in found)
    assert len({canonicalize_name(pin.name) for pin in found}) == len(found)
    return {canonicalize_name(pin.name): Version(str(pin.specifier)[2:]) for pin in found}


def needed(requirements, extras=("",)):
    """The requirements whose markers hold here, under one of the extras."""
    for requirement in map(Requirement, requirements):
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            yield requirement


def closure(known):
    """Everything that is installed for the project with its extras, and who wants it.

    Left out is what comes with torch's CUDA build and is in no CPU's set: torch itself wants one version of each; and
    the extra vllm, which does not go with the others: it wants an older fastapi than Prefect does.
    """
    listed = [PROJECT["project"]["dependencies"], *(wanted for extra, wanted in EXTRAS.items() if extra != "vllm")]
    wanted = [(requirement, "assay") for requirements in listed for requirement in needed(requirements)]
    seen = {}
    while wanted:
        requirement, by = wanted.pop()
        name, extras = canonicalize_name(requirement.name), ("", *sorted(requirement.extras))
        exact = str(requirement.specifier).startswith("==")
        if (name, extras) in seen or (by == "torch" and exact and name not in known):
            continue
        seen[name, extras] = (requirement, by)
        try:
            wanted += [(r, name) for r in needed(requires(requirement.name) or [], extras)]
        except PackageNotFoundError:
            continue
    return seen.values()


def loaded_by(code):
    """The top-level names of the modules that are there after a new interpreter has run some code."""
    script = f"{code}\nimport sys\nprint('\\n' + ' '.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.splitlines()[-1].split())


def test_every_dependency_is_pinned_however_far_down():
    known = pins()
    wanted = {canonicalize_name(r.name): by for r, by in closure(known)}
    assert len(wanted) > 100
    assert {name: by for name, by in wanted.items() if name not in known} == {}


def test_the_pins_are_versions_that_everybody_accepts():
    known = pins()
    wrong = [
        f"{by} wants {r}, and {known[canonicalize_name(r.name)]} is pinned"
        for r, by in closure(known)
        if not r.specifier.contains(known[canonicalize_name(r.name)], prereleases=True)
    ]
    assert wrong == []


def test_the_environment_of_vllm_has_what_the_project_wants():
    """It is installed without regard to what packages say of each other, so that is looked at here."""
    known = pins("constraints-vllm.txt")
    wanted = [r for r in needed(PROJECT["project"]["dependencies"] + EXTRAS["peft"])]
    wanted += [Requirement(r) for r in requires("prefect") if "extra" not in r and "python_version" not in r]
    wrong = [str(r) for r in wanted if not r.specifier.contains(known[canonicalize_name(r.name)], prereleases=True)]
    assert wrong == []
    assert {known[name] for name in ("prefect", "fastapi")} == {pins()[name] for name in ("prefect", "fastapi")}


@pytest.mark.parametrize("name", PACKAGES)
def test_packages_import_from_here(name):
    assert importlib.import_module(name).__file__ == str(ROOT / name / "__init__.py")


def test_every_package_is_installed_and_layered():
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    assert len(contracts) == 3
    layers = " | ".join(contracts[0]["layers"]).split(" | ")
    assert sorted(layers) == sorted(PACKAGES) == sorted(PROJECT["tool"]["importlinter"]["root_packages"])
    assert sorted(PACKAGES) == sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))


def test_importing_assay_loads_nothing_heavy():
    assert not loaded_by("import assay") & (HEAVY | {"numpy", "jinja2"})


def test_public_names_are_there():
    import assay

    for name in assay.__all__:
        assert getattr(assay, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'scorrer'"):
        _ = assay.scorrer


def test_help_loads_nothing_heavy():
    loaded = loaded_by("from flows.cli import assay\nassay(['--help'], standalone_mode=False)")
    assert "click" in loaded and not loaded & (HEAVY | {"numpy"})


def test_no_file_that_runs_beside_prefect_is_called_as_a_library():
    """Prefect puts a flow's folder on the path of its process: `flows/datasets.py` would be `datasets` there."""
    libraries = set(sys.stdlib_module_names) | set(packages_distributions())
    files = [path for folder in ("flows", "tasks") for path in (ROOT / folder).glob("*.py")]
    assert len(files) > 10
    assert sorted(str(path.relative_to(ROOT)) for path in files if path.stem in libraries - {"__init__"}) == []

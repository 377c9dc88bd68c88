"""Names to functions: registering, misspelling, a user's folder, plug-ins, and versions by source."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint

import pytest

from assay import registry as registry_module
from assay.errors import SpecError, unknown
from assay.registry import Registry, import_file, load_catalog, load_plugins, version_of

PLUGIN = "from assay.metrics import metric\n\n@metric\ndef largest(scores):\n    return float(scores.values.max())\n"


@pytest.fixture
def metrics():
    """The metrics, as they were afterwards."""
    from assay.metrics import metric

    before = dict(metric.items)
    yield metric
    metric.items.clear()
    metric.items.update(before)


def test_a_function_is_registered_under_its_name():
    colours: Registry = Registry("colour")

    @colours
    def red():
        return "ff0000"

    assert colours["red"] is red and "red" in colours and "blue" not in colours and list(colours) == ["red"]


def test_a_misspelt_name_is_told_with_its_neighbours():
    colours: Registry = Registry("colour")
    for name in ("scarlet", "blue", "green"):
        colours.items[name] = str
    with pytest.raises(SpecError, match="no colour 'scarlett'; did you mean scarlet"):
        colours["scarlett"]
    with pytest.raises(SpecError, match="no colour 'x'; there is blue, green, scarlet"):
        colours["x"]


def test_options_that_a_function_does_not_have_are_told():
    colours: Registry = Registry("colour")

    @colours
    def red(strength, *, tint=0, alpha=1.0):
        return strength

    assert colours.fitting("red", 3, tint=1) is red
    with pytest.raises(SpecError, match=r"colour red: got an unexpected .*'tnt'.*; its options: tint, alpha"):
        colours.fitting("red", 3, tnt=1)
    with pytest.raises(SpecError, match="did you mean red"):
        colours.fitting("rd", 3)


def test_unknown_shows_a_few_of_many():
    assert unknown("thing", "zzz", []) == "no thing 'zzz'; there is none"
    many = unknown("thing", "zzz", [f"name{i:03}" for i in range(50)])
    assert many.endswith("name019, … (50 in all)")


def test_a_catalogue_folder_registers_what_its_files_have(tmp_path, metrics):
    (tmp_path / "mine.py").write_text(PLUGIN)
    load_catalog(tmp_path)
    assert "largest" in metrics
    del metrics.items["largest"]
    load_catalog(tmp_path)  # imported once
    assert "largest" not in metrics


def test_a_catalogue_that_is_no_folder(tmp_path):
    with pytest.raises(SpecError, match="no such folder"):
        load_catalog(tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "cause"), [("1 / 0\n", "ZeroDivisionError: division by zero"), ("def f(:\n", "SyntaxError")]
)
def test_a_file_that_does_not_import_is_told_with_its_cause(tmp_path, text, cause):
    (tmp_path / "broken.py").write_text(text)
    with pytest.raises(SpecError, match=rf"broken\.py: {cause}"):
        load_catalog(tmp_path)
    assert str(tmp_path / "broken.py") not in {getattr(module, "__file__", "") for module in sys.modules.values()}


def test_a_file_that_is_not_python(tmp_path):
    with pytest.raises(SpecError, match="is not a Python file"):
        import_file("assay_notes", tmp_path / "notes.txt")


def test_plug_ins_of_installed_distributions_are_imported(tmp_path, monkeypatch, metrics):
    (tmp_path / "assay_plugin_for_test.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    point = EntryPoint("mine", "assay_plugin_for_test", "assay.plugins")
    monkeypatch.setattr(registry_module, "entry_points", lambda group: [point] if group == "assay.plugins" else [])
    load_plugins()
    assert "largest" in metrics


def test_a_functions_version_is_its_files(tmp_path):
    path = tmp_path / "versioned.py"
    path.write_text("def one(x):\n    return x\n\ndef two(x):\n    return x\n")
    module = import_file("versioned_for_test", path)
    before = version_of(module.one)
    assert before == version_of(module.two) != version_of(unknown)
    path.write_text("def one(x):\n    return x + 1\n")
    assert version_of(module.one) != before
    path.unlink()
    assert version_of(module.one) not in (before, version_of(module.two))

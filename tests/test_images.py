"""Questions with images: kept once, sent as they are to a model that sees, refused for one that does not."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from api_client import answer, ask
from api_server import ApiServer
from conftest import needs_data

from adapters.datasets.files import pinned_file
from assay.catalog import load_benchmark
from assay.errors import DatasetError, ModelError, SpecError
from assay.functions import load_functions
from assay.images import FOLDER, data_url, located, pinned
from assay.lock import read_lock
from assay.messages import with_images
from assay.spec import EvalSpec
from assay.types import Sampling
from tasks.check import check_model
from tasks.context import described
from tasks.preview import preview

load_functions()
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
pytestmark = pytest.mark.usefixtures("hurried")


def test_the_server_gets_the_very_bytes(server: ApiServer, tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "abc").write_bytes(PNG)
    messages = [
        {"role": "user", "content": [{"type": "image", "sha256": "abc"}, {"type": "text", "text": "What is it?"}]}
    ]
    said = answer(server, ask(messages=located(messages, tmp_path)))
    assert said.error is None
    image, text = server.seen[0]["messages"][0]["content"]
    kind, _, data = image["image_url"]["url"].partition(";base64,")
    assert (image["type"], kind) == ("image_url", "data:image/png") and base64.b64decode(data) == PNG
    assert text == {"type": "text", "text": "What is it?"}


def test_an_image_that_is_not_there_is_told(server: ApiServer) -> None:
    messages = [{"role": "user", "content": [{"type": "image", "sha256": "abc"}]}]
    assert "the image abc is not here" in (answer(server, ask(messages=messages)).error or "")
    with pytest.raises(SpecError, match="the image abc is not here"):
        data_url({"sha256": "abc", "path": "/nowhere"})


@pytest.mark.parametrize(
    ("start", "kind"), [(b"\xff\xd8\xff", "image/jpeg"), (b"GIF89a", "image/gif"), (b"?", "application/octet-stream")]
)
def test_the_kind_is_told_by_the_first_bytes(start: bytes, kind: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(start)
    assert data_url({"sha256": "x", "path": str(tmp_path / "x")}).startswith(f"data:{kind};base64,")


def test_images_stand_before_the_last_text() -> None:
    told = with_images('[{"role":"user","content":"Look."},{"role":"assistant","content":"It is"}]', ["a", "b"])
    assert told == (
        '[{"role":"user","content":[{"type":"image","sha256":"a"},{"type":"image","sha256":"b"},'
        '{"type":"text","text":"Look."}]},{"role":"assistant","content":"It is"}]'
    )


def test_a_model_without_eyes_is_refused() -> None:
    for path, seen in (("openai:m", True), ("echo:random", False)):
        [subject] = described(EvalSpec(models=(path,), benchmarks=("nlvr",)), [path]).values()
        benchmark = load_benchmark("nlvr")
        if seen:
            check_model(benchmark, subject, Sampling())
        else:
            with pytest.raises(ModelError, match=r"nlvr needs images, and echo:random gives"):
                check_model(benchmark, subject, Sampling())
        check_model(load_benchmark("nlvr@boxes"), subject, Sampling())


def test_only_what_is_pinned_has_a_digest() -> None:
    name = next(name for name in read_lock().files if name.endswith(".png"))
    assert pinned(name) == read_lock().files[name].sha256
    with pytest.raises(SpecError, match=r"no file .*datasets\.lock"):
        pinned("nlvr/none.png")
    with pytest.raises(DatasetError, match="pins no file by the SHA-256 0123"):
        pinned_file("0123")


@needs_data
def test_every_image_of_ours_is_there() -> None:
    for name in ("figstep", "nlvr", "puzzlevqa"):
        shown = next(preview(load_benchmark(name)))
        (sha256,) = shown.sample["images"]
        assert pinned_file(sha256).read_bytes().startswith(b"\x89PNG")
        assert f'"sha256":"{sha256}"' in shown.asks[0].messages

"""Asking the fake server through the adapter: what the tests of the client share."""

from __future__ import annotations

from typing import Any

from api_server import MODEL, ApiServer

from adapters.models.openai import OpenAI, load
from assay.spec import MetaTemplate, ModelSpec
from assay.types import Completion, Kind, Request, Sampling

USER = [{"role": "user", "content": "Hello the"}]


def spec(
    server: ApiServer | None = None, path: str = MODEL, meta: MetaTemplate | None = None, **options: Any
) -> ModelSpec:
    url = {"base_url": server.url} if server else {}
    return ModelSpec(adapter="openai", path=path, options=url | options, meta_template=meta)


def ask(key: str = "1", kind: Kind = "generate", messages: Any = USER, **fields: Any) -> Request:
    return Request(key, kind, messages, **{"sampling": Sampling(max_tokens=4), **fields})


def answers(model: OpenAI, *requests: Request) -> list[Completion]:
    found = {c.key: c for batch in model.answer(requests) for c in batch}
    return [found[r.key] for r in requests]


def answer(server: ApiServer, request: Request, meta: MetaTemplate | None = None, **options: Any) -> Completion:
    return answers(load(spec(server, meta=meta, **options)), request)[0]

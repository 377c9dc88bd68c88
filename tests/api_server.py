"""A fake OpenAI-compatible server for tests and benchmarks: real HTTP on a local port, a toy model behind it.

The model knows twenty words. How likely one is depends on the token before it alone, by a hash: what it says is the
same on every machine, and log-probabilities, greedy texts and samples belong together. It is no language model, and a
figure taken with it says something of the client only.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple

MODEL = "toy"
BOS = "<s>"
WORDS = [
    " the", " a", " cat", " dog", " sat", " ran", " on", " in", " red", " big", " .", " A", " B", " C", " D", " yes",
    " no", " one", " two", " three",
]  # fmt: skip
UNKNOWN = -15.0
PIECES = re.compile(r" ?[^\s]+|\s")


class Reply(NamedTuple):
    """What the server is made to say in place of an answer."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = {}
    hang_up: bool = False


def error(status: int, message: str, code: str | None = None, **headers: str) -> Reply:
    return Reply(status, {"error": {"message": message, "code": code, "type": "fake"}}, headers)


def distribution(before: str) -> dict[str, float]:
    """Log-probabilities of the words after a token."""
    scores = [blake2b(f"{before}|{word}".encode(), digest_size=1).digest()[0] / 32 for word in WORDS]
    total = math.log(sum(map(math.exp, scores)))
    return {word: score - total for word, score in zip(WORDS, scores, strict=True)}


def greedy(text: str, count: int) -> str:
    """What the model says of so many tokens at temperature 0."""
    tokens = PIECES.findall(text)
    for _ in range(count):
        after = distribution(tokens[-1] if tokens else BOS)
        tokens.append(max(after, key=after.__getitem__))
    return "".join(tokens[len(tokens) - count :])


@dataclass
class ApiServer:
    """`with ApiServer() as server:` serves at `server.url` and keeps what it was asked in `server.seen`."""

    latency: float = 0.0
    key: str = ""
    """Where given, the bearer token that it wants."""
    bos: bool = True
    garbled: bool = False
    """The texts of tokens are no part of the prompt, as with pieces of characters."""
    usage: bool = True
    logprobs: bool = True
    """A chat tells the likeliest first tokens."""
    schemas: bool = True
    """A chat takes a schema that its answer must keep to."""
    fault: Callable[[dict[str, Any], int], Reply | None] = lambda body, number: None
    """From a request's body and its number to what is said in place of an answer."""
    seen: list[dict[str, Any]] = field(default_factory=list)
    """The bodies, with `path` and `headers`."""
    most: int = 0
    """Requests under way at once, at most."""
    url: str = ""

    def __enter__(self) -> ApiServer:
        self.loop, self.ready, self.now = asyncio.new_event_loop(), threading.Event(), 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self.ready.wait()
        return self

    def __exit__(self, *raised: object) -> None:
        self.loop.call_soon_threadsafe(self.end.set)
        self.thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self.end = asyncio.Event()
        self.open: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        self.ready.set()
        await self.end.wait()
        server.close()
        for task in self.open:
            task.cancel()
        await asyncio.gather(*self.open, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.open.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            self.now += 0  # the client has gone, or the server ends
        finally:
            self.open.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:])}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))) or b"{}")
        self.seen.append({**body, "path": head[0].split()[1], "headers": headers})
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            reply = self.fault(body, len(self.seen)) or self._reply(head[0].split()[1], headers, body)
            if self.latency:
                await asyncio.sleep(self.latency)
        finally:
            self.now -= 1
        if reply.hang_up:
            return False
        data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        lines = {"Content-Type": "application/json", "Content-Length": str(len(data)), **reply.headers}
        start = f"HTTP/1.1 {reply.status} Said\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n"
        writer.write(start.encode() + data)
        await writer.drain()
        return True

    def _reply(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> Reply:
        given = headers.get("authorization", "").removeprefix("Bearer ")
        if self.key and given != self.key:
            return error(401, f"Incorrect API key provided: {given}", "invalid_api_key")
        if body.get("model") != MODEL:
            return error(404, f"The model {body.get('model')!r} does not exist", "model_not_found")
        if len(body.get("stop") or []) > 4:
            return error(400, "stop: at most 4")
        if "response_format" in body and not self.schemas:
            return error(400, "response_format is not supported")
        if path == "/v1/chat/completions":
            return Reply(body=self._chat(body))
        return Reply(body=self._completion(body)) if path == "/v1/completions" else error(404, "no such path")

    def _chat(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = "".join(f"[{m['role']}] {m['content']}\n" for m in body["messages"])
        text, finish, tokens = self._write(prompt, body)
        if "response_format" in body:
            text, finish = self._constrained(body["response_format"]["json_schema"]["schema"]), "stop"
        message = {"role": "assistant", "content": text}
        choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": finish}
        if body.get("logprobs") and self.logprobs:
            after = sorted(distribution("\n").items(), key=lambda x: -x[1])[: body["top_logprobs"]]
            tops = [{"token": w.strip(), "logprob": p} for w, p in after]
            choice["logprobs"] = {"content": [{**tops[0], "top_logprobs": tops}]}
        return {"choices": [choice], **self._count(len(PIECES.findall(prompt)), len(tokens))}

    def _constrained(self, schema: dict[str, Any]) -> str:
        after = distribution("\n")
        enum = schema["properties"]["answer"]["enum"]
        return json.dumps({"answer": max(enum, key=lambda choice: after.get(f" {choice.split()[0]}", UNKNOWN))})

    def _completion(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = body["prompt"]
        text, finish, written = self._write(prompt, body)
        choice: dict[str, Any] = {"index": 0, "text": text, "finish_reason": finish}
        read = ([BOS] if self.bos else []) + PIECES.findall(prompt)
        if body.get("echo"):
            choice["text"] = prompt + text
            choice["logprobs"] = self._logprobs(read + written)
        return {"choices": [choice], **self._count(len(read), len(written))}

    def _logprobs(self, tokens: list[str]) -> dict[str, Any]:
        after = [distribution(token) for token in tokens[:-1]]
        best = [max(d.items(), key=lambda x: x[1]) for d in after]
        said = [d.get(token, UNKNOWN) for d, token in zip(after, tokens[1:], strict=True)]
        tops = [{w: p, token: q} for (w, p), token, q in zip(best, tokens[1:], said, strict=True)]
        shown = ["�" for _ in tokens] if self.garbled else tokens
        return {"tokens": shown, "token_logprobs": [None, *said], "top_logprobs": [None, *tops]}

    def _write(self, prompt: str, body: dict[str, Any]) -> tuple[str, str, list[str]]:
        tokens: list[str] = []
        before = (PIECES.findall(prompt) or [BOS])[-1]
        drawn = random.Random(body.get("seed"))
        for _ in range(body.get("max_tokens") or body.get("max_completion_tokens") or 16):
            after = distribution(before)
            hot = body.get("temperature", 1.0)
            weights = [math.exp(p / hot) for p in after.values()] if hot else []
            before = drawn.choices(list(after), weights)[0] if hot else max(after, key=after.__getitem__)
            tokens.append(before)
            text = "".join(tokens)
            for stop in body.get("stop") or []:
                if stop in text:
                    return text.split(stop)[0], "stop", tokens
        return "".join(tokens), "length", tokens

    def _count(self, read: int, written: int) -> dict[str, Any]:
        return {"usage": {"prompt_tokens": read, "completion_tokens": written}} if self.usage else {}

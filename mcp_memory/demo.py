"""What a memory does, shown in seconds through a real MCP client, in a temporary folder."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

_SESSIONS: dict[str, list[dict[str, str]]] = {
    "2026-03-02 planning": [
        {"name": "Nora", "role": "user", "content": "I have moved to Porto and share a flat with Tomás."},
        {"name": "Nora", "role": "user", "content": "I'm allergic to peanuts, so no satay for me, please."},
        {"name": "Assistant", "role": "assistant", "content": "Noted. Shall I plan the trip to Lake Bled?"},
        {
            "name": "Nora",
            "role": "user",
            "content": "Yes, for the second week of June, by train, with Tomás.",
        },
    ],
    "2026-05-18 work": [
        {"name": "Nora", "role": "user", "content": "Since Monday I lead the search team at Kestrel Labs."},
        {
            "name": "Nora",
            "role": "user",
            "content": "The timeout bug sits in retry_with_backoff, in net/client.py.",
        },
        {"name": "Nora", "role": "user", "content": "Tomás adopted a grey cat called Pixel."},
        {"name": "Assistant", "role": "assistant", "content": "Congratulations to Tomás and Pixel!"},
    ],
}
_RELATIONS = [
    {"subject": "Nora", "predicate": "shares a flat with", "object": "Tomás", "valid_from": "2026-03-02"},
    {"subject": "Nora", "predicate": "leads the search team at", "object": "Kestrel Labs"},
    {"subject": "Tomás", "predicate": "owns", "object": "Pixel"},
]
_QUESTIONS = (
    ("What is Nora allergic to?", "peanuts"),
    ("Where does Nora work?", "Kestrel Labs"),
    ("What pet does Tomás have?", "Pixel"),
    ("retry_with_backoff", "net/client.py"),
)
_FORGOTTEN = ("What pet does Tomás have?", "Pixel")


class Shown(BaseModel):
    """What the demo did: for each question whether its answer was among the hits, and what was forgotten."""

    answered: dict[str, bool]
    forgotten: bool

    @property
    def is_right(self) -> bool:
        return all(self.answered.values()) and self.forgotten


async def run_demo(to_stderr: bool) -> Shown:
    """Tell and ask, and say what is happening on stdout or stderr."""
    # Soft-wrapped: ids and sentences stay whole in a pipe, too.
    console = Console(highlight=False, soft_wrap=True, stderr=to_stderr)
    with tempfile.TemporaryDirectory(prefix="mcp-memory-demo-") as folder:
        console.print(f"[bold]A memory in {folder}[/] (gone when this ends)\n")
        console.print("[bold]1. An assistant tells it two conversations[/]")
        async with _connected(folder) as client:
            await _tell(client, console)
        console.print("\n[bold]2. The server has ended. Another one starts and is asked[/]")
        async with _connected(folder) as client:
            answered = {one: await _ask(client, console, one, expected) for one, expected in _QUESTIONS}
            console.print("\n[bold]3. Who is Tomás?[/]")
            await _show_entity(client, console, "Tomás")
            console.print("\n[bold]4. Forget the cat[/]")
            gone = await _forget(client, console)
    done = Shown(answered=answered, forgotten=gone)
    console.print("\n[bold]Connect your assistant[/], for instance in claude_desktop_config.json:")
    console.print(escape(json.dumps({"mcpServers": {"memory": {"command": _command()}}}, indent=2)))
    if not done.is_right:
        console.print("[bold red]Something did not come out as it must; run mcp-memory doctor.[/]")
    return done


def _command() -> str:
    return (
        str(Path(sys.argv[0]).resolve()) if Path(sys.argv[0]).name.startswith("mcp-memory") else "mcp-memory"
    )


@asynccontextmanager
async def _connected(folder: str) -> AsyncGenerator[Client]:
    # In one process: an owner would outlive the folder.
    arguments = ["-m", "mcp_memory", "--data-dir", folder, "--user-id", "nora", "--in-process"]
    server = StdioServerParameters(command=sys.executable, args=arguments)
    async with Client(stdio_client(server)) as client:
        yield client


async def _tell(client: Client, console: Console) -> None:
    for title, messages in _SESSIONS.items():
        day = title.split()[0]
        turns = [{**message, "time": f"{day}T18:0{n}:00Z"} for n, message in enumerate(messages)]
        answer = await _call(client, "add_memory", messages=turns, session_id=title)
        console.print(f"   {title}: {answer['stored']} messages stored")
    for relation in _RELATIONS:
        statement = f"{relation['subject']} {relation['predicate']} {relation['object']}."
        await _call(client, "add_memory", content=statement, relations=[relation], observed_at="2026-05-18")
    console.print(f"   {len(_RELATIONS)} facts, with what joins whom")


async def _ask(client: Client, console: Console, question: str, expected: str) -> bool:
    answer = await _call(client, "search_memory", query=question, limit=3)
    console.print(f"\n   [bold cyan]{escape(question)}[/]")
    for hit in answer["hits"]:
        said_by = f"{hit['speaker']}: " if hit.get("speaker") else ""
        console.print(f"   {hit['score']:.2f}  {hit['date'][:10]}  {escape(said_by + hit['text'])}")
    return any(expected in hit["text"] for hit in answer["hits"])


async def _show_entity(client: Client, console: Console, name: str) -> None:
    answer = await _call(client, "list_entities", entity=name)
    (entity,) = answer["entities"]
    tree = Tree(f"   [bold]{escape(entity['name'])}[/] ({entity['type']}, mentioned {entity['mentions']}×)")
    for relation in answer["relations"]:
        tree.add(escape(f"{relation['subject']} –{relation['predicate']}→ {relation['object']}"))
    near = ", ".join(one["name"] for one in answer["neighbours"])
    tree.add(escape(f"near: {near}"))
    console.print(tree)


async def _forget(client: Client, console: Console) -> bool:
    question, secret = _FORGOTTEN
    plan = await _call(client, "forget", entity=secret)
    console.print(f"   forget(entity={secret!r}) answers a plan first: {plan['count']} memories mention it.")
    done = await _call(client, "forget", plan_id=plan["plan_id"])
    console.print(f"   With its plan_id: {done['count']} forgotten.")
    answer = await _call(client, "search_memory", query=question, limit=10)
    left = [hit for hit in answer["hits"] if secret in hit["text"]]
    console.print(f"   Asked again: {len(left)} of {len(answer['hits'])} hits speak of {secret}.")
    return done["count"] > 0 and not left


async def _call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    if result.is_error or result.structured_content is None:
        raise RuntimeError(f"{tool} failed: {result.content}")
    return result.structured_content

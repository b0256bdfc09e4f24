"""mem0 behind a pipe: one JSON object a line in, one out. Runs in mem0's own virtual environment.

    mem0_door.py FOLDER ENDPOINT MODEL DIMENSION

{"add": [text, …], "user": u} → {"ids": [id, …]}
{"search": query, "user": u, "limit": n} → {"ids": [id, …], "seconds": s}, best first
"""

# pyright: reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

NO_KEY = "none"
"""Neither the endpoint on loopback nor the language model, which is never called, asks for one."""


def main(folder: Path, endpoint: str, model: str, dimension: int) -> None:
    # Read by mem0 when it is imported: nothing is sent anywhere, nothing is written at home.
    os.environ["MEM0_TELEMETRY"] = "False"
    os.environ["MEM0_DIR"] = str(folder)
    answers = sys.stdout
    sys.stdout = sys.stderr
    from mem0 import Memory

    memory = Memory.from_config(_config(folder, endpoint, model, dimension))
    for line in sys.stdin:
        print(json.dumps(_answer(memory, json.loads(line))), file=answers, flush=True)


def _config(folder: Path, endpoint: str, model: str, dimension: int) -> dict[str, Any]:
    """Its defaults, but for where things lie and which model embeds."""
    embedder = {
        "model": model,
        "api_key": NO_KEY,
        "openai_base_url": endpoint,
        "embedding_dims": dimension,
    }
    store = {"path": str(folder / "qdrant"), "embedding_model_dims": dimension, "on_disk": True}
    return {
        "embedder": {"provider": "openai", "config": embedder},
        "vector_store": {"provider": "qdrant", "config": store},
        "llm": {"provider": "openai", "config": {"api_key": NO_KEY, "openai_base_url": endpoint}},
        "history_db_path": str(folder / "history.db"),
    }


def _answer(memory: Any, asked: dict[str, Any]) -> dict[str, Any]:
    if "add" in asked:
        messages = [{"role": "user", "content": text} for text in asked["add"]]
        added = memory.add(messages, user_id=asked["user"], infer=False)
        return {"ids": [one["id"] for one in added["results"]]}
    began = time.perf_counter()
    found = memory.search(asked["search"], filters={"user_id": asked["user"]}, top_k=asked["limit"])
    seconds = time.perf_counter() - began
    return {"ids": [one["id"] for one in found["results"]], "seconds": seconds}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))

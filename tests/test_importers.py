"""Conversations from files: good lines are kept, bad ones are named."""

from __future__ import annotations

import json

from mcp_memory.importers import BATCH, BadLine, ImportedMessage, in_batches, read_jsonl


def test_each_bad_line_is_named_by_its_number_and_the_good_ones_are_kept() -> None:
    lines = [
        b'\xef\xbb\xbf{"content": "first"}\n',
        b"\n",
        b"{not json}\n",
        b"[1]\n",
        b'{"content": "  "}\n',
        b'{"content": "x", "tme": 1}\n',
        b'{"content": "x", "time": "2024-01-01T10:00:00"}\n',
        b'{"content": "x", "role": "wizard"}\n',
        b'{"content": "\xff"}\n',
        b'{"content": "last", "name": "Ann", "time": "2024-01-01T10:00:00Z"}',
    ]
    read = list(read_jsonl(lines))
    assert [one.content for one in read if isinstance(one, ImportedMessage)] == ["first", "last"]
    bad = {one.number: one.problem for one in read if isinstance(one, BadLine)}
    assert list(bad) == [3, 4, 5, 6, 7, 8, 9]
    assert "not JSON" in bad[3]
    assert "not an object" in bad[4]
    assert "content: is empty" in bad[5]
    assert "tme: is not known" in bad[6]
    assert "no time zone" in bad[7]
    assert "'wizard' is unknown" in bad[8]
    assert "not UTF-8" in bad[9]


def test_batches_keep_order_and_never_mix_sessions() -> None:
    sessions = ["a"] * (BATCH + 1) + ["b"] * 2 + ["a"]
    lines = [json.dumps({"content": f"{n}", "session_id": one}).encode() for n, one in enumerate(sessions)]
    messages = [one for one in read_jsonl(lines) if isinstance(one, ImportedMessage)]
    batches = list(in_batches(messages))
    assert [(one.session_id, len(one.messages)) for one in batches] == [
        ("a", BATCH),
        ("a", 1),
        ("b", 2),
        ("a", 1),
    ]
    assert [message.content for one in batches for message in one.messages] == [
        str(n) for n in range(len(sessions))
    ]

"""A local model: a tokenizer and an ONNX file, loaded to read one text at a time."""

# onnxruntime and tokenizers publish few types; what leaves this module is typed.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnxruntime
    import tokenizers

    Loaded = tuple[tokenizers.Tokenizer, onnxruntime.InferenceSession]


class NotLoaded(Exception):
    """A file is missing or damaged; the message is the library's first line."""


def load(folder: Path, file: str, *, max_tokens: int, threads: int) -> Loaded:
    """`tokenizer.json`, cutting at `max_tokens`, and the model in `file`. Raises NotLoaded."""
    # Imported here: a fifth of a second and 40 MB that a front or a command without search never needs.
    import onnxruntime
    import tokenizers

    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.enable_truncation(max_tokens)
        tokenizer.no_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # One text at a time needs little; an arena would keep what the longest ever needed.
        options.enable_cpu_mem_arena = False
        # Spinning threads win a tenth of a millisecond and cost a whole core between calls.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(
            str(folder / file), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # both libraries raise bare Exception for a missing or damaged file
        raise NotLoaded(str(error).splitlines()[0]) from error
    return tokenizer, session

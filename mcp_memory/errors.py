"""Everything that can go wrong, as one tree that callers catch by meaning.

    McpMemoryError
    ├── InvalidInput            the caller's argument; say it again, corrected
    ├── NotFound
    │   ├── MemoryNotFound
    │   ├── EntityNotFound
    │   ├── SessionNotFound
    │   ├── PlanNotFound
    │   ├── PlanExpired
    │   ├── NothingHidden
    │   └── TokenNotFound
    ├── NotPermitted            what this caller may not do
    ├── TooMuch                 a bound of one user or one answer
    ├── Unavailable             what a remote caller is told of a failure of ours
    ├── ConfigError             a setting in a file, the environment or a flag
    ├── StoreError              the data folder or one of the three stores
    │   ├── DataFolderUnusable
    │   ├── StoreLocked
    │   ├── DiskFull
    │   ├── LedgerDamaged
    │   ├── LedgerMissing
    │   ├── LedgerTooNew
    │   ├── EmbedderChanged
    │   └── IndexFailed
    │       └── IndexOpening
    ├── BackupError             a backup file that cannot be written, read or restored
    ├── OwnerError              the process that holds the memory for all hosts
    ├── EmbeddingError          the model that turns text into vectors
    │   ├── ModelMissing
    │   └── EmbeddingEndpointFailed
    ├── RerankerFailed          the model that looks at hits again
    └── ExtractionFailed        whoever draws facts from words; the words are safe
        └── TokensSpent

Each class takes data and builds its own sentence: what failed, with which value, what to do next.
"""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

from mcp_memory.usage import NOTHING_SPENT, Usage


class McpMemoryError(Exception):
    """Base of every error this package raises on purpose."""


class InvalidInput(McpMemoryError):
    """An argument that cannot be accepted; nothing was stored or changed."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class NotFound(McpMemoryError):
    """Nothing of that name is visible in this scope. It may exist for somebody else: the answer is the
    same."""


class MemoryNotFound(NotFound):
    def __init__(self, memory_id: str) -> None:
        super().__init__(
            f"No memory with the id {shown(memory_id)} here. "
            "Use an id that search_memory or add_memory answered."
        )


class EntityNotFound(NotFound):
    def __init__(self, entity: str) -> None:
        super().__init__(
            f"No entity {shown(entity)} here. list_entities without `entity` shows the names that are known."
        )


class SessionNotFound(NotFound):
    def __init__(self, session_id: str) -> None:
        super().__init__(
            f"No memories of a session {shown(session_id)} here. memory://recent shows the latest ones."
        )


class PlanNotFound(NotFound):
    def __init__(self, plan_id: str) -> None:
        super().__init__(
            f"No plan {shown(plan_id)} here. "
            "Call forget without plan_id, with what to forget, to get a new plan."
        )


class PlanExpired(NotFound):
    def __init__(self, plan_id: str, minutes: int) -> None:
        super().__init__(
            f"The plan {shown(plan_id)} is older than {minutes} minutes and nothing was forgotten. "
            "Call forget again with what to forget to get a new plan."
        )


class NothingHidden(NotFound):
    def __init__(self, receipt_id: str) -> None:
        super().__init__(
            f"Nothing is hidden under {shown(receipt_id)} here: it was erased, brought back, or never was. "
            "`mcp-memory unforget` alone lists what can still be brought back."
        )


class TokenNotFound(NotFound):
    def __init__(self, token_id: str) -> None:
        super().__init__(
            f"No token with the id {shown(token_id)}. `mcp-memory token list` shows those there are."
        )


class NotPermitted(McpMemoryError):
    """Who calls may not do this; nothing was stored or changed."""


class OtherUser(NotPermitted):
    """Alike for users there are and users there are not."""

    def __init__(self) -> None:
        super().__init__("user_id: your token is another user's; leave user_id out, or give your own")


class OtherAgent(NotPermitted):
    def __init__(self) -> None:
        super().__init__(
            "agent_id: your token is not this agent's; leave agent_id out, or use a token made with --agent"
        )


class PermissionMissing(NotPermitted):
    def __init__(self, permission: str) -> None:
        super().__init__(f"Your token does not have the scope {permission}; ask for one that has it.")
        self.permission = permission


class TooMuch(McpMemoryError):
    """Nothing was stored or changed."""


class QuotaReached(TooMuch):
    def __init__(self, noun: str, limit: int) -> None:
        super().__init__(
            f"You may keep {limit:,} {noun} and this would be more; nothing was stored. "
            "Forget what is not needed, or ask whoever runs this server for more."
        )


class AnswerTooLarge(TooMuch):
    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"The answer has {size:,} bytes; at most {limit:,} are given. "
            "Ask for less: a smaller limit or max_tokens, or one memory at a time."
        )


class Unavailable(McpMemoryError):
    """Our own failures name folders and addresses of this machine, which nobody elsewhere needs to know."""

    def __init__(self, problem: str = "The memory cannot do this now") -> None:
        super().__init__(f"{problem}; try again in a moment. The server's log says why.")


class ConfigError(McpMemoryError):
    """A setting that cannot be used. Names where it stands, its key, and what is expected; never a secret's
    value."""

    def __init__(self, source: str, key: str, problem: str) -> None:
        where = f"{source}, {key}" if key else source
        super().__init__(f"{where}: {problem}")
        self.source = source
        self.key = key


class StoreError(McpMemoryError):
    """The data folder or one of the stores in it."""


class DataFolderUnusable(StoreError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The data folder {path} cannot be used: {reason}. "
            "Make it writable, or choose another with --data-dir or MCP_MEMORY_DATA_DIR."
        )


class StoreLocked(StoreError):
    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(
            f"The memory in {path} is in use by another mcp-memory process{holder}. "
            "End it with `mcp-memory stop` or close its host, or choose another folder with --data-dir."
        )


class DiskFull(StoreError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The disk that holds {path} is full: nothing was changed. Make room and try again; "
            "everything acknowledged before is safe."
        )


class LedgerDamaged(StoreError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The ledger {path} cannot be read ({reason}). Nothing was changed. "
            "Move the file aside and restore a copy of it; do not delete it."
        )


class LedgerMissing(StoreError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The ledger {path} is missing, but the indexes made from it are there. Put it back or restore a "
            "backup; to begin anew, delete vectors/ and graph/ beside it."
        )


class LedgerTooNew(StoreError):
    def __init__(self, path: Path, found: int, known: int) -> None:
        super().__init__(
            f"The ledger {path} has schema version {found}; this program knows versions up to {known}. "
            "Install the newer mcp-memory-layer that wrote it."
        )


class EmbedderChanged(StoreError):
    def __init__(self, stored: str, configured: str) -> None:
        super().__init__(
            f"The vectors here were made by {stored}, but the configured embedder is {configured}. "
            "Run `mcp-memory rebuild` to embed everything again with it, or set the old embedder back."
        )
        self.stored = stored


class IndexFailed(StoreError):
    """A derived index refused; the ledger is untouched, and a damaged index is made anew from it."""

    def __init__(self, index: str, reason: str) -> None:
        # A panic's own words say nothing to anybody else.
        said = "its files cannot be read" if "panicked" in reason else reason
        super().__init__(
            f"The {index} index failed: {said}. The ledger is safe; what is damaged is made anew from it."
        )
        self.index = index


class IndexOpening(IndexFailed):
    """Nothing is wrong: it is being opened, or made anew."""

    def __init__(self, index: str) -> None:
        McpMemoryError.__init__(
            self, f"The {index} index is being opened or made anew; ask again in a moment."
        )
        self.index = index


class BackupError(McpMemoryError):
    """Nothing was changed."""

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(f"The backup {file}: {problem}")


class OwnerError(McpMemoryError):
    """The process that holds the memory could not be started, or does not answer."""

    def __init__(self, folder: Path, problem: str) -> None:
        super().__init__(
            f"The process that holds the memory in {folder} {problem}. "
            "`mcp-memory doctor` and owner.log in that folder say more; what was acknowledged is safe."
        )


class EmbeddingError(McpMemoryError):
    """Text could not be turned into vectors. What was said is safe in the ledger."""


class ModelMissing(EmbeddingError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The embedding model at {path} cannot be loaded: {reason}. "
            "Reinstall the package, which carries it."
        )


class EmbeddingEndpointFailed(EmbeddingError):
    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"The embedding endpoint {url} failed: {reason}. "
            "Check embedding.base_url, embedding.model and embedding.api_key."
        )


class RerankerFailed(McpMemoryError):
    """The best hits could not be looked at again; they stay in the order they were found in."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"The reranker at {place} failed: {reason}. Check [search.reranker].")


class ExtractionFailed(McpMemoryError):
    """Facts could not be drawn now. The words are safe, and the work waits in the ledger.

    `retry_after` is the pause in seconds that the provider asked for, None when it did not say; `is_final`
    says that trying the same again cannot help before something is changed. `usage` is what was spent on it
    all the same.
    """

    def __init__(
        self,
        provider: str,
        reason: str,
        *,
        retry_after: float | None = None,
        is_final: bool = False,
        usage: Usage = NOTHING_SPENT,
    ) -> None:
        super().__init__(f"Facts could not be drawn by {provider}: {reason}.")
        self.provider = provider
        self.retry_after = retry_after
        self.is_final = is_final
        self.usage = usage


class NoModel(McpMemoryError):
    """What only a language model can do was asked for, and none is configured."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f'{what.capitalize()} needs a language model: set provider = "anthropic" under [extraction] in '
            "config.toml; [llm] says which."
        )


class TokensSpent(ExtractionFailed):
    """Nothing is wrong: the day's tokens are spent, and `retry_after` says when there are more."""

    def __init__(self, provider: str, limit: int, setting: str, retry_after: float) -> None:
        reason = f"today's {limit:,} tokens are spent ({setting}); it goes on tomorrow"
        super().__init__(provider, reason, retry_after=retry_after)


def named(name: str, sentence: str) -> McpMemoryError:
    """The error of that class with that sentence, as another process raised it."""
    kinds: list[type[McpMemoryError]] = [McpMemoryError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    error_type = next((kind for kind in kinds if kind.__name__ == name), McpMemoryError)
    error = error_type.__new__(error_type)
    Exception.__init__(error, sentence)
    return error


def log_crash(logger: logging.Logger, name: str, error: Exception) -> None:
    """Where it crashed, without the error's own words: they may be what is remembered."""
    places = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s crashed with %s:\n%s", name, type(error).__name__, places)


def shown(value: str, limit: int = 60) -> str:
    """A caller's value, quoted for a sentence: one line, escaped, cut at `limit` characters."""
    text = value if len(value) <= limit else value[: limit - 1] + "…"
    return repr(text)

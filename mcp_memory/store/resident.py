"""The rows of a table in memory: the nearest in meaning are found there exactly, and tokens are at hand.

LanceDB reads every vector of a scope from its files for each search: 10 ms of processor time at 10,000
memories, 80 to 125 at 100,000. In memory it is half a millisecond, and 5. An IVF_HNSW_SQ index took 13 to 20
at 100,000 with a recall of .96 to .995, and must be kept up with every write (all measured).
"""

# pyarrow publishes few types; what leaves this module is typed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportUnknownParameterType=false

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mcp_memory.store.candidates import Candidate, Filter

COLUMNS: Final = (
    *("id", "session_id", "role", "speaker", "tokens"),
    *("vector", "owner", "kind", "level", "expires_at", "observed_at"),
)
ROW_BYTES = 500
"""What a row takes beside its vector and its tokens: the objects of Python for its id and the rest."""
TOKEN_BYTES = 64 << 20
"""Up to this size, some 40,000 memories, packed tokens are held as well."""
GROWTH = 1.25

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_About = tuple[str | None, str | None, str | None]
"""What a candidate brings along: session, role, speaker."""


class ResidentRows:
    """Rows of one table, the same as in its files; whoever writes there writes here."""

    def __init__(self, dimension: int, rows: int = 0) -> None:
        """Empty, with room for `rows`."""
        self._ids: list[str] = []
        self._places: dict[str, int] = {}
        self._about: list[_About] = []
        self._tokens: list[bytes | None] = []
        self._token_bytes = 0
        self.lacks_tokens = False
        self._codes: dict[str, int] = {}
        self._vectors = np.empty((rows, dimension), np.float32)
        self._owners = np.empty(rows, np.int32)
        self._kinds = np.empty(rows, np.int32)
        self._levels = np.empty(rows, np.int32)
        self._expires = np.empty(rows, np.int64)
        self._observed = np.empty(rows, np.int64)

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def bytes(self) -> int:
        return self._vectors.nbytes + self._token_bytes + ROW_BYTES * len(self._ids)

    def add(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Rows with `COLUMNS`, none of which is held yet."""
        start, end = len(self._ids), len(self._ids) + rows.num_rows
        if end > len(self._vectors):
            self._resize(max(end, int(len(self._vectors) * GROWTH)))
        flat = _plain(rows, "vector").flatten().to_numpy(zero_copy_only=False)
        self._vectors[start:end] = flat.reshape(rows.num_rows, -1)
        self._owners[start:end] = [self._code(owner) for owner in rows.column("owner").to_pylist()]
        self._kinds[start:end] = [self._code(kind) for kind in rows.column("kind").to_pylist()]
        self._levels[start:end] = [self._code(level) for level in rows.column("level").to_pylist()]
        self._expires[start:end] = _plain(rows, "expires_at").cast(pa.int64()).to_numpy()
        self._observed[start:end] = _plain(rows, "observed_at").cast(pa.int64()).to_numpy()
        columns = (rows.column(name).to_pylist() for name in ("session_id", "role", "speaker"))
        about: list[_About] = list(zip(*columns, strict=True))
        self._about += about
        packed: list[bytes | None] = [None] * rows.num_rows
        if not self.lacks_tokens:
            packed = rows.column("tokens").to_pylist()
        self._tokens += packed
        self._token_bytes += sum(len(one or b"") for one in packed)
        if self._token_bytes > TOKEN_BYTES:
            self._tokens = [None] * end
            self._token_bytes, self.lacks_tokens = 0, True
        ids: list[str] = rows.column("id").to_pylist()
        self._ids += ids
        self._places.update(zip(ids, range(start, end), strict=True))

    def remove(self, ids: Collection[str]) -> None:
        """Forget these; those that are not here are none."""
        gone = {self._places[one] for one in ids if one in self._places}
        if not gone:
            return
        keep = np.array([place for place in range(len(self._ids)) if place not in gone], np.intp)
        for name in _ARRAYS:
            setattr(self, name, getattr(self, name)[keep])
        self._ids = [self._ids[place] for place in keep]
        self._about = [self._about[place] for place in keep]
        self._tokens = [self._tokens[place] for place in keep]
        self._token_bytes = sum(len(one or b"") for one in self._tokens)
        self._places = {one: place for place, one in enumerate(self._ids)}

    def nearest(self, vector: NDArray[np.float32], where: Filter, limit: int) -> tuple[Candidate, ...]:
        """The nearest in meaning of those that pass; score is the cosine."""
        places = np.flatnonzero(self._passing(where))
        if len(places) == len(self._ids):
            scores = self._vectors[: len(self._ids)] @ vector
        else:
            scores = self._vectors[places] @ vector
        if len(scores) > limit:
            best = np.argpartition(-scores, limit)[:limit]
            places, scores = places[best], scores[best]
        order = np.argsort(-scores, kind="stable")
        return tuple(
            Candidate(self._ids[place], score, *self._about[place])
            for place, score in zip(places[order].tolist(), scores[order].tolist(), strict=True)
        )

    def tokens(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The packed tokens of these, by id."""
        places = ((one, self._places.get(one)) for one in ids)
        return {one: packed for one, place in places if place is not None and (packed := self._tokens[place])}

    def _passing(self, where: Filter) -> NDArray[np.bool_]:
        """The same as the filter expression of the table."""
        count = len(self._ids)
        owners = [self._codes.get(owner, -1) for owner in where.scope.owners]
        passing = np.isin(self._owners[:count], owners) & (self._expires[:count] > _moment(where.now))
        if where.kinds:
            passing &= np.isin(self._kinds[:count], [self._codes.get(kind, -1) for kind in where.kinds])
        if where.levels:
            passing &= np.isin(self._levels[:count], [self._codes.get(level, -1) for level in where.levels])
        if where.since is not None:
            passing &= self._observed[:count] >= _moment(where.since)
        if where.until is not None:
            passing &= self._observed[:count] <= _moment(where.until)
        if where.ids is not None:
            named = np.zeros(count, np.bool_)
            named[[self._places[one] for one in where.ids if one in self._places]] = True
            passing &= named
        return passing

    def _code(self, word: str) -> int:
        return self._codes.setdefault(word, len(self._codes))

    def _resize(self, rows: int) -> None:
        for name in _ARRAYS:
            old = getattr(self, name)
            new = np.empty((rows, *old.shape[1:]), old.dtype)
            new[: len(self._ids)] = old[: len(self._ids)]
            setattr(self, name, new)


_ARRAYS = ("_vectors", "_owners", "_kinds", "_levels", "_expires", "_observed")


def _moment(moment: datetime) -> int:
    """Microseconds since 1970, as the table keeps them."""
    return (moment - _EPOCH) // _MICROSECOND


def _plain(rows: pa.Table | pa.RecordBatch, name: str) -> Any:
    column: Any = rows.column(name)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column

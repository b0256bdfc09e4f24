"""What of a request to remember is let in: all of it but the secrets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal, assert_never

from pydantic import JsonValue

from mcp_memory.errors import InvalidInput
from mcp_memory.guard.secrets import find_secrets, guarded
from mcp_memory.models import MAX_IDENTIFIER, AddRequest, NewEntity, NewMessage, NewRelation

Mode = Literal["mask", "refuse", "allow"]
"""What becomes of secrets: they are blotted out, refused with the whole request, or kept."""
_Known = Mapping[str, str]
"""The secrets of a request, and the kind of each."""


def admit(request: AddRequest, mode: Mode) -> tuple[AddRequest, tuple[str, ...]]:
    """The request as it may be stored, and sentences that say what was changed in it.

    Texts, speakers and metadata are masked, with what one text says to be a secret and another repeats;
    entities, aliases and relations that hold a secret are left out, for a mask is nobody's name. Without a
    secret, and with `allow`, it is the very same request. Raises InvalidInput with `refuse`.
    """
    match mode:
        case "allow":
            return request, ()
        case "refuse":
            _refuse_secrets(request)
            return request, ()
        case "mask":
            known = {
                text[secret.start : secret.end]: secret.kind
                for _, text in _texts(request)
                for secret in find_secrets(text)
            }
            return _masked(request, known) if known else (request, ())
        case _:
            assert_never(mode)


def _refuse_secrets(request: AddRequest) -> None:
    for field, text in _texts(request):
        if found := find_secrets(text):
            raise InvalidInput(
                field,
                f"there is a secret in it ({found[0].kind}), so nothing was stored; say it again without, "
                'or set `secrets` under [guard] to "mask" to have it blotted out',
            )


def _texts(request: AddRequest) -> Iterator[tuple[str, str]]:
    """All that is said, by field. What only two parts say together is read as one: {"password": "…"}."""
    if request.content is not None:
        yield "content", request.content
    for message in request.messages:
        yield "messages", message.content
        if message.name is not None:
            yield "messages", message.name
    for entity in request.entities:
        yield from (("entities", name) for name in (entity.name, *entity.aliases))
    for relation in request.relations:
        yield from (("relations", text) for text in _relation_texts(relation))
    yield from (("metadata", text) for text in _metadata_texts(request.metadata))


def _relation_texts(relation: NewRelation) -> tuple[str, ...]:
    return relation.subject, relation.predicate, _told(relation.predicate, relation.object)


def _metadata_texts(value: JsonValue, key: str = "") -> Iterator[str]:
    match value:
        case dict():
            for name, inner in value.items():
                yield name
                yield from _metadata_texts(inner, name)
        case list():
            for inner in value:
                yield from _metadata_texts(inner, key)
        case bool() | float() | None:
            return
        case _:
            yield _told(key, value)


def _told(name: str, value: str | int) -> str:
    return f"{name}: {value}"


def _masked(request: AddRequest, known: _Known) -> tuple[AddRequest, tuple[str, ...]]:
    entities = tuple(
        _without_secret_aliases(one, known) for one in request.entities if not _holds(known, one.name)
    )
    relations = tuple(
        one for one in request.relations if not _holds(known, *_relation_texts(one), one.object)
    )
    admitted = request.model_copy(
        update={
            "content": None if request.content is None else guarded(request.content, known).text,
            "messages": tuple(_masked_message(message, known) for message in request.messages),
            "entities": entities,
            "relations": relations,
            "metadata": _masked_metadata(request.metadata, known),
        }
    )
    left_out = len(request.entities) + len(request.relations) - len(entities) - len(relations)
    return admitted, tuple(_sentences(known, left_out))


def _masked_message(message: NewMessage, known: _Known) -> NewMessage:
    name = None if message.name is None else guarded(message.name, known).text[:MAX_IDENTIFIER]
    return message.model_copy(update={"content": guarded(message.content, known).text, "name": name})


def _holds(known: _Known, *texts: str) -> bool:
    return any(text in known or guarded(text, known).found for text in texts)


def _without_secret_aliases(entity: NewEntity, known: _Known) -> NewEntity:
    aliases = tuple(alias for alias in entity.aliases if not _holds(known, alias))
    return entity.model_copy(update={"aliases": aliases})


def _masked_metadata(value: JsonValue, known: _Known, key: str = "") -> JsonValue:
    match value:
        case dict():
            return {
                guarded(name, known).text: _masked_metadata(inner, known, name)
                for name, inner in value.items()
            }
        case list():
            return [_masked_metadata(inner, known, key) for inner in value]
        case bool() | float() | None:
            return value
        case _:
            told = guarded(_told(key, value), known)
            alone = guarded(str(value), known)
            is_told = told.text.startswith(prefix := _told(key, ""))
            masked = told.text.removeprefix(prefix) if is_told else alone.text
            return value if masked == str(value) else masked


def _sentences(known: _Known, left_out: int) -> Iterator[str]:
    kinds = Counter(known.values())
    named = ", ".join(kind if count == 1 else f"{count} × {kind}" for kind, count in kinds.items())
    secrets = "1 secret was" if len(known) == 1 else f"{len(known)} secrets were"
    yield f"{secrets} blotted out before anything was stored ({named})"
    if left_out:
        names = "1 entity or relation" if left_out == 1 else f"{left_out} entities and relations"
        yield f"{names} left out, with a secret for a name"

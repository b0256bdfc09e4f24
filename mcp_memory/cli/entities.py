"""Commands about who and what is known: list, show, merge, split, review, apart."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mcp_memory.cli.command import AsJson, app, print_result, progress, with_memory
from mcp_memory.models import EntitiesRequest, parse


class _EntityCommands(TyperGroup):
    """`entities merge A B` and the like; without such a word a list, or the entity that is named."""

    # Typer brings the context's class under a name that is not public.
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [_ANY, *args]
        return super().parse_args(ctx, args)


_ANY = "any"

_entities = typer.Typer(
    cls=_EntityCommands,
    help="List who and what is known, show one, and say who is one and who is two.",
    epilog="Example: mcp-memory entities Ann",
    rich_markup_mode=None,
)

app.add_typer(_entities, name="entities")

EntityName = Annotated[str, typer.Argument(help="A name, alias or id.")]

NamePart = Annotated[str | None, typer.Option(help="Part of a name, or what they have to do with.")]

OfType = Annotated[list[str] | None, typer.Option("--type", help="Only this type; may be repeated.")]

PageSize = Annotated[int, typer.Option(help="1 to 100.")]

ToSkip = Annotated[int, typer.Option(help="Entities to skip.")]


@_entities.command(_ANY, hidden=True)
def entities(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="One entity whole: its name, alias or id.")] = None,
    query: NamePart = None,
    entity_type: OfType = None,
    limit: PageSize = 20,
    offset: ToSkip = 0,
    as_json: AsJson = False,
) -> None:
    """List who and what is known, or show one with its facts and relations."""
    request = parse(
        EntitiesRequest,
        {"entity": name, "query": query, "types": entity_type or [], "limit": limit, "offset": offset},
    )
    result = with_memory(context, lambda memory, scope: memory.entities(scope, request))
    from mcp_memory import text as shown

    print_result(result, as_json, lambda: [shown.entities(result, offset)])


@_entities.command("list", epilog="Example: mcp-memory entities list --type person --query garden")
def list_entities(
    context: typer.Context,
    query: NamePart = None,
    entity_type: OfType = None,
    limit: PageSize = 20,
    offset: ToSkip = 0,
    as_json: AsJson = False,
) -> None:
    """List who and what is known, most mentioned first."""
    entities(context, None, query, entity_type, limit, offset, as_json)


@_entities.command("show", epilog="Example: mcp-memory entities show Ann")
def show_entity(context: typer.Context, name: EntityName, as_json: AsJson = False) -> None:
    """Show one with its facts, relations and timeline."""
    entities(context, name, as_json=as_json)


@_entities.command("merge", epilog='Example: mcp-memory entities merge "Ann Miller" Annie')
def merge_entities(
    context: typer.Context,
    kept: Annotated[str, typer.Argument(help="Whose name is shown from now on: a name, alias or id.")],
    gone: Annotated[str, typer.Argument(help="The same one, under another name.")],
    as_json: AsJson = False,
) -> None:
    """Let two be one; `split` takes it back."""
    done = with_memory(context, lambda memory, scope: memory.merge_entities(scope, kept, gone))
    from mcp_memory import text as shown

    print_result(done, as_json, lambda: [shown.merged(done)])


@_entities.command("split", epilog="Example: mcp-memory entities split Annie")
def split_entity(context: typer.Context, name: EntityName, as_json: AsJson = False) -> None:
    """Take a merge back, by the name or id of who was merged."""
    done = with_memory(context, lambda memory, scope: memory.split_entity(scope, name))
    from mcp_memory import text as shown

    print_result(done, as_json, lambda: [shown.was_split(done)])


@_entities.command("review", epilog="Example: mcp-memory entities review --limit 5")
def review_entities(context: typer.Context, limit: PageSize = 20, as_json: AsJson = False) -> None:
    """List pairs that may be one, likeliest first, with why."""
    with progress("comparing names"):
        result = with_memory(context, lambda memory, scope: memory.review_entities(scope, limit))
    from mcp_memory import text as shown

    print_result(result, as_json, lambda: [shown.reviewed(result)])


@_entities.command("apart", epilog="Example: mcp-memory entities apart Ann Anna")
def part_entities(
    context: typer.Context, one: EntityName, other: EntityName, as_json: AsJson = False
) -> None:
    """Say that two are two, so that `review` asks no more."""
    done = with_memory(context, lambda memory, scope: memory.part_entities(scope, one, other))
    from mcp_memory import text as shown

    print_result(done, as_json, lambda: [shown.parted(done)])

"""The Model Context Protocol over a memory: tools, resources, prompts, completion and update
notifications."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import anyio
import anyio.to_thread
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.stdio import stdio_server
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    DiscoverResult,
    EmptyResult,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    PromptsCapability,
    ReadResourceRequestParams,
    ReadResourceResult,
    RequestParams,
    ResourceTemplateReference,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    TextContent,
    ToolsCapability,
    UnsubscribeRequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_memory import __version__
from mcp_memory.config import Config
from mcp_memory.errors import InvalidInput, McpMemoryError, NotFound, NotPermitted, TooMuch, log_crash, shown
from mcp_memory.models import Scope
from mcp_memory.prompting import PromptFile
from mcp_memory.server import resources
from mcp_memory.server.handle import MemoryHandle, MemoryService
from mcp_memory.server.prompts import Prompts
from mcp_memory.server.tools import TOOLS, Call
from mcp_memory.server.unreadable import AnsweredStream
from mcp_memory.server.watching import Watchers

__all__ = [
    "MemoryHandle",
    "MemoryServer",
    "MemoryService",
    "Visitor",
    "create_server",
    "run_stdio",
]

logger = logging.getLogger(__name__)

_Context = ServerRequestContext[None, Any]


@dataclass(frozen=True, slots=True)
class Visitor:
    """On whose behalf a message is handled: what is meant when it does not say, and the memory as they may
    use it."""

    scope: Scope
    memory: Callable[[MemoryService], MemoryService] = lambda memory: memory


def create_server(handle: MemoryHandle, config: Config) -> Server[None]:
    """A server over the memory behind `handle`, for whoever may use all of it. Without arguments a call is
    about the configured scope.

    Raises ConfigError for a prompt file that does not hold together.
    """
    scope = Scope(user_id=config.user_id, agent_id=config.agent_id, session_id=config.session_id)
    return MemoryServer(handle, config, lambda _: Visitor(scope)).server


async def run_stdio(config: Config) -> None:
    """Serve the memory of `config` over stdin and stdout until stdin closes."""
    _log_to_stderr(config)
    # Whatever mode the folder has: what is remembered is for this user alone.
    os.umask(0o077)

    @asynccontextmanager
    async def open_memory() -> AsyncGenerator[MemoryService]:
        # Imported now and in a thread, while the loop goes on answering.
        if config.in_process:
            service = await anyio.to_thread.run_sync(import_module, "mcp_memory.service")
            async with service.Service.open(config) as memory:
                yield memory
        else:
            client = await anyio.to_thread.run_sync(import_module, "mcp_memory.client")
            async with client.OwnerClient.open(config) as memory:
                yield memory

    try:
        async with MemoryHandle.holding(open_memory) as handle:
            server = create_server(handle, config)
            async with stdio_server() as (read_stream, write_stream):
                # A client of the handshake era hears of changed lists only if it was told that it would.
                options = server.create_initialization_options(NotificationOptions(resources_changed=True))
                await server.run(AnsweredStream(read_stream, write_stream), write_stream, options)
    except* (BrokenPipeError, ConnectionResetError):
        logger.info("the host is gone")
        # What is still buffered can reach nobody, and Python would say so when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class MemoryServer:
    """The handlers of one server. `visitor` says on whose behalf a message is handled, by the request that
    brought it: None over stdio."""

    def __init__(self, handle: MemoryHandle, config: Config, visitor: Callable[[Any], Visitor]) -> None:
        self._handle = handle
        self._visitor = visitor
        self._tools = {tool.name: tool for tool in TOOLS}
        self._definitions = [tool.definition for tool in TOOLS]
        self._prompts = Prompts(config.prompts_dir)
        self.watchers = Watchers()
        handle.news.subscribe(self.watchers.tell)
        self.server: Server[None] = Server(
            "mcp-memory",
            title="Memory",
            version=__version__,
            instructions=PromptFile("instructions", own=config.prompts_dir).fill(),
            lifespan=_nothing_of_its_own,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_resource_templates,
            on_read_resource=self._read_resource,
            on_subscribe_resource=self._subscribe,
            on_unsubscribe_resource=self._unsubscribe,
            on_subscriptions_listen=self._listen,
            on_list_prompts=self._list_prompts,
            on_get_prompt=self._get_prompt,
            on_completion=self._complete,
        )
        # Derived from the handlers alone, it would promise news of tools and prompts, which never change.
        self.server.add_request_handler("server/discover", RequestParams, self._discover)
        self.server.middleware.append(self._begin_to_open)
        # Else the SDK asks for the whole list before each call that comes by HTTP.
        self.server.get_tool_input_schema = self._input_schema

    def _input_schema(self, name: str) -> dict[str, Any] | None:
        return next((one.input_schema for one in self._definitions if one.name == name), None)

    async def _begin_to_open(self, ctx: _Context, call_next: Callable[[_Context], Awaitable[Any]]) -> Any:
        """Answer first, then open the memory: a host waits for the first answer, and importing takes
        seconds."""
        self.watchers.met(ctx, self._visitor(ctx.request).scope.user_id)
        try:
            return await call_next(ctx)
        finally:
            self._handle.start()

    async def _discover(self, ctx: _Context, _: RequestParams) -> DiscoverResult:
        derived = self.server.get_capabilities(protocol_version=ctx.protocol_version)
        fixed = {
            "tools": ToolsCapability(list_changed=False),
            "prompts": PromptsCapability(list_changed=False),
        }
        return DiscoverResult(
            supported_versions=list(MODERN_PROTOCOL_VERSIONS),
            capabilities=derived.model_copy(update=fixed),
            instructions=self.server.instructions,
        )

    async def _list_tools(self, _: _Context, __: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=self._definitions)

    async def _call_tool(self, ctx: _Context, params: CallToolRequestParams) -> CallToolResult:
        """A mistake becomes a sentence the assistant can act on; a crash is logged whole and told as no more
        than that."""
        tool = self._tools.get(params.name)
        if tool is None:
            raise MCPError(
                INVALID_PARAMS, f"No tool {shown(params.name)}; there are {', '.join(self._tools)}."
            )
        try:
            visitor = self._visitor(ctx.request)
            service = await self._handle.service()
            call = Call(visitor.memory(service), visitor.scope, _client_name(ctx))
            return await tool.call(call, params.arguments or {})
        except McpMemoryError as error:
            return _refused(str(error))
        except Exception as error:  # noqa: BLE001 - the outermost loop of a call: one crash ends no server
            log_crash(logger, params.name, error)
            return _refused(f"{params.name} failed inside the memory server; its log on stderr says why.")

    async def _list_resources(
        self, ctx: _Context, params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        return await _protocol_errors(
            self._with_memory(ctx, resources.list_resources, params.cursor if params else None)
        )

    async def _list_resource_templates(
        self, _: _Context, __: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        return resources.TEMPLATES

    async def _read_resource(self, ctx: _Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        return await _protocol_errors(
            self._with_memory(ctx, resources.read_resource, params.uri), uri=params.uri
        )

    async def _subscribe(self, ctx: _Context, params: SubscribeRequestParams) -> EmptyResult:
        self.watchers.watch(ctx, params.uri)
        return EmptyResult()

    async def _unsubscribe(self, ctx: _Context, params: UnsubscribeRequestParams) -> EmptyResult:
        self.watchers.unwatch(ctx, params.uri)
        return EmptyResult()

    async def _listen(
        self, ctx: _Context, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        return await self.watchers.listen(ctx, params, self._visitor(ctx.request).scope.user_id)

    async def _list_prompts(self, _: _Context, __: PaginatedRequestParams | None) -> ListPromptsResult:
        return ListPromptsResult(prompts=self._prompts.list())

    async def _get_prompt(self, _: _Context, params: GetPromptRequestParams) -> GetPromptResult:
        async def get() -> GetPromptResult:
            return self._prompts.get(params.name, params.arguments or {})

        return await _protocol_errors(get())

    async def _complete(self, ctx: _Context, params: CompleteRequestParams) -> CompleteResult:
        value = params.argument.value
        match params.ref:
            case ResourceTemplateReference(uri=uri):
                completion = await _protocol_errors(self._with_memory(ctx, resources.complete, uri, value))
            case _:
                # Both prompts ask for a subject, and a subject is mostly an entity.
                completion = await _protocol_errors(self._with_memory(ctx, _entity_names, value))
        return CompleteResult(completion=completion)

    async def _with_memory(self, ctx: _Context, work: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        visitor = self._visitor(ctx.request)
        return await work(visitor.memory(await self._handle.service()), visitor.scope, *arguments)


@asynccontextmanager
async def _nothing_of_its_own(_: Server[None]) -> AsyncGenerator[None]:
    """A connection holds nothing: over HTTP many share one of these."""
    yield None


async def _entity_names(memory: MemoryService, scope: Scope, prefix: str) -> Completion:
    request = resources.EntitiesRequest.model_construct(query=prefix or None, limit=resources.COMPLETIONS)
    found = await memory.entities(scope, request)
    return Completion(values=[one.name for one in found.entities], has_more=found.total > len(found.entities))


async def _protocol_errors(work: Awaitable[Any], **data: str) -> Any:
    """Our errors as JSON-RPC's: what the caller can mend is -32602, what the store refuses -32603."""
    try:
        return await work
    except (InvalidInput, NotFound, NotPermitted, TooMuch) as error:
        raise MCPError(INVALID_PARAMS, str(error), data or None) from error
    except McpMemoryError as error:
        raise MCPError(INTERNAL_ERROR, str(error), data or None) from error


def _refused(sentence: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=sentence)], is_error=True)


def _client_name(ctx: _Context) -> str | None:
    params = ctx.session.client_params
    return params.client_info.name if params else None


def _log_to_stderr(config: Config) -> None:
    # Of other libraries only errors: their lower levels repeat arguments, which are what is remembered.
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("mcp_memory").setLevel(config.log_level)

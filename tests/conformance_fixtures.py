"""What the protocol's conformance suite asks for by name, to be added to our own server: so that its
transport, its callers and its limits meet scenarios which a memory has no tools for."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, cast

import anyio
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    ClientCapabilities,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    MissingRequiredClientCapabilityErrorData,
    SamplingCapability,
    SamplingMessage,
    SetLevelRequestParams,
    TextContent,
    TextResourceContents,
    Tool,
)
from pydantic import Field

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
SILENCE = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="
STEP_SECONDS = 0.05
THEIRS = ("test_", "test://static", "test://template", "test://watched")

SCHEMA_TOOL = Tool(
    name="json_schema_2020_12_tool",
    description="Is listed with all that a schema may say, and never called.",
    input_schema={
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            }
        },
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
)

fixtures = MCPServer("conformance-fixtures", log_level="ERROR")
_Asked = str | InputRequiredResult


def extend(server: Server[None]) -> None:
    """Let `server` answer for the fixtures too."""
    # The only door to what the decorators below have registered.
    theirs = fixtures._lowlevel_server  # pyright: ignore[reportPrivateUsage]
    for method, field in (
        ("tools/list", "tools"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resource_templates"),
        ("prompts/list", "prompts"),
    ):
        _join(server, theirs, method, _both(field))
    for method, name in (("tools/call", "name"), ("prompts/get", "name"), ("resources/read", "uri")):
        _join(server, theirs, method, _by(name))
    server.add_request_handler("logging/setLevel", SetLevelRequestParams, _set_level)
    server.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience="tests"))
    our_schema, their_schema = server.get_tool_input_schema, theirs.get_tool_input_schema
    assert our_schema is not None
    assert their_schema is not None

    def schema(name: str) -> Mapping[str, Any] | None:
        return our_schema(name) or their_schema(name)

    server.get_tool_input_schema = schema


_Handler = Callable[[ServerRequestContext[Any, Any], Any], Awaitable[Any]]


def _join(
    server: Server[None], theirs: Server[Any], method: str, joined: Callable[[_Handler, _Handler], _Handler]
) -> None:
    ours, others = server.get_request_handler(method), theirs.get_request_handler(method)
    assert ours is not None
    assert others is not None
    handler = joined(cast(_Handler, ours.handler), cast(_Handler, others.handler))
    server.add_request_handler(method, cast(Any, ours.params_type), handler)


def _both(field: str) -> Callable[[_Handler, _Handler], _Handler]:
    def joined(ours: _Handler, theirs: _Handler) -> _Handler:
        async def handle(ctx: ServerRequestContext[Any, Any], params: Any) -> Any:
            answer = await ours(ctx, params)
            if getattr(answer, "next_cursor", None) is not None:
                return answer
            more = getattr(await theirs(ctx, None), field)
            schemas = [SCHEMA_TOOL] if field == "tools" else []
            return answer.model_copy(update={field: [*getattr(answer, field), *more, *schemas]})

        return handle

    return joined


def _by(name: str) -> Callable[[_Handler, _Handler], _Handler]:
    def joined(ours: _Handler, theirs: _Handler) -> _Handler:
        async def handle(ctx: ServerRequestContext[Any, Any], params: Any) -> Any:
            is_theirs = str(getattr(params, name)).startswith(THEIRS)
            return await (theirs if is_theirs else ours)(ctx, params)

        return handle

    return joined


async def _set_level(_: ServerRequestContext[Any, Any], __: SetLevelRequestParams) -> EmptyResult:
    return EmptyResult()


@fixtures.tool(structured_output=False)
def test_simple_text() -> str:
    """Says one sentence."""
    return "This is a simple text response for testing."


@fixtures.tool(structured_output=False)
def test_image_content() -> ImageContent:
    """Shows one pixel."""
    return ImageContent(data=PIXEL, mime_type="image/png")


@fixtures.tool(structured_output=False)
def test_audio_content() -> AudioContent:
    """Plays nothing."""
    return AudioContent(data=SILENCE, mime_type="audio/wav")


@fixtures.tool(structured_output=False)
def test_embedded_resource() -> EmbeddedResource:
    """Carries a resource."""
    return _embedded("test://embedded-resource", "This is an embedded resource content.")


@fixtures.tool(structured_output=False)
def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    """Carries one of each."""
    return [
        TextContent(text="Multiple content types test:"),
        ImageContent(data=PIXEL, mime_type="image/png"),
        _embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
    ]


@fixtures.tool(structured_output=False)
def test_error_handling() -> str:
    """Always fails."""
    raise ToolError("This tool intentionally returns an error for testing")


@fixtures.tool(structured_output=False)
async def test_tool_with_logging(ctx: Context) -> str:
    """Logs three times while it works."""
    for sentence in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await _log(ctx, sentence)
        await anyio.sleep(STEP_SECONDS)
    return "Logged."


@fixtures.tool(structured_output=False)
async def test_logging_tool(ctx: Context) -> str:
    """Logs once, to whoever asked for logs."""
    await _log(ctx, "Working")
    return "Logged."


@fixtures.tool(structured_output=False)
async def test_tool_with_progress(ctx: Context) -> str:
    """Reports how far it is."""
    for progress in (0, 50, 100):
        await ctx.report_progress(progress, 100)
        await anyio.sleep(STEP_SECONDS)
    return "Done."


@fixtures.tool(structured_output=False)
async def test_sampling(prompt: str, ctx: Context) -> str:
    """Asks the client's model."""
    # The handshake era, which this suite looks at too, has no other way.
    said = await ctx.session.create_message(  # pyright: ignore[reportDeprecated]
        messages=[SamplingMessage(role="user", content=TextContent(text=prompt))],
        max_tokens=100,
        related_request_id=ctx.request_id,
    )
    return f"LLM response: {said.content.text if isinstance(said.content, TextContent) else 'no text'}"


@fixtures.tool(structured_output=False)
async def test_elicitation(message: str, ctx: Context) -> str:
    """Asks the user."""
    return await _elicited(ctx, message, _form(username="string", email="string"))


@fixtures.tool(structured_output=False)
async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    """Asks the user, with an answer proposed for every primitive type."""
    proposed = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return await _elicited(ctx, "Who are you?", {"type": "object", "properties": proposed})


@fixtures.tool(structured_output=False)
async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    """Asks the user to choose, in the five ways there are."""
    plain = ["option1", "option2", "option3"]
    titled = [{"const": f"value{number}", "title": f"Choice {number}"} for number in (1, 2, 3)]
    choices = {
        "untitledSingle": {"type": "string", "enum": plain},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["One", "Two"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }
    return await _elicited(ctx, "Which?", {"type": "object", "properties": choices})


@fixtures.tool(structured_output=False)
def test_missing_capability(ctx: Context) -> str:
    """Needs a client that samples."""
    capabilities = ctx.client_capabilities
    if capabilities is None or capabilities.sampling is None:
        needed = ClientCapabilities(sampling=SamplingCapability())
        data = MissingRequiredClientCapabilityErrorData(required_capabilities=needed)
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            "This tool needs sampling.",
            data.model_dump(by_alias=True, exclude_none=True),
        )
    return "You can sample."


@fixtures.tool(structured_output=False)
def test_region(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    """Takes an argument that intermediaries may read."""
    return region


@fixtures.tool(structured_output=False)
def test_streaming_elicitation(ctx: Context) -> _Asked:
    """Asks within the answer."""
    return _name_of(ctx)


@fixtures.tool(structured_output=False)
def test_input_required_result_elicitation(ctx: Context) -> _Asked:
    """Asks for a name."""
    return _name_of(ctx)


@fixtures.tool(structured_output=False)
def test_input_required_result_sampling(ctx: Context) -> _Asked:
    """Asks the client's model."""
    said = (ctx.input_responses or {}).get("capital_question")
    if isinstance(said, CreateMessageResult) and isinstance(said.content, TextContent):
        return said.content.text
    return InputRequiredResult(input_requests={"capital_question": _sample("What is the capital of France?")})


@fixtures.tool(structured_output=False)
def test_input_required_result_list_roots(ctx: Context) -> _Asked:
    """Asks where the client works."""
    said = (ctx.input_responses or {}).get("client_roots")
    if isinstance(said, ListRootsResult):
        return ", ".join(str(root.uri) for root in said.roots)
    return InputRequiredResult(input_requests={"client_roots": ListRootsRequest()})


@fixtures.tool(structured_output=False)
def test_input_required_result_request_state(ctx: Context) -> _Asked:
    """Asks, and knows again that it did."""
    return _confirmed(ctx)


@fixtures.tool(structured_output=False)
def test_input_required_result_tampered_state(ctx: Context) -> _Asked:
    """The same, asked with a state that somebody changed."""
    return _confirmed(ctx)


@fixtures.tool(structured_output=False)
def test_input_required_result_multiple_inputs(ctx: Context) -> _Asked:
    """Asks three things at once."""
    needed: dict[str, InputRequest] = {
        "user_name": _ask("What is your name?", name="string"),
        "greeting": _sample("Generate a greeting"),
        "client_roots": ListRootsRequest(),
    }
    if needed.keys() <= (ctx.input_responses or {}).keys():
        return "All is answered."
    return InputRequiredResult(input_requests=needed, request_state="three")


@fixtures.tool(structured_output=False)
def test_input_required_result_multi_round(ctx: Context) -> _Asked:
    """Asks one thing after the other."""
    given = ctx.input_responses or {}
    name, color = given.get("step1"), given.get("step2")
    if ctx.request_state is None or (ctx.request_state == "first" and not isinstance(name, ElicitResult)):
        asked = _ask("Step 1: What is your name?", name="string")
        return InputRequiredResult(input_requests={"step1": asked}, request_state="first")
    if not isinstance(color, ElicitResult):
        asked = _ask("Step 2: What is your favorite color?", color="string")
        return InputRequiredResult(input_requests={"step2": asked}, request_state="second")
    return "All is answered."


@fixtures.tool(structured_output=False)
def test_input_required_result_capabilities(ctx: Context) -> InputRequiredResult:
    """Asks only what the client can answer."""
    capabilities = ctx.client_capabilities
    assert capabilities is not None
    needed: dict[str, InputRequest] = {}
    if capabilities.sampling is not None:
        needed["greeting"] = _sample("Generate a greeting")
    if capabilities.elicitation is not None:
        needed["user_name"] = _ask("What is your name?", name="string")
    return InputRequiredResult(input_requests=needed, request_state="some")


@fixtures.resource("test://static-text", mime_type="text/plain")
def static_text() -> str:
    """A text."""
    return "This is the content of the static text resource."


@fixtures.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    """A picture."""
    return base64.b64decode(PIXEL)


@fixtures.resource("test://watched-resource", mime_type="text/plain")
def watched() -> str:
    """What can be watched."""
    return "Watched."


@fixtures.resource("test://template/{id}/data", mime_type="application/json")
def templated(id: str) -> str:
    """Data of one id."""
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


@fixtures.prompt()
def test_simple_prompt() -> str:
    """One sentence."""
    return "This is a simple prompt for testing."


@fixtures.prompt()
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """A sentence with two gaps."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@fixtures.prompt()
def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:
    """Carries a resource."""
    embedded = _embedded(resourceUri, "Embedded resource content for testing.")
    return [UserMessage(embedded), UserMessage("Please process the embedded resource above.")]


@fixtures.prompt()
def test_prompt_with_image() -> list[UserMessage]:
    """Carries a picture."""
    picture = ImageContent(data=PIXEL, mime_type="image/png")
    return [UserMessage(picture), UserMessage("Please analyze the image above.")]


@fixtures.prompt()
def test_input_required_result_prompt(ctx: Context) -> str | InputRequiredResult:
    """Asks what it is about."""
    said = (ctx.input_responses or {}).get("user_context")
    if isinstance(said, ElicitResult):
        return f"Use this context: {said.content}"
    asked = _ask("What context should the prompt use?", context="string")
    return InputRequiredResult(input_requests={"user_context": asked})


async def _log(ctx: Context, sentence: str) -> None:
    await ctx.info(sentence)  # pyright: ignore[reportDeprecated] - the handshake era has it still


def _name_of(ctx: Context) -> _Asked:
    said = (ctx.input_responses or {}).get("user_name")
    if isinstance(said, ElicitResult) and said.content is not None:
        return f"Hello, {said.content['name']}!"
    return InputRequiredResult(input_requests={"user_name": _ask("What is your name?", name="string")})


def _confirmed(ctx: Context) -> _Asked:
    if ctx.input_responses and ctx.request_state == "asked":
        return "state-ok"
    asked = _ask("Please confirm", ok="boolean")
    return InputRequiredResult(input_requests={"confirm": asked}, request_state="asked")


async def _elicited(ctx: Context, message: str, schema: dict[str, Any]) -> str:
    said = await ctx.session.elicit_form(message, schema, ctx.request_id)
    return f"User response: action={said.action}, content={json.dumps(said.content)}"


def _ask(message: str, **properties: str) -> ElicitRequest:
    params = ElicitRequestFormParams(message=message, requested_schema=_form(**properties))
    return ElicitRequest(params=params)


def _form(**properties: str) -> dict[str, Any]:
    typed = {name: {"type": type_} for name, type_ in properties.items()}
    return {"type": "object", "properties": typed, "required": list(properties)}


def _sample(question: str) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(text=question))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=100))


def _embedded(uri: str, text: str, mime_type: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))

"""The fixture of ../README.md, served over stdio by the official Python SDK: all revisions, one body for both eras.

With `--http` it listens on a port of its own, prints its URL, and ends when its input does. By the HTTP of the first revision it
serves there at `/sse`.
"""

import base64
import functools
import os
import socket
import sys
import warnings
from typing import Annotated

import anyio
import mcp_types as types
import uvicorn
from mcp.server.elicitation import AcceptedElicitation
from mcp.server.lowlevel.server import NotificationOptions
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import AssistantMessage, UserMessage
from mcp.server.mcpserver.resolve import Elicit, ElicitationResult, ListRoots, Resolve, Sample
from mcp.server.sse import SseServerTransport
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http import EventMessage, EventStore
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.routing import Mount, Route

warnings.filterwarnings("ignore", category=MCPDeprecationWarning)

MODERN = "2026-07-28"
PAGE = 10
BYTES = bytes(range(256))
PIXEL = base64.b64encode(BYTES).decode()
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
NOTES = ("1", "10", "11", "12", "2", "3")
STYLES = ("formal", "friendly", "frank", "short")

server = MCPServer(
    "interop-python",
    version="1.0",
    instructions="Call tools, read resources, get prompts.",
    log_level="CRITICAL",
)
low = server._lowlevel_server


class State:
    """What the server remembers. One process serves one connection, so this is the connection's state too."""

    slow_was_cancelled = False
    level = "debug"
    subscribed = set()
    released = anyio.Semaphore(0)


class Weather(BaseModel):
    """What `weather` answers."""

    city: str
    celsius: float


class Form(BaseModel):
    """What the person is asked for."""

    ok: bool
    name: str


@server.tool(structured_output=False)
async def echo(text: str) -> str:
    """Gives the text back."""
    return text


@server.tool()
async def add(a: int, b: int) -> int:
    """Adds two integers."""
    return a + b


@server.tool(annotations=types.ToolAnnotations(title="Weather", read_only_hint=True))
async def weather(city: Annotated[str, Field(json_schema_extra={"x-mcp-header": "City"})]) -> Weather:
    """Tells the weather: always the same."""
    return Weather(city=city, celsius=21.5)


@server.tool(structured_output=False)
async def content(ctx: Context) -> list[types.ContentBlock]:
    """One block of each kind that the revision has."""
    text = types.TextResourceContents(uri="memo://text", mime_type="text/plain", text="hello")
    blob = types.BlobResourceContents(uri="memo://blob", mime_type="application/octet-stream", blob=PIXEL)
    blocks = [
        types.TextContent(text="hello"),
        types.ImageContent(data=PIXEL, mime_type="image/png"),
        types.EmbeddedResource(resource=text),
        types.EmbeddedResource(resource=blob),
    ]
    if ctx.protocol_version >= "2025-03-26":
        blocks.append(types.AudioContent(data=PIXEL, mime_type="audio/wav"))
    if ctx.protocol_version >= "2025-06-18":
        blocks.append(types.ResourceLink(name="text", uri="memo://text", mime_type="text/plain"))
    return blocks


@server.tool(structured_output=False)
async def count(n: int, hold: bool, ctx: Context) -> str:
    """Counts to n and reports each step; then, if it is to hold, waits for `release`."""
    for step in range(1, n + 1):
        await ctx.report_progress(step, n, f"step {step} of {n}")
    if hold:
        await State.released.acquire()
    return f"counted to {n}"


@server.tool(structured_output=False)
async def release() -> str:
    """Lets `count` end."""
    State.released.release()
    return "released"


@server.tool(structured_output=False)
async def fail(message: str) -> str:
    """Always fails."""
    raise ToolError(message)


@server.tool(structured_output=False)
async def slow(seconds: float, ctx: Context) -> str:
    """Tells that it has begun, takes its time, and remembers if it was cancelled."""
    await ctx.report_progress(1)
    try:
        await anyio.sleep(seconds)
    except anyio.get_cancelled_exc_class():
        State.slow_was_cancelled = True
        raise
    return "done"


@server.tool(structured_output=False)
async def was_cancelled() -> str:
    """Whether a call of `slow` was ever cancelled."""
    return "true" if State.slow_was_cancelled else "false"


def the_question(question: str) -> Elicit[Form]:
    return Elicit(question, Form)


@server.tool(structured_output=False)
async def ask(question: str, answer: Annotated[ElicitationResult[Form], Resolve(the_question)]) -> str:
    """Asks the person, and tells what came back."""
    return told(answer)


def told(answer) -> str:
    return f"accept:{answer.data.name}" if isinstance(answer, AcceptedElicitation) else answer.action


@server.tool(structured_output=False)
async def ask_url(url: str, ctx: Context) -> str | types.InputRequiredResult:
    """Sends the person to a page, and tells what they did."""
    if ctx.protocol_version < MODERN:
        return (await ctx.elicit_url("Please sign in", url, "elicitation-1")).action
    if ctx.input_responses:
        return ctx.input_responses["page"].action
    request = types.ElicitRequest(params=types.ElicitRequestURLParams(message="Please sign in", url=url))
    return types.InputRequiredResult(input_requests={"page": request})


def the_prompt(prompt: str) -> Sample:
    message = types.SamplingMessage(role="user", content=types.TextContent(text=prompt))
    return Sample([message], system_prompt="Be brief.", max_tokens=100)


def said(result: types.CreateMessageResult) -> str:
    return f"{result.model}: {result.content.text}"


@server.tool(structured_output=False)
async def sample(prompt: str, result: Annotated[types.CreateMessageResult, Resolve(the_prompt)]) -> str:
    """Has the client's model say something, and tells which model said what."""
    return said(result)


def the_roots() -> ListRoots:
    return ListRoots()


@server.tool(structured_output=False)
async def roots(found: Annotated[types.ListRootsResult, Resolve(the_roots)]) -> str:
    """The client's roots: their URIs, with a blank between them."""
    return " ".join(str(root.uri) for root in found.roots)


def who() -> Elicit[Form]:
    return Elicit("accept", Form)


def about(name: Annotated[Form, Resolve(who)]) -> Sample:
    return the_prompt(name.name)


@server.tool(structured_output=False)
async def interview(
    name: Annotated[Form, Resolve(who)],
    result: Annotated[types.CreateMessageResult, Resolve(about)],
    found: Annotated[types.ListRootsResult, Resolve(the_roots)],
) -> str:
    """Asks for a name, has the model say something about it, and counts the roots."""
    return f"{name.name}, {said(result)}, {len(found.roots)} roots"


@server.tool(structured_output=False)
async def log(text: str, ctx: Context) -> str:
    """Sends two log messages, an info and an error, unless the client asked for graver ones only."""
    for level in ("info", "error"):
        # In the modern era the SDK goes by the request's own level.
        if ctx.protocol_version >= MODERN or LEVELS.index(level) >= LEVELS.index(State.level):
            await ctx.log(level, text, logger_name="interop")
    return "logged"


@server.tool(structured_output=False)
async def touch(uri: str, ctx: Context) -> str:
    """Tells those who subscribed to the resource that it changed."""
    await ctx.notify_resource_updated(uri)
    if ctx.protocol_version < MODERN and uri in State.subscribed:
        await ctx.session.send_resource_updated(uri)
    return "touched"


@server.tool(structured_output=False)
async def grow(ctx: Context) -> str:
    """Adds the tool `grown`, the resource memo://grown and the prompt `grown`, and tells of it."""
    server.add_tool(grown)
    server.resource("memo://grown", name="grown", mime_type="text/plain")(grown)
    server.prompt()(grown)
    if ctx.protocol_version < MODERN:
        await ctx.session.send_tool_list_changed()
        await ctx.session.send_resource_list_changed()
        await ctx.session.send_prompt_list_changed()
    else:
        await ctx.notify_tools_changed()
        await ctx.notify_resources_changed()
        await ctx.notify_prompts_changed()
    return "grown"


def grown() -> str:
    """What was not there at first."""
    return "grown"


@server.resource("memo://text", name="text", mime_type="text/plain", description="Says hello.")
def text_resource() -> str:
    return "hello"


@server.resource("memo://blob", name="blob", mime_type="application/octet-stream")
def blob_resource() -> bytes:
    return BYTES


def leaf(number: int):
    @server.resource(f"memo://leaf/{number}", name=f"leaf {number}", mime_type="text/plain")
    def read() -> str:
        return f"leaf {number}"


for number in range(1, 11):
    leaf(number)


@server.resource("memo://notes/{id}", name="note", mime_type="text/plain")
def note(id: str) -> str:
    return f"note {id}"


async def asked_by(ctx: Context, question: str) -> str | types.InputRequiredResult:
    """What `ask` does, for what is no tool: the SDK has no resolvers there."""
    if ctx.protocol_version < MODERN:
        return told(await ctx.elicit(question, Form))
    if not ctx.input_responses:
        schema = {
            "type": "object",
            "properties": {"ok": {"type": "boolean"}, "name": {"type": "string"}},
            "required": ["ok", "name"],
        }
        request = types.ElicitRequest(params=types.ElicitRequestFormParams(message=question, requested_schema=schema))
        return types.InputRequiredResult(input_requests={"answer": request}, request_state=question)
    answer = ctx.input_responses["answer"]
    if ctx.request_state != question:
        raise MCPError(types.INVALID_PARAMS, f"the state came back as {ctx.request_state!r}")
    return f"accept:{answer.content['name']}" if answer.action == "accept" else answer.action


@server.resource("memo://asked/{question}", name="asked", mime_type="text/plain")
async def asked_resource(question: str, ctx: Context) -> str | types.InputRequiredResult:
    return await asked_by(ctx, question)


@server.prompt(description="A greeting.")
def greet(name: str, style: str | None = None) -> str:
    return f"Greet {name}." + (f" Be {style}." if style else "")


@server.prompt(description="A picture and a text.")
def picture() -> list:
    text = types.TextResourceContents(uri="memo://text", mime_type="text/plain", text="hello")
    return [
        AssistantMessage(types.ImageContent(data=PIXEL, mime_type="image/png")),
        UserMessage(types.EmbeddedResource(resource=text)),
    ]


@server.prompt(description="Asks first.")
async def asked(question: str, ctx: Context) -> str | types.InputRequiredResult:
    return await asked_by(ctx, question)


@server.completion()
async def complete(ref, argument, context) -> types.Completion:
    if isinstance(ref, types.ResourceTemplateReference):
        known = NOTES
    elif argument.name == "style":
        known = STYLES
    elif context and context.arguments and context.arguments.get("style") == "formal":
        known = ("Ms Lovelace",)
    else:
        known = ("Ada", "Alan")
    values = [value for value in known if value.startswith(argument.value)]
    return types.Completion(values=values, total=len(values), has_more=False)


def paged(method, member, everything, result):
    """The SDK's upper layer gives one page; its lower one gives these, of ten each."""

    async def handle(_ctx, params):
        cursor = params.cursor if params is not None else None
        if cursor is not None and not cursor.isdecimal():
            raise MCPError(types.INVALID_PARAMS, f"no such page: {cursor}")
        start = int(cursor or 0)
        items = await everything()
        more = str(start + PAGE) if start + PAGE < len(items) else None
        return result(**{member: items[start : start + PAGE]}, next_cursor=more)

    low.add_request_handler(method, types.PaginatedRequestParams, handle)


async def subscribe(_ctx, params: types.SubscribeRequestParams) -> types.EmptyResult:
    State.subscribed.add(str(params.uri))
    return types.EmptyResult()


async def unsubscribe(_ctx, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
    State.subscribed.discard(str(params.uri))
    return types.EmptyResult()


async def set_level(_ctx, params: types.SetLevelRequestParams) -> types.EmptyResult:
    State.level = params.level
    return types.EmptyResult()


paged("tools/list", "tools", server.list_tools, types.ListToolsResult)
paged("resources/list", "resources", server.list_resources, types.ListResourcesResult)
# The upper layer leaves these to the lower one.
low.add_request_handler("resources/subscribe", types.SubscribeRequestParams, subscribe)
low.add_request_handler("resources/unsubscribe", types.UnsubscribeRequestParams, unsubscribe)
low.add_request_handler("logging/setLevel", types.SetLevelRequestParams, set_level)


CHANGES = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)


class Events(EventStore):
    """All that was sent, in order: what a client missed is among it."""

    def __init__(self):
        self.sent = []

    async def store_event(self, stream_id, message):
        self.sent.append((stream_id, message))
        return str(len(self.sent))

    async def replay_events_after(self, last_event_id, send_callback):
        last = int(last_event_id)
        stream, _ = self.sent[last - 1]
        for number, (of, message) in enumerate(self.sent[last:], last + 1):
            if of == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


async def serve_stdio():
    async with stdio_server() as (read, write):
        await low.run(read, write, low.create_initialization_options(CHANGES))


async def serve_http():
    # The SDK asks for these without saying that lists change.
    low.create_initialization_options = functools.partial(low.create_initialization_options, CHANGES)
    first = SseServerTransport("/messages/")

    async def serve_sse(request):
        async with first.connect_sse(request.scope, request.receive, request._send) as (read, write):
            await low.run(read, write, low.create_initialization_options())
        return Response()

    routes = [Route("/sse", serve_sse), Mount("/messages/", app=first.handle_post_message)]
    app = low.streamable_http_app(event_store=Events(), custom_starlette_routes=routes)
    http = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)

    async def end_with_input():
        await anyio.to_thread.run_sync(sys.stdin.read)
        http.should_exit = True

    async with anyio.create_task_group() as group:
        group.start_soon(end_with_input)
        await http.serve([listener])


if __name__ == "__main__":
    anyio.run(serve_http if "--http" in sys.argv[1:] else serve_stdio)
    # The SDK is done, which is what counts. The interpreter's own end takes long on a busy machine, and clients are not patient.
    sys.stdout.flush()
    os._exit(0)

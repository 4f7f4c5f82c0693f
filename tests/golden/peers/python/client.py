"""A client with everything of the protocol that the Python SDK can send over stdio.

    client.py REVISION SCENARIO COMMAND ARGS...

Starts COMMAND as its server and plays SCENARIO in REVISION. What the server refuses is part of the session.
"""

import sys
import warnings
from contextlib import asynccontextmanager

import anyio
import mcp.client.session
import mcp_types as types
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError

warnings.filterwarnings("ignore", category=MCPDeprecationWarning)

MODERN = "2026-07-28"
INFO = types.Implementation(name="golden-python-client", version="1.0", title="Golden client")
URI = "memo://text"
SCENARIOS = {}


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


async def attempt(awaitable):
    """What the call gives, or None: a refusal is recorded like any answer."""
    try:
        return await awaitable
    except (MCPError, RuntimeError, ValueError, ExceptionGroup) as error:  # a pydantic error is a ValueError
        print("  refused: " + " ".join(repr(error).split())[:300], file=sys.stderr)
        return None


class Peer:
    def __init__(self, revision, command):
        self.revision = revision
        self.server = StdioServerParameters(command=command[0], args=command[1:])
        self.client = None

    @asynccontextmanager
    async def connect(self, mode=None, **options):
        if self.revision != MODERN:
            # The SDK offers its newest handshake revision; this makes it offer another, and nothing else.
            mcp.client.session.LATEST_HANDSHAKE_VERSION = self.revision
        mode = mode or ("auto" if self.revision == MODERN else "legacy")
        with anyio.fail_after(30):
            async with Client(self.server, mode=mode, client_info=INFO, **options) as client:
                self.client = client
                print(f"  negotiated {client.protocol_version}", file=sys.stderr)
                yield client

    async def elicit(self, context, params):
        if isinstance(params, types.ElicitRequestURLParams):
            return types.ElicitResult(action="accept")
        if params.message in ("Sure?", "Cancel?"):
            return types.ElicitResult(action="decline" if params.message == "Sure?" else "cancel")
        content = {"name": "Zoë", "age": 42, "height": 1.75, "subscribed": True, "color": "red"}
        known = {key: value for key, value in content.items() if key in params.requested_schema.get("properties", {})}
        if "tags" in params.requested_schema.get("properties", {}):
            known["tags"] = ["a", "b"]
        return types.ElicitResult(action="accept", content=known)

    async def sample(self, context, params):
        last = params.messages[-1].content
        if isinstance(last, types.TextContent) and last.text == "wait":
            await anyio.sleep_forever()
        if isinstance(last, types.TextContent) and last.text == "refuse":
            return types.ErrorData(code=-1, message="User rejected sampling request")
        token = (context.meta or {}).get("progress_token")
        if token is not None and self.client.protocol_version != MODERN:
            await self.client.send_progress_notification(token, 0.5, 1, "thinking")
        if params.tools:
            return types.CreateMessageResultWithTools(
                role="assistant",
                content=[
                    types.TextContent(text="I will add."),
                    types.ToolUseContent(id="call-2", name=params.tools[0].name, input={"a": 1, "b": 2}),
                ],
                model="golden-model",
                stop_reason="toolUse",
            )
        return types.CreateMessageResult(
            role="assistant", content=types.TextContent(text="3"), model="golden-model", stop_reason="endTurn"
        )

    async def roots(self, context):
        return types.ListRootsResult(roots=[types.Root(uri="file:///tmp/x", name="x"), types.Root(uri="file:///tmp/y")])

    def able(self, tools=True):
        """Options of a client that can be asked."""
        with_tools = tools and self.revision >= "2025-11-25"
        return {
            "sampling_callback": self.sample,
            "sampling_capabilities": types.SamplingCapability(tools=types.SamplingToolsCapability())
            if with_tools
            else None,
            "list_roots_callback": self.roots,
            **({"elicitation_callback": self.elicit} if self.revision >= "2025-06-18" else {}),
        }


async def call(client, name, arguments=None, **options):
    return await attempt(client.call_tool(name, arguments or {}, **options))


async def list_all(client):
    """Reads every page. A tool that was not listed is looked for in the first page after each call of it."""
    page = await attempt(client.list_tools())
    while page and page.next_cursor:
        page = await attempt(client.list_tools(cursor=page.next_cursor))


@scenario
async def tools(peer):
    async with peer.connect() as client:
        await list_all(client)
        await attempt(client.list_tools(cursor="no such cursor"))
        await call(client, "content")
        await call(client, "weather", {"city": "Kraków"}, meta={"example.com/trace": "t-1"})
        if peer.revision == MODERN:
            await call(client, "array")
        await call(client, "fail")
        await call(client, "crash")
        await call(client, "no_such_tool")
        await call(client, "weather", {"city": 17})


@scenario
async def resources(peer):
    async with peer.connect() as client:
        page = await attempt(client.list_resources())
        while page and page.next_cursor:
            page = await attempt(client.list_resources(cursor=page.next_cursor))
        await attempt(client.list_resource_templates())
        for uri in (URI, "memo://blob", "memo://notes/7", "memo://no/such"):
            await attempt(client.read_resource(uri))
        if peer.revision != MODERN:
            await attempt(client.subscribe_resource(URI))
            await call(client, "touch", {"uri": URI})
            await attempt(client.unsubscribe_resource(URI))


@scenario
async def prompts(peer):
    async with peer.connect() as client:
        await attempt(client.list_prompts())
        await attempt(client.get_prompt("greet", {"name": "Zoë", "style": "short"}))
        await attempt(client.get_prompt("no_such_prompt"))
        prompt = types.PromptReference(name="greet")
        known = {"name": "Zoë"} if peer.revision >= "2025-06-18" else None
        await attempt(client.complete(prompt, {"name": "style", "value": "s"}, known))
        template = types.ResourceTemplateReference(uri="memo://notes/{id}")
        await attempt(client.complete(template, {"name": "id", "value": "1"}))


@scenario
async def utilities(peer):
    async def progressed(progress, total, message):
        started.set()

    options = {"log_level": "info"} if peer.revision == MODERN else {}
    async with peer.connect(**options) as client:
        await list_all(client)
        if peer.revision != MODERN:
            await attempt(client.send_ping())
            await call(client, "ping")
            await attempt(client.set_logging_level("warning"))
        await call(client, "log")
        started = anyio.Event()
        await call(client, "count", progress_callback=progressed)
        started = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: client.call_tool("wait", {}, progress_callback=progressed))
            await started.wait()
            group.cancel_scope.cancel()
        await attempt(client.call_tool("wait", {}, read_timeout_seconds=0.3))
        if peer.revision != MODERN:
            await call(client, "change")
            await client.list_tools()
            await attempt(client.session.send_request(types.Request(method="no/such", params={}), types.EmptyResult))


@scenario
async def asking(peer):
    async with peer.connect(**peer.able()) as client:
        await list_all(client)
        for name in ("roots", "sample", "sample_tools", "ask_form", "ask_url", "url_required"):
            if name.startswith(("ask", "url")) and peer.revision < "2025-06-18":
                continue
            if name in ("ask_url", "url_required", "sample_tools") and peer.revision < "2025-11-25":
                continue
            if name == "url_required" and peer.revision == MODERN:
                continue
            await call(client, name)
        if peer.revision == MODERN:
            await call(client, "all")
            await attempt(client.read_resource("memo://ask"))
            await attempt(client.get_prompt("ask"))
        else:
            await call(client, "impatient")
            if peer.revision >= "2025-06-18":
                await call(client, "unwilling")
            await client.send_roots_list_changed()
            await anyio.sleep(0.3)  # the server asks for the roots anew
            await call(client, "fail")


@scenario
async def unable(peer):
    """A client without capabilities is asked all the same."""
    async with peer.connect() as client:
        for name in ("roots", "sample", "sample_tools", "ask_form"):
            if name != "ask_form" or peer.revision >= "2025-06-18":
                await call(client, name)


@scenario
async def listen(peer):
    async with peer.connect() as client:
        await list_all(client)
        everything = {
            "tools_list_changed": True,
            "prompts_list_changed": True,
            "resources_list_changed": True,
            "resource_subscriptions": [URI],
        }
        async with client.listen(**everything) as first:
            async with client.listen(tools_list_changed=True):
                await call(client, "change")
                await call(client, "touch", {"uri": URI})
                await call(client, "touch", {"uri": "memo://blob"})
            # The second one is over by a cancellation; the server ends the first.
            await call(client, "change")
            await call(client, "end_listens")
            async for event in first:
                print(f"  {event}", file=sys.stderr)


@scenario
async def pinned(peer):
    """Without `server/discover`: the first request is an ordinary one."""
    async with peer.connect(mode=MODERN) as client:
        await client.list_tools()
        await call(client, "content")


@scenario
async def errors(peer):
    """What the modern revision refuses."""
    prefix = "io.modelcontextprotocol/"
    async with peer.connect() as client:
        await attempt(client.session.send_discover("2099-01-01"))
        await call(client, "mismatch")
        await call(client, "sample_tools")
        await attempt(client.send_ping())
        await attempt(client.set_logging_level("info"))
        await attempt(client.subscribe_resource(URI))
        await attempt(client.session.send_request(types.Request(method="no/such", params={}), types.EmptyResult))
        raw = client.session._dispatcher.send_raw_request
        await attempt(raw("tools/list", {"_meta": {prefix + "protocolVersion": MODERN}}))
        await attempt(raw("tools/list", {"_meta": {prefix + "clientCapabilities": {}}}))
        await attempt(raw("tools/list", None))
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
        await attempt(raw("initialize", params))
        await client.list_tools()


@scenario
async def crossed(peer):
    """A modern request in a handshake session, and a second handshake."""
    async with peer.connect() as client:
        await attempt(client.session.send_discover(MODERN))
        raw = client.session._dispatcher.send_raw_request
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
        await attempt(raw("initialize", params))
        await attempt(client.send_ping())


@scenario
async def fallback(peer):
    """Probes with `server/discover`; a server of the handshake era makes it initialize."""
    async with peer.connect(mode="auto") as client:
        await client.list_tools()


@scenario
async def refused(peer):
    """Offers a handshake to a server of the modern era."""
    await attempt(connect_only(peer))


async def connect_only(peer):
    async with peer.connect():
        pass


@scenario
async def unknown(peer):
    """Offers a revision that nobody knows."""
    peer.revision = "2099-01-01"
    async with peer.connect() as client:
        await client.list_tools()


@scenario
async def everything(peer):
    """For the server `everything`, which has tools of its own."""
    async with peer.connect(**peer.able()) as client:
        page = await client.list_tools()
        print("  " + " ".join(tool.name for tool in page.tools), file=sys.stderr)
        for name, arguments in (
            ("echo", {"message": "hi"}),
            ("get-sum", {"a": 1, "b": 2}),
            ("get-structured-content", {"location": "New York"}),
            ("get-annotated-message", {"messageType": "error", "includeImage": False}),
            ("get-resource-links", {"count": 2}),
            ("get-resource-reference", {"resourceType": "Text", "resourceId": 1}),
            ("get-roots-list", {}),
            ("trigger-sampling-request", {"prompt": "hi", "maxTokens": 5}),
            ("trigger-elicitation-request", {}),
            ("trigger-long-running-operation", {"duration": 0.2, "steps": 2}),
            ("no-such-tool", {}),
        ):
            noted = {"progress_callback": ignore} if "long" in name else {}
            await call(client, name, arguments, **noted)
        await attempt(client.list_prompts())
        await attempt(client.get_prompt("args-prompt", {"city": "Kraków"}))
        prompt = types.PromptReference(name="completable-prompt")
        await attempt(client.complete(prompt, {"name": "department", "value": "E"}))
        await attempt(client.list_resource_templates())
        await attempt(client.read_resource("demo://resource/dynamic/text/1"))
        await attempt(client.set_logging_level("warning"))
        await attempt(client.subscribe_resource("demo://resource/dynamic/text/1"))
        await attempt(client.unsubscribe_resource("demo://resource/dynamic/text/1"))


async def ignore(progress, total, message):
    pass


if __name__ == "__main__":
    anyio.run(SCENARIOS[sys.argv[2]], Peer(sys.argv[1], sys.argv[3:]))

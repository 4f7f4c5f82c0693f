"""The steps of ../README.md, taken by the official Python SDK against any server that offers the fixture.

    client.py --revision REVISION --how pinned|default --steps NAME,NAME... COMMAND ARGS... | --http URL | --sse URL

Starts COMMAND as its server, or goes to the one at URL; takes the steps on one connection, in this order, and prints a line for each:
`step NAME ok` or `step NAME FAILED: why`. The exit status is 1 if a step failed.

The SDK offers its newest handshake revision only. An older one is up to the server, so this just looks what came of it.
"""

import argparse
import base64
import faulthandler
import json
import sys
import warnings

import anyio
import jsonschema
import mcp_types as types
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp.shared.subscriptions import PromptsListChanged, ResourcesListChanged, ResourceUpdated, ToolsListChanged

warnings.filterwarnings("ignore", category=MCPDeprecationWarning)

MODERN = "2026-07-28"
PATIENCE = 15.0
"""Seconds that a step may take."""

TOOLS = {
    "echo": {"text"},
    "add": {"a", "b"},
    "weather": {"city"},
    "content": set(),
    "count": {"n", "hold"},
    "release": set(),
    "fail": {"message"},
    "slow": {"seconds"},
    "was_cancelled": set(),
    "ask": {"question"},
    "ask_url": {"url"},
    "sample": {"prompt"},
    "roots": set(),
    "interview": set(),
    "log": {"text"},
    "touch": {"uri"},
    "grow": set(),
}
"""What a server offers: each tool and its parameters."""

RESOURCES = ["memo://text", "memo://blob", *(f"memo://leaf/{number}" for number in range(1, 11))]

TEXTS = (
    "plain",
    "",
    "Grüße, Ωmega, 漢字",
    "👩\u200d👩\u200d👧 😀",
    "a\u2028b\u2029c",
    "two\nlines\r\n",
    'quote " backslash \\ nul \u0000 del \u007f',
    "x" * 200_000,
)
"""What has to come back from `echo` as it was."""

CUT = "cut the streams"
"""What `echo` is told to have all open event streams cut, by the relay that is between client and server."""

STEPS = {}
"""Name to step, in the order they are taken."""


def step(function):
    """Makes the function `step_NAME` the step NAME."""
    STEPS[function.__name__.removeprefix("step_")] = function
    return function


def check(holds, otherwise):
    """Fails the step with a reason. Unlike assert, it cannot be optimised away."""
    if not holds:
        raise AssertionError(otherwise)


def same(what, found, wanted):
    check(found == wanted, f"{what}: got {found!r}, wanted {wanted!r}")


class Peer:
    """The connection, and what the server said of its own accord."""

    def __init__(self, revision, how):
        self.revision, self.how = revision, how
        self.modern = revision == MODERN
        self.client = None
        self.news = anyio.Event()
        self.logs, self.updates, self.changes, self.faults, self.forms, self.pages = [], [], set(), [], [], []

    def heard(self):
        self.news.set()
        self.news = anyio.Event()

    async def until(self, holds):
        while not holds():
            await self.news.wait()

    async def log(self, params):
        self.logs.append((params.level, params.data))
        self.heard()

    async def message(self, message):
        if isinstance(message, Exception):
            self.faults.append(message)
        elif isinstance(message, types.ResourceUpdatedNotification):
            self.updates.append(str(message.params.uri))
        elif isinstance(message, types.Notification) and message.method.endswith("list_changed"):
            self.changes.add(message.method.split("/")[1])
        self.heard()

    async def elicit(self, _context, params):
        if isinstance(params, types.ElicitRequestURLParams):
            self.pages.append(params.url)
            return types.ElicitResult(action="accept")
        self.forms.append(params.requested_schema)
        if params.message == "accept":
            return types.ElicitResult(action="accept", content={"ok": True, "name": "Ada"})
        return types.ElicitResult(action=params.message)

    async def sample(self, _context, params):
        if params.system_prompt != "Be brief." or params.max_tokens != 100:
            return types.ErrorData(code=-1, message=f"asked differently: {params}")
        said = types.TextContent(text=f"You said {params.messages[-1].content.text}")
        return types.CreateMessageResult(role="assistant", content=said, model="interop-model", stop_reason="endTurn")

    async def roots(self, _context):
        return types.ListRootsResult(
            roots=[types.Root(uri="file:///interop/one", name="One"), types.Root(uri="file:///interop/two")]
        )

    async def call(self, name, arguments=None, **options):
        """Calls a tool that has to succeed, and gives the result."""
        result = await self.client.call_tool(name, arguments or {}, **options)
        check(not result.is_error, f"{name} failed: {result.content}")
        return result

    async def told(self, name, arguments=None, **options):
        """The text of a tool's result, which has one block."""
        return text_of(await self.call(name, arguments, **options))

    async def still_answers(self):
        same("echo", await self.told("echo", {"text": "still here"}), "still here")

    async def refused(self, awaitable):
        """The code of the error that the request has to end with."""
        try:
            result = await awaitable
        except MCPError as error:
            return error.code
        raise AssertionError(f"a result, not an error: {result}")

    async def pages_of(self, method, member):
        """A whole list, and how long its pages were."""
        items, lengths, cursor = [], [], None
        while cursor is not None or not lengths:
            check(len(lengths) < 5, "pages without end")
            page = await method(cursor=cursor)
            items += getattr(page, member)
            lengths.append(len(getattr(page, member)))
            cursor = page.next_cursor
        return items, lengths


def text_of(result):
    check(len(result.content) == 1, f"one block of content, not {result.content}")
    check(result.content[0].type == "text", f"a block of text, not {result.content}")
    return result.content[0].text


@step
async def step_negotiate(peer):
    client = peer.client
    same("revision", client.protocol_version, peer.revision)
    if peer.modern and peer.how == "pinned":
        return  # The SDK sends no server/discover then, so it knows no more of the server.
    check(client.server_info.name.startswith("interop-"), f"another name: {client.server_info}")
    same("version", client.server_info.version, "1.0")
    same("instructions", client.instructions, "Call tools, read resources, get prompts.")
    capabilities = client.server_capabilities
    for name in ("tools", "resources", "prompts", "completions", "logging"):
        if name == "completions" and peer.revision < "2025-03-26":
            continue
        check(getattr(capabilities, name) is not None, f"no capability {name}")
    check(capabilities.resources.subscribe, "no subscriptions")
    for name in ("tools", "resources", "prompts"):
        check(getattr(capabilities, name).list_changed, f"no list_changed of {name}")


@step
async def step_list(peer):
    tools, lengths = await peer.pages_of(peer.client.list_tools, "tools")
    same("pages", lengths, [10, 7])
    same("tools", sorted(tool.name for tool in tools), sorted(TOOLS))
    for tool in tools:
        schema, parameters = tool.input_schema, TOOLS[tool.name]
        jsonschema.Draft202012Validator.check_schema(schema)
        same(f"type of {tool.name}'s input", schema.get("type"), "object")
        same(f"parameters of {tool.name}", set(schema.get("properties", {})), parameters)
        same(f"required of {tool.name}", set(schema.get("required", [])), parameters)
        check(tool.description, f"{tool.name} has no description")
    weather = next(tool for tool in tools if tool.name == "weather")
    if peer.revision >= "2025-03-26":
        check(weather.annotations and weather.annotations.read_only_hint, f"no hint: {weather.annotations}")
    resources, lengths = await peer.pages_of(peer.client.list_resources, "resources")
    same("pages", lengths, [10, 2])
    same("resources", sorted(str(one.uri) for one in resources), sorted(RESOURCES))


@step
async def step_bad_cursor(peer):
    same("code", await peer.refused(peer.client.list_tools(cursor="no such page")), types.INVALID_PARAMS)


@step
async def step_call(peer):
    for text in TEXTS:
        answer = await peer.told("echo", {"text": text})
        check(answer == text, f"{text[:40]!r} came back as {answer[:40]!r}")


@step
async def step_content(peer):
    result = await peer.call("content")
    kinds = ["text", "image", "resource", "resource"]
    kinds += ["audio"] if peer.revision >= "2025-03-26" else []
    kinds += ["resource_link"] if peer.revision >= "2025-06-18" else []
    same("kinds", [block.type for block in result.content], kinds)
    same("image", base64.b64decode(result.content[1].data), bytes(range(256)))
    same("text", result.content[2].resource.text, "hello")
    same("blob", base64.b64decode(result.content[3].resource.blob), bytes(range(256)))


@step
async def step_structured(peer):
    tools, _ = await peer.pages_of(peer.client.list_tools, "tools")
    schemas = {tool.name: tool.output_schema for tool in tools}
    total = await peer.call("add", {"a": 2, "b": 3})
    found = total.structured_content
    check(found == 5 or (isinstance(found, dict) and [*found.values()] == [5]), f"2 + 3 gave {found}")
    check(json.loads(text_of(total)) in (5, found), f"the text is {total.content}")
    weather = await peer.call("weather", {"city": "Kraków"})
    same("weather", weather.structured_content, {"city": "Kraków", "celsius": 21.5})
    same("text of it", json.loads(text_of(weather)), weather.structured_content)
    check(schemas["weather"] is not None, "weather has no output schema")
    same("its properties", set(schemas["weather"].get("properties", {})), {"city", "celsius"})
    jsonschema.validate(weather.structured_content, schemas["weather"])


@step
async def step_tool_error(peer):
    result = await peer.client.call_tool("fail", {"message": "no such luck"})
    check(result.is_error, "isError is not set")
    check("no such luck" in text_of(result), f"another text: {result.content}")


@step
async def step_bad_arguments(peer):
    try:
        result = await peer.client.call_tool("echo", {"text": 17})
    except MCPError as error:
        check(peer.revision < "2025-11-25", f"an error, not a result: {error}")
        same("code", error.code, types.INVALID_PARAMS)
    else:
        check(result.is_error, f"isError is not set: {result}")
        check("text" in text_of(result), f"the parameter is not named: {result.content}")
    await peer.still_answers()


@step
async def step_unknown_tool(peer):
    same("code", await peer.refused(peer.client.call_tool("no_such_tool", {})), types.INVALID_PARAMS)


@step
async def step_unknown_method(peer):
    request = types.Request(method="interop/unknown", params={})
    code = await peer.refused(peer.client.session.send_request(request, types.EmptyResult))
    same("code", code, types.METHOD_NOT_FOUND)
    await peer.still_answers()


@step
async def step_progress(peer):
    seen = []

    async def note(progress, total, message):
        # Messages came with 2025-03-26; a server may leave them out before.
        left_out = message is None and peer.revision < "2025-03-26"
        seen.append((progress, total, f"step {progress:g} of {total:g}" if left_out else message))

    await peer.call("count", {"n": 5, "hold": False}, progress_callback=note)
    same("progress before the result", seen, [(n, 5, f"step {n} of 5") for n in range(1, 6)])
    seen.clear()

    async def note_and_release(progress, total, message):
        await note(progress, total, message)
        if progress == total:
            await peer.call("release")

    await peer.call("count", {"n": 3, "hold": True}, progress_callback=note_and_release)
    same("progress of one that waits", seen, [(n, 3, f"step {n} of 3") for n in range(1, 4)])


@step
async def step_cancel(peer):
    same("before", await peer.told("was_cancelled"), "false")
    begun = anyio.Event()

    async def begins(progress, total, message):
        begun.set()

    async def abandoned():
        await peer.client.call_tool("slow", {"seconds": 30}, progress_callback=begins)
        raise AssertionError("the cancelled call returned")

    async with anyio.create_task_group() as group:
        group.start_soon(abandoned)
        await begun.wait()
        group.cancel_scope.cancel()
    await peer.still_answers()
    while await peer.told("was_cancelled") != "true":
        pass


@step
async def step_timeout(peer):
    code = await peer.refused(peer.client.call_tool("slow", {"seconds": 30}, read_timeout_seconds=0.3))
    same("code", code, types.REQUEST_TIMEOUT)
    await peer.still_answers()


@step
async def step_concurrent(peer):
    answers = {}

    async def ask(number):
        answers[number] = await peer.told("echo", {"text": f"number {number}"})

    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(ask, number)
    same("answers", answers, {number: f"number {number}" for number in range(50)})


@step
async def step_ping(peer):
    await peer.client.send_ping()


@step
async def step_read(peer):
    (text,) = (await peer.client.read_resource("memo://text")).contents
    same("text", (str(text.uri), text.mime_type, text.text), ("memo://text", "text/plain", "hello"))
    (blob,) = (await peer.client.read_resource("memo://blob")).contents
    same("kind of blob", (str(blob.uri), blob.mime_type), ("memo://blob", "application/octet-stream"))
    same("blob", base64.b64decode(blob.blob), bytes(range(256)))


@step
async def step_missing_resource(peer):
    code = await peer.refused(peer.client.read_resource("memo://no/such"))
    check(code == types.INVALID_PARAMS or (code == -32002 and not peer.modern), f"code {code}")


@step
async def step_template(peer):
    templates, _ = await peer.pages_of(peer.client.list_resource_templates, "resource_templates")
    found = {one.name: one.uri_template for one in templates}
    same("templates", found, {"note": "memo://notes/{id}", "asked": "memo://asked/{question}"})
    (note,) = (await peer.client.read_resource("memo://notes/7")).contents
    same("note", (str(note.uri), note.text), ("memo://notes/7", "note 7"))


@step
async def step_prompt(peer):
    prompts, _ = await peer.pages_of(peer.client.list_prompts, "prompts")
    arguments = {one.name: [(a.name, bool(a.required)) for a in one.arguments or []] for one in prompts}
    wanted = {"greet": [("name", True), ("style", False)], "picture": [], "asked": [("question", True)]}
    same("prompts", arguments, wanted)
    greeting = await peer.client.get_prompt("greet", {"name": "Zoë", "style": "brief"})
    same("messages", [(m.role, m.content.text) for m in greeting.messages], [("user", "Greet Zoë. Be brief.")])
    same("description", greeting.description, "A greeting.")
    (plain,) = (await peer.client.get_prompt("greet", {"name": "Zoë"})).messages
    same("without style", plain.content.text, "Greet Zoë.")
    picture = (await peer.client.get_prompt("picture")).messages
    same("kinds", [(m.role, m.content.type) for m in picture], [("assistant", "image"), ("user", "resource")])
    same("image", base64.b64decode(picture[0].content.data), bytes(range(256)))
    same("text", picture[1].content.resource.text, "hello")


@step
async def step_unknown_prompt(peer):
    same("code", await peer.refused(peer.client.get_prompt("no_such_prompt")), types.INVALID_PARAMS)


@step
async def step_completion(peer):
    greet = types.PromptReference(name="greet")
    values = (await peer.client.complete(greet, {"name": "style", "value": "f"})).completion.values
    same("styles", values, ["formal", "friendly", "frank"])
    note = types.ResourceTemplateReference(uri="memo://notes/{id}")
    values = (await peer.client.complete(note, {"name": "id", "value": "1"})).completion.values
    same("notes", values, ["1", "10", "11", "12"])


@step
async def step_completion_context(peer):
    greet, name = types.PromptReference(name="greet"), {"name": "name", "value": ""}
    same("names", (await peer.client.complete(greet, name)).completion.values, ["Ada", "Alan"])
    values = (await peer.client.complete(greet, name, {"style": "formal"})).completion.values
    same("formal names", values, ["Ms Lovelace"])


@step
async def step_elicitation(peer):
    for question, wanted in (("accept", "accept:Ada"), ("decline", "decline"), ("cancel", "cancel")):
        peer.forms.clear()
        same(question, await peer.told("ask", {"question": question}), wanted)
        fields = [{name: field["type"] for name, field in form["properties"].items()} for form in peer.forms]
        same("forms", fields, [{"ok": "boolean", "name": "string"}])


@step
async def step_elicitation_url(peer):
    same("told", await peer.told("ask_url", {"url": "https://example.com/sign-in"}), "accept")
    same("pages", peer.pages, ["https://example.com/sign-in"])


@step
async def step_sampling(peer):
    same("told", await peer.told("sample", {"prompt": "tea"}), "interop-model: You said tea")


@step
async def step_roots(peer):
    same("told", await peer.told("roots"), "file:///interop/one file:///interop/two")


@step
async def step_interview(peer):
    same("told", await peer.told("interview"), "Ada, interop-model: You said Ada, 2 roots")


@step
async def step_prompt_asks(peer):
    (message,) = (await peer.client.get_prompt("asked", {"question": "accept"})).messages
    same("message", message.content.text, "accept:Ada")


@step
async def step_read_asks(peer):
    (part,) = (await peer.client.read_resource("memo://asked/decline")).contents
    same("part", part.text, "decline")


@step
async def step_logging(peer):
    peer.logs.clear()
    for level, text in (("error", "one"), ("info", "two")):
        if peer.modern:
            await peer.told("log", {"text": "unasked"})
            await peer.call("log", {"text": text}, meta={"io.modelcontextprotocol/logLevel": level})
        else:
            await peer.client.set_logging_level(level)
            await peer.told("log", {"text": text})
    await peer.until(lambda: len(peer.logs) >= 3)
    same("logs", peer.logs, [("error", "one"), ("info", "two"), ("error", "two")])


@step
async def step_subscription(peer):
    text, blob, touch = "memo://text", "memo://blob", lambda uri: peer.told("touch", {"uri": uri})
    client = peer.client
    if peer.modern:
        async with client.listen(resource_subscriptions=[text]) as first:
            same("honoured", first.honored.resource_subscriptions, [text])
            async with client.listen(resource_subscriptions=[blob]) as second:
                for uri in ("memo://leaf/1", blob, text):
                    await touch(uri)
                same("of the first", await anext(first), ResourceUpdated(uri=text))
                same("of the second", await anext(second), ResourceUpdated(uri=blob))
            for uri in (blob, text):
                await touch(uri)
            same("after the second", await anext(first), ResourceUpdated(uri=text))
        return
    await client.subscribe_resource(text)
    for uri in ("memo://leaf/1", blob, text):
        await touch(uri)
    await peer.until(lambda: peer.updates)
    same("updates", peer.updates, [text])
    await client.unsubscribe_resource(text)
    await client.subscribe_resource(blob)
    for uri in (text, blob):
        await touch(uri)
    await peer.until(lambda: len(peer.updates) > 1)
    same("updates", peer.updates, [text, blob])
    await client.unsubscribe_resource(blob)


@step
async def step_list_changed(peer):
    if peer.modern:
        wanted = {ToolsListChanged(), ResourcesListChanged(), PromptsListChanged()}
        watched = {"tools_list_changed": True, "resources_list_changed": True, "prompts_list_changed": True}
        async with peer.client.listen(**watched) as listen:
            await peer.told("grow")
            same("events", {await anext(listen) for _ in wanted}, wanted)
    else:
        await peer.told("grow")
        await peer.until(lambda: len(peer.changes) >= 3)
        same("changes", peer.changes, {"tools", "resources", "prompts"})
    tools, _ = await peer.pages_of(peer.client.list_tools, "tools")
    resources, _ = await peer.pages_of(peer.client.list_resources, "resources")
    prompts, _ = await peer.pages_of(peer.client.list_prompts, "prompts")
    check("grown" in [one.name for one in tools], "no new tool")
    check("memo://grown" in [str(one.uri) for one in resources], "no new resource")
    check("grown" in [one.name for one in prompts], "no new prompt")


@step
async def step_clean(peer):
    check(not peer.faults, f"the server wrote what is no message: {peer.faults[:1]}")


@step
async def step_resume(peer):
    text = "memo://text"
    await peer.client.subscribe_resource(text)
    peer.updates.clear()
    # The SDK takes its own stream up again once only, if it did not end properly.
    await peer.told("echo", {"text": CUT})
    for times in (1, 2):
        await peer.told("touch", {"uri": text})
        await peer.until(lambda: len(peer.updates) >= times)
        same("updates", peer.updates, [text] * times)
    await peer.client.unsubscribe_resource(text)


@step
async def step_resume_call(peer):
    seen = []

    async def cut_and_release(progress, total, message):
        seen.append(progress)
        if progress == total:
            await peer.told("echo", {"text": CUT})
            await peer.call("release")

    said = await peer.told("count", {"n": 3, "hold": True}, progress_callback=cut_and_release)
    same("answer", said, "counted to 3")
    same("progress", seen, [1, 2, 3])


def reason(error):
    """One line for what went wrong: of a group, the first cause."""
    while getattr(error, "exceptions", None):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError):
        return "not done in time"
    kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())[:500]


async def run(options):
    peer = Peer(options.revision, options.how)
    if options.sse:
        server = sse_client(options.sse)
    else:
        server = options.http or StdioServerParameters(command=options.command[0], args=options.command[1:])
    # `auto` is what the SDK does by default; a modern revision is adopted without a probe.
    mode = {} if options.how == "default" else {"mode": MODERN if peer.modern else "legacy"}
    asked = {"elicitation_callback": peer.elicit} if options.revision >= "2025-06-18" else {}
    failed = 0
    async with Client(
        server,
        client_info=types.Implementation(name="interop-python-client", version="1.0"),
        sampling_callback=peer.sample,
        list_roots_callback=peer.roots,
        logging_callback=peer.log,
        message_handler=peer.message,
        **mode,
        **asked,
    ) as peer.client:
        for name, take in STEPS.items():
            if name not in options.steps:
                continue
            try:
                with anyio.fail_after(PATIENCE):
                    await take(peer)
                print(f"step {name} ok", flush=True)
            except Exception as error:
                failed += 1
                print(f"step {name} FAILED: {reason(error)}", flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--revision", required=True)
    parser.add_argument("--how", required=True, choices=("pinned", "default"))
    parser.add_argument("--steps", required=True, type=lambda names: names.split(","))
    parser.add_argument("--http", help="the URL of a server that runs already")
    parser.add_argument("--sse", help="the same, of one that serves by the HTTP of the first revision")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="starts the server, with its arguments")
    options = parser.parse_args()
    # The SDK shields its own shutdown from cancellation; should that hang, this ends the process.
    faulthandler.dump_traceback_later(55, exit=True)
    sys.exit(1 if anyio.run(run, options) else 0)


if __name__ == "__main__":
    main()

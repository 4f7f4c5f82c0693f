"""The reference client: the official Python SDK against any server of ours, over stdio.

    client.py [--reference] [--only NAME] COMMAND ARGS...

Every cell starts its own server with COMMAND, speaks the handshake era to it, and prints one line:
`cell python-client/NAME ok` or `cell python-client/NAME FAILED: reason`. The exit status is 1 if any cell failed.
The server offers the tools of `server.py`. With --reference, that one itself is the server: what it answers
differently from the specification is let through.
"""

import argparse
import faulthandler
import json
import sys
import tempfile
import time
import warnings
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import jsonschema
import mcp_types as types
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError

warnings.filterwarnings("ignore", category=MCPDeprecationWarning)

DEADLINE = 20.0
"""Seconds that one cell may take, its server's start and end included."""

TOOLS = {
    "echo": {"text"},
    "add": {"a", "b"},
    "weather": {"city"},
    "count": {"n"},
    "fail": {"message"},
    "slow": {"seconds"},
    "was_cancelled": set(),
    "ask": {"question"},
    "log": {"text"},
}
"""What a server offers: each tool and its parameters."""

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

CELLS = {}
# What 2026-07-28 does not have: ping, and a level of the session.
LEGACY_ONLY = {"ping", "logging"}
"""Name to cell, in the order they run."""


def cell(function):
    """Makes the function `cell_NAME` the cell NAME."""
    CELLS[function.__name__.removeprefix("cell_")] = function
    return function


def check(holds, otherwise):
    """Fails the cell with a reason. Unlike assert, it cannot be optimised away."""
    if not holds:
        raise AssertionError(otherwise)


class Peer:
    """The server under test: how to start one and talk to it."""

    def __init__(self, command, reference, modern):
        self.command = command
        self.reference = reference
        self.modern = modern

    @property
    def label(self):
        """What the cells are called."""
        return "python-client-modern" if self.modern else "python-client"

    @asynccontextmanager
    async def connect(self, prefix=(), **options):
        """A session with a server of its own. Output of the server that is no message fails the cell."""
        faults = []

        async def watch(message):
            if isinstance(message, Exception):
                faults.append(message)

        program, *arguments = [*prefix, *self.command]
        server = StdioServerParameters(command=program, args=arguments)
        mode = "auto" if self.modern else "legacy"
        async with Client(server, mode=mode, message_handler=watch, **options) as client:
            yield client
        check(not faults, f"the server wrote what is no message: {faults[:1]}")


def text_of(result):
    """The text of a result that has one block, of text."""
    check(len(result.content) == 1, f"one block of content, not {result.content}")
    check(result.content[0].type == "text", f"a block of text, not {result.content}")
    return result.content[0].text


async def call(client, name, arguments, **options):
    """Calls a tool that has to succeed, and gives the result."""
    result = await client.call_tool(name, arguments, **options)
    check(not result.is_error, f"{name} failed: {result.content}")
    return result


async def still_answers(client):
    """The session is of use yet."""
    check(text_of(await call(client, "echo", {"text": "still here"})) == "still here", "the session went astray")


@cell
async def cell_initialize(peer):
    async with peer.connect() as client:
        info = client.server_info
        print(f"python-client: {client.protocol_version} with {info.name} {info.version}", file=sys.stderr)
        expected = "2026-07-28" if peer.modern else "2025-11-25"
        check(client.protocol_version == expected, f"negotiated {client.protocol_version}")
        check(info.name and info.version, f"no name or no version: {info}")
        check(client.server_capabilities.tools is not None, "no tools capability")


@cell
async def cell_list(peer):
    async with peer.connect() as client:
        listed = await client.list_tools()
        check(listed.next_cursor is None, "more than one page for nine tools")
        tools = {tool.name: tool for tool in listed.tools}
        for name, parameters in TOOLS.items():
            check(name in tools, f"{name} is missing")
            schema = tools[name].input_schema
            jsonschema.Draft202012Validator.check_schema(schema)
            check(schema.get("type") == "object", f"{name}: the input schema is no object's: {schema}")
            check(set(schema.get("properties", {})) == parameters, f"{name}: the parameters are {schema}")
            check(set(schema.get("required", [])) == parameters, f"{name}: not all are required: {schema}")


@cell
async def cell_call(peer):
    async with peer.connect() as client:
        for text in TEXTS:
            answer = text_of(await call(client, "echo", {"text": text}))
            check(answer == text, f"{text[:40]!r} came back as {answer[:40]!r}")


@cell
async def cell_structured(peer):
    async with peer.connect() as client:
        schemas = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}

        total = await call(client, "add", {"a": 2, "b": 3})
        check(json.loads(text_of(total)) in (5, total.structured_content), f"the text is {total.content}")
        check(isinstance(total.structured_content, dict), f"no structured object: {total}")
        check([*total.structured_content.values()] == [5], f"2 + 3 gave {total.structured_content}")

        weather = await call(client, "weather", {"city": "Kraków"})
        check(schemas["weather"] is not None, "weather has no output schema")
        properties = set(schemas["weather"].get("properties", {}))
        check(properties == {"city", "celsius"}, f"weather's output schema has {properties}")
        jsonschema.validate(weather.structured_content, schemas["weather"])
        check(weather.structured_content["city"] == "Kraków", f"another city: {weather.structured_content}")
        check(json.loads(text_of(weather)) == weather.structured_content, "text and structured content differ")


@cell
async def cell_progress(peer):
    seen = []

    async def note(progress, total, message):
        seen.append((progress, total, message))

    async with peer.connect() as client:
        await call(client, "count", {"n": 5}, progress_callback=note)
        check(len(seen) == 5, f"{len(seen)} of 5 notifications had come when the result came")
        check(all(a[0] < b[0] for a, b in zip(seen, seen[1:])), f"not strictly increasing: {seen}")
        check(all(total == 5 and message for _, total, message in seen), f"no total or no message: {seen}")


@cell
async def cell_tool_error(peer):
    async with peer.connect() as client:
        result = await client.call_tool("fail", {"message": "no such luck"})
        check(result.is_error, "isError is not set")
        check("no such luck" in text_of(result), f"another text: {result.content}")
        await still_answers(client)


@cell
async def cell_unknown_tool(peer):
    async with peer.connect() as client:
        try:
            result = await client.call_tool("no_such_tool", {})
        except MCPError as error:
            check(error.code == types.INVALID_PARAMS, f"code {error.code}: {error.message}")
        else:
            # The Python server answers with a failed result; the specification asks for a protocol error.
            check(peer.reference and result.is_error, f"a result, not an error: {result}")
        await still_answers(client)


@cell
async def cell_invalid_arguments(peer):
    async with peer.connect() as client:
        result = await client.call_tool("echo", {"text": 17})
        check(result.is_error, f"isError is not set: {result}")
        check("text" in text_of(result), f"the message does not name the parameter: {result.content}")
        await still_answers(client)


@cell
async def cell_cancellation(peer):
    async with peer.connect() as client, anyio.create_task_group() as group:

        async def abandoned():
            await client.call_tool("slow", {"seconds": 30})
            raise AssertionError("the cancelled call returned")

        check(json.loads(text_of(await call(client, "was_cancelled", {}))) is False, "cancelled before it began")
        group.start_soon(abandoned)
        await anyio.lowlevel.checkpoint()
        await still_answers(client)  # sent after the slow call, so that one is under way
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True), anyio.fail_after(5):
            while json.loads(text_of(await call(client, "was_cancelled", {}))) is not True:
                pass
            await still_answers(client)


@cell
async def cell_timeout(peer):
    async with peer.connect() as client:
        start = time.monotonic()
        try:
            await client.call_tool("slow", {"seconds": 30}, read_timeout_seconds=0.3)
        except MCPError as error:
            check(error.code == types.REQUEST_TIMEOUT, f"code {error.code}: {error.message}")
        else:
            raise AssertionError("the call returned")
        check(time.monotonic() - start < 5, "the timeout came late")
        await still_answers(client)


@cell
async def cell_elicitation(peer):
    for action, expected in (("accept", "accept:Zoë"), ("decline", "decline"), ("cancel", "cancel")):
        asked = []

        async def answer(_context, params, action=action, asked=asked):
            asked.append(params)
            content = {"ok": True, "name": "Zoë"} if action == "accept" else None
            return types.ElicitResult(action=action, content=content)

        async with peer.connect(elicitation_callback=answer) as client:
            told = text_of(await call(client, "ask", {"question": "Who?"}))
            check(told == expected, f"{action} came out as {told!r}")
            check(len(asked) == 1, f"asked {len(asked)} times")
            check(asked[0].message == "Who?", f"another question: {asked[0]}")
            fields = {name: field["type"] for name, field in asked[0].requested_schema["properties"].items()}
            check(fields == {"ok": "boolean", "name": "string"}, f"the form is {asked[0].requested_schema}")


@cell
async def cell_logging(peer):
    sender, receiver = anyio.create_memory_object_stream(16)

    async def note(params):
        sender.send_nowait(params)

    with sender, receiver:
        async with peer.connect(logging_callback=note) as client:
            check(client.server_capabilities.logging is not None, "no logging capability")
            await client.set_logging_level("error")
            await call(client, "log", {"text": "not grave enough"})
            await client.set_logging_level("info")
            await call(client, "log", {"text": "hi"})
            message = await receiver.receive()
            check((message.level, message.data) == ("info", "hi"), f"another message: {message}")


@cell
async def cell_ping(peer):
    async with peer.connect() as client:
        for _ in range(3):
            await client.send_ping()


@cell
async def cell_concurrent(peer):
    answers = {}
    async with peer.connect() as client:

        async def ask(number):
            answers[number] = text_of(await call(client, "echo", {"text": f"number {number}"}))

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(ask, number)
    check(answers == {number: f"number {number}" for number in range(20)}, f"answers crossed: {answers}")


@cell
async def cell_shutdown(peer):
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder, "exit")
        shim = str(Path(__file__).with_name("record_exit.py"))
        async with peer.connect(prefix=(sys.executable, "-I", "-S", shim, str(record))) as client:
            await still_answers(client)
            closed = time.monotonic()
        check(record.exists(), "the server outlived its input and had to be killed")
        code, ended = record.read_text(encoding="ascii").split()
        check(int(code) >= 0, f"signal {-int(code)} had to end the server")
        check(int(code) == 0, f"the server ended with status {code}")
        check(float(ended) - closed < 2, f"the server took {float(ended) - closed:.1f} s to end")


def reason(error):
    """One line for what went wrong: of a group, the first cause."""
    while getattr(error, "exceptions", None):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError):
        return "not done in time"
    kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())[:500]


async def run(peer, names):
    """Runs cells one after the other and tells how many failed."""
    failed = 0
    for name in names:
        # The SDK shields its own shutdown from cancellation; should that hang, this ends the process.
        faulthandler.dump_traceback_later(DEADLINE + 20, exit=True)
        try:
            with anyio.fail_after(DEADLINE):
                await CELLS[name](peer)
            print(f"cell {peer.label}/{name} ok", flush=True)
        except Exception as error:
            failed += 1
            print(f"cell {peer.label}/{name} FAILED: {reason(error)}", flush=True)
    faulthandler.cancel_dump_traceback_later()
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", action="store_true", help="the server is server.py")
    parser.add_argument("--modern", action="store_true", help="speak 2026-07-28 with a server that does")
    parser.add_argument("--only", action="append", choices=sorted(CELLS), help="run this cell alone (repeatable)")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="starts the server, with its arguments")
    options = parser.parse_args()
    if not options.command:
        parser.error("which server?")
    peer = Peer(options.command, options.reference, options.modern)
    cells = options.only or [name for name in CELLS if not (options.modern and name in LEGACY_ONLY)]
    failed = anyio.run(run, peer, cells)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

"""The reference server: the official Python SDK over stdio, for our clients to talk to.

It offers the tools that `client.py` expects of every server; the two are checked against each other.
"""

import warnings

import anyio
import mcp_types as types
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPDeprecationWarning
from pydantic import BaseModel

warnings.filterwarnings("ignore", category=MCPDeprecationWarning)

server = MCPServer("python-peer", version="1.0", instructions="A peer to test against.", log_level="WARNING")


class State:
    """What the tools remember. One process serves one connection, so this is the connection's state too."""

    slow_was_cancelled = False
    quiet = False


class Weather(BaseModel):
    """What `weather` answers."""

    city: str
    celsius: float


class Form(BaseModel):
    """What `ask` asks the user for."""

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


@server.tool()
async def weather(city: str) -> Weather:
    """Tells the weather: always the same."""
    return Weather(city=city, celsius=21.5)


@server.tool(structured_output=False)
async def count(n: int, ctx: Context) -> str:
    """Counts to n and reports each step."""
    for step in range(1, n + 1):
        await ctx.report_progress(step, n, f"step {step} of {n}")
    return f"counted to {n}"


@server.tool(structured_output=False)
async def fail(message: str) -> str:
    """Always fails."""
    raise ToolError(message)


@server.tool(structured_output=False)
async def slow(seconds: float) -> str:
    """Takes its time, and remembers if it was cancelled."""
    end = anyio.current_time() + seconds
    try:
        while anyio.current_time() < end:
            await anyio.sleep(0.02)
    except anyio.get_cancelled_exc_class():
        State.slow_was_cancelled = True
        raise
    return "done"


@server.tool()
async def was_cancelled() -> bool:
    """Whether a call of `slow` was ever cancelled."""
    return State.slow_was_cancelled


@server.tool(structured_output=False)
async def ask(question: str, ctx: Context) -> str:
    """Asks the user, and tells what came back."""
    answer = await ctx.elicit(question, Form)
    return f"accept:{answer.data.name}" if answer.action == "accept" else answer.action


@server.tool(structured_output=False)
async def log(text: str, ctx: Context) -> str:
    """Sends a log message at level info, unless the client asked for graver ones only."""
    if not State.quiet:
        await ctx.info(text, logger_name="python-peer")
    return "logged"


async def set_level(_ctx, params: types.SetLevelRequestParams) -> types.EmptyResult:
    """The SDK's MCPServer has no `logging/setLevel`; its lower layer takes one, and then offers the capability."""
    State.quiet = params.level not in ("debug", "info")
    return types.EmptyResult()


server._lowlevel_server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, set_level)

if __name__ == "__main__":
    server.run("stdio")

"""A server with everything of the protocol that the Python SDK can serve over stdio, in both eras."""

import base64
import warnings

import anyio
import mcp_types as types
from mcp.server.caching import CacheHint
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.subscriptions import PromptsListChanged, ResourcesListChanged, ResourceUpdated, ToolsListChanged

warnings.filterwarnings("ignore", category=MCPDeprecationWarning)

MODERN = "2026-07-28"
PIXEL = base64.b64encode(b"not really a picture").decode()
SOUND = base64.b64encode(b"not really a sound").decode()
ICON = types.Icon(src="data:image/png;base64," + PIXEL, mime_type="image/png", sizes=["48x48"], theme="light")

bus = InMemorySubscriptionBus()
listens = ListenHandler(bus)
extra = []
"""Tools that came during the session."""

FORM = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Name", "description": "Your name", "minLength": 1, "maxLength": 40},
        "email": {"type": "string", "format": "email"},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "height": {"type": "number"},
        "subscribed": {"type": "boolean", "default": False},
        "color": {"type": "string", "enum": ["red", "green"]},
    },
    "required": ["name"],
}
FORM_2025_11 = {
    **FORM,
    "properties": {
        **FORM["properties"],
        "size": {"type": "string", "oneOf": [{"const": "s", "title": "Small"}, {"const": "l", "title": "Large"}]},
        "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "b", "c"]}, "minItems": 1, "maxItems": 2},
        "days": {"type": "array", "items": {"anyOf": [{"const": "mo", "title": "Monday"}]}, "default": ["mo"]},
    },
}
ADD = types.Tool(
    name="add",
    description="Adds",
    input_schema={"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
)


def text(value, **more):
    return types.CallToolResult(content=[types.TextContent(text=value)], **more)


def blocks(version):
    """One of each kind of content that the revision has."""
    shown = types.Annotations(audience=["user", "assistant"], priority=0.5)
    found = [
        types.TextContent(text="Grüße, 漢字 😀\u2028\n\u0000", annotations=shown),
        types.ImageContent(data=PIXEL, mime_type="image/png"),
        types.EmbeddedResource(
            resource=types.TextResourceContents(uri="memo://text", mime_type="text/plain", text="hello")
        ),
        types.EmbeddedResource(resource=types.BlobResourceContents(uri="memo://blob", blob=PIXEL)),
    ]
    if version > "2025":
        found.append(types.AudioContent(data=SOUND, mime_type="audio/wav"))
    if version >= "2025-06-18":
        found.append(types.ResourceLink(name="text", uri="memo://text", title="A text", mime_type="text/plain", size=5))
        found.append(types.TextContent(text="with _meta", _meta={"example.com/key": [1, 2.5, None]}))
    return found


async def list_tools(ctx, params):
    version = ctx.session.protocol_version
    if params is not None and params.cursor == "page-2":
        bare = [types.Tool(name=name, input_schema={"type": "object"}) for name in TOOLS if name != "weather"]
        return types.ListToolsResult(tools=[*bare, *extra])
    if params is not None and params.cursor is not None:
        raise MCPError(types.INVALID_PARAMS, "no such page")
    weather = types.Tool(
        name="weather",
        title="Weather",
        description="Tells the weather",
        input_schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        output_schema={
            "type": "object",
            "properties": {"city": {"type": "string"}, "celsius": {"type": "number"}},
            "required": ["city", "celsius"],
        },
        annotations=types.ToolAnnotations(
            title="Weather", read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
        ),
        icons=[ICON],
        execution=types.ToolExecution(task_support="forbidden") if version == "2025-11-25" else None,
        _meta={"example.com/key": "value"},
    )
    return types.ListToolsResult(tools=[weather], next_cursor="page-2")


async def call_tool(ctx, params):
    handler = TOOLS.get(params.name)
    if handler is None:
        raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
    return await handler(ctx, params, params.arguments or {})


async def tool_content(ctx, params, arguments):
    return types.CallToolResult(content=blocks(ctx.session.protocol_version))


async def tool_weather(ctx, params, arguments):
    if not isinstance(arguments.get("city"), str):
        return text("city has to be a string", is_error=True)
    found = {"city": arguments["city"], "celsius": 21.5}
    return text('{"city":"%s","celsius":21.5}' % arguments["city"], structured_content=found)


async def tool_array(ctx, params, arguments):
    return text("[1,2,3]", structured_content=[1, 2, 3])


async def tool_fail(ctx, params, arguments):
    return text("no such luck", is_error=True)


async def tool_mismatch(ctx, params, arguments):
    raise MCPError(types.HEADER_MISMATCH, "Mcp-Param-City does not match the body")


async def tool_crash(ctx, params, arguments):
    raise RuntimeError("a bug")


async def tool_count(ctx, params, arguments):
    for step in range(1, 4):
        await ctx.session.report_progress(step / 2, 1.5, f"step {step}")
    return text("counted")


async def tool_wait(ctx, params, arguments):
    await ctx.session.report_progress(1)
    await anyio.sleep_forever()


async def tool_log(ctx, params, arguments):
    for level in ("debug", "info", "warning", "error"):
        await ctx.session.send_log_message(level, {"text": level, "n": 1}, "golden", related_request_id=ctx.request_id)
    return text("logged")


def form(message, version):
    schema = FORM_2025_11 if version >= "2025-11-25" else FORM
    return types.ElicitRequestFormParams(message=message, requested_schema=schema)


def sampling(with_tools=False):
    tools = {}
    messages = [types.SamplingMessage(role="user", content=types.TextContent(text="Add 1 and 2"))]
    if with_tools:
        messages += [
            types.SamplingMessage(
                role="assistant", content=[types.ToolUseContent(id="call-1", name="add", input={"a": 1, "b": 1})]
            ),
            types.SamplingMessage(
                role="user",
                content=[
                    types.ToolResultContent(
                        tool_use_id="call-1", content=[types.TextContent(text="2")], structured_content={"sum": 2}
                    )
                ],
            ),
        ]
        tools = {"tools": [ADD], "tool_choice": types.ToolChoice(mode="auto")}
    return types.CreateMessageRequestParams(
        messages=messages,
        model_preferences=types.ModelPreferences(
            hints=[types.ModelHint(name="claude")], cost_priority=0.25, speed_priority=0.5, intelligence_priority=1
        ),
        system_prompt="Be brief.",
        include_context="none",
        temperature=0.5,
        max_tokens=100,
        stop_sequences=["END"],
        metadata={"example": True},
        **tools,
    )


async def ask(ctx, params, request, result_type, key, **options):
    """Asks the client: by a request in the handshake era, by an input_required round in the modern one."""
    if ctx.session.protocol_version == MODERN:
        answers = params.input_responses or {}
        if key not in answers:
            return types.InputRequiredResult(input_requests={key: request}, request_state=f"state-of-{key}")
        return text(f"{params.request_state}: {type(answers[key]).__name__}")
    related = ServerMessageMetadata(related_request_id=ctx.request_id)
    answer = await ctx.session.send_request(request, result_type, metadata=related, **options)
    return text(answer.model_dump_json(by_alias=True, exclude_none=True))


async def tool_ask_form(ctx, params, arguments):
    request = types.ElicitRequest(params=form("Who are you?", ctx.session.protocol_version))
    return await ask(ctx, params, request, types.ElicitResult, "who")


async def tool_ask_url(ctx, params, arguments):
    modern = ctx.session.protocol_version == MODERN
    request = types.ElicitRequest(
        params=types.ElicitRequestURLParams(
            message="Please sign in",
            url="https://example.com/sign-in",
            elicitation_id=None if modern else "elicitation-1",
        )
    )
    result = await ask(ctx, params, request, types.ElicitResult, "sign-in")
    if not modern:
        await ctx.session.send_elicit_complete("elicitation-1", related_request_id=ctx.request_id)
    return result


async def tool_url_required(ctx, params, arguments):
    asked = types.ElicitRequestURLParams(message="Sign in", url="https://example.com/in", elicitation_id="needed-1")
    data = types.ElicitationRequiredErrorData(elicitations=[asked])
    raise MCPError(-32042, "Sign in first", data.model_dump(mode="json", by_alias=True, exclude_none=True))


async def tool_sample(ctx, params, arguments):
    async def note(progress, total, message):
        pass

    request = types.CreateMessageRequest(params=sampling())
    return await ask(ctx, params, request, types.CreateMessageResult, "sampled", progress_callback=note)


async def tool_sample_tools(ctx, params, arguments):
    capabilities = ctx.session.client_capabilities
    if capabilities is None or capabilities.sampling is None or capabilities.sampling.tools is None:
        wanted = {"requiredCapabilities": {"sampling": {"tools": {}}}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "needs sampling with tools", wanted)
    request = types.CreateMessageRequest(params=sampling(with_tools=True))
    return await ask(ctx, params, request, types.CreateMessageResultWithTools, "sampled")


async def tool_roots(ctx, params, arguments):
    return await ask(ctx, params, types.ListRootsRequest(), types.ListRootsResult, "roots")


async def tool_all(ctx, params, arguments):
    """Several requests in one round, then a second round; the state carries on."""
    if "sure" in (params.input_responses or {}):
        return text("done")
    if params.request_state is None:
        requests = {
            "who": types.ElicitRequest(params=form("Who?", ctx.session.protocol_version)),
            "said": types.CreateMessageRequest(params=sampling()),
            "roots": types.ListRootsRequest(),
        }
        return types.InputRequiredResult(input_requests=requests, request_state="round-1")
    if params.request_state == "round-1":
        return types.InputRequiredResult(request_state="round-2")
    again = types.ElicitRequest(params=types.ElicitRequestFormParams(message="Sure?", requested_schema=FORM))
    return types.InputRequiredResult(input_requests={"sure": again})


async def tool_impatient(ctx, params, arguments):
    request = types.CreateMessageRequest(
        params=types.CreateMessageRequestParams(
            messages=[types.SamplingMessage(role="user", content=types.TextContent(text="wait"))], max_tokens=1
        )
    )
    try:
        await ctx.session.send_request(request, types.CreateMessageResult, request_read_timeout_seconds=0.3)
    except MCPError as error:
        return text(f"gave up: {error.error.code}")
    return text("answered")


async def tool_unwilling(ctx, params, arguments):
    """Asks what the user does not want to answer."""
    said = types.SamplingMessage(role="user", content=types.TextContent(text="refuse"))
    asked = types.ElicitRequestFormParams(message="Cancel?", requested_schema=FORM)
    request = types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[said], max_tokens=1))
    answer = await ctx.session.send_request(types.ElicitRequest(params=asked), types.ElicitResult)
    try:
        await ctx.session.send_request(request, types.CreateMessageResult)
    except MCPError as error:
        return text(f"{answer.action} {error.error.code}")
    return text(answer.action)


async def tool_ping(ctx, params, arguments):
    await ctx.session.send_ping()
    return text("pong")


async def tool_change(ctx, params, arguments):
    extra.append(types.Tool(name=f"extra_{len(extra) + 1}", input_schema={"type": "object"}))
    if ctx.session.protocol_version == MODERN:
        for event in (ToolsListChanged(), PromptsListChanged(), ResourcesListChanged()):
            await bus.publish(event)
    else:
        await ctx.session.send_tool_list_changed()
        await ctx.session.send_prompt_list_changed()
        await ctx.session.send_resource_list_changed()
    return text("changed")


async def tool_touch(ctx, params, arguments):
    if ctx.session.protocol_version == MODERN:
        await bus.publish(ResourceUpdated(uri=arguments["uri"]))
    else:
        await ctx.session.send_resource_updated(arguments["uri"])
    return text("touched")


async def tool_end_listens(ctx, params, arguments):
    listens.close()
    return text("ended")


TOOLS = {name.removeprefix("tool_"): value for name, value in globals().items() if name.startswith("tool_")}


async def list_resources(ctx, params):
    if params is not None and params.cursor == "page-2":
        return types.ListResourcesResult(resources=[types.Resource(name="blob", uri="memo://blob")])
    described = types.Resource(
        name="text",
        title="A text",
        uri="memo://text",
        description="Says hello",
        mime_type="text/plain",
        size=5,
        icons=[ICON],
        annotations=types.Annotations(audience=["user"], priority=1, last_modified="2025-01-12T15:00:58Z"),
        _meta={"example.com/key": 1},
    )
    return types.ListResourcesResult(resources=[described], next_cursor="page-2", ttl_ms=60000, cache_scope="public")


async def list_templates(ctx, params):
    note = types.ResourceTemplate(
        name="note", title="Note", uri_template="memo://notes/{id}", description="A note", mime_type="text/plain"
    )
    return types.ListResourceTemplatesResult(resource_templates=[note])


async def read_resource(ctx, params):
    match params.uri:
        case "memo://text":
            return types.ReadResourceResult(
                contents=[types.TextResourceContents(uri=params.uri, mime_type="text/plain", text="hello")]
            )
        case "memo://blob":
            return types.ReadResourceResult(
                contents=[
                    types.BlobResourceContents(uri=params.uri, mime_type="application/octet-stream", blob=PIXEL),
                    types.TextResourceContents(uri="memo://blob/1", text="a part", _meta={"example.com/part": 1}),
                ]
            )
        case "memo://ask":
            request = types.ElicitRequest(params=types.ElicitRequestFormParams(message="Sure?", requested_schema=FORM))
            if not params.input_responses:
                return types.InputRequiredResult(input_requests={"sure": request})
            return types.ReadResourceResult(contents=[types.TextResourceContents(uri=params.uri, text="asked")])
        case uri if uri.startswith("memo://notes/"):
            return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, text="a note")])
    code = types.INVALID_PARAMS if ctx.session.protocol_version == MODERN else -32002
    raise MCPError(code, "Resource not found", {"uri": params.uri})


async def nothing(ctx, params):
    return types.EmptyResult()


async def list_prompts(ctx, params):
    greet = types.Prompt(
        name="greet",
        title="Greeting",
        description="Greets",
        arguments=[
            types.PromptArgument(name="name", title="Name", description="Whom", required=True),
            types.PromptArgument(name="style"),
        ],
        icons=[ICON],
    )
    return types.ListPromptsResult(prompts=[greet, types.Prompt(name="plain")])


async def get_prompt(ctx, params):
    if params.name == "ask":
        request = types.CreateMessageRequest(params=sampling())
        if not params.input_responses:
            return types.InputRequiredResult(input_requests={"said": request}, request_state="prompt-state")
    elif params.name != "greet":
        raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name}")
    name = (params.arguments or {}).get("name", "you")
    messages = [types.PromptMessage(role="user", content=types.TextContent(text=f"Hello {name}"))]
    messages += [types.PromptMessage(role="assistant", content=block) for block in blocks(ctx.session.protocol_version)]
    return types.GetPromptResult(description="A greeting", messages=messages)


async def complete(ctx, params):
    if params.ref.type == "ref/resource":
        return types.CompleteResult(completion=types.Completion(values=["1", "12"], total=120, has_more=True))
    known = params.context.arguments if params.context and params.context.arguments else {}
    styles = [f"{params.argument.value}{known.get('name', '')}"]
    return types.CompleteResult(completion=types.Completion(values=styles))


async def roots_changed(ctx, params):
    await ctx.session.list_roots()


async def progressed(ctx, params):
    pass


server = Server(
    "golden-python",
    version="1.0",
    title="Golden",
    description="Everything",
    instructions="Ask me anything.",
    website_url="https://example.com/",
    icons=[ICON],
    cache_hints={"tools/list": CacheHint(ttl_ms=1000, scope="public"), "resources/read": CacheHint(ttl_ms=5)},
    on_list_tools=list_tools,
    on_call_tool=call_tool,
    on_list_resources=list_resources,
    on_list_resource_templates=list_templates,
    on_read_resource=read_resource,
    on_subscribe_resource=nothing,
    on_unsubscribe_resource=nothing,
    on_subscriptions_listen=listens,
    on_list_prompts=list_prompts,
    on_get_prompt=get_prompt,
    on_completion=complete,
    on_set_logging_level=nothing,
    on_roots_list_changed=roots_changed,
    on_progress=progressed,
)


async def main():
    changes = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
    options = server.create_initialization_options(changes, {"example.com/try": {"on": True}})
    async with stdio_server() as (read, write):
        await server.run(read, write, options)


if __name__ == "__main__":
    anyio.run(main)

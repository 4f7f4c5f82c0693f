// A client with everything of the protocol that the TypeScript SDK can send over stdio.
//
//     client.mjs REVISION SCENARIO COMMAND ARGS...
//
// Starts COMMAND as its server and plays SCENARIO in REVISION. What the server refuses is part of the session.

import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { z } from 'zod';

const [revision, scenario, command, ...args] = process.argv.slice(2);
const MODERN = '2026-07-28';
const modern = revision === MODERN;
const INFO = { name: 'golden-typescript-client', version: '1.0', title: 'Golden client' };
const URI = 'memo://text';
const any = z.looseObject({});
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

// With the SDK's own class, `auto` probes on a process of its own that is thrown away. A subclass probes in place.
class InPlace extends StdioClientTransport {}

async function connect({ capabilities = {}, mode, transport = InPlace, ...more } = {}) {
    const client = new Client(INFO, {
        capabilities,
        supportedProtocolVersions: modern ? undefined : [revision],
        versionNegotiation: { mode: mode ?? (modern ? { pin: MODERN } : 'legacy') },
        ...more
    });
    if (capabilities.elicitation) client.setRequestHandler('elicitation/create', elicit);
    if (capabilities.sampling) client.setRequestHandler('sampling/createMessage', sample);
    if (capabilities.roots)
        client.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///tmp/x', name: 'x' }, { uri: 'file:///tmp/y' }] }));
    await client.connect(new transport({ command, args, stderr: 'inherit' }));
    console.error(`  negotiated ${client.getNegotiatedProtocolVersion()}`);
    return client;
}

const elicit = ({ params }) => {
    if (params.mode === 'url') return { action: 'accept' };
    if (params.message === 'Sure?') return { action: 'decline' };
    const content = { name: 'Zoë', age: 42, subscribed: true, color: 'red', tags: ['a', 'b'] };
    const known = Object.entries(content).filter(([key]) => key in params.requestedSchema.properties);
    return { action: 'accept', content: Object.fromEntries(known) };
};

const sample = async ({ params }, ctx) => {
    const last = params.messages.at(-1).content;
    if (last.text === 'wait') await new Promise(resolve => ctx.mcpReq.signal.addEventListener('abort', resolve));
    const progressToken = ctx.mcpReq._meta?.progressToken;
    if (progressToken !== undefined && !modern)
        await ctx.mcpReq.notify({
            method: 'notifications/progress',
            params: { progressToken, progress: 0.5, total: 1, message: 'thinking' }
        });
    if (params.tools)
        return {
            role: 'assistant',
            content: [
                { type: 'text', text: 'I will add.' },
                { type: 'tool_use', id: 'call-2', name: params.tools[0].name, input: { a: 1, b: 2 } }
            ],
            model: 'golden-model',
            stopReason: 'toolUse'
        };
    return { role: 'assistant', content: { type: 'text', text: '3' }, model: 'golden-model', stopReason: 'endTurn' };
};

const able = {
    roots: modern ? {} : { listChanged: true },
    sampling: revision >= '2025-11-25' ? { tools: {}, context: {} } : {},
    ...(revision >= '2025-11-25' ? { elicitation: { form: {}, url: {} } } : revision >= '2025-06-18' ? { elicitation: {} } : {})
};

/** What the call gives, or nothing: a refusal is recorded like any answer. */
const attempt = promise => Promise.resolve(promise).catch(error => console.error(`  refused: ${error.code} ${error.message}`));
const call = (client, name, given = {}, options) => attempt(client.callTool({ name, arguments: given }, options));

const scenarios = {
    async tools() {
        const client = await connect();
        await client.listTools();
        await attempt(client.listTools({ cursor: 'no such cursor' }));
        await call(client, 'content');
        await attempt(
            client.callTool({ name: 'weather', arguments: { city: 'Kraków' }, _meta: { 'example.com/trace': 't-1' } })
        );
        if (modern) await call(client, 'array');
        if (modern) await call(client, 'null');
        for (const name of ['fail', 'crash', 'no_such_tool']) await call(client, name);
        await call(client, 'weather', { city: 17 });
        await client.close();
    },
    async resources() {
        const client = await connect();
        await client.listResources();
        await attempt(client.listResourceTemplates());
        for (const uri of [URI, 'memo://blob', 'memo://notes/7', 'memo://no/such']) await attempt(client.readResource({ uri }));
        if (!modern) {
            await attempt(client.subscribeResource({ uri: URI }));
            await call(client, 'touch', { uri: URI });
            await attempt(client.unsubscribeResource({ uri: URI }));
        }
        await client.close();
    },
    async prompts() {
        const client = await connect();
        await client.listPrompts();
        await attempt(client.getPrompt({ name: 'greet', arguments: { name: 'Zoë', style: 'short' } }));
        await attempt(client.getPrompt({ name: 'no_such_prompt' }));
        const context = revision >= '2025-06-18' ? { context: { arguments: { name: 'Zoë' } } } : {};
        await attempt(client.complete({ ref: { type: 'ref/prompt', name: 'greet' }, argument: { name: 'style', value: 's' }, ...context }));
        const ref = { type: 'ref/resource', uri: 'memo://notes/{id}' };
        await attempt(client.complete({ ref, argument: { name: 'id', value: '1' } }));
        await client.close();
    },
    async utilities() {
        const client = await connect();
        const logging = modern ? { _meta: { 'io.modelcontextprotocol/logLevel': 'info' } } : {};
        if (!modern) {
            await attempt(client.ping());
            await call(client, 'ping');
            await attempt(client.setLoggingLevel('warning'));
        }
        await attempt(client.callTool({ name: 'log', arguments: {}, ...logging }));
        await call(client, 'count', {}, { onprogress: () => {} });
        const aborting = new AbortController();
        await call(client, 'wait', {}, { signal: aborting.signal, onprogress: () => aborting.abort('enough') });
        await call(client, 'wait', {}, { timeout: 300 });
        if (!modern) {
            await call(client, 'change');
            await client.listTools();
            await attempt(client.request({ method: 'no/such', params: {} }, any));
        }
        await client.close();
    },
    async asking() {
        const client = await connect({ capabilities: able });
        const names = ['roots', 'sample'];
        if (revision >= '2025-06-18') names.push('ask_form');
        if (revision >= '2025-11-25') names.push('sample_tools', 'ask_url');
        if (revision === '2025-11-25') names.push('url_required');
        names.push(...(modern ? ['all'] : ['impatient']));
        for (const name of names) await call(client, name);
        if (modern) {
            await attempt(client.readResource({ uri: 'memo://ask' }));
            await attempt(client.getPrompt({ name: 'ask' }));
        } else {
            await client.sendRootsListChanged();
            await sleep(300); // the server asks for the roots anew
            await call(client, 'fail');
        }
        await client.close();
    },
    async unable() {
        const client = await connect();
        for (const name of ['roots', 'sample', 'sample_tools', 'demand', 'ask_form']) await call(client, name);
        await client.close();
    },
    async listen() {
        const client = await connect();
        const everything = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true, resourceSubscriptions: [URI] };
        const first = await client.listen(everything);
        const second = await client.listen({ toolsListChanged: true });
        await call(client, 'change');
        await call(client, 'touch', { uri: URI });
        await call(client, 'touch', { uri: 'memo://blob' });
        await second.close();
        await call(client, 'change');
        await call(client, 'end_listens');
        console.error(`  ended: ${await first.closed}`);
        await client.close();
    },
    /** The client keeps its lists up to date: in the modern era by a subscription that it opens by itself. */
    async watching() {
        const watch = { onChanged: () => {}, debounceMs: 50 };
        const client = await connect({ listChanged: { tools: watch, prompts: watch, resources: watch } });
        await call(client, 'change');
        await sleep(500);
        await client.close();
    },
    async errors() {
        const client = await connect();
        const meta = version => ({ _meta: { 'io.modelcontextprotocol/protocolVersion': version } });
        await attempt(client.request({ method: 'tools/list', params: meta('2099-01-01') }, any));
        await call(client, 'mismatch');
        await attempt(client.ping());
        await attempt(client.setLoggingLevel('info'));
        await attempt(client.request({ method: 'no/such', params: {} }, any));
        await attempt(client.request({ method: 'tools/list', params: { _meta: { 'io.modelcontextprotocol/clientCapabilities': 7 } } }, any));
        await client.close();
    },
    async fallback() {
        const client = await connect({ mode: 'auto' });
        await client.listTools();
        await client.close();
    },
    /** As the SDK does it by default: the probe has a process of its own. */
    async sibling() {
        const client = await connect({ mode: 'auto', transport: StdioClientTransport });
        await client.listTools();
        await client.close();
    },
    async refused() {
        await attempt(connect());
    },
    /** For the server `everything`, which has tools of its own. */
    async everything() {
        const client = await connect({ capabilities: able });
        await client.listTools();
        await call(client, 'get-tiny-image');
        await call(client, 'get-resource-links', { count: 2 });
        await call(client, 'get-resource-reference', { resourceType: 'Blob', resourceId: 1 });
        await call(client, 'get-structured-content', { location: 'New York' });
        await call(client, 'get-roots-list');
        await call(client, 'trigger-sampling-request', { prompt: 'hi', maxTokens: 5 });
        await call(client, 'trigger-elicitation-request');
        await call(client, 'trigger-url-elicitation', { url: 'https://example.com/in' });
        await call(client, 'trigger-long-running-operation', { duration: 0.2, steps: 2 }, { onprogress: () => {} });
        await call(client, 'toggle-simulated-logging');
        await attempt(client.listPrompts());
        await attempt(client.getPrompt({ name: 'resource-prompt', arguments: { resourceType: 'Text', resourceId: '1' } }));
        await attempt(client.listResourceTemplates());
        await attempt(client.readResource({ uri: 'demo://resource/dynamic/blob/1' }));
        await attempt(client.subscribeResource({ uri: 'demo://resource/dynamic/text/1' }));
        await call(client, 'toggle-subscriber-updates');
        await sleep(200);
        await attempt(client.unsubscribeResource({ uri: 'demo://resource/dynamic/text/1' }));
        await client.close();
    },
    async skills() {
        const client = await connect();
        await client.listTools();
        await call(client, 'add', { a: 1, b: 2 });
        await call(client, 'add', { a: 'one' });
        await call(client, 'no_such_tool');
        await attempt(client.getPrompt({ name: 'greet', arguments: { name: 'Zoë' } }));
        await attempt(client.getPrompt({ name: 'greet' }));
        const { skills } = await client.request({ method: 'skills/list', params: {} }, any);
        await attempt(client.request({ method: 'skills/get', params: { uri: skills[0].uri } }, any));
        await attempt(client.request({ method: 'skills/get', params: { uri: 'skill://no/such/SKILL.md' } }, any));
        await attempt(client.request({ method: 'resources/directory/read', params: { uri: 'skill://greeting' } }, any));
        await attempt(client.readResource({ uri: skills[0].uri }));
        await attempt(client.listResources());
        await client.close();
    }
};

await scenarios[scenario]();

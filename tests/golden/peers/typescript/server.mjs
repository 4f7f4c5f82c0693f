// A server with everything of the protocol that the TypeScript SDK can serve over stdio, in both eras.

import {
    McpServer,
    MissingRequiredClientCapabilityError,
    ProtocolError,
    ProtocolErrorCode,
    ResourceNotFoundError,
    Server,
    UrlElicitationRequiredError,
    inputRequired
} from '@modelcontextprotocol/server';
import { SkillsExtension, memorySkillFiles } from '@modelcontextprotocol/server/ext/skills';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';

const PIXEL = Buffer.from('not really a picture').toString('base64');
const SOUND = Buffer.from('not really a sound').toString('base64');
const ICON = { src: `data:image/png;base64,${PIXEL}`, mimeType: 'image/png', sizes: ['48x48'], theme: 'dark' };
const INFO = { name: 'golden-typescript', version: '1.0', title: 'Golden', websiteUrl: 'https://example.com/', icons: [ICON] };
const OBJECT = { type: 'object' };
const FORM = {
    type: 'object',
    properties: {
        name: { type: 'string', title: 'Name', description: 'Your name', minLength: 1, maxLength: 40 },
        age: { type: 'integer', minimum: 0, maximum: 150 },
        subscribed: { type: 'boolean', default: false },
        color: { type: 'string', enum: ['red', 'green'], enumNames: ['Red', 'Green'] }
    },
    required: ['name']
};
const SAMPLING = {
    messages: [{ role: 'user', content: { type: 'text', text: 'Add 1 and 2' } }],
    modelPreferences: { hints: [{ name: 'claude' }], costPriority: 0.25, speedPriority: 0, intelligencePriority: 1 },
    systemPrompt: 'Be brief.',
    includeContext: 'none',
    temperature: 0.5,
    maxTokens: 100,
    stopSequences: ['END'],
    metadata: { example: true }
};
const SAMPLING_TOOLS = {
    ...SAMPLING,
    messages: [
        ...SAMPLING.messages,
        { role: 'assistant', content: [{ type: 'tool_use', id: 'call-1', name: 'add', input: { a: 1, b: 1 } }] },
        { role: 'user', content: [{ type: 'tool_result', toolUseId: 'call-1', content: [{ type: 'text', text: '2' }] }] }
    ],
    tools: [{ name: 'add', description: 'Adds', inputSchema: OBJECT }],
    toolChoice: { mode: 'required' }
};

const text = (value, more = {}) => ({ content: [{ type: 'text', text: value }], ...more });

function blocks(version) {
    const found = [
        { type: 'text', text: 'Grüße, 漢字 😀\u2028\n', annotations: { audience: ['user'], priority: 0.5 } },
        { type: 'image', data: PIXEL, mimeType: 'image/png' },
        { type: 'resource', resource: { uri: 'memo://text', mimeType: 'text/plain', text: 'hello' } },
        { type: 'resource', resource: { uri: 'memo://blob', blob: PIXEL } }
    ];
    if (version > '2025') found.push({ type: 'audio', data: SOUND, mimeType: 'audio/wav' });
    if (version >= '2025-06-18') found.push({ type: 'resource_link', name: 'text', uri: 'memo://text', title: 'A text', size: 5 });
    return found;
}

let handle;

/** Everything, by the lower layer. */
function everything({ era }) {
    const modern = era === 'modern';
    const extra = [];
    const server = new Server(INFO, {
        capabilities: {
            tools: { listChanged: true },
            prompts: { listChanged: true },
            resources: { listChanged: true, subscribe: true },
            completions: {},
            logging: {},
            experimental: { 'example.com/try': { on: true } }
        },
        instructions: 'Ask me anything.',
        cacheHints: { 'tools/list': { ttlMs: 1000, cacheScope: 'public' }, 'server/discover': { ttlMs: 5 } }
    });
    const version = () => server.getNegotiatedProtocolVersion();
    const answer = (ctx, key) => ctx.mcpReq.inputResponses?.[key];
    // In the handshake era the SDK turns the round into requests of its own.
    const ask = (ctx, key, request) =>
        answer(ctx, key)
            ? text(JSON.stringify(answer(ctx, key)))
            : inputRequired({ inputRequests: { [key]: request }, requestState: `state-of-${key}` });

    const tools = {
        content: () => ({ content: blocks(version()) }),
        weather: (_ctx, { city }) =>
            typeof city === 'string'
                ? text(JSON.stringify({ city, celsius: 21.5 }), { structuredContent: { city, celsius: 21.5 } })
                : text('city has to be a string', { isError: true }),
        array: () => text('[1,2,3]', { structuredContent: [1, 2, 3] }),
        null: () => text('null', { structuredContent: null }),
        fail: () => text('no such luck', { isError: true }),
        crash: () => {
            throw new Error('a bug');
        },
        mismatch: () => {
            throw new ProtocolError(-32020, 'Mcp-Param-City does not match the body');
        },
        count: async ctx => {
            const progressToken = ctx.mcpReq._meta?.progressToken;
            if (progressToken !== undefined)
                for (let step = 1; step <= 3; step += 1)
                    await ctx.mcpReq.notify({
                        method: 'notifications/progress',
                        params: { progressToken, progress: step / 2, total: 1.5, message: `step ${step}` }
                    });
            return text('counted');
        },
        wait: async ctx => {
            const progressToken = ctx.mcpReq._meta?.progressToken;
            if (progressToken !== undefined)
                await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress: 1 } });
            await new Promise(resolve => ctx.mcpReq.signal.addEventListener('abort', resolve));
            return text('never seen');
        },
        log: async ctx => {
            for (const level of ['debug', 'info', 'warning', 'error']) await ctx.mcpReq.log(level, { text: level, n: 1 }, 'golden');
            return text('logged');
        },
        ask_form: ctx => ask(ctx, 'who', inputRequired.elicit({ message: 'Who are you?', requestedSchema: FORM })),
        ask_url: async ctx => {
            if (modern)
                return ask(ctx, 'sign-in', inputRequired.elicitUrl({ message: 'Please sign in', url: 'https://example.com/sign-in' }));
            const asked = { mode: 'url', message: 'Please sign in', url: 'https://example.com/sign-in', elicitationId: 'elicitation-1' };
            const given = await ctx.mcpReq.elicitInput(asked);
            await server.createElicitationCompletionNotifier('elicitation-1')();
            return text(JSON.stringify(given));
        },
        url_required: () => {
            throw new UrlElicitationRequiredError([
                { mode: 'url', message: 'Sign in', url: 'https://example.com/in', elicitationId: 'needed-1' }
            ]);
        },
        sample: async ctx => {
            if (modern) return ask(ctx, 'sampled', inputRequired.createMessage(SAMPLING));
            return text(JSON.stringify(await ctx.mcpReq.requestSampling(SAMPLING, { onprogress: () => {} })));
        },
        sample_tools: ctx => ask(ctx, 'sampled', inputRequired.createMessage(SAMPLING_TOOLS)),
        demand: () => {
            throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { sampling: { tools: {} } } });
        },
        roots: ctx => ask(ctx, 'roots', inputRequired.listRoots()),
        all: ctx => {
            const sure = inputRequired.elicit({ message: 'Sure?', requestedSchema: FORM });
            if (answer(ctx, 'sure')) return text('done');
            const state = ctx.mcpReq.requestState();
            if (state === 'round-1') return inputRequired({ requestState: 'round-2' });
            if (state === 'round-2') return inputRequired({ inputRequests: { sure } });
            const inputRequests = {
                who: inputRequired.elicit({ message: 'Who?', requestedSchema: FORM }),
                said: inputRequired.createMessage(SAMPLING),
                roots: inputRequired.listRoots()
            };
            return inputRequired({ inputRequests, requestState: 'round-1' });
        },
        impatient: async ctx => {
            const messages = [{ role: 'user', content: { type: 'text', text: 'wait' } }];
            const outcome = await ctx.mcpReq
                .requestSampling({ messages, maxTokens: 1 }, { timeout: 300 })
                .catch(error => ({ code: error.code }));
            return text(`gave up: ${outcome.code}`);
        },
        ping: async () => {
            await server.ping();
            return text('pong');
        },
        change: async () => {
            extra.push({ name: `extra_${extra.length + 1}`, inputSchema: OBJECT });
            await server.sendToolListChanged();
            await server.sendPromptListChanged();
            await server.sendResourceListChanged();
            return text('changed');
        },
        touch: async (_ctx, { uri }) => {
            await server.sendResourceUpdated({ uri });
            return text('touched');
        },
        end_listens: () => {
            setTimeout(() => handle.close(), 50);
            return text('ended');
        }
    };

    server.setRequestHandler('tools/list', ({ params }) => {
        const cursor = params?.cursor;
        if (cursor !== undefined && cursor !== 'page-2') throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'no such page');
        if (cursor === 'page-2') {
            const bare = Object.keys(tools)
                .filter(name => name !== 'weather')
                .map(name => ({ name, inputSchema: OBJECT }));
            return { tools: [...bare, ...extra] };
        }
        const weather = {
            name: 'weather',
            title: 'Weather',
            description: 'Tells the weather',
            inputSchema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
            outputSchema: {
                type: 'object',
                properties: { city: { type: 'string' }, celsius: { type: 'number' } },
                required: ['city', 'celsius']
            },
            annotations: { title: 'Weather', readOnlyHint: true, openWorldHint: false },
            icons: [ICON],
            _meta: { 'example.com/key': 'value' }
        };
        return { tools: [weather], nextCursor: 'page-2' };
    });
    server.setRequestHandler('tools/call', ({ params }, ctx) => {
        const tool = tools[params.name];
        if (!tool) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown tool: ${params.name}`);
        return tool(ctx, params.arguments ?? {});
    });
    server.setRequestHandler('resources/list', ({ params }) =>
        params?.cursor === 'page-2'
            ? { resources: [{ name: 'blob', uri: 'memo://blob' }] }
            : {
                  resources: [
                      {
                          name: 'text',
                          title: 'A text',
                          uri: 'memo://text',
                          description: 'Says hello',
                          mimeType: 'text/plain',
                          size: 5,
                          icons: [ICON],
                          annotations: { audience: ['user'], priority: 1, lastModified: '2025-01-12T15:00:58Z' },
                          _meta: { 'example.com/key': 1 }
                      }
                  ],
                  nextCursor: 'page-2'
              }
    );
    server.setRequestHandler('resources/templates/list', () => ({
        resourceTemplates: [{ name: 'note', title: 'Note', uriTemplate: 'memo://notes/{id}', mimeType: 'text/plain' }]
    }));
    server.setRequestHandler('resources/read', ({ params: { uri } }, ctx) => {
        if (uri === 'memo://text') return { contents: [{ uri, mimeType: 'text/plain', text: 'hello' }], ttlMs: 60000, cacheScope: 'public' };
        if (uri === 'memo://blob')
            return { contents: [{ uri, mimeType: 'application/octet-stream', blob: PIXEL }, { uri: 'memo://blob/1', text: 'a part' }] };
        if (uri.startsWith('memo://notes/')) return { contents: [{ uri, text: 'a note' }] };
        if (uri === 'memo://ask')
            return answer(ctx, 'sure')
                ? { contents: [{ uri, text: 'asked' }] }
                : inputRequired({ inputRequests: { sure: inputRequired.elicit({ message: 'Sure?', requestedSchema: FORM }) } });
        throw new ResourceNotFoundError(uri);
    });
    server.setRequestHandler('resources/subscribe', () => ({}));
    server.setRequestHandler('resources/unsubscribe', () => ({}));
    server.setRequestHandler('prompts/list', () => ({
        prompts: [
            {
                name: 'greet',
                title: 'Greeting',
                description: 'Greets',
                arguments: [{ name: 'name', title: 'Name', description: 'Whom', required: true }, { name: 'style' }],
                icons: [ICON]
            },
            { name: 'plain' }
        ]
    }));
    server.setRequestHandler('prompts/get', ({ params: { name, arguments: given } }, ctx) => {
        if (name === 'ask' && !answer(ctx, 'said'))
            return inputRequired({ inputRequests: { said: inputRequired.createMessage(SAMPLING) }, requestState: 'prompt-state' });
        if (name !== 'ask' && name !== 'greet') throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown prompt: ${name}`);
        const messages = blocks(version()).map(content => ({ role: 'assistant', content }));
        const hello = { role: 'user', content: { type: 'text', text: `Hello ${given?.name ?? 'you'}` } };
        return { description: 'A greeting', messages: [hello, ...messages] };
    });
    server.setRequestHandler('completion/complete', ({ params }) =>
        params.ref.type === 'ref/resource'
            ? { completion: { values: ['1', '12'], total: 120, hasMore: true } }
            : { completion: { values: [`${params.argument.value}${params.context?.arguments?.name ?? ''}`] } }
    );
    server.setNotificationHandler('notifications/roots/list_changed', async () => void (await server.listRoots()));
    return server;
}

/** Tools, prompts and skills, by the upper layer. */
async function skills() {
    const server = new McpServer(INFO, { capabilities: { resources: { listChanged: true } } });
    server.registerTool(
        'add',
        { description: 'Adds', inputSchema: z.object({ a: z.number(), b: z.number() }), outputSchema: z.object({ sum: z.number() }) },
        ({ a, b }) => text(String(a + b), { structuredContent: { sum: a + b } })
    );
    server.registerPrompt('greet', { argsSchema: z.object({ name: z.string() }) }, ({ name }) => ({
        messages: [{ role: 'user', content: { type: 'text', text: `Hello ${name}` } }]
    }));
    const files = {
        'greeting/SKILL.md': '---\nname: greeting\ndescription: How to greet\n---\nSay hello.\n',
        'greeting/references/GUIDE.md': 'Be kind.\n'
    };
    const catalog = await SkillsExtension.load(memorySkillFiles(files));
    catalog.attach(server);
    return server;
}

handle = serveStdio(process.argv[2] === 'skills' ? skills : everything, { legacy: process.argv[2] === 'modern-only' ? 'reject' : 'serve' });

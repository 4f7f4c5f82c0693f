// The fixture of ../README.md for both generations of the TypeScript SDK.
//
// `sdk` is what differs between the two: how a handler asks the client, logs, reports and is cancelled.

import { z } from 'zod';

export const INFO = version => ({ name: `interop-typescript-${version}`, version: '1.0' });
export const INSTRUCTIONS = 'Call tools, read resources, get prompts.';
export const CAPABILITIES = {
    tools: { listChanged: true },
    prompts: { listChanged: true },
    resources: { listChanged: true, subscribe: true },
    completions: {},
    logging: {}
};

const PAGE = 10;
const PIXEL = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString('base64');
const NOTES = ['1', '10', '11', '12', '2', '3'];
const STYLES = ['formal', 'friendly', 'frank', 'short'];
const FORM = {
    type: 'object',
    properties: { ok: { type: 'boolean' }, name: { type: 'string' } },
    required: ['ok', 'name']
};

const text = (value, more = {}) => ({ content: [{ type: 'text', text: value }], ...more });
const starting = (values, value) => values.filter(known => known.startsWith(value));
const form = message => ({ method: 'elicitation/create', params: { mode: 'form', message, requestedSchema: FORM } });
const told = answer => (answer.action === 'accept' ? `accept:${answer.content.name}` : answer.action);
const sampling = prompt => ({
    method: 'sampling/createMessage',
    params: {
        messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
        systemPrompt: 'Be brief.',
        maxTokens: 100
    }
});
const said = result => `${result.model}: ${result.content.text}`;

/**
 * What the fixture remembers. One process serves one client, so this is the client's too; over HTTP the SDK makes a server for
 * each session, or even each request.
 */
const state = { slowWasCancelled: false, subscribed: new Set(), grown: false, released: 0, waiting: [] };

function release() {
    const next = state.waiting.shift();
    if (next) next();
    else state.released += 1;
}

async function released() {
    if (state.released === 0) return new Promise(resolve => state.waiting.push(resolve));
    state.released -= 1;
}

export function offer(server, sdk) {
    const { subscribed } = state;

    const tool = (name, description, inputSchema, handler, more = {}) =>
        server.registerTool(name, { description, inputSchema: z.object(inputSchema), ...more }, handler);

    tool('echo', 'Gives the text back.', { text: z.string() }, ({ text: said }) => text(said));
    tool(
        'add',
        'Adds two integers.',
        { a: z.int(), b: z.int() },
        ({ a, b }) => text(String(a + b), { structuredContent: { result: a + b } }),
        { outputSchema: z.object({ result: z.int() }) }
    );
    tool(
        'weather',
        'Tells the weather: always the same.',
        { city: z.string().meta({ 'x-mcp-header': 'City' }) },
        ({ city }) => {
            const found = { city, celsius: 21.5 };
            return text(JSON.stringify(found), { structuredContent: found });
        },
        {
            outputSchema: z.object({ city: z.string(), celsius: z.number() }),
            annotations: { title: 'Weather', readOnlyHint: true }
        }
    );
    tool('content', 'One block of each kind that the revision has.', {}, () => {
        const content = [
            { type: 'text', text: 'hello' },
            { type: 'image', data: PIXEL, mimeType: 'image/png' },
            { type: 'resource', resource: { uri: 'memo://text', mimeType: 'text/plain', text: 'hello' } },
            { type: 'resource', resource: { uri: 'memo://blob', mimeType: 'application/octet-stream', blob: PIXEL } }
        ];
        if (sdk.revision() >= '2025-03-26') content.push({ type: 'audio', data: PIXEL, mimeType: 'audio/wav' });
        if (sdk.revision() >= '2025-06-18')
            content.push({ type: 'resource_link', name: 'text', uri: 'memo://text', mimeType: 'text/plain' });
        return { content };
    });
    const counting = 'Counts to n and reports each step; then, if it is to hold, waits for `release`.';
    tool('count', counting, { n: z.int(), hold: z.boolean() }, async ({ n, hold }, ctx) => {
        const progressToken = sdk.progressToken(ctx);
        for (let step = 1; step <= n && progressToken !== undefined; step += 1)
            await sdk.notify(ctx, {
                method: 'notifications/progress',
                params: { progressToken, progress: step, total: n, message: `step ${step} of ${n}` }
            });
        if (hold) await released();
        return text(`counted to ${n}`);
    });
    tool('release', 'Lets `count` end.', {}, () => {
        release();
        return text('released');
    });
    tool('fail', 'Always fails.', { message: z.string() }, ({ message }) => {
        throw new Error(message);
    });
    tool(
        'slow',
        'Tells that it has begun, takes its time, and remembers if it was cancelled.',
        { seconds: z.number() },
        async ({ seconds }, ctx) => {
            const progressToken = sdk.progressToken(ctx);
            const params = { progressToken, progress: 1 };
            if (progressToken !== undefined) await sdk.notify(ctx, { method: 'notifications/progress', params });
            return new Promise(resolve => {
                const timer = setTimeout(() => resolve(text('done')), seconds * 1000);
                sdk.signal(ctx).addEventListener('abort', () => {
                    clearTimeout(timer);
                    state.slowWasCancelled = true;
                    resolve(text('cancelled'));
                });
            });
        }
    );
    tool('was_cancelled', 'Whether a call of `slow` was ever cancelled.', {}, () => text(String(state.slowWasCancelled)));
    tool(
        'ask',
        'Asks the person, and tells what came back.',
        { question: z.string() },
        sdk.asking(async (ask, { question }) => text(told(await ask('answer', form(question)))))
    );
    tool(
        'ask_url',
        'Sends the person to a page, and tells what they did.',
        { url: z.string() },
        sdk.asking(async (ask, { url }) => text((await ask('page', sdk.page('Please sign in', url))).action))
    );
    tool(
        'sample',
        "Has the client's model say something, and tells which model said what.",
        { prompt: z.string() },
        sdk.asking(async (ask, { prompt }) => text(said(await ask('said', sampling(prompt)))))
    );
    tool(
        'roots',
        "The client's roots: their URIs, with a blank between them.",
        {},
        sdk.asking(async ask => text((await ask('roots', { method: 'roots/list' })).roots.map(root => root.uri).join(' ')))
    );
    tool(
        'interview',
        'Asks for a name, has the model say something about it, and counts the roots.',
        {},
        sdk.asking(async ask => {
            const { name } = (await ask('who', form('accept'))).content;
            const about = said(await ask('about', sampling(name)));
            const { roots } = await ask('roots', { method: 'roots/list' });
            return text(`${name}, ${about}, ${roots.length} roots`);
        })
    );
    tool(
        'log',
        'Sends two log messages, an info and an error, unless the client asked for graver ones only.',
        { text: z.string() },
        async ({ text: data }, ctx) => {
            for (const level of ['info', 'error']) await sdk.log(ctx, level, data, 'interop');
            return text('logged');
        }
    );
    tool('touch', 'Tells those who subscribed to the resource that it changed.', { uri: z.string() }, async ({ uri }) => {
        if (sdk.modern() || subscribed.has(uri)) await sdk.updated(uri);
        return text('touched');
    });
    tool('grow', 'Adds the tool `grown`, the resource memo://grown and the prompt `grown`, and tells of it.', {}, () => {
        grow();
        state.grown = true;
        sdk.grown();
        return text('grown');
    });

    function grow() {
        tool('grown', 'What was not there at first.', {}, () => text('grown'));
        server.registerResource('grown', 'memo://grown', { mimeType: 'text/plain' }, uri => ({
            contents: [{ uri: uri.href, text: 'grown' }]
        }));
        server.registerPrompt('grown', {}, () => ({ messages: [{ role: 'user', content: { type: 'text', text: 'grown' } }] }));
    }

    server.registerResource('text', 'memo://text', { mimeType: 'text/plain', description: 'Says hello.' }, uri => ({
        contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'hello' }]
    }));
    server.registerResource('blob', 'memo://blob', { mimeType: 'application/octet-stream' }, uri => ({
        contents: [{ uri: uri.href, mimeType: 'application/octet-stream', blob: PIXEL }]
    }));
    for (let number = 1; number <= 10; number += 1)
        server.registerResource(`leaf ${number}`, `memo://leaf/${number}`, { mimeType: 'text/plain' }, uri => ({
            contents: [{ uri: uri.href, mimeType: 'text/plain', text: `leaf ${number}` }]
        }));
    server.registerResource(
        'note',
        new sdk.ResourceTemplate('memo://notes/{id}', { list: undefined, complete: { id: value => starting(NOTES, value) } }),
        { mimeType: 'text/plain' },
        (uri, { id }) => ({ contents: [{ uri: uri.href, mimeType: 'text/plain', text: `note ${id}` }] })
    );
    server.registerResource(
        'asked',
        new sdk.ResourceTemplate('memo://asked/{question}', { list: undefined }),
        { mimeType: 'text/plain' },
        sdk.asking(async (ask, uri, { question }) => ({
            contents: [{ uri: uri.href, mimeType: 'text/plain', text: told(await ask('answer', form(question))) }]
        }))
    );

    if (state.grown) grow();

    const formally = context => context?.arguments?.style === 'formal';
    server.registerPrompt(
        'greet',
        {
            description: 'A greeting.',
            argsSchema: sdk.argsSchema({
                name: sdk.completable(z.string(), (value, context) =>
                    starting(formally(context) ? ['Ms Lovelace'] : ['Ada', 'Alan'], value)
                ),
                style: sdk.completableIfGiven(z.string(), value => starting(STYLES, value ?? ''))
            })
        },
        ({ name, style }) => ({
            description: 'A greeting.',
            messages: [{ role: 'user', content: { type: 'text', text: `Greet ${name}.${style ? ` Be ${style}.` : ''}` } }]
        })
    );
    server.registerPrompt('picture', { description: 'A picture and a text.' }, () => ({
        messages: [
            { role: 'assistant', content: { type: 'image', data: PIXEL, mimeType: 'image/png' } },
            {
                role: 'user',
                content: { type: 'resource', resource: { uri: 'memo://text', mimeType: 'text/plain', text: 'hello' } }
            }
        ]
    }));
    server.registerPrompt(
        'asked',
        { description: 'Asks first.', argsSchema: sdk.argsSchema({ question: z.string() }) },
        sdk.asking(async (ask, { question }) => ({
            messages: [{ role: 'user', content: { type: 'text', text: told(await ask('answer', form(question))) } }]
        }))
    );

    // The SDK's upper layer gives one page; these are of ten each.
    for (const [method, member] of [['tools/list', 'tools'], ['resources/list', 'resources']]) {
        const everything = server.server._requestHandlers.get(method);
        server.server._requestHandlers.set(method, async (request, ctx) => {
            const cursor = request.params?.cursor;
            if (cursor !== undefined && !/^\d+$/.test(cursor)) throw sdk.invalid(`no such page: ${cursor}`);
            const start = Number(cursor ?? 0);
            const whole = await everything({ ...request, params: {} }, ctx);
            const more = start + PAGE < whole[member].length ? { nextCursor: String(start + PAGE) } : {};
            return { ...whole, [member]: whole[member].slice(start, start + PAGE), ...more };
        });
    }
    sdk.onSubscribe(uri => subscribed.add(uri), uri => subscribed.delete(uri));
    return server;
}

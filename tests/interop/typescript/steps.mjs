// The steps of ../README.md for both generations of the TypeScript SDK, against any server that offers the fixture.
//
//     client.mjs --revision REVISION --how pinned|default|auto --steps NAME,NAME... COMMAND ARGS... | --http URL | --sse URL
//
// Starts COMMAND as its server, or goes to the one at URL; takes the steps on one connection, in this order, and prints a line for each:
// `step NAME ok` or `step NAME FAILED: why`. The exit status is 1 if a step failed.

import { isDeepStrictEqual } from 'node:util';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';

const MODERN = '2026-07-28';
const PATIENCE = 15_000;
const INVALID_PARAMS = -32602;
const METHOD_NOT_FOUND = -32601;
const BYTES = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
const TOOLS = {
    echo: ['text'],
    add: ['a', 'b'],
    weather: ['city'],
    content: [],
    count: ['hold', 'n'],
    release: [],
    fail: ['message'],
    slow: ['seconds'],
    was_cancelled: [],
    ask: ['question'],
    ask_url: ['url'],
    sample: ['prompt'],
    roots: [],
    interview: [],
    log: ['text'],
    touch: ['uri'],
    grow: []
};
const LEAVES = Array.from({ length: 10 }, (_, number) => `memo://leaf/${number + 1}`);
const TEXTS = [
    'plain',
    '',
    'Grüße, Ωmega, 漢字',
    '👩\u200d👩\u200d👧 😀',
    'a\u2028b\u2029c',
    'two\nlines\r\n',
    'quote " backslash \\ nul \u0000 del \u007f',
    'x'.repeat(200_000)
];

/** How this is called, read from the command line. */
export function options() {
    const [, , ...given] = process.argv;
    const named = {};
    while (given[0]?.startsWith('--')) named[given.shift().slice(2)] = given.shift();
    const [command, ...args] = given;
    const { revision, how, http, sse } = named;
    return { revision, modern: revision === MODERN, how, steps: named.steps.split(','), http, sse, command, args };
}

/** What `echo` is told to have all open event streams cut, by the relay that is between client and server. */
const CUT = 'cut the streams';

/** What a client of the revision says that it can do. */
export function capabilities(revision) {
    const elicitation = revision >= '2025-11-25' ? { form: {}, url: {} } : {};
    return { roots: {}, sampling: {}, ...(revision >= '2025-06-18' ? { elicitation } : {}) };
}

/** What the server asked, and said of its own accord. */
export const heard = { logs: [], updates: [], changes: new Set(), faults: [], forms: [], pages: [] };

export const answers = {
    elicit({ params }) {
        if (params.mode === 'url') {
            heard.pages.push(params.url);
            return { action: 'accept' };
        }
        heard.forms.push(params.requestedSchema);
        if (params.message === 'accept') return { action: 'accept', content: { ok: true, name: 'Ada' } };
        return { action: params.message };
    },
    sample({ params }) {
        if (params.systemPrompt !== 'Be brief.' || params.maxTokens !== 100)
            throw new Error(`asked differently: ${JSON.stringify(params)}`);
        // One block, which some versions hold as a list of one.
        const [content] = [params.messages.at(-1).content].flat();
        return {
            role: 'assistant',
            content: { type: 'text', text: `You said ${content.text}` },
            model: 'interop-model',
            stopReason: 'endTurn'
        };
    },
    roots: () => ({ roots: [{ uri: 'file:///interop/one', name: 'One' }, { uri: 'file:///interop/two' }] })
};

let wake = () => {};
/** To be called after each change of `heard`. */
export const news = () => wake();

export const listeners = {
    log({ params }) {
        heard.logs.push([params.level, params.data]);
        news();
    },
    updated({ params }) {
        heard.updates.push([params.uri, params._meta?.['io.modelcontextprotocol/subscriptionId']]);
        news();
    },
    changed({ method }) {
        heard.changes.add(method.split('/')[1]);
        news();
    }
};

async function until(holds) {
    while (!holds()) await new Promise(resolve => (wake = resolve));
}

function check(holds, otherwise) {
    if (!holds) throw new Error(otherwise);
}

function same(what, found, wanted) {
    check(isDeepStrictEqual(found, wanted), `${what}: got ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`);
}

/** A schema is of 2020-12, unless it says otherwise. */
function validator({ $schema = '' }) {
    return $schema.includes('draft-07') ? new Ajv({ strict: false }) : new Ajv2020({ strict: false });
}

function textOf({ content }) {
    check(content.length === 1 && content[0].type === 'text', `one block of text, not ${JSON.stringify(content)}`);
    return content[0].text;
}

/** Takes the steps. `peer` is what differs between the generations. */
export async function take(client, peer, { revision, modern, http, steps }) {
    const call = async (name, given = {}, options, more = {}) => {
        const result = await peer.callTool({ name, arguments: given, ...more }, options);
        check(!result.isError, `${name} failed: ${JSON.stringify(result.content)}`);
        return result;
    };
    const told = async (...given) => textOf(await call(...given));
    const stillAnswers = async () => same('echo', await told('echo', { text: 'still here' }), 'still here');
    const refused = async promise => {
        let result;
        try {
            result = await promise;
        } catch (error) {
            return error.code;
        }
        throw new Error(`a result, not an error: ${JSON.stringify(result)}`);
    };
    const pages = async (method, member) => {
        const items = [];
        const lengths = [];
        let cursor;
        do {
            check(lengths.length < 5, 'pages without end');
            const page = await peer.request(method, cursor === undefined ? {} : { cursor });
            items.push(...page[member]);
            lengths.push(page[member].length);
            cursor = page.nextCursor;
        } while (cursor !== undefined);
        return [items, lengths];
    };

    const all = {
        async negotiate() {
            same('revision', peer.revision(), revision);
            const info = client.getServerVersion();
            check(info.name.startsWith('interop-'), `another name: ${info.name}`);
            same('version', info.version, '1.0');
            same('instructions', client.getInstructions(), 'Call tools, read resources, get prompts.');
            const found = client.getServerCapabilities();
            for (const name of ['tools', 'resources', 'prompts', 'completions', 'logging'])
                check(found[name] || (name === 'completions' && revision < '2025-03-26'), `no capability ${name}`);
            check(found.resources.subscribe, 'no subscriptions');
            for (const name of ['tools', 'resources', 'prompts']) check(found[name].listChanged, `no listChanged of ${name}`);
        },
        async list() {
            const [tools, lengths] = await pages('tools/list', 'tools');
            same('pages', lengths, [10, 7]);
            same('tools', tools.map(one => one.name).sort(), Object.keys(TOOLS).sort());
            for (const { name, description, inputSchema } of tools) {
                check(validator(inputSchema).validateSchema(inputSchema), `${name}: no schema: ${JSON.stringify(inputSchema)}`);
                same(`type of ${name}'s input`, inputSchema.type, 'object');
                same(`parameters of ${name}`, Object.keys(inputSchema.properties ?? {}).sort(), TOOLS[name]);
                same(`required of ${name}`, [...(inputSchema.required ?? [])].sort(), TOOLS[name]);
                check(description, `${name} has no description`);
            }
            const weather = tools.find(one => one.name === 'weather');
            if (revision >= '2025-03-26') check(weather.annotations?.readOnlyHint, 'no hint');
            // By the SDK's own verb, which the newer generation has walk through the pages.
            const listed = await client.listTools();
            same('listed', listed.tools.length, peer.walksPages ? 17 : 10);
            const [resources, of] = await pages('resources/list', 'resources');
            same('pages', of, [10, 2]);
            same('resources', resources.map(one => one.uri).sort(), ['memo://text', 'memo://blob', ...LEAVES].sort());
        },
        async bad_cursor() {
            same('code', await refused(peer.request('tools/list', { cursor: 'no such page' })), INVALID_PARAMS);
        },
        async call() {
            for (const text of TEXTS) {
                const answer = await told('echo', { text });
                check(answer === text, `${JSON.stringify(text.slice(0, 40))} came back as ${JSON.stringify(answer.slice(0, 40))}`);
            }
        },
        async content() {
            const { content } = await call('content');
            const kinds = ['text', 'image', 'resource', 'resource'];
            if (revision >= '2025-03-26') kinds.push('audio');
            if (revision >= '2025-06-18') kinds.push('resource_link');
            same('kinds', content.map(block => block.type), kinds);
            check(BYTES.equals(Buffer.from(content[1].data, 'base64')), 'another image');
            same('text', content[2].resource.text, 'hello');
            check(BYTES.equals(Buffer.from(content[3].resource.blob, 'base64')), 'another blob');
        },
        async structured() {
            const [tools] = await pages('tools/list', 'tools');
            const total = await call('add', { a: 2, b: 3 });
            const found = total.structuredContent;
            check(found === 5 || isDeepStrictEqual(Object.values(found ?? {}), [5]), `2 + 3 gave ${JSON.stringify(found)}`);
            const text = JSON.parse(textOf(total));
            check(text === 5 || isDeepStrictEqual(text, found), `the text is ${JSON.stringify(total.content)}`);
            const weather = await call('weather', { city: 'Kraków' });
            same('weather', weather.structuredContent, { city: 'Kraków', celsius: 21.5 });
            same('text of it', JSON.parse(textOf(weather)), weather.structuredContent);
            const schema = tools.find(one => one.name === 'weather').outputSchema;
            check(schema, 'weather has no output schema');
            same('its properties', Object.keys(schema.properties).sort(), ['celsius', 'city']);
            check(validator(schema).validate(schema, weather.structuredContent), 'not of its schema');
        },
        async tool_error() {
            const result = await peer.callTool({ name: 'fail', arguments: { message: 'no such luck' } });
            check(result.isError, 'isError is not set');
            check(textOf(result).includes('no such luck'), `another text: ${textOf(result)}`);
        },
        async bad_arguments() {
            try {
                const result = await peer.callTool({ name: 'echo', arguments: { text: 17 } });
                check(result.isError, 'isError is not set');
                check(textOf(result).includes('text'), `the parameter is not named: ${textOf(result)}`);
            } catch (error) {
                if (error.code === undefined) throw error;
                check(revision < '2025-11-25', `an error, not a result: ${error.message}`);
                same('code', error.code, INVALID_PARAMS);
            }
            await stillAnswers();
        },
        async unknown_tool() {
            same('code', await refused(peer.callTool({ name: 'no_such_tool', arguments: {} })), INVALID_PARAMS);
        },
        async unknown_method() {
            same('code', await refused(peer.request('interop/unknown', {})), METHOD_NOT_FOUND);
            await stillAnswers();
        },
        async progress() {
            // The SDK loses what is read together with the result, so the result has to wait.
            const seen = [];
            const onprogress = ({ progress, total, message }) => {
                // Messages came with 2025-03-26; a server may leave them out before.
                const leftOut = message === undefined && revision < '2025-03-26';
                seen.push([progress, total, leftOut ? `step ${progress} of ${total}` : message]);
                if (progress === total) released = told('release');
            };
            let released;
            await call('count', { n: 5, hold: true }, { onprogress });
            await released;
            same('progress', seen, [1, 2, 3, 4, 5].map(n => [n, 5, `step ${n} of 5`]));
        },
        async cancel() {
            same('before', await told('was_cancelled'), 'false');
            const abandoning = new AbortController();
            const onprogress = () => abandoning.abort('enough'); // it has begun
            const options = { signal: abandoning.signal, onprogress };
            await refused(peer.callTool({ name: 'slow', arguments: { seconds: 30 } }, options));
            await stillAnswers();
            while ((await told('was_cancelled')) !== 'true');
        },
        async timeout() {
            const code = await refused(peer.callTool({ name: 'slow', arguments: { seconds: 30 } }, { timeout: 300 }));
            same('code', code, peer.timedOut);
            await stillAnswers();
        },
        async concurrent() {
            const numbers = Array.from({ length: 50 }, (_, number) => `number ${number}`);
            same('answers', await Promise.all(numbers.map(text => told('echo', { text }))), numbers);
        },
        async ping() {
            await client.ping();
        },
        async read() {
            const { contents: [text] } = await client.readResource({ uri: 'memo://text' });
            same('text', [text.uri, text.mimeType, text.text], ['memo://text', 'text/plain', 'hello']);
            const { contents: [blob] } = await client.readResource({ uri: 'memo://blob' });
            same('kind of blob', [blob.uri, blob.mimeType], ['memo://blob', 'application/octet-stream']);
            check(BYTES.equals(Buffer.from(blob.blob, 'base64')), 'another blob');
        },
        async missing_resource() {
            const code = await refused(client.readResource({ uri: 'memo://no/such' }));
            check(code === INVALID_PARAMS || (code === -32002 && !modern), `code ${code}`);
        },
        async template() {
            const { resourceTemplates } = await client.listResourceTemplates();
            const found = Object.fromEntries(resourceTemplates.map(one => [one.name, one.uriTemplate]));
            same('templates', found, { note: 'memo://notes/{id}', asked: 'memo://asked/{question}' });
            const { contents: [note] } = await client.readResource({ uri: 'memo://notes/7' });
            same('note', [note.uri, note.text], ['memo://notes/7', 'note 7']);
        },
        async prompt() {
            const { prompts } = await client.listPrompts();
            const found = prompts.map(one => [one.name, (one.arguments ?? []).map(a => [a.name, a.required ?? false])]);
            const wanted = { greet: [['name', true], ['style', false]], picture: [], asked: [['question', true]] };
            same('prompts', Object.fromEntries(found), wanted);
            const greeting = await client.getPrompt({ name: 'greet', arguments: { name: 'Zoë', style: 'brief' } });
            same('messages', greeting.messages.map(one => [one.role, one.content.text]), [['user', 'Greet Zoë. Be brief.']]);
            same('description', greeting.description, 'A greeting.');
            const plain = await client.getPrompt({ name: 'greet', arguments: { name: 'Zoë' } });
            same('without style', plain.messages[0].content.text, 'Greet Zoë.');
            const { messages } = await client.getPrompt({ name: 'picture' });
            same('kinds', messages.map(one => [one.role, one.content.type]), [['assistant', 'image'], ['user', 'resource']]);
            check(BYTES.equals(Buffer.from(messages[0].content.data, 'base64')), 'another image');
            same('text', messages[1].content.resource.text, 'hello');
        },
        async unknown_prompt() {
            same('code', await refused(client.getPrompt({ name: 'no_such_prompt' })), INVALID_PARAMS);
        },
        async completion() {
            const ref = { type: 'ref/prompt', name: 'greet' };
            const styles = await client.complete({ ref, argument: { name: 'style', value: 'f' } });
            same('styles', styles.completion.values, ['formal', 'friendly', 'frank']);
            const note = { type: 'ref/resource', uri: 'memo://notes/{id}' };
            const notes = await client.complete({ ref: note, argument: { name: 'id', value: '1' } });
            same('notes', notes.completion.values, ['1', '10', '11', '12']);
        },
        async completion_context() {
            const asked = { ref: { type: 'ref/prompt', name: 'greet' }, argument: { name: 'name', value: '' } };
            same('names', (await client.complete(asked)).completion.values, ['Ada', 'Alan']);
            const formal = await client.complete({ ...asked, context: { arguments: { style: 'formal' } } });
            same('formal names', formal.completion.values, ['Ms Lovelace']);
        },
        async elicitation() {
            for (const [question, wanted] of [['accept', 'accept:Ada'], ['decline', 'decline'], ['cancel', 'cancel']]) {
                heard.forms.length = 0;
                same(question, await told('ask', { question }), wanted);
                const fields = heard.forms.map(({ properties }) => [properties.ok?.type, properties.name?.type]);
                same('forms', fields, [['boolean', 'string']]);
            }
        },
        async elicitation_url() {
            same('told', await told('ask_url', { url: 'https://example.com/sign-in' }), 'accept');
            same('pages', heard.pages, ['https://example.com/sign-in']);
        },
        async sampling() {
            same('told', await told('sample', { prompt: 'tea' }), 'interop-model: You said tea');
        },
        async roots() {
            same('told', await told('roots'), 'file:///interop/one file:///interop/two');
        },
        async interview() {
            same('told', await told('interview'), 'Ada, interop-model: You said Ada, 2 roots');
        },
        async prompt_asks() {
            const { messages } = await client.getPrompt({ name: 'asked', arguments: { question: 'accept' } });
            same('message', messages[0].content.text, 'accept:Ada');
        },
        async read_asks() {
            const { contents } = await client.readResource({ uri: 'memo://asked/decline' });
            same('part', contents[0].text, 'decline');
        },
        async logging() {
            heard.logs.length = 0;
            for (const [level, text] of [['error', 'one'], ['info', 'two']]) {
                if (modern) {
                    await told('log', { text: 'unasked' });
                    await call('log', { text }, undefined, { _meta: { 'io.modelcontextprotocol/logLevel': level } });
                } else {
                    await client.setLoggingLevel(level);
                    await told('log', { text });
                }
            }
            await until(() => heard.logs.length >= 3);
            same('logs', heard.logs, [['error', 'one'], ['info', 'two'], ['error', 'two']]);
        },
        async subscription() {
            const [text, blob] = ['memo://text', 'memo://blob'];
            const uris = () => heard.updates.map(([uri]) => uri);
            if (modern) {
                const first = await client.listen({ resourceSubscriptions: [text] });
                same('honoured', first.honoredFilter.resourceSubscriptions, [text]);
                const second = await client.listen({ resourceSubscriptions: [blob] });
                for (const uri of ['memo://leaf/1', blob, text]) await told('touch', { uri });
                await until(() => heard.updates.length >= 2);
                // Each has a stream of its own over HTTP, so they come in any order.
                heard.updates.sort();
                same('updates', uris(), [blob, text]);
                const [[, toSecond], [, toFirst]] = heard.updates;
                check(toFirst !== undefined && toSecond !== undefined && toFirst !== toSecond, 'not told apart');
                await second.close();
                for (const uri of [blob, text]) await told('touch', { uri });
                await until(() => heard.updates.length >= 3);
                same('after the second', heard.updates.at(-1), [text, toFirst]);
                await first.close();
                return;
            }
            await client.subscribeResource({ uri: text });
            for (const uri of ['memo://leaf/1', blob, text]) await told('touch', { uri });
            await until(() => heard.updates.length >= 1);
            same('updates', uris(), [text]);
            await client.unsubscribeResource({ uri: text });
            await client.subscribeResource({ uri: blob });
            for (const uri of [text, blob]) await told('touch', { uri });
            await until(() => heard.updates.length >= 2);
            same('updates', uris(), [text, blob]);
            await client.unsubscribeResource({ uri: blob });
        },
        async list_changed() {
            const watched = { toolsListChanged: true, resourcesListChanged: true, promptsListChanged: true };
            const listen = modern ? await client.listen(watched) : undefined;
            heard.changes.clear();
            await told('grow');
            await until(() => heard.changes.size >= 3);
            same('changes', [...heard.changes].sort(), ['prompts', 'resources', 'tools']);
            await listen?.close();
            const [tools] = await pages('tools/list', 'tools');
            const [resources] = await pages('resources/list', 'resources');
            const [prompts] = await pages('prompts/list', 'prompts');
            check(tools.some(one => one.name === 'grown'), 'no new tool');
            check(resources.some(one => one.uri === 'memo://grown'), 'no new resource');
            check(prompts.some(one => one.name === 'grown'), 'no new prompt');
        },
        async clean() {
            // Over HTTP each request has an answer, also one that the client has given up; the SDK holds that for a fault.
            const cancelled = fault => http && fault.includes('unknown message ID') && fault.includes('"code":-32800');
            same('faults', heard.faults.filter(fault => !cancelled(fault)), []);
        },
        async resume() {
            const uri = 'memo://text';
            await client.subscribeResource({ uri });
            heard.updates.length = 0;
            await told('echo', { text: CUT });
            for (const times of [1, 2]) {
                await told('touch', { uri });
                await until(() => heard.updates.length >= times);
                same('updates', heard.updates.map(([uri]) => uri), Array(times).fill(uri));
            }
            await client.unsubscribeResource({ uri });
        },
        async resume_call() {
            const seen = [];
            let released;
            const onprogress = ({ progress, total }) => {
                seen.push(progress);
                if (progress === total) released = told('echo', { text: CUT }).then(() => told('release'));
            };
            same('answer', textOf(await call('count', { n: 3, hold: true }, { onprogress })), 'counted to 3');
            await released;
            same('progress', seen, [1, 2, 3]);
        }
    };

    for (const [name, step] of Object.entries(all)) {
        if (!steps.includes(name)) continue;
        let timer;
        const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error('not done in time')), PATIENCE)));
        try {
            await Promise.race([step(), late]);
            console.log(`step ${name} ok`);
        } catch (error) {
            process.exitCode = 1;
            console.log(`step ${name} FAILED: ${String(error.message).replaceAll(/\s+/g, ' ').slice(0, 500)}`);
        } finally {
            clearTimeout(timer);
        }
    }
    // The session ends by DELETE, where there is one; the client does not do so by itself.
    await client.transport.terminateSession?.();
    await client.close();
}

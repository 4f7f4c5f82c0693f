// The tasks of 2025-11-25, which only the older TypeScript package (sdk 1.x) speaks, in both directions.
//
//     client1.mjs REVISION SCENARIO COMMAND ARGS...
//
// The server is `everything`, which is built on the same package.

import { InMemoryTaskMessageQueue, InMemoryTaskStore } from '@modelcontextprotocol/sdk/experimental/tasks';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import {
    CallToolResultSchema,
    CreateMessageRequestSchema,
    CreateTaskResultSchema,
    ElicitRequestSchema,
    ListRootsRequestSchema
} from '@modelcontextprotocol/sdk/types.js';

const [, scenario, command, ...args] = process.argv.slice(2);
const taskStore = new InMemoryTaskStore();
const capabilities = {
    roots: { listChanged: true },
    sampling: {},
    elicitation: { form: {}, url: {} },
    tasks: { list: {}, cancel: {}, requests: { sampling: { createMessage: {} }, elicitation: { create: {} } } }
};
// With a queue, this client would put its answer to a task's question there, where nobody fetches it.
const queue = scenario === 'task_input' ? {} : { taskMessageQueue: new InMemoryTaskMessageQueue() };
const info = { name: 'golden-typescript-1-client', version: '1.0' };
const client = new Client(info, { capabilities, taskStore, ...queue });

/** The answer at once, or as a task that is done a little later, whichever was asked for. */
const answering = make => async (request, extra) => {
    const answer = make(request);
    if (!request.params.task) return answer;
    const task = await extra.taskStore.createTask({ ttl: extra.taskRequestedTtl, pollInterval: 200 });
    setTimeout(() => extra.taskStore.storeTaskResult(task.taskId, 'completed', answer), 100);
    return { task };
};
client.setRequestHandler(
    CreateMessageRequestSchema,
    answering(() => ({ role: 'assistant', content: { type: 'text', text: 'yes' }, model: 'golden-model', stopReason: 'endTurn' }))
);
client.setRequestHandler(
    ElicitRequestSchema,
    answering(({ params }) => {
        const [first] = Object.entries(params.requestedSchema?.properties ?? {});
        return { action: 'accept', ...(first ? { content: { [first[0]]: first[1].oneOf?.[0].const ?? 'Zoë' } } : {}) };
    })
);
client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: 'file:///tmp/x', name: 'x' }] }));

const attempt = promise => promise.catch(error => console.error(`  refused: ${error.code} ${error.message}`));
const tasks = client.experimental.tasks;
const research = { name: 'simulate-research-query', arguments: { topic: 'tea', ambiguous: false } };

const scenarios = {
    /** A tool that runs as a task: polled, listed, its result fetched; one more is cancelled; what is refused. */
    async tasks() {
        let id;
        for await (const message of tasks.callToolStream(research, CallToolResultSchema, { task: { ttl: 60000 } })) {
            id ??= message.task?.taskId;
            console.error(`  ${message.type} ${message.task?.status ?? ''}`);
        }
        await attempt(tasks.listTasks());
        await attempt(tasks.getTask(id));
        await attempt(tasks.getTaskResult(id, CallToolResultSchema));
        await attempt(tasks.cancelTask(id));
        const params = { ...research, task: {} };
        const { task } = await client.request({ method: 'tools/call', params }, CreateTaskResultSchema);
        await attempt(tasks.cancelTask(task.taskId));
        await attempt(tasks.getTask(task.taskId));
        await attempt(tasks.getTaskResult(task.taskId, CallToolResultSchema));
        await attempt(tasks.getTask('no-such-task'));
        await attempt(client.callTool({ name: 'echo', arguments: { message: 'hi' }, task: { ttl: 1000 } }));
    },
    /** A task that asks in the middle: its question comes while the result is waited for. */
    async task_input() {
        const ambiguous = { ...research, arguments: { topic: 'tea', ambiguous: true } };
        for await (const message of tasks.callToolStream(ambiguous, CallToolResultSchema, { task: { ttl: 60000 } }))
            console.error(`  ${message.type} ${message.task?.status ?? ''}`);
    },
    /** The server has the client do its sampling and elicitation as tasks. */
    async client_tasks() {
        await client.listTools();
        await attempt(client.callTool({ name: 'trigger-sampling-request-async', arguments: { prompt: 'tea?', maxTokens: 5 } }));
        await attempt(client.callTool({ name: 'trigger-elicitation-request-async', arguments: {} }));
        await attempt(client.callTool({ name: 'trigger-url-elicitation', arguments: { url: 'https://example.com/in' } }));
    }
};

await client.connect(new StdioClientTransport({ command, args, stderr: 'inherit' }));
await scenarios[scenario]();
await client.close();
taskStore.cleanup();

// Takes the steps (see steps.mjs) with `@modelcontextprotocol/client`: every revision, pinned; the SDK's default; its `auto`.

import { Client, SSEClientTransport, SdkErrorCode, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { z } from 'zod';
import { answers, capabilities, heard, listeners, options, take } from './steps.mjs';

const given = options();
const { revision, modern, how, http, sse, command, args } = given;
const pinned = modern ? { versionNegotiation: { mode: { pin: revision } } } : { supportedProtocolVersions: [revision] };
const negotiation = { pinned, auto: { versionNegotiation: { mode: 'auto' } }, default: {} }[how];
const client = new Client(
    { name: 'interop-typescript-2-client', version: '1.0' },
    { capabilities: capabilities(revision), ...negotiation }
);
client.onerror = error => heard.faults.push(error.message);
if (revision >= '2025-06-18') client.setRequestHandler('elicitation/create', answers.elicit);
client.setRequestHandler('sampling/createMessage', answers.sample);
client.setRequestHandler('roots/list', answers.roots);
client.setNotificationHandler('notifications/message', listeners.log);
client.setNotificationHandler('notifications/resources/updated', listeners.updated);
for (const list of ['tools', 'resources', 'prompts'])
    client.setNotificationHandler(`notifications/${list}/list_changed`, listeners.changed);
function transport() {
    if (http) return new StreamableHTTPClientTransport(new URL(http));
    if (sse) return new SSEClientTransport(new URL(sse));
    return new StdioClientTransport({ command, args, stderr: 'inherit' });
}

await client.connect(transport());
await take(
    client,
    {
        revision: () => client.getNegotiatedProtocolVersion(),
        callTool: (params, options) => client.callTool(params, options),
        request: (method, params) => client.request({ method, params }, z.looseObject({})),
        timedOut: SdkErrorCode.RequestTimeout,
        walksPages: true
    },
    given
);

// Takes the steps (see steps.mjs) with `@modelcontextprotocol/sdk` 1.x, which offers its newest revision only.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
    CallToolResultSchema,
    CreateMessageRequestSchema,
    ElicitRequestSchema,
    ErrorCode,
    ListRootsRequestSchema,
    LoggingMessageNotificationSchema,
    PromptListChangedNotificationSchema,
    ResourceListChangedNotificationSchema,
    ResourceUpdatedNotificationSchema,
    ToolListChangedNotificationSchema
} from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import { answers, capabilities, heard, listeners, options, take } from './steps.mjs';

/** The client tells its transport what it negotiated, and nobody else. */
class Telling extends StdioClientTransport {
    setProtocolVersion(version) {
        this.revision = version;
    }
}

const given = options();
const { revision, http, command, args } = given;
const client = new Client({ name: 'interop-typescript-1-client', version: '1.0' }, { capabilities: capabilities(revision) });
client.onerror = error => heard.faults.push(error.message);
if (revision >= '2025-06-18') client.setRequestHandler(ElicitRequestSchema, answers.elicit);
client.setRequestHandler(CreateMessageRequestSchema, answers.sample);
client.setRequestHandler(ListRootsRequestSchema, answers.roots);
client.setNotificationHandler(LoggingMessageNotificationSchema, listeners.log);
client.setNotificationHandler(ResourceUpdatedNotificationSchema, listeners.updated);
for (const schema of [
    ToolListChangedNotificationSchema,
    ResourceListChangedNotificationSchema,
    PromptListChangedNotificationSchema
])
    client.setNotificationHandler(schema, listeners.changed);
const transport = http
    ? new StreamableHTTPClientTransport(new URL(http))
    : new Telling({ command, args, stderr: 'inherit' });
await client.connect(transport);
await take(
    client,
    {
        revision: () => (http ? transport.protocolVersion : transport.revision),
        callTool: (params, options) => client.callTool(params, CallToolResultSchema, options),
        request: (method, params) => client.request({ method, params }, z.looseObject({})),
        timedOut: ErrorCode.RequestTimeout,
        walksPages: false
    },
    given
);

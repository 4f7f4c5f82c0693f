// Takes the steps (see steps.mjs) with `@modelcontextprotocol/sdk` 1.x, which offers its newest revision only.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
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

/** The client tells its transport what it negotiated, and nobody else; not all of those tell what they were told. */
const telling = Transport =>
    class extends Transport {
        setProtocolVersion(version) {
            super.setProtocolVersion?.(version);
            this.revision = version;
        }
    };

const given = options();
const { revision, http, sse, command, args } = given;
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
let transport;
if (http) transport = new StreamableHTTPClientTransport(new URL(http));
else if (sse) transport = new (telling(SSEClientTransport))(new URL(sse));
else transport = new (telling(StdioClientTransport))({ command, args, stderr: 'inherit' });
await client.connect(transport);
await take(
    client,
    {
        revision: () => transport.revision ?? transport.protocolVersion,
        callTool: (params, options) => client.callTool(params, CallToolResultSchema, options),
        request: (method, params) => client.request({ method, params }, z.looseObject({})),
        timedOut: ErrorCode.RequestTimeout,
        walksPages: false
    },
    given
);

// The fixture of ../README.md, served over stdio or, with `--http`, over HTTP by `@modelcontextprotocol/sdk` 1.x: the handshake
// revisions.

import { completable } from '@modelcontextprotocol/sdk/server/completable.js';
import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import {
    CreateMessageResultSchema,
    ElicitResultSchema,
    ErrorCode,
    ListRootsResultSchema,
    McpError,
    SubscribeRequestSchema,
    UnsubscribeRequestSchema
} from '@modelcontextprotocol/sdk/types.js';
import { CAPABILITIES, INFO, INSTRUCTIONS, offer } from './fixture.mjs';
import { HTTP, listen, sessions } from './http.mjs';

const RESULTS = {
    'elicitation/create': ElicitResultSchema,
    'sampling/createMessage': CreateMessageResultSchema,
    'roots/list': ListRootsResultSchema
};
function create() {
    const server = new McpServer(INFO(1), { capabilities: CAPABILITIES, instructions: INSTRUCTIONS });

    // The SDK does not tell its user which revision it came to.
    let revision;
    const initialize = server.server._oninitialize.bind(server.server);
    server.server._oninitialize = async request => {
        const result = await initialize(request);
        revision = result.protocolVersion;
        return result;
    };

    return offer(server, {
        ResourceTemplate,
        completable,
        completableIfGiven: (schema, complete) => completable(schema.optional(), complete),
        argsSchema: shape => shape,
        modern: () => false,
        updated: uri => server.server.sendResourceUpdated({ uri }),
        grown() {}, // the SDK tells by itself
        revision: () => revision,
        progressToken: extra => extra._meta?.progressToken,
        notify: (extra, notification) => extra.sendNotification(notification),
        signal: extra => extra.signal,
        log: (extra, level, data, logger) => server.sendLoggingMessage({ level, data, logger }, extra.sessionId),
        invalid: message => new McpError(ErrorCode.InvalidParams, message),
        page: (message, url) => ({ method: 'elicitation/create', params: { mode: 'url', message, url, elicitationId: 'elicitation-1' } }),
        asking:
            handler =>
            (...given) =>
                handler((_key, request) => given.at(-1).sendRequest(request, RESULTS[request.method]), ...given),
        onSubscribe(add, remove) {
            server.server.setRequestHandler(SubscribeRequestSchema, ({ params }) => (add(params.uri), {}));
            server.server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => (remove(params.uri), {}));
        }
    });
}

if (HTTP) {
    const current = sessions(StreamableHTTPServerTransport, create);
    const first = new Map();
    listen(async (request, response) => {
        const { pathname, searchParams } = new URL(request.url, 'http://here');
        if (pathname === '/mcp') return current(request, response);
        if (pathname === '/messages') return first.get(searchParams.get('sessionId')).handlePostMessage(request, response);
        const transport = new SSEServerTransport('/messages', response);
        first.set(transport.sessionId, transport);
        await create().connect(transport);
    });
} else {
    const server = create();
    await server.connect(new StdioServerTransport());
    process.stdin.on('end', () => server.close());
}

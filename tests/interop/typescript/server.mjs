// The fixture of ../README.md, served over stdio or, with `--http`, over HTTP by `@modelcontextprotocol/server`: all revisions.

import { NodeStreamableHTTPServerTransport, toNodeHandler, toWebRequest } from '@modelcontextprotocol/node';
import {
    McpServer,
    ProtocolError,
    ProtocolErrorCode,
    ResourceTemplate,
    completable,
    createMcpHandler,
    inputRequired,
    isLegacyRequest
} from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';
import { CAPABILITIES, INFO, INSTRUCTIONS, offer } from './fixture.mjs';
import { HTTP, listen, sessions } from './http.mjs';

/** A question that this round has no answer to. */
class Unanswered {
    constructor(key, request) {
        this.inputRequests = { [key]: request };
    }
}

function create({ era }) {
    const server = new McpServer(INFO(2), { capabilities: CAPABILITIES, instructions: INSTRUCTIONS });
    const modern = era === 'modern';
    return offer(server, {
        ResourceTemplate,
        completable,
        completableIfGiven: (schema, complete) => completable(schema, complete).optional(),
        argsSchema: shape => z.object(shape),
        modern: () => modern,
        // Where each request has a server of its own, only their handler knows who listens.
        updated: uri => (modern && HTTP ? handler.notify.resourceUpdated(uri) : server.server.sendResourceUpdated({ uri })),
        grown() {
            if (!modern || !HTTP) return;
            handler.notify.toolsChanged();
            handler.notify.resourcesChanged();
            handler.notify.promptsChanged();
        },
        revision: () => server.server.getNegotiatedProtocolVersion(),
        progressToken: ctx => ctx.mcpReq._meta?.progressToken,
        notify: (ctx, notification) => ctx.mcpReq.notify(notification),
        signal: ctx => ctx.mcpReq.signal,
        log: (ctx, level, data, logger) => ctx.mcpReq.log(level, data, logger),
        invalid: message => new ProtocolError(ProtocolErrorCode.InvalidParams, message),
        page: (message, url) =>
            modern
                ? inputRequired.elicitUrl({ message, url })
                : { method: 'elicitation/create', params: { mode: 'url', message, url, elicitationId: 'elicitation-1' } },
        /**
         * A handler that may ask. It runs again on each round, with the answers of all rounds so far; those of earlier
         * ones come back in the state. In the handshake era the SDK turns the rounds into requests of its own.
         */
        asking:
            handler =>
            async (...given) => {
                const ctx = given.at(-1);
                const answers = { ...JSON.parse(ctx.mcpReq.requestState() ?? '{}'), ...ctx.mcpReq.inputResponses };
                const ask = async (key, request) => {
                    if (!(key in answers)) throw new Unanswered(key, request);
                    return answers[key];
                };
                try {
                    return await handler(ask, ...given);
                } catch (question) {
                    if (!(question instanceof Unanswered)) throw question;
                    return inputRequired({ inputRequests: question.inputRequests, requestState: JSON.stringify(answers) });
                }
            },
        onSubscribe(add, remove) {
            server.server.setRequestHandler('resources/subscribe', ({ params }) => (add(params.uri), {}));
            server.server.setRequestHandler('resources/unsubscribe', ({ params }) => (remove(params.uri), {}));
        }
    });
}

const handler = createMcpHandler(create, { legacy: 'reject' });
if (HTTP) {
    const modern = toNodeHandler(handler);
    const legacy = sessions(NodeStreamableHTTPServerTransport, () => create({ era: 'legacy' }));
    listen(async (request, response) => {
        const body = request.method === 'POST' ? JSON.parse(await read(request)) : undefined;
        const goes = (await isLegacyRequest(await toWebRequest(request, body), body)) ? legacy : modern;
        await goes(request, response, body);
    });
} else {
    serveStdio(create);
}

async function read(request) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
}

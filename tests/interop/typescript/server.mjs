// The fixture of ../README.md, served over stdio by `@modelcontextprotocol/server`: all revisions.

import { McpServer, ProtocolError, ProtocolErrorCode, ResourceTemplate, completable, inputRequired } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';
import { CAPABILITIES, INFO, INSTRUCTIONS, offer } from './fixture.mjs';

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

serveStdio(create);

// Servers over HTTP, for both generations of the TypeScript SDK: listens on a port of its own, prints its URL, and ends when the
// input does.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

export const HTTP = process.argv.includes('--http');

/** `handle` takes a request and a response of Node. */
export function listen(handle) {
    const http = createServer((request, response) => void handle(request, response));
    http.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${http.address().port}/mcp`));
    // Streams may be open for long.
    process.stdin.on('end', () => process.exit(0)).resume();
}

/** The sessions of the handshake era: a transport and a server for each. */
export function sessions(Transport, create) {
    const open = new Map();
    return async (request, response, body) => {
        const id = request.headers['mcp-session-id'];
        let transport = open.get(id);
        if (!transport && id !== undefined) return void response.writeHead(404).end();
        if (!transport) {
            transport = new Transport({
                sessionIdGenerator: randomUUID,
                eventStore: new Events(),
                onsessioninitialized: id => void open.set(id, transport),
                onsessionclosed: id => void open.delete(id)
            });
            await create().connect(transport);
        }
        await transport.handleRequest(request, response, body);
    };
}

/** All that was sent in a session, in order: what a client missed is among it. */
class Events {
    #sent = [];

    async storeEvent(stream, message) {
        return String(this.#sent.push({ stream, message }));
    }

    async getStreamIdForEventId(id) {
        return this.#sent[id - 1]?.stream;
    }

    async replayEventsAfter(id, { send }) {
        const stream = this.#sent[id - 1]?.stream;
        for (const [at, event] of this.#sent.entries())
            if (at >= Number(id) && event.stream === stream && Object.keys(event.message).length > 0) await send(String(at + 1), event.message);
        return stream;
    }
}

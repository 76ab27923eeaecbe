// The TypeScript SDK's own MCP server with a Map behind a get_state tool: what somebody would write
// in an afternoon. It answers what state-engine answers, field by field, but keeps nothing, checks
// no policy and knows no versions. Run by bench/peers.py:
//
//   node sdk_server.mjs v1|v2 KEYS
//
// v2: createMcpHandler of @modelcontextprotocol/server behind toNodeHandler, revision 2026-07-28.
// v1: McpServer of @modelcontextprotocol/sdk with a stateless transport, revision 2025-11-25.
// Both build a server for each request, as the SDK documents it for HTTP without sessions, and both
// answer plain JSON. The tool has the schemas that state-engine's has. Prints the port once it
// listens.

import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../tests/node/package.json', import.meta.url));
const { z } = require('zod');

const [version, count] = [process.argv[2], Number(process.argv[3])];

// The same state that bench/measuring.py stores in the engine.
const state = new Map();
function store(key, value) {
  state.set(key, {
    key, value, version: 1, updatedAt: new Date().toISOString(), updatedBy: 'cli:bench', ttl: null,
    seq: state.size + 1, mutationId: crypto.randomUUID(), reason: 'benchmark', metadata: {},
  });
}
store('stream.state', 'on');
for (let i = 0; i < count; i += 1) store(`user.fact.${i}`, { n: i, text: 'a fact' });

const definition = {
  title: 'Read state by key',
  description: 'Read the current value and version of keys.',
  inputSchema: z.object({ keys: z.array(z.string()).max(100) }),
  // As state-engine's own definition of the tool.
  outputSchema: z.object({
    snapshots: z.record(z.string(), z.union([z.null(), z.looseObject({
      key: z.string(), value: z.json(), version: z.int(), updatedAt: z.string(),
      updatedBy: z.string(), seq: z.int().optional(), reason: z.string().optional(),
    })])),
    asOfSeq: z.int(),
  }),
};
function getState({ keys }) {
  const answer = {
    snapshots: Object.fromEntries(keys.map((key) => [key, state.get(key) ?? null])),
    asOfSeq: state.size,
  };
  return { content: [{ type: 'text', text: JSON.stringify(answer) }], structuredContent: answer };
}

function newServer(McpServer) {
  const server = new McpServer({ name: 'map', version: '1.0.0' });
  server.registerTool('get_state', definition, getState);
  return server;
}

function handlerV2() {
  const { McpServer, createMcpHandler } = require('@modelcontextprotocol/server');
  const { toNodeHandler } = require('@modelcontextprotocol/node');
  return toNodeHandler(createMcpHandler(() => newServer(McpServer)));
}

function handlerV1() {
  const { McpServer } = require('@modelcontextprotocol/sdk/server/mcp.js');
  const { StreamableHTTPServerTransport } =
    require('@modelcontextprotocol/sdk/server/streamableHttp.js');
  return async (request, response) => {
    const server = newServer(McpServer);
    const transport = new StreamableHTTPServerTransport(
      { sessionIdGenerator: undefined, enableJsonResponse: true });
    response.on('close', () => { transport.close(); server.close(); });
    await server.connect(transport);
    await transport.handleRequest(request, response);
  };
}

const handlers = { v1: handlerV1, v2: handlerV2 };
if (!handlers[version] || !(count >= 0)) {
  console.error('usage: node sdk_server.mjs v1|v2 KEYS');
  process.exit(2);
}
const server = createServer(handlers[version]());
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.on('SIGTERM', () => process.exit(0));

// What clients are shown, against golden files: every tool (also those of the older SSE transport),
// prompt, resource and the instructions. STATE_ENGINE_UPDATE_GOLDEN=1 rewrites the files.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { main, root, sdk } from './harness.mjs';

const { SSEClientTransport } = sdk('@modelcontextprotocol/sdk/client/sse.js');
const folder = join(root, 'tests/testdata/mcp');
const update = process.env.STATE_ENGINE_UPDATE_GOLDEN === '1';

async function ask(url, method, params = {}) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  return (await answer.json()).result;
}

const hello = {
  protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'golden', version: '1' } };

// Messages as they come: a client library may drop members that it does not know.
async function askOverSse(url, method) {
  const transport = new SSEClientTransport(new URL('/sse', url));
  try {
    const answers = new Map();
    transport.onmessage = (message) => answers.get(message.id)?.(message.result);
    await transport.start();
    const call = async (id, name, params) => {
      const answer = new Promise((resolve) => answers.set(id, resolve));
      await transport.send({ jsonrpc: '2.0', id, method: name, params });
      return answer;
    };
    await call(1, 'initialize', hello);
    return await call(2, method, {});
  } finally {
    await transport.close();
  }
}

async function definitions(url) {
  const { tools } = await ask(url, 'tools/list');
  const shown = new Map(tools.map((tool) => [tool.name, tool]));
  const overSse = (await askOverSse(url, 'tools/list')).tools;
  for (const tool of overSse) {
    if (shown.has(tool.name)) assert.deepEqual(tool, shown.get(tool.name));
    else shown.set(tool.name, tool);
  }
  const { capabilities, instructions } = await ask(url, 'initialize', hello);
  shown.set('server', { capabilities, instructions });
  shown.set('prompts', await ask(url, 'prompts/list'));
  shown.set('resources', {
    ...await ask(url, 'resources/list'), ...await ask(url, 'resources/templates/list') });
  return { shown, plain: tools.map(({ name }) => name), overSse: overSse.map(({ name }) => name) };
}

await main([
  ['every definition is as its golden file says', async (home) => {
    const { url } = await home.serve('golden');
    const { shown } = await definitions(url);
    if (update) {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      for (const [name, value] of shown) {
        writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(value, null, 2)}\n`);
      }
    }
    assert.deepEqual(readdirSync(folder).sort(), [...shown.keys()].map((name) => `${name}.json`).sort(),
      'STATE_ENGINE_UPDATE_GOLDEN=1 rewrites the golden files');
    for (const [name, value] of shown) {
      const golden = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'));
      assert.deepEqual(value, golden, `${name}: STATE_ENGINE_UPDATE_GOLDEN=1 rewrites the file`);
    }
  }],
  ['the tools of the gateway are on its transport only', async (home) => {
    const { url } = await home.serve('gateway');
    const { plain, overSse } = await definitions(url);
    const bit = ['bit.health', 'bit.info', 'bit.readiness'];
    assert.deepEqual(overSse.filter((name) => name.startsWith('bit.')).sort(), bit);
    assert.deepEqual(plain.filter((name) => name.startsWith('bit.')), []);
  }],
  ['every tool says what it does to whom', async (home) => {
    const { url } = await home.serve('shape');
    const { shown } = await definitions(url);
    for (const [name, tool] of shown) {
      if (!tool.inputSchema) continue;
      assert.ok(tool.title && tool.description, name);
      assert.deepEqual(Object.keys(tool.annotations).sort(),
        ['destructiveHint', 'idempotentHint', 'openWorldHint', 'readOnlyHint'], name);
      for (const schema of [tool.inputSchema, tool.outputSchema]) {
        assert.equal(schema.type, 'object', name);
        for (const word of ['oneOf', 'anyOf', 'allOf', 'not', 'if']) {
          assert.ok(!(word in schema), `${name}: ${word} at the root makes hosts drop the tool`);
        }
      }
    }
  }],
]);

// @modelcontextprotocol/sdk 1.x, the client inside most of today's hosts: revision 2025-11-25.

import assert from 'node:assert/strict';

import { main, sdk } from './harness.mjs';
import { runScenario } from './scenario.mjs';

const { Client } = sdk('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = sdk('@modelcontextprotocol/sdk/client/streamableHttp.js');
const { StdioClientTransport } = sdk('@modelcontextprotocol/sdk/client/stdio.js');
const { ResourceUpdatedNotificationSchema } = sdk('@modelcontextprotocol/sdk/types.js');

async function subscribe(client, uri, onUpdate) {
  client.setNotificationHandler(ResourceUpdatedNotificationSchema,
    (notification) => onUpdate(notification.params.uri));
  await client.subscribeResource({ uri });
  return () => client.unsubscribeResource({ uri });
}

async function scenario(transport, tag) {
  const client = new Client({ name: 'sdk-v1-test', version: '1' });
  await client.connect(transport);
  await runScenario(client, { subscribe, alive: (connected) => connected.ping(), tag });
}

await main([
  ['sdk v1 over HTTP', async (home) => {
    const engine = await home.serve('data');
    await scenario(new StreamableHTTPClientTransport(engine.url), 'http');
    assert.equal(await engine.stop(), 0);
  }],
  ['sdk v1 over stdio, a bridge to the daemon', async (home) => {
    const engine = await home.serve('data');
    await scenario(new StdioClientTransport(home.stdio('data')), 'bridge');
    assert.equal(await engine.stop(), 0);
  }],
  ['sdk v1 over stdio, no daemon', async (home) => {
    await scenario(new StdioClientTransport(home.stdio('data')), 'alone');
    // What it wrote is there for the next process.
    await scenario(new StdioClientTransport(home.stdio('data')), 'alone again');
  }],
]);

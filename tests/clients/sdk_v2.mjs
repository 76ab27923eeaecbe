// @modelcontextprotocol/client 2.x: both eras of the protocol, negotiated or pinned.

import assert from 'node:assert/strict';

import { main, sdk } from './harness.mjs';
import { runScenario } from './scenario.mjs';

const { Client, StreamableHTTPClientTransport } = sdk('@modelcontextprotocol/client');
const { StdioClientTransport } = sdk('@modelcontextprotocol/client/stdio');

const modern = '2026-07-28';

async function subscribeLegacy(client, uri, onUpdate) {
  client.setNotificationHandler('notifications/resources/updated',
    (notification) => onUpdate(notification.params.uri));
  await client.subscribeResource({ uri });
  return () => client.unsubscribeResource({ uri });
}

async function subscribeModern(client, uri, onUpdate) {
  client.setNotificationHandler('notifications/resources/updated',
    (notification) => onUpdate(notification.params.uri));
  const subscription = await client.listen({ resourceSubscriptions: [uri] });
  assert.deepEqual(subscription.honoredFilter.resourceSubscriptions, [uri]);
  return async () => {
    await subscription.close();
    assert.equal(await subscription.closed, 'local');
  };
}

async function scenario(mode, transport, tag) {
  const client = new Client(
    { name: 'sdk-v2-test', version: '1' }, { versionNegotiation: { mode } });
  await client.connect(transport);
  const era = mode === 'legacy' ? 'legacy' : 'modern';
  assert.equal(client.getProtocolEra(), era);
  if (era === 'modern') assert.equal(client.getNegotiatedProtocolVersion(), modern);
  await runScenario(client, {
    subscribe: era === 'modern' ? subscribeModern : subscribeLegacy,
    alive: (connected) => (era === 'modern' ? connected.discover() : connected.ping()),
    tag,
  });
}

const cases = [];
const modes = { legacy: 'legacy', auto: 'auto', [`pin ${modern}`]: { pin: modern } };
for (const [name, mode] of Object.entries(modes)) {
  cases.push([`sdk v2, ${name}, over HTTP`, async (home) => {
    const engine = await home.serve('data');
    await scenario(mode, new StreamableHTTPClientTransport(engine.url), 'http');
    assert.equal(await engine.stop(), 0);
  }]);
  cases.push([`sdk v2, ${name}, over stdio, a bridge to the daemon`, async (home) => {
    const engine = await home.serve('data');
    await scenario(mode, new StdioClientTransport(home.stdio('data')), 'bridge');
    assert.equal(await engine.stop(), 0);
  }]);
  cases.push([`sdk v2, ${name}, over stdio, no daemon`, async (home) => {
    await scenario(mode, new StdioClientTransport(home.stdio('data')), 'alone');
  }]);
}
await main(cases);

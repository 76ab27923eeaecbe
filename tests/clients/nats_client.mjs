// clients/typescript/src/nats.ts against a real server and engine.
//
//   nats_client.mjs open URL          no credentials: propose, read, watch, retry
//   nats_client.mjs guarded URL KEYS  examples/platform/nats-server.conf: what each user may do

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { StateEngineClient } from '../../clients/typescript/src/nats.ts';

const require = createRequire(new URL('../node/package.json', import.meta.url));
const { connect, nkeyAuthenticator } = require('@nats-io/transport-node');

const [mode, url, keysFile] = process.argv.slice(2);
const prefix = 'local.';

async function open() {
  const nc = await connect({ servers: url });
  const client = new StateEngineClient(nc, { prefix, actor: 'test-service' });
  const changes = client.changes();
  const nextChange = changes.next();
  await nc.flush();

  const result = await client.propose({ key: 'stream.title', value: 'one', reason: 'test' });
  assert.equal(result.status, 'accepted');
  assert.equal(result.version, 1);
  const change = (await nextChange).value;
  assert.equal(change.key, 'stream.title');
  assert.equal(change.actor, 'test-service');
  await changes.return();

  const id = result.mutationId;
  const again = await client.propose(
    { id, key: 'stream.title', value: 'one', reason: 'test' }, { retryMs: 1000 });
  assert.equal(again.version, 1, 'the same id gets the same answer');
  assert.equal(again.duplicate, true);

  const conflict = await client.propose(
    { key: 'stream.title', value: 'two', expectedVersion: 7, reason: 'test' });
  assert.equal(conflict.code, 'version_conflict');
  assert.equal(conflict.current.version, 1);

  const now = await client.proposeNow(
    { key: 'stream.title', value: 'two', expectedVersion: 1, reason: 'test' });
  assert.equal(now.status, 'accepted');
  const invalid = await client.proposeNow({ key: 'k', reason: '' });
  assert.equal(invalid.code, 'invalid_proposal');

  const read = await client.get(['stream.title', 'absent']);
  assert.equal(read.snapshots['stream.title'].value, 'two');
  assert.equal(read.snapshots.absent, null);
  const first = await client.getPrefix('stream.', { limit: 1 });
  assert.equal(first.count, 1);
  await client.proposeNow({ key: 'stream.zzz', value: 1, reason: 'test' });
  const page = await client.getPrefix('stream.', { limit: 1 });
  assert.equal(page.truncated, true);
  const rest = await client.getPrefix('stream.', { after: page.nextAfter });
  assert.deepEqual(Object.keys(rest.snapshots), ['stream.zzz']);
  await assert.rejects(client.get('no list'), { code: 'invalid_argument' });
  client.close();
  await nc.drain();
}

const as = async (user, keys, inbox) => connect({
  servers: url,
  authenticator: nkeyAuthenticator(new TextEncoder().encode(keys[user].seed)),
  inboxPrefix: inbox,
  maxReconnectAttempts: 0,
});

async function refused(nc, what) {
  await assert.rejects(what(), (error) => /permission/i.test(String(error) + error.cause), 'refused');
  await nc.flush();
}

async function guarded() {
  const keys = JSON.parse(readFileSync(keysFile, 'utf8'));
  const ingress = await as('ingress', keys, '_INBOX_ingress');
  const twitch = new StateEngineClient(ingress,
    { prefix, actor: 'ingress-egress:twitch', actorInSubject: true });
  const result = await twitch.propose({ key: 'stream.state', value: 'on', reason: 'online' });
  assert.equal(result.status, 'accepted');

  const agent = await as('agent', keys, '_INBOX_agent');
  const bot = new StateEngineClient(agent, { prefix, actor: 'llm-bot', actorInSubject: true });
  const read = await bot.get(['stream.state']);
  assert.equal(read.snapshots['stream.state'].updatedBy, 'ingress-egress:twitch');
  // The body names another actor: the subject counts.
  const lie = await bot.proposeNow(
    { key: 'stream.title', value: 'x', reason: 'r', actor: 'ingress-egress:twitch' });
  assert.equal(lie.status, 'accepted');
  const title = await bot.get(['stream.title']);
  assert.equal(title.snapshots['stream.title'].updatedBy, 'llm-bot');

  const timeout = 2000;
  await refused(agent, () =>
    agent.request(`${prefix}internal.state.mutation.v1.ingress-egress:twitch`, '{}', { timeout }));
  await refused(agent, () =>
    agent.request('rpc.local.state.engine.v1.propose.somebody', '{}', { timeout }));
  await refused(agent, () => agent.request('$JS.API.STREAM.DELETE.BITBRAT', '', { timeout }));
  await refused(ingress, () =>
    ingress.request(`${prefix}internal.egress.v1`, '{}', { timeout }));
  await assert.rejects(connect({ servers: url, maxReconnectAttempts: 0 }), /authoriz/i);
  await Promise.all([ingress.close(), agent.close()]);
}

await (mode === 'open' ? open() : guarded());
console.log(`${mode}: ok`);

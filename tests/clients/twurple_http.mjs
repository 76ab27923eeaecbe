// twurple's EventSub webhook listener, unchanged, as the receiver of our mock's webhooks: the
// challenge, the signature and the revocation are what the real library expects.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';

import { eventually, sdk } from './harness.mjs';
import { MockTwitch } from './mock_twitch.mjs';

// twurple registers https addresses; no proxy is in front of it here.
const mock = await MockTwitch.start(['--plain-webhooks']);
process.env.TWURPLE_MOCK_API_PORT = mock.port;

const { ApiClient } = await import(sdk.resolve('@twurple/api'));
const { AppTokenAuthProvider } = await import(sdk.resolve('@twurple/auth'));
const { EventSubHttpListener, ReverseProxyAdapter } =
  await import(sdk.resolve('@twurple/eventsub-http'));

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function run() {
  const port = await freePort();
  const auth = new AppTokenAuthProvider(mock.tokens.clientId, mock.tokens.clientSecret);
  const api = new ApiClient({ authProvider: auth, logger: { minLevel: 'error' } });
  const listener = new EventSubHttpListener({
    apiClient: api,
    adapter: new ReverseProxyAdapter({ hostName: `127.0.0.1:${port}`, port, usePathPrefix: false }),
    secret: 'a-secret-of-16ch',
    strictHostCheck: false,
    legacySecrets: false,
    logger: { minLevel: 'error' },
  });
  const seen = [];
  const revoked = [];
  const verified = [];
  listener.onVerify((ok) => verified.push(ok));
  listener.onRevoke((subscription, status) => revoked.push(status));
  listener.onStreamOnline('1001', (event) => seen.push(['online', event.id]));
  listener.onChannelUpdate('1001', (event) => seen.push(['update', event.streamTitle]));
  listener.start();
  try {
    await eventually('the subscriptions', async () => (await mock.report()).subscriptions.length === 2);
    await eventually('the challenges', async () =>
      (await mock.report()).subscriptions.every((one) => one.status === 'enabled'));
    assert.deepEqual(verified, [true, true]);
    console.log('ok      challenge');

    await mock.control('stream', { channel: 'streamer', state: 'on', streamId: '9001', repeat: 3 });
    await mock.control('channel', { channel: 'streamer', title: 'Hello' });
    await eventually('both events', () => seen.length >= 2);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.deepEqual(seen.sort(), [['online', '9001'], ['update', 'Hello']]);
    console.log('ok      signed notifications, each once');

    await mock.control('revoke', { type: 'channel.update', status: 'user_removed' });
    await eventually('the revocation', () => revoked.length === 1);
    assert.equal(revoked[0], 'user_removed');
    console.log('ok      revocation');
  } finally {
    listener.stop();
  }
}

let code = 0;
try {
  await run();
} catch (fault) {
  console.log(`FAILED  ${fault.stack ?? fault}`);
  console.log(JSON.stringify(await mock.report()));
  code = 1;
} finally {
  await mock.stop();
}
process.exit(code);

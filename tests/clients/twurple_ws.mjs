// twurple's EventSub WebSocket client, unchanged, against our mock Twitch: what the real client
// library understands is what the mock may claim to be. It runs before our own ingest is trusted.

import assert from 'node:assert/strict';

import { eventually, sdk } from './harness.mjs';
import { MockTwitch } from './mock_twitch.mjs';

// One mock for all cases: twurple reads its port once, when it is imported.
const mock = await MockTwitch.start(['--keepalive', '2', '--keepalive-min', '2']);
process.env.TWURPLE_MOCK_API_PORT = mock.port;

const { ApiClient } = await import(sdk.resolve('@twurple/api'));
const { RefreshingAuthProvider } = await import(sdk.resolve('@twurple/auth'));
const { EventSubWsListener } = await import(sdk.resolve('@twurple/eventsub-ws'));

const streamer = '1001';
const seen = [];
const sockets = { ready: 0, disconnected: 0, created: 0 };
const revoked = [];

function count(what) {
  return seen.filter((entry) => entry[0] === what).length;
}

function listen(listener) {
  const note = (what, pick) => (event) => seen.push([what, pick(event)]);
  listener.onStreamOnline(streamer, note('online', (e) => [e.id, e.type, e.startDate.getTime() > 0]));
  listener.onStreamOffline(streamer, note('offline', (e) => e.broadcasterName));
  listener.onChannelUpdate(streamer,
    note('update', (e) => [e.streamTitle, e.categoryName, e.streamLanguage]));
  listener.onChannelFollow(streamer, streamer, note('follow', (e) => e.userName));
  listener.onChannelRaidTo(streamer, note('raid', (e) => [e.raidingBroadcasterName, e.viewers]));
  listener.onChannelSubscription(streamer, note('subscribe', (e) => [e.tier, e.isGift]));
  listener.onChannelCheer(streamer, note('cheer', (e) => e.bits));
  listener.onChannelHypeTrainBeginV2(streamer, note('train', (e) => [e.level, e.goal]));
  listener.onChannelAdBreakBegin(streamer, note('ads', (e) => e.durationSeconds));
  listener.onUserSocketReady(() => { sockets.ready += 1; });
  listener.onUserSocketDisconnect(() => { sockets.disconnected += 1; });
  listener.onSubscriptionCreateSuccess(() => { sockets.created += 1; });
  listener.onRevoke((subscription, status) => revoked.push(status));
}

const kinds = ['online', 'offline', 'update', 'follow', 'raid', 'subscribe', 'cheer', 'train', 'ads'];

async function subscribed(sessions, rounds) {
  await eventually('every subscription is enabled', async () => {
    const { subscriptions } = await mock.report();
    return sockets.ready >= sessions &&
      subscriptions.filter((one) => one.status === 'enabled').length === kinds.length;
  });
  // The answer to a subscription is on its way to twurple a moment longer.
  await eventually('twurple knows them', () => sockets.created === rounds * kinds.length);
}

async function run() {
  const auth = new RefreshingAuthProvider(
    { clientId: mock.tokens.clientId, clientSecret: mock.tokens.clientSecret });
  // Looks expired, so that twurple refreshes it: the mock's token endpoint is in play.
  auth.addUser(streamer, {
    accessToken: 'expired', refreshToken: mock.tokens.refreshToken, expiresIn: 1,
    obtainmentTimestamp: 0, scope: mock.tokens.scopes,
  });
  const api = new ApiClient({ authProvider: auth, logger: { minLevel: 'error' } });
  const listener = new EventSubWsListener({ apiClient: api, logger: { minLevel: 'error' } });
  listen(listener);
  listener.start();
  try {
    await subscribed(1, 1);
    console.log('ok      subscribes with a refreshed token');
    assert.equal(await mock.requests('POST /auth/token'), 1);
    assert.equal((await api.users.getUserById(streamer)).name, 'streamer');
    assert.equal(await api.streams.getStreamByUserId(streamer), null);

    await mock.control('stream', { channel: 'streamer', state: 'on', streamId: '9001' });
    await mock.control('channel', { channel: 'streamer', title: 'Hello', category: 'Chess', language: 'de' });
    for (const type of ['channel.follow', 'channel.raid', 'channel.subscribe', 'channel.cheer',
      'channel.hype_train.begin', 'channel.ad_break.begin']) {
      const { sent } = await mock.control('event', { channel: 'streamer', type });
      assert.equal(sent, 1, type);
    }
    const stream = await api.streams.getStreamByUserId(streamer);
    assert.deepEqual([stream.id, stream.title, stream.gameName], ['9001', 'Hello', 'Chess']);
    await mock.control('stream', { channel: 'streamer', state: 'off' });
    await eventually('all events', () => kinds.every((kind) => count(kind) === 1));
    const got = Object.fromEntries(seen);
    assert.deepEqual(got.online, ['9001', 'live', true]);
    assert.deepEqual(got.update, ['Hello', 'Chess', 'de']);
    assert.deepEqual(got.raid, ['raider', 42]);
    assert.equal(got.ads, 60);
    console.log('ok      understands every event');

    await mock.control('event',
      { channel: 'streamer', type: 'channel.cheer', messageId: 'twice', repeat: 3 });
    await mock.control('event', {
      channel: 'streamer', type: 'channel.cheer',
      timestamp: new Date(Date.now() - 11 * 60 * 1000).toISOString(),
    });
    await mock.control('event', { channel: 'streamer', type: 'channel.raid' });
    await eventually('the raid after them', () => count('raid') === 2);
    assert.equal(count('cheer'), 2, 'one of three duplicates, none of the stale one');
    console.log('ok      duplicates and stale messages');

    const made = await mock.requests('POST /eventsub/subscriptions');
    await mock.control('reconnect');
    await eventually('the second welcome', () => sockets.ready === 2);
    await eventually('the old socket is gone', async () => (await mock.report()).sessions.length === 1);
    await mock.control('event', { channel: 'streamer', type: 'channel.raid' });
    await eventually('an event over the new socket', () => count('raid') === 3);
    assert.equal(await mock.requests('POST /eventsub/subscriptions'), made, 'not subscribed again');
    assert.equal(sockets.disconnected, 0);
    console.log('ok      session_reconnect');

    await mock.control('drop');
    await subscribed(3, 2);
    assert.equal(await mock.requests('POST /eventsub/subscriptions'), made + kinds.length);
    assert.equal(sockets.disconnected, 1);
    console.log('ok      hard drop: a new session, subscribed again');

    await mock.control('keepalive', { enabled: false });
    await eventually('silence is noticed', () => sockets.disconnected === 2);
    await mock.control('keepalive', { enabled: true });
    await subscribed(4, 3);
    console.log('ok      keepalive silence');

    await mock.control('revoke', { type: 'channel.cheer' });
    await eventually('the revocation', () => revoked.length === 1);
    assert.equal(revoked[0], 'authorization_revoked');
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
  console.log(JSON.stringify({ seen, sockets, revoked, report: await mock.report() }));
  code = 1;
} finally {
  await mock.stop();
}
process.exit(code);

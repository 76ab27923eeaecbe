// Signed tokens against a key set file: who gets in, what refusals say, what a client finds out.

import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, main } from './harness.mjs';

const issuer = 'https://issuer.example';
const publicUrl = 'https://state.example';
const audience = `${publicUrl}/mcp`;

function keyPair(alg) {
  const pair = {
    RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    EdDSA: () => generateKeyPairSync('ed25519'),
  }[alg]();
  return { alg, privateKey: pair.privateKey, jwk: { ...pair.publicKey.export({ format: 'jwk' }), kid: alg } };
}

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function token({ alg, privateKey }, claims = {}) {
  const data = `${part({ alg, kid: alg })}.${part({
    iss: issuer, aud: audience, sub: 'anna', exp: Math.floor(Date.now() / 1000) + 600,
    scope: 'state:read state:write', ...claims })}`;
  const key = alg === 'ES256' ? { key: privateKey, dsaEncoding: 'ieee-p1363' } : privateKey;
  const signature = sign(alg === 'EdDSA' ? null : 'sha256', Buffer.from(data), key);
  return `${data}.${signature.toString('base64url')}`;
}

function writeKeys(home, keys) {
  const file = join(home.directory, 'jwks.json');
  writeFileSync(`${file}.new`, JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }));
  renameSync(`${file}.new`, file);
  return file;
}

const serve = (home, keys) => home.serve('jwt', ['--jwks', writeKeys(home, keys),
  '--jwt-issuer', issuer, '--public-url', publicUrl]);

function call(url, bearer, name, args) {
  return fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream',
      ...(bearer ? { Authorization: `Bearer ${bearer}` } : {}) },
    body: JSON.stringify(
      { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } }),
  });
}

const write = (url, bearer) => call(url, bearer, 'propose_mutation',
  { key: 'stream.state', value: 'on', reason: 'authorization test' });

await main([
  ['every algorithm is taken and the subject is the actor', async (home) => {
    const keys = ['RS256', 'ES256', 'EdDSA'].map(keyPair);
    const { url } = await serve(home, keys);
    for (const key of keys) {
      assert.equal((await write(url, token(key, { sub: `user-${key.alg}` }))).status, 200, key.alg);
      const state = await call(url, token(key), 'get_state', { keys: ['stream.state'] });
      const { result } = await state.json();
      assert.equal(result.structuredContent.snapshots['stream.state'].updatedBy, `jwt:user-${key.alg}`);
    }
  }],
  ['a refusal tells the client where to get a token', async (home) => {
    const key = keyPair('EdDSA');
    const { url } = await serve(home, [key]);
    const nobody = await write(url);
    assert.equal(nobody.status, 401);
    const challenge = nobody.headers.get('www-authenticate');
    const [, metadataUrl] = /^Bearer resource_metadata="([^"]+)"/.exec(challenge);
    assert.equal(metadataUrl, `${publicUrl}/.well-known/oauth-protected-resource/mcp`);
    assert.match(challenge, /scope="state:read state:write"/);
    const metadata = await (await fetch(new URL(new URL(metadataUrl).pathname, url))).json();
    assert.equal(metadata.resource, audience);
    assert.deepEqual(metadata.authorization_servers, [issuer]);
  }],
  ['tokens that are late, foreign or for others are refused', async (home) => {
    const key = keyPair('ES256');
    const { url } = await serve(home, [key]);
    const past = Math.floor(Date.now() / 1000) - 120;
    for (const bearer of [token(key, { exp: past }), token(key, { iss: 'https://other.example' }),
      token(key, { aud: 'https://other.example/mcp' }), token(keyPair('ES256')), 'a.b.c',
      `${part({ alg: 'none' })}.${token(key).split('.')[1]}.`]) {
      const refused = await write(url, bearer);
      assert.equal(refused.status, 401);
      assert.match(refused.headers.get('www-authenticate'), /error="invalid_token"/);
    }
    const query = new URL(url);
    query.searchParams.set('token', token(key));
    assert.equal((await write(query)).status, 401, 'no token in the query');
  }],
  ['a missing scope is a 403 that names what is needed', async (home) => {
    const key = keyPair('RS256');
    const { url } = await serve(home, [key]);
    const refused = await write(url, token(key, { scope: 'state:read' }));
    assert.equal(refused.status, 403);
    assert.match(refused.headers.get('www-authenticate'),
      /error="insufficient_scope", scope="state:read state:write"/);
    assert.equal((await write(url, token(key, { scope: '' }))).status, 403, 'no scope, no right');
  }],
  ['a new key set is taken over by SIGHUP, a broken one is not', async (home) => {
    const [first, second] = [keyPair('EdDSA'), keyPair('ES256')];
    const { url } = await serve(home, [first]);
    assert.equal((await write(url, token(second))).status, 401);
    writeKeys(home, [second]);
    home.engines[0].child.kill('SIGHUP');
    await eventually('the new key', async () => (await write(url, token(second))).status === 200);
    assert.equal((await write(url, token(first))).status, 401, 'the old key is gone');
    writeKeys(home, []);
    home.engines[0].child.kill('SIGHUP');
    await eventually('the complaint', () => home.log('jwt').includes('no usable key'));
    assert.equal((await write(url, token(second))).status, 200);
  }],
]);

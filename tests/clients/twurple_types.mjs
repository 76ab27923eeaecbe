// Our table of EventSub types against twurple's API client, which follows Twitch's reference: the
// versions and the scopes that we ask for are those that it asks for.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { cleanEnvironment, engineBinary, main, sdk } from './harness.mjs';

// {type: {versions, scopes, conditions}} as its calls of createSubscription have them.
function twurpleTypes() {
  const api = dirname(sdk.resolve('@twurple/api'));
  const source = readFileSync(join(api, 'endpoints/eventSub/HelixEventSubApi.js'), 'utf8');
  const types = new Map();
  for (const call of source.matchAll(/createSubscription\('([^']+)', '([^']+)',(.*)\);/g)) {
    const [, type, version, rest] = call;
    const known = types.get(type) ?? { versions: new Set(), scopes: new Set() };
    known.versions.add(version);
    for (const [, scope] of rest.matchAll(/'([a-z]+:[a-z_:]+)'/g)) known.scopes.add(scope);
    types.set(type, known);
  }
  return types;
}

function check(home, types) {
  const lines = ['twitch:', '  channels: [streamer]', '  tokensFile: t.json', '  subscriptions:'];
  for (const type of types) {
    lines.push(`    ${type}: {enabled: true, mutation: {key: a, value: 1}}`);
  }
  const file = join(home.directory, 'types.yaml');
  writeFileSync(file, `${lines.join('\n')}\n`);
  return spawnSync(engineBinary(), ['ingress', 'twitch', '--check', '--config', file],
    { encoding: 'utf8', env: cleanEnvironment() });
}

await main([['our event types are those of twurple', (home) => {
  const theirs = twurpleTypes();
  assert.ok(theirs.size > 50, `found only ${theirs.size} types in twurple`);
  const first = check(home, theirs.keys());
  const unknown = new Set(
    [...first.stderr.matchAll(/and (\S+) is not among the known types/g)].map((match) => match[1]));
  const known = [...theirs.keys()].filter((type) => !unknown.has(type));
  const second = check(home, known);
  assert.equal(second.status, 0, second.stderr);
  const ours = [...second.stdout.matchAll(/^ {2}(\S+) v(\S+?)(?:, needs the scope (\S+))?$/gm)];
  assert.equal(ours.length, known.length);
  assert.ok(ours.length >= 20, `we know only ${ours.length} of them`);
  for (const [, type, version, scope] of ours) {
    const their = theirs.get(type);
    assert.ok(their.versions.has(version), `${type}: version ${version}, not ${[...their.versions]}`);
    if (scope) {
      assert.ok(their.scopes.has(scope), `${type}: scope ${scope}, not one of ${[...their.scopes]}`);
    } else {
      assert.equal(their.scopes.size, 0, `${type} needs one of ${[...their.scopes]}`);
    }
  }
}]]);

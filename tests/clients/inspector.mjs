// The Inspector's command line at its pinned version: its --strict linter of tool schemas, calls,
// and a refusal, over HTTP in both eras and over stdio.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cleanEnvironment, main } from './harness.mjs';

const program = join(dirname(fileURLToPath(import.meta.url)),
  '../node/node_modules/.bin/mcp-inspector');

// Runs the program: {code, out}. It is told not to touch the home of whoever runs this.
async function inspect(home, target, args) {
  const child = spawn(process.execPath, [program, '--cli', ...target, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...cleanEnvironment(), HOME: home.directory },
  });
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { out += data; });
  const code = await new Promise((resolve) => child.once('close', resolve));
  return { code, out };
}

// A target that only a session file can name.
function configured(home, server) {
  const file = join(home.directory, 'inspector.json');
  writeFileSync(file, JSON.stringify({ mcpServers: { state: server } }));
  return ['--config', file, '--server', 'state'];
}

async function check(home, target) {
  const lint = await inspect(home, target, ['--method', 'tools/list', '--strict', '--format', 'json']);
  assert.equal(lint.code, 0, lint.out);
  for (const name of ['get_state', 'get_state_prefix', 'propose_mutation', 'propose_transaction',
    'get_history', 'explain']) assert.ok(lint.out.includes(`"${name}"`), `${name}: ${lint.out}`);

  const written = await inspect(home, target, ['--method', 'tools/call', '--tool-name',
    'propose_mutation', '--tool-arg', 'key=stream.title', 'value="Inspected"', 'reason=inspector']);
  assert.equal(written.code, 0, written.out);
  const found = await inspect(home, target, ['--method', 'tools/call', '--tool-name', 'get_state',
    '--tool-arg', 'keys=["stream.title"]']);
  assert.equal(found.code, 0, found.out);
  assert.match(found.out, /Inspected/);

  const toolError = 5;
  const refused = await inspect(home, target, ['--method', 'tools/call', '--tool-name',
    'propose_mutation', '--tool-arg', 'key=secret.plan', 'value=1', 'reason=inspector']);
  assert.equal(refused.code, toolError, refused.out);
  assert.match(refused.out, /key_not_allowed/);
}

await main([
  ['Inspector over HTTP', async (home) => {
    const { url } = await home.serve('inspected');
    await check(home, [url.href, '--transport', 'http']);
  }],
  ['Inspector over HTTP, revision 2026-07-28', async (home) => {
    const { url } = await home.serve('inspected');
    await check(home, configured(home,
      { type: 'streamable-http', url: url.href, protocolEra: 'modern' }));
  }],
  ['Inspector over stdio', async (home) => {
    const { command, args } = home.stdio('inspected');
    await check(home, configured(home, { type: 'stdio', command, args }));
  }],
  ['Inspector over stdio, revision 2026-07-28', async (home) => {
    const { command, args } = home.stdio('inspected');
    await check(home, configured(home, { type: 'stdio', command, args, protocolEra: 'modern' }));
  }],
]);

// conformance.mjs fixture|shipped REVISION: the official MCP conformance suite at its pinned version
// against the fixture server (every scored scenario) or the shipped program (with the baseline).

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Home, root } from './harness.mjs';
import { judge, parseBaseline } from './conformance_judge.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const suite = join(here, '../node/node_modules/@modelcontextprotocol/conformance');
const required = { '2026-07-28': 37, '2025-11-25': 30 };

const [target, revision] = process.argv.slice(2);
assert.ok(['fixture', 'shipped'].includes(target) && required[revision], 'see the first line');
if (!existsSync(suite)) {
  console.error('SKIP: missing conformance suite; ./dev test installs the Node packages');
  process.exit(77);
}

function scoredScenarios() {
  const text = readFileSync(join(suite, 'requirements', `${revision}.yaml`), 'utf8');
  const section = /^server:\n((?:  - .*\n)+)/m.exec(text);
  assert.ok(section, 'the list of scored scenarios');
  return [...section[1].matchAll(/^  - (\S+)/gm)].map(([, name]) => name);
}

async function startFixture() {
  const binary = process.env.MCP_CONFORMANCE_SERVER;
  assert.ok(binary && existsSync(binary), `${binary} is not built`);
  const child = spawn(binary, [], { stdio: ['pipe', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  for await (const line of createInterface({ input: child.stderr })) {
    if (line.startsWith('http://')) {
      child.stderr.resume();
      return { url: line.trim(), end: () => (child.stdin.end(), ended) };
    }
  }
  throw new Error('the fixture server did not start');
}

async function startShipped() {
  const home = new Home();
  const engine = await home.serve('conformance');
  return { url: engine.url.href, end: () => home.end() };
}

async function list(url, method, member, name) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method }),
  });
  const { result } = await answer.json();
  return result[member].map((item) => item[name]);
}

async function offeredBy(url) {
  return [
    ...await list(url, 'tools/list', 'tools', 'name'),
    ...await list(url, 'prompts/list', 'prompts', 'name'),
    ...await list(url, 'resources/list', 'resources', 'uri'),
    ...await list(url, 'resources/templates/list', 'resourceTemplates', 'uriTemplate'),
  ];
}

async function runSuite(url, output) {
  const child = spawn(process.execPath,
    [join(suite, 'dist/index.js'), 'server', '--url', url, '--requirements', revision, '-o', output],
    { stdio: 'ignore' });
  await new Promise((resolve) => child.once('exit', resolve));
  const results = {};
  for (const folder of readdirSync(output)) {
    const named = /^server-(.+?)-\d{4}-\d\d-\d\dT/.exec(folder);
    if (!named) continue;
    results[named[1]] = JSON.parse(readFileSync(join(output, folder, 'checks.json'), 'utf8'));
  }
  return results;
}

const output = mkdtempSync(join(tmpdir(), 'state-engine-conformance-'));
const server = await (target === 'fixture' ? startFixture() : startShipped());
try {
  const scored = scoredScenarios();
  assert.equal(scored.length, required[revision], 'the number of scored scenarios');
  const baselineFile = join(here, `conformance_baseline_${revision}.txt`);
  const { passed, excused, faults } = judge({
    scored,
    results: await runSuite(server.url, output),
    needs: JSON.parse(readFileSync(join(here, 'conformance_needs.json'), 'utf8')),
    baseline: target === 'fixture' ? [] : parseBaseline(readFileSync(baselineFile, 'utf8')),
    offered: await offeredBy(server.url),
  });
  for (const fault of faults) console.log(`FAILED  ${fault}`);
  console.log(`${target}, ${revision}: ${passed.length} of ${scored.length} passed, ` +
    `${excused.length} in the baseline`);
  process.exitCode = faults.length === 0 ? 0 : 1;
} finally {
  await server.end();
  rmSync(output, { recursive: true, force: true });
}

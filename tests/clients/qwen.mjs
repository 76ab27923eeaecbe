// A real agent program, Qwen Code at its pinned version, with a scripted model: it reads, loses a
// race, and writes again with what the refusal told it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cleanEnvironment, main } from './harness.mjs';

const program = join(dirname(fileURLToPath(import.meta.url)),
  '../node/node_modules/@qwen-code/qwen-code/cli.js');
const key = 'stream.title';

async function write(url, value) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: {
      name: 'propose_mutation', arguments: { key, value, reason: 'somebody else' } } }),
  });
  assert.ok(!(await answer.json()).result.isError);
}

// What the model does, by the texts that its tools gave so far. It sees nothing else.
function script(interfere) {
  const propose = (value, expectedVersion) => ['mcp__state__propose_mutation',
    { key, value, reason: 'the user asked for it', expectedVersion }];
  return [
    // The program hides MCP tools until its model asks for them.
    () => ['tool_search',
      { query: 'select:mcp__state__get_state,mcp__state__propose_mutation' }],
    () => ['mcp__state__get_state', { keys: [key] }],
    async (seen) => {
      const { version } = JSON.parse(seen[1]).snapshots[key];
      await interfere();
      return propose('Quiz night', version);
    },
    (seen) => {
      assert.match(seen[2], /version_conflict/);
      return propose('Quiz night', Number(/with expectedVersion (\d+)/.exec(seen[2])[1]));
    },
  ];
}

// An OpenAI-compatible model that follows the script.
async function startModel(steps) {
  const faults = [];
  let calls = 0;
  const decide = async ({ messages, tools }) => {
    if (!tools?.length) return { content: 'ok' };
    const seen = messages.filter(({ role }) => role === 'tool').map(({ content }) =>
      (typeof content === 'string' ? content : content.map(({ text }) => text).join('')));
    if (seen.length >= steps.length) return { content: 'The title is set.' };
    const [name, args] = await steps[seen.length](seen);
    calls += 1;
    return { tool_calls: [{ index: 0, id: `call_${calls}`, type: 'function',
      function: { name, arguments: JSON.stringify(args) } }] };
  };
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const data of request) body += data;
    try {
      const asked = JSON.parse(body);
      const message = { role: 'assistant', content: null, ...await decide(asked) };
      const finish_reason = message.tool_calls ? 'tool_calls' : 'stop';
      const common = { id: 'scripted', created: 0, model: 'scripted' };
      if (!asked.stream) {
        response.setHeader('Content-Type', 'application/json');
        response.end(JSON.stringify({ ...common, object: 'chat.completion',
          choices: [{ index: 0, message, finish_reason }] }));
        return;
      }
      response.setHeader('Content-Type', 'text/event-stream');
      for (const choice of [{ delta: message, finish_reason: null }, { delta: {}, finish_reason }]) {
        response.write(`data: ${JSON.stringify({ ...common, object: 'chat.completion.chunk',
          choices: [{ index: 0, ...choice }] })}\n\n`);
      }
      response.end('data: [DONE]\n\n');
    } catch (fault) {
      faults.push(fault);
      response.statusCode = 400;
      response.end(String(fault));
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}/v1`, faults, calls: () => calls,
    end: () => server.close() };
}

async function runAgent(home, model, mcpServers) {
  mkdirSync(join(home.directory, '.qwen'));
  writeFileSync(join(home.directory, '.qwen/settings.json'), JSON.stringify({
    telemetry: { enabled: false }, privacy: { usageStatisticsEnabled: false },
    general: { disableAutoUpdate: true, disableUpdateNag: true, enableAutoUpdate: false } }));
  const child = spawn(process.execPath, [program, '--auth-type', 'openai', '--openai-api-key', 'x',
    '--openai-base-url', model.url, '-m', 'scripted', '--mcp-config', JSON.stringify({ mcpServers }),
    '--yolo', '-o', 'text', 'Call the stream "Quiz night".'], {
    cwd: home.directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...cleanEnvironment(), HOME: home.directory },
  });
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { out += data; });
  const code = await new Promise((resolve) => child.once('close', resolve));
  assert.deepEqual(model.faults, [], out);
  assert.equal(code, 0, out);
  return out;
}

async function check(home, serverFor) {
  const engine = await home.serve('agent');
  await write(engine.url, 'Pizza night');
  const model = await startModel(script(() => write(engine.url, 'Chess night')));
  try {
    const out = await runAgent(home, model, { state: serverFor(engine) });
    assert.match(out, /The title is set\./);
    assert.equal(model.calls(), 4, 'a search, a read, a lost race, a write');
  } finally {
    model.end();
  }
  const answer = await fetch(engine.url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call',
      params: { name: 'get_history', arguments: { key } } }),
  });
  const { entries } = (await answer.json()).result.structuredContent;
  assert.deepEqual(entries.map(({ value, status }) => [value, status]),
    [['Quiz night', 'accepted'], ['Quiz night', 'rejected'], ['Chess night', 'accepted'],
      ['Pizza night', 'accepted']]);
}

await main([
  ['Qwen Code over HTTP reads, loses a race and recovers', (home) =>
    check(home, ({ url }) => ({ httpUrl: url.href }))],
  ['Qwen Code over stdio reads, loses a race and recovers', (home) =>
    check(home, () => {
      const { command, args } = home.stdio('agent');
      return { command, args };
    })],
]);

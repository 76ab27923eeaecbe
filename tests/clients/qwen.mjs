// A real agent program, Qwen Code at its pinned version, with a scripted model: it reads, loses a
// race, and writes again with what the refusal told it; and it cannot act while the state forbids.

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

async function tool(url, name, args) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call',
      params: { name, arguments: args } }),
  });
  const { result } = await answer.json();
  assert.ok(!result.isError, JSON.stringify(result));
  return result.structuredContent;
}

const write = (url, value, of = key) =>
  tool(url, 'propose_mutation', { key: of, value, reason: 'somebody else' });

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
  const { entries } = await tool(engine.url, 'get_history', { key });
  assert.deepEqual(entries.map(({ value, status }) => [value, status]),
    [['Quiz night', 'accepted'], ['Quiz night', 'rejected'], ['Chess night', 'accepted'],
      ['Pizza night', 'accepted']]);
}

// The agent wants to act while the stream is off: the engine's policy refuses, whatever the agent
// believes, and the log keeps who wanted what and why.
async function checkGate(home) {
  writeFileSync(home.config, `
allowedKeys: ["stream.*", "page.*"]
policy:
  - keys: [page.giveaway]
    requires: {stream.state: on}
`);
  const engine = await home.serve('gate');
  await write(engine.url, 'off', 'stream.state');
  const propose = ['mcp__state__propose_mutation',
    { key: 'page.giveaway', value: 'open', reason: 'the user asked for it', expectedVersion: 0 }];
  const model = await startModel([
    () => ['tool_search', { query: 'select:mcp__state__get_state,mcp__state__propose_mutation' }],
    () => propose,
    (seen) => {
      assert.match(seen[1], /precondition_failed/);
      assert.match(seen[1], /stream\.state/);
      return ['mcp__state__get_state', { keys: ['stream.state'] }];
    },
    async (seen) => {
      assert.equal(JSON.parse(seen[2]).snapshots['stream.state'].value, 'off');
      await write(engine.url, 'on', 'stream.state');
      return propose;
    },
  ]);
  try {
    await runAgent(home, model, { state: { httpUrl: engine.url.href } });
    assert.equal(model.calls(), 4, 'a search, a refused write, a look, a write');
  } finally {
    model.end();
  }
  const { entries } = await tool(engine.url, 'get_history', { key: 'page.giveaway' });
  assert.deepEqual(entries.map(({ status, code, reason }) => [status, code, reason]),
    [['accepted', undefined, 'the user asked for it'],
      ['rejected', 'precondition_failed', 'the user asked for it']]);
}

await main([
  ['Qwen Code over HTTP reads, loses a race and recovers', (home) =>
    check(home, ({ url }) => ({ httpUrl: url.href }))],
  ['Qwen Code acts when the stream is on, and cannot when it is off', checkGate],
  ['Qwen Code over stdio reads, loses a race and recovers', (home) =>
    check(home, () => {
      const { command, args } = home.stdio('agent');
      return { command, args };
    })],
]);

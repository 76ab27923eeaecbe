// The openai package against the scripted model: what OpenAI's own client takes for a Chat
// Completions server is one. That vouches for the model of the bot's tests (tests/process).

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { main, sdk } from './harness.mjs';

const OpenAI = sdk('openai').default ?? sdk('openai');
const program = join(dirname(fileURLToPath(import.meta.url)), '../process/scripted_model.py');

const tools = [{ type: 'function', function: { name: 'get_state', description: 'Reads state',
  parameters: { type: 'object', properties: { keys: { type: 'array', items: { type: 'string' } } },
    required: ['keys'] } } }];
const question = { model: 'scripted', messages: [{ role: 'user', content: 'Are we live?' }] };
const call = { call: 'get_state', with: { keys: ['stream.state'], note: 'grün 🍕' } };

// Runs `use` with a client of a server that follows `steps`.
async function withModel(home, steps, use) {
  const file = join(home.directory, 'script.json');
  writeFileSync(file, JSON.stringify(steps));
  const server = spawn('python3', ['-B', program, file], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  try {
    const lines = createInterface({ input: server.stdout });
    const baseURL = await new Promise((resolve) => lines.once('line', resolve));
    const client = new OpenAI({ baseURL, apiKey: 'x', maxRetries: 1, timeout: 20_000 });
    await use(client, async () => (await fetch(new URL('/requests', baseURL))).json());
  } finally {
    server.stdin.end();
    await ended;
  }
}

// Answers the call of the script and returns what the model says at last.
function runTools(client, stream) {
  const seen = [];
  const runner = client.chat.completions.runTools({ ...question, stream, tools: [{ type: 'function',
    function: { ...tools[0].function, parse: JSON.parse,
      function: (args) => { seen.push(args); return JSON.stringify({ 'stream.state': 'on' }); } } }] });
  return runner.finalContent().then((content) => ({ content, seen }));
}

await main([
  ['a whole answer', (home) => withModel(home, [{ say: 'We are live.' }], async (client) => {
    const answer = await client.chat.completions.create(question);
    assert.equal(answer.choices[0].message.content, 'We are live.');
    assert.equal(answer.choices[0].finish_reason, 'stop');
    assert.equal(answer.usage.total_tokens, 15);
  })],
  ['a whole answer with a tool call', (home) => withModel(home, [call], async (client) => {
    const answer = await client.chat.completions.create({ ...question, tools });
    const [{ function: { name, arguments: text } }] = answer.choices[0].message.tool_calls;
    assert.equal(name, 'get_state');
    assert.deepEqual(JSON.parse(text), call.with);
    assert.equal(answer.choices[0].finish_reason, 'tool_calls');
  })],
  ['a stream, in one piece and byte by byte', (home) => withModel(home,
    [{ say: 'Wir sind grün 🍕' }, { say: 'Wir sind grün 🍕', stutter: true }], async (client) => {
      for (let i = 0; i < 2; i += 1) {
        const stream = client.chat.completions.stream(
          { ...question, stream_options: { include_usage: true } });
        assert.equal((await stream.finalContent()).trim(), 'Wir sind grün 🍕');
        assert.equal((await stream.totalUsage()).total_tokens, 15);
      }
    })],
  ['tools are run over whole answers and over streams', (home) => withModel(home,
    [call, { say: 'Live!' }, { ...call, stutter: true }, { say: 'Live!' }],
    async (client, requests) => {
      for (const stream of [false, true]) {
        const { content, seen } = await runTools(client, stream);
        assert.equal(content.trim(), 'Live!');
        assert.deepEqual(seen, [call.with]);
      }
      const asked = await requests();
      assert.equal(asked.length, 4);
      assert.equal(asked[1].messages.at(-1).role, 'tool');
    })],
  ['a refusal is retried, a bad request is not', (home) => withModel(home,
    [{ status: 429, headers: { 'retry-after-ms': '10' } }, { say: 'ok' }], async (client) => {
      const answer = await client.chat.completions.create(question);
      assert.equal(answer.choices[0].message.content, 'ok');
      const orphan = { role: 'tool', tool_call_id: 'none', content: '' };
      await assert.rejects(
        client.chat.completions.create({ ...question, messages: [orphan] }),
        (fault) => fault.status === 400 && /must answer a call/.test(fault.message));
    })],
  ['a stream that breaks off is an error', (home) => withModel(home, [{ say: 'We are', cut: true }],
    async (client) => {
      const stream = client.chat.completions.stream(question);
      await assert.rejects(stream.finalChatCompletion());
    })],
  ['the models are listed', (home) => withModel(home, [], async (client) => {
    const { data } = await client.models.list();
    assert.deepEqual(data.map(({ id }) => id), ['scripted']);
  })],
]);

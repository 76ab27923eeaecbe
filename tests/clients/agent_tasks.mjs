// The agent tasks of agent_task_list.mjs through a real SDK client, in both eras; what they cost is
// kept in docs/agent-tasks.md. STATE_ENGINE_UPDATE_GOLDEN=1 rewrites that page; otherwise calls and
// refusals must be as it says, and bytes within a tenth.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Home, root, sdk } from './harness.mjs';
import { agentConfig, tasks } from './agent_task_list.mjs';

const { Client, StreamableHTTPClientTransport } = sdk('@modelcontextprotocol/client');
const page = join(root, 'docs/agent-tasks.md');

// An agent sees only what its tools answer: structured results, or the text of a refusal.
class Agent {
  constructor(client) {
    this.client = client;
    this.cost = { calls: 0, refusals: 0, bytes: 0 };
  }

  // {ok, result} or {ok: false, text, answer}: answer is the JSON of the first line, if it is some.
  async call(name, args) {
    const reply = await this.client.callTool({ name, arguments: args });
    this.cost.calls += 1;
    this.cost.bytes += JSON.stringify(args).length + JSON.stringify(reply.content).length;
    if (!reply.isError) return { ok: true, result: reply.structuredContent };
    this.cost.refusals += 1;
    const { text } = reply.content[0];
    const [first] = text.split('\n');
    return { ok: false, text, answer: first.startsWith('{') ? JSON.parse(first) : null };
  }

  async must(name, args) {
    const reply = await this.call(name, args);
    assert.ok(reply.ok, `${name} was refused: ${reply.text}`);
    return reply.result;
  }

  async refused(name, args, code) {
    const reply = await this.call(name, args);
    assert.ok(!reply.ok, `${name} was not refused: ${JSON.stringify(reply.result)}`);
    assert.ok(reply.text.includes(code), `${code} is not in: ${reply.text}`);
    return reply;
  }

  propose(key, value, more = {}) {
    return this.call('propose_mutation', { key, value, reason: 'agent task', ...more });
  }

  async value(key) {
    return (await this.must('get_state', { keys: [key] })).snapshots[key]?.value ?? null;
  }
}

async function connect(url, mode) {
  const client = new Client({ name: 'agent-tasks', version: '1' }, { versionNegotiation: { mode } });
  await client.connect(new StreamableHTTPClientTransport(url));
  await client.listTools();
  return client;
}

async function runTasks(mode) {
  const costs = [];
  const home = new Home();
  try {
    writeFileSync(home.config, agentConfig);
    const { url } = await home.serve('agents');
    const [mine, other] = [await connect(url, mode), await connect(url, mode)];
    for (const { name, run } of tasks) {
      const agent = new Agent(mine);
      // What the others do costs the agent nothing.
      await run(agent, new Agent(other)).catch((fault) => {
        throw new Error(`${name}: ${fault.message}`, { cause: fault });
      });
      costs.push({ name, ...agent.cost });
    }
    await mine.close();
    await other.close();
  } finally {
    await home.end();
  }
  return costs;
}

function render(costs) {
  const total = (what) => costs.reduce((sum, cost) => sum + cost[what], 0);
  const rows = costs.map(({ name, calls, refusals, bytes }, i) =>
    `| ${i + 1} | ${name} | ${calls} | ${refusals} | ${bytes} |`);
  return `# Agent tasks

What an agent does with the engine, scripted: it decides only on what the tools answer, as a model would. The test
\`process.client_agent_tasks\` runs every task through the TypeScript SDK (2.x), in both eras of the protocol, and keeps
this page true: calls and refusals exactly, bytes (arguments and text blocks) within a tenth.

A refusal is not a failure: the task goes on with what the refusal says. Every task that is refused succeeds with its
next write, or ends as it should.

| | task | calls | refusals | bytes |
|---|---|---|---|---|
${rows.join('\n')}
| | **all** | ${total('calls')} | ${total('refusals')} | ${total('bytes')} |
`;
}

// Costs by task, as the page has them.
function recorded() {
  const found = readFileSync(page, 'utf8').matchAll(/^\| \d+ \| (.+?) \| (\d+) \| (\d+) \| (\d+) \|$/gm);
  return [...found].map(([, name, calls, refusals, bytes]) =>
    ({ name, calls: Number(calls), refusals: Number(refusals), bytes: Number(bytes) }));
}

assert.ok(tasks.length >= 20, 'at least 20 tasks');
const legacy = await runTasks('legacy');
const modern = await runTasks({ pin: '2026-07-28' });
if (process.env.STATE_ENGINE_UPDATE_GOLDEN === '1') writeFileSync(page, render(modern));
const before = recorded();
for (const costs of [legacy, modern]) {
  const advice = 'STATE_ENGINE_UPDATE_GOLDEN=1 rewrites docs/agent-tasks.md';
  assert.deepEqual(costs.map(({ name }) => name), before.map(({ name }) => name), advice);
  for (const [i, cost] of costs.entries()) {
    const { name, calls, refusals, bytes } = before[i];
    assert.deepEqual([cost.calls, cost.refusals], [calls, refusals], `${name}: ${advice}`);
    assert.ok(Math.abs(cost.bytes - bytes) <= bytes / 10, `${name}: ${cost.bytes} bytes; ${advice}`);
  }
}
console.log(`${tasks.length} tasks in both eras, ${modern.reduce((n, { calls }) => n + calls, 0)} calls each`);

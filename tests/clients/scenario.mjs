// What every client must be able to do with an engine, in the words of its SDK.

import assert from 'node:assert/strict';

import { eventually } from './harness.mjs';

const tools = ['explain', 'get_history', 'get_state', 'get_state_prefix', 'propose_mutation',
  'propose_transaction'];

async function call(client, name, args) {
  return client.callTool({ name, arguments: args });
}

async function ok(client, name, args) {
  const result = await call(client, name, args);
  assert.ok(!result.isError, JSON.stringify(result.content));
  assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent);
  return result.structuredContent;
}

async function refusedText(client, name, args) {
  const result = await call(client, name, args);
  assert.equal(result.isError, true, JSON.stringify(result));
  assert.equal(result.structuredContent, undefined);
  return result.content[0].text;
}

async function checkTools(client) {
  const listed = (await client.listTools()).tools;
  assert.deepEqual(listed.map((tool) => tool.name).sort(), tools);
  for (const tool of listed) {
    assert.ok(tool.title && tool.description.length > 40, tool.name);
    assert.equal(tool.inputSchema.type, 'object');
    assert.equal(tool.outputSchema.type, 'object', 'clients drop all tools otherwise');
    for (const hint of ['readOnlyHint', 'destructiveHint', 'idempotentHint', 'openWorldHint']) {
      assert.equal(typeof tool.annotations[hint], 'boolean', `${tool.name}.${hint}`);
    }
  }
}

// Read, write, lose a race, recover with what the refusal says.
async function checkConflict(client, tag) {
  const key = 'stream.title';
  const before = await ok(client, 'get_state', { keys: [key, 'stream.nothing'] });
  assert.equal(before.snapshots['stream.nothing'], null);
  const version = before.snapshots[key]?.version ?? 0;
  const value = `Äpfel 😀 ${tag}`;
  const first = await ok(client, 'propose_mutation',
    { key, value, reason: 'first', expectedVersion: version, id: `${tag}-1` });
  assert.equal(first.version, version + 1);
  assert.equal(first.duplicate, false);
  const again = await ok(client, 'propose_mutation',
    { key, value, reason: 'first', expectedVersion: version, id: `${tag}-1` });
  assert.deepEqual([again.version, again.duplicate], [version + 1, true]);

  const text = await refusedText(client, 'propose_mutation',
    { key, value: 'too late', reason: 'stale', expectedVersion: version });
  assert.match(text, /version_conflict/);
  const current = JSON.parse(text.split('\n')[0]).current;
  assert.equal(current.value, value);
  const advised = Number(/expectedVersion (\d+)/.exec(text.split('\n').slice(1).join('\n'))[1]);
  assert.equal(advised, version + 1);
  const recovered = await ok(client, 'propose_mutation',
    { key, value: 'recovered', reason: 'retry', expectedVersion: advised });
  assert.equal(recovered.version, version + 2);
}

async function checkRefusals(client) {
  assert.match(await refusedText(client, 'propose_mutation',
    { key: 'secret.plan', value: 1, reason: 'r' }), /key_not_allowed/);
  assert.match(await refusedText(client, 'propose_mutation',
    { key: 'stream.state', value: 'maybe', reason: 'r' }), /invalid_value/);
  assert.match(await refusedText(client, 'get_state', { key: 'stream.state' }), /keys/);
  await assert.rejects(call(client, 'no_such_tool', {}), (fault) => fault.code === -32602);
}

async function checkPaging(client) {
  const mutations = [...Array(25).keys()].map((i) => ({ key: `page.${100 + i}`, value: { i } }));
  const done = await ok(client, 'propose_transaction', { mutations, reason: 'pages' });
  assert.equal(done.members.length, 25);
  const seen = [];
  let cursor;
  let revision;
  do {
    const page = await ok(client, 'get_state_prefix',
      { prefix: 'page.', limit: 10, ...(cursor ? { cursor } : {}) });
    revision ??= page.asOfSeq;
    assert.equal(page.asOfSeq, revision, 'all pages show one revision');
    seen.push(...Object.keys(page.snapshots));
    cursor = page.nextCursor;
    assert.equal(page.truncated, cursor !== undefined);
    // A change between the pages must not show.
    await ok(client, 'propose_mutation', { key: 'page.999', value: Date.now(), reason: 'between' });
  } while (cursor);
  const expected = mutations.map((mutation) => mutation.key);
  assert.deepEqual(seen.filter((key) => key !== 'page.999'), expected);
  const names = await ok(client, 'get_state_prefix', { prefix: 'page.1', keysOnly: true });
  assert.deepEqual(names.keys, expected);
}

async function checkLog(client) {
  const value = (await ok(client, 'get_state', { keys: ['stream.state'] }))
    .snapshots['stream.state']?.value === 'on' ? 'off' : 'on';
  const dry = await ok(client, 'propose_mutation',
    { key: 'stream.state', value, reason: 'try', dryRun: true });
  assert.deepEqual([dry.dryRun, dry.derived.length, dry.effects.length], [true, 1, 1]);
  const live = await ok(client, 'propose_mutation', { key: 'stream.state', value, reason: 'show' });
  const history = await ok(client, 'get_history', { key: 'stream.state', limit: 5 });
  assert.equal(history.entries[0].id, live.mutationId);
  assert.equal(history.entries[0].reason, 'show');
  const story = await ok(client, 'explain', { mutationId: live.mutationId });
  assert.match(story.text, /why: show/);
  assert.match(story.text, /rule 'scene' matched/);
  assert.equal(story.consequences[0].entry.key, 'obs.scene');
  assert.match(await refusedText(client, 'explain', { key: 'stream.never' }), /not_found/);
}

async function checkResources(client) {
  const { resources } = await client.listResources();
  assert.ok(resources.some((resource) => resource.uri === 'state://'));
  const { resourceTemplates } = await client.listResourceTemplates();
  assert.equal(resourceTemplates[0].uriTemplate, 'state://{+key}');
  const { contents } = await client.readResource({ uri: 'state://stream.title' });
  assert.equal(contents[0].uri, 'state://stream.title');
  assert.equal(JSON.parse(contents[0].text).value, 'recovered');
  const all = await client.readResource({ uri: 'state://stream.*' });
  assert.ok(JSON.parse(all.contents[0].text).keys.some(({ key }) => key === 'stream.title'));
  await assert.rejects(client.readResource({ uri: 'state://stream.never' }),
    (fault) => fault.code === -32602 || fault.code === -32002);
}

// An update arrives after a write. Writes are repeated until it does, for a legacy client opens its
// event stream in the background.
async function checkUpdates(client, subscribe) {
  const uri = 'state://stream.watched';
  const seen = [];
  const end = await subscribe(client, uri, (updated) => seen.push(updated));
  let count = 0;
  await eventually('an update', async () => {
    if (seen.length > 0) return true;
    count += 1;
    await ok(client, 'propose_mutation', { key: 'stream.watched', value: count, reason: 'tick' });
    return seen.length > 0;
  });
  assert.equal(seen[0], uri);
  await ok(client, 'propose_mutation', { key: 'obs.other', value: count, reason: 'unwatched' });
  assert.ok(seen.every((updated) => updated === uri), seen.join());
  await end();
}

async function checkPrompts(client) {
  const { prompts } = await client.listPrompts();
  assert.deepEqual(prompts.map((prompt) => prompt.name), ['resume_from_state']);
  const prompt = await client.getPrompt(
    { name: 'resume_from_state', arguments: { prefix: 'stream.' } });
  assert.match(prompt.messages[0].content.text, /stream\.title = "recovered"/);
  const { completion } = await client.complete({
    ref: { type: 'ref/resource', uri: 'state://{+key}' },
    argument: { name: 'key', value: 'stream.ti' },
  });
  assert.deepEqual(completion.values, ['stream.title']);
}

// `subscribe(client, uri, onUpdate)` gives a function that ends the subscription; `alive(client)`
// is the ping of the protocol revision.
export async function runScenario(client, { subscribe, alive, tag }) {
  assert.equal(client.getServerVersion().name, 'state-engine');
  assert.match(client.getInstructions(), /Read before you act/);
  await checkTools(client);
  await checkConflict(client, tag);
  await checkRefusals(client);
  await checkPaging(client);
  await checkLog(client);
  await checkResources(client);
  await checkUpdates(client, subscribe);
  await checkPrompts(client);
  await alive(client);
  await client.close();
}

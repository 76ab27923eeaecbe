// What agents do: each task has the agent and somebody else who gets in its way.

import assert from 'node:assert/strict';

export const agentConfig = `
allowedKeys: ["stream.*", "page.*", "obs.*", "user.*", "counter.*", "giveaway.*", "budget.*"]
policy:
  - keys: [stream.state]
    schema: {enum: [on, off]}
  - keys: [obs.*]
    writers: [obs-bridge, "rule:*"]
  - keys: [counter.*]
    ops: [set, increment]
  - keys: [budget.*]
    schema:
      type: object
      required: [limit]
      properties: {limit: {type: integer, minimum: 0, maximum: 100}}
      additionalProperties: false
rules:
  - id: banner
    on: change
    when: {'==': [{var: key}, stream.state]}
    actions:
      - {type: proposeMutation, key: page.banner, value: Live, reason: the stream changed}
`;

const read = (agent, key) => agent.must('get_state', { keys: [key] });
const write = (key, value, more) =>
  ['propose_mutation', { key, value, reason: 'agent task', ...more }];

// Reads, changes and writes until nobody came between, with what each refusal holds.
async function modify(agent, key, change, interfere = async () => {}) {
  let { value = null, version = 0 } = (await read(agent, key)).snapshots[key] ?? {};
  for (let attempt = 0; attempt < 4; attempt += 1) {
    await interfere(attempt);
    const reply = await agent.propose(key, change(value), { expectedVersion: version });
    if (reply.ok) return reply.result;
    ({ value, version } = reply.answer.current);
  }
  throw new Error('four attempts were not enough');
}

// All pages of a listing.
async function list(agent, prefix, limit) {
  const found = {};
  for (let cursor; ;) {
    const page = await agent.must('get_state_prefix',
      { prefix, limit, ...(cursor ? { cursor } : {}) });
    Object.assign(found, page.snapshots);
    if (!page.truncated) return found;
    cursor = page.nextCursor;
  }
}

async function fill(agent, prefix, count) {
  const mutations = [...Array(count).keys()].map(
    (i) => ({ key: `${prefix}${100 + i}`, value: { number: i } }));
  await agent.must('propose_transaction', { mutations, reason: 'the list to look through' });
}

export const tasks = [
  { name: 'answer whether the stream is live', run: async (agent, other) => {
    await other.must(...write('stream.state', 'on'));
    assert.equal(await agent.value('stream.state'), 'on');
  } },
  { name: 'say "unknown" of what nobody wrote', run: async (agent) => {
    assert.equal(await agent.value('stream.weather'), null);
  } },
  { name: 'find a key by a misspelt name', run: async (agent, other) => {
    await other.must(...write('stream.title', 'Pizza night'));
    const { similarKeys } = await read(agent, 'stream.titel');
    assert.equal(similarKeys['stream.titel'][0], 'stream.title');
    assert.equal(await agent.value(similarKeys['stream.titel'][0]), 'Pizza night');
  } },
  { name: 'create a value that must not exist yet', run: async (agent) => {
    const done = await agent.must(...write('giveaway.winner', 'anna', { expectedVersion: 0 }));
    assert.equal(done.version, 1);
  } },
  { name: 'leave a value alone that somebody created first', run: async (agent) => {
    const { answer } = await agent.refused(
      ...write('giveaway.winner', 'bob', { expectedVersion: 0 }), 'version_conflict');
    assert.equal(answer.current.value, 'anna');
  } },
  { name: 'read, modify, write, alone', run: async (agent) => {
    await modify(agent, 'user.fact.1', () => ({ likes: ['tea'] }));
    const { value } = (await read(agent, 'user.fact.1')).snapshots['user.fact.1'];
    assert.deepEqual(value, { likes: ['tea'] });
  } },
  { name: 'read, modify, write, when somebody comes between once', run: async (agent, other) => {
    await modify(agent, 'user.fact.1',
      (value) => ({ ...value, likes: [...value.likes, 'rain'] }),
      async (attempt) => {
        if (attempt > 0) return;
        await other.must(...write('user.fact.1', { likes: ['tea', 'snow'] }));
      });
    assert.deepEqual(await agent.value('user.fact.1'), { likes: ['tea', 'snow', 'rain'] });
  } },
  { name: 'read, modify, write, when somebody comes between three times', run: async (agent, other) => {
    await modify(agent, 'user.visits', (value) => (value ?? 0) + 100, async (attempt) => {
      if (attempt < 3) await other.must(...write('user.visits', attempt));
    });
    assert.equal(await agent.value('user.visits'), 102);
  } },
  { name: 'count together with others without reading', run: async (agent, other) => {
    const add = (who) => who.must(...write('counter.cheers', 1, { op: 'increment' }));
    await Promise.all([add(agent), add(other), add(agent), add(other)]);
    assert.equal(await agent.value('counter.cheers'), 4);
  } },
  { name: 'change one member of an object, keep the rest', run: async (agent, other) => {
    await other.must(...write('user.fact.2', { name: 'Bob', age: 7 }));
    await agent.must(...write('user.fact.2', { age: 8 }, { op: 'merge' }));
    assert.deepEqual(await agent.value('user.fact.2'), { name: 'Bob', age: 8 });
  } },
  { name: 'repair a value that the schema refuses (enum)', run: async (agent) => {
    const { text } = await agent.refused(...write('stream.state', 'offline'), 'invalid_value');
    const allowed = JSON.parse(/"enum":(\[[^\]]*\])/.exec(text.split('\n').slice(1).join(' '))[1]);
    await agent.must(...write('stream.state', allowed.find((word) => 'offline'.startsWith(word))));
    assert.equal(await agent.value('stream.state'), 'off');
  } },
  { name: 'repair a value that the schema refuses (maximum)', run: async (agent) => {
    const { text } = await agent.refused(...write('budget.ads', { limit: 500 }), 'invalid_value');
    const limit = Number(/"maximum":(\d+)/.exec(text.split('\n').slice(1).join(' '))[1]);
    await agent.must(...write('budget.ads', { limit }));
    assert.deepEqual(await agent.value('budget.ads'), { limit: 100 });
  } },
  { name: 'repair a value that lacks a member', run: async (agent) => {
    const { text } = await agent.refused(...write('budget.food', {}), 'invalid_value');
    const [member] = JSON.parse(/"required":(\[[^\]]*\])/.exec(text.split('\n').slice(1).join(' '))[1]);
    await agent.must(...write('budget.food', { [member]: 10 }));
  } },
  { name: 'stop at a key that only others may write', run: async (agent) => {
    const { text } = await agent.refused(...write('obs.scene', 'Live'), 'actor_not_allowed');
    assert.match(text, /Do not retry/);
    assert.match(text, /obs-bridge/);
    assert.equal(await agent.value('obs.scene'), null);
  } },
  { name: 'use an allowed operation instead of a forbidden one', run: async (agent) => {
    const { text } = await agent.refused(
      ...write('counter.songs', 1, { op: 'push' }), 'actor_not_allowed');
    const op = /allowed are ([a-z, ]+)/.exec(text)[1].split(', ').find((word) => word === 'increment');
    await agent.must(...write('counter.songs', 1, { op }));
  } },
  { name: 'give up a key outside the policy', run: async (agent) => {
    const { text } = await agent.refused(...write('secret.plan', 1), 'key_not_allowed');
    assert.match(text, /operator/);
  } },
  { name: 'correct a misspelt argument', run: async (agent) => {
    const { text } = await agent.refused('propose_mutation',
      { key: 'page.note', value: 1, reson: 'typo' }, 'invalid_proposal');
    assert.match(text, /unknown argument 'reson'/);
    assert.match(text, /'reason' is required/);
    await agent.must(...write('page.note', 1));
  } },
  { name: 'correct an argument of the wrong type', run: async (agent) => {
    const { text } = await agent.refused('get_state', { keys: 'stream.state' }, 'keys');
    assert.match(text, /array/);
    await agent.must('get_state', { keys: ['stream.state'] });
  } },
  { name: 'correct an increment of something that is no number', run: async (agent, other) => {
    await other.must(...write('counter.odd', 'three'));
    await agent.refused(...write('counter.odd', 1, { op: 'increment' }), 'type_mismatch');
    const { version } = (await read(agent, 'counter.odd')).snapshots['counter.odd'];
    await agent.must(...write('counter.odd', 4, { expectedVersion: version }));
  } },
  { name: 'list 60 keys in pages of 25', run: async (agent, other) => {
    await fill(other, 'page.list.', 60);
    assert.equal(Object.keys(await list(agent, 'page.list.', 25)).length, 60);
  } },
  { name: 'look around by names only, then read one', run: async (agent) => {
    const { keys } = await agent.must('get_state_prefix', { prefix: 'page.list.', keysOnly: true });
    assert.equal(keys.length, 60);
    assert.deepEqual(await agent.value(keys[41]), { number: 41 });
  } },
  { name: 'start a listing again whose cursor is spoilt', run: async (agent) => {
    await agent.refused('get_state_prefix', { prefix: 'page.list.', cursor: 'spoilt' }, 'cursor');
    assert.equal(Object.keys(await list(agent, 'page.list.', 100)).length, 60);
  } },
  { name: 'change two keys or none', run: async (agent) => {
    const mutations = [{ key: 'page.a', value: 1 }, { key: 'stream.state', value: 'perhaps' }];
    const { answer } = await agent.refused('propose_transaction',
      { mutations, reason: 'agent task' }, 'invalid_value');
    assert.equal(answer.failedIndex, 1);
    assert.equal(await agent.value('page.a'), null);
    mutations[answer.failedIndex].value = 'on';
    await agent.must('propose_transaction', { mutations, reason: 'agent task' });
    assert.equal(await agent.value('page.a'), 1);
  } },
  { name: 'send a lost request again, once only done', run: async (agent) => {
    const request = write('counter.once', 1, { op: 'increment', id: 'agent-task-once' });
    assert.equal((await agent.must(...request)).duplicate, false);
    assert.equal((await agent.must(...request)).duplicate, true);
    assert.equal(await agent.value('counter.once'), 1);
  } },
  { name: 'notice that an id was used for something else', run: async (agent) => {
    await agent.refused(...write('counter.once', 2, { op: 'increment', id: 'agent-task-once' }), 'id_reused');
    await agent.must(...write('counter.once', 2, { op: 'increment' }));
    assert.equal(await agent.value('counter.once'), 3);
  } },
  { name: 'try before doing', run: async (agent) => {
    const request = ['stream.state', 'off'];
    const dry = await agent.must(...write(...request, { dryRun: true }));
    assert.equal(dry.derived[0].key, 'page.banner');
    assert.equal(await agent.value('stream.state'), 'on');
    await agent.must(...write(...request));
  } },
  { name: 'tell who changed a value last, and why', run: async (agent) => {
    const { entries } = await agent.must('get_history', { key: 'user.fact.2', limit: 1 });
    assert.deepEqual([entries[0].actor, entries[0].reason, entries[0].op],
      ['anonymous', 'agent task', 'merge']);
  } },
  { name: 'catch up after a missed update', run: async (agent, other) => {
    const { headSeq } = await agent.must('get_history', { limit: 1 });
    await other.must(...write('page.news', 'first'));
    await other.must(...write('page.news', 'second'));
    const { entries } = await agent.must('get_history', { prefix: 'page.', afterSeq: headSeq });
    assert.deepEqual(entries.map(({ value }) => value), ['first', 'second']);
  } },
  { name: 'explain why a banner is shown', run: async (agent) => {
    const { text } = await agent.must('explain', { key: 'page.banner' });
    assert.match(text, /rule 'banner' matched/);
    assert.match(text, /caused:/);
  } },
  { name: 'delete what is over', run: async (agent) => {
    const { version } = (await read(agent, 'giveaway.winner')).snapshots['giveaway.winner'];
    await agent.must('propose_mutation', { key: 'giveaway.winner', op: 'delete',
      reason: 'the giveaway is over', expectedVersion: version });
    assert.equal(await agent.value('giveaway.winner'), null);
  } },
];

// The judge of conformance runs finds what it must find.

import assert from 'node:assert/strict';
import { judge, parseBaseline } from './conformance_judge.mjs';

const good = [{ id: 'does-it', status: 'SUCCESS' }, { id: 'wire-schema-valid', status: 'SUCCESS' }];
const bad = [{ id: 'does-it', status: 'FAILURE', errorMessage: 'no' }, good[1]];
const base = { scored: ['a'], results: { a: good }, needs: {}, baseline: [], offered: [] };
const faults = (change) => judge({ ...base, ...change }).faults.join('\n');

assert.deepEqual(judge(base), { passed: ['a'], excused: [], faults: [] });
assert.match(faults({ results: { a: bad } }), /a:does-it: no/);
assert.match(faults({ results: {} }), /did not run/);
assert.match(faults({ results: { a: [good[1]] } }), /nothing of it passed/);
assert.match(faults({ results: { a: [...good, { id: 'w', status: 'WARNING' }] } }), /a:w/);

// A pass of a tool scenario on an absent tool.
assert.match(faults({ needs: { a: 'tool_a' } }), /passed without tool_a/);
assert.equal(faults({ needs: { a: 'tool_a' }, offered: ['tool_a'] }), '');

// Baseline entries: with a reason, for an absent fixture only.
const entry = (reason) => ({ results: { a: bad }, needs: { a: 'tool_a' }, baseline: [{ name: 'a', reason }] });
assert.equal(faults(entry('only the fixture has tool_a')), '');
assert.match(faults(entry('')), /has no reason/);
assert.match(faults({ ...entry('why'), offered: ['tool_a'] }), /the server has tool_a/);
assert.match(faults({ ...entry('why'), needs: {} }), /needs no fixture/);
assert.match(faults({ ...entry('why'), scored: ['b'], results: { b: good } }), /no scored scenario/);

// A single check of a scenario.
const single = { needs: { 'a:does-it': 'tool_a' }, baseline: [{ name: 'a:does-it', reason: 'why' }] };
assert.equal(faults({ ...single, results: { a: [...bad, { id: 'other', status: 'SUCCESS' }] } }), '');
assert.match(faults(single), /a:does-it passes/);

assert.deepEqual(parseBaseline('# comment\n\na  # the reason\nb\n'),
  [{ name: 'a', reason: 'the reason' }, { name: 'b', reason: '' }]);
console.log('the judge of conformance runs finds planted faults');

// The rules and data of rules_bench.cc in json-logic-js and json-logic-engine. Prints one JSON
// object: for each engine evaluations per second, and nanoseconds per commit with 10,000 rules.
// Answers are checked; only processor time counts.

import { createRequire } from 'node:module';

const require = createRequire(new URL('../../tests/node/package.json', import.meta.url));
const jsonLogic = require('json-logic-js');
const { LogicEngine } = require('json-logic-engine');

const RUNS = Number(process.env.BENCH_RULES_RUNS ?? 5);
const RUN_SECONDS = 0.2;
const v = (name) => ({ var: name });

const events = Array.from({ length: 256 }, (_, i) => ({
  key: i % 4 === 0 ? 'stream.state' : `obs.scene.${i}`,
  value: i % 8 === 0 ? 'on' : 'off',
  prev: i % 8 === 0 ? 'off' : 'on',
  version: i,
  state: { viewers: i, obs: { scene: 'live' } },
}));
const objects = [{ list: Array.from({ length: 100 }, (_, i) => ({ kind: i % 2 ? 'b' : 'a', n: i })) }];

const cases = {
  simple: [{ and: [{ '==': [v('key'), 'stream.state'] }, { '==': [v('value'), 'on'] }] }, events, 32],
  medium: [{ and: [{ '==': [v('key'), 'stream.state'] }, { '!=': [v('value'), v('prev')] },
    { or: [{ '>': [v('state.viewers'), 50] }, { in: [v('state.obs.scene'), ['live', 'brb']] }] },
    { '<=': [{ '%': [v('version'), 4] }, 2] }] }, events, 64],
  some: [{ some: [v('list'), { '==': [v('n'), 99] }] }, objects, 1],
  filter: [{ filter: [v('list'), { and: [{ '==': [v('kind'), 'a'] }, { '>': [v('n'), 50] }] }] },
    objects, 1],
  reduce: [{ reduce: [v('list'), { '+': [v('current.n'), v('accumulator')] }, 0] }, objects, 1],
};

function seconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function rate(work, atOnce) {
  const rates = [];
  for (let run = 0; run < RUNS; run += 1) {
    let done = 0;
    const begin = seconds();
    let now = begin;
    while (now - begin < RUN_SECONDS) {
      for (let i = 0; i < atOnce; i += 1) work(done++);
      now = seconds();
    }
    rates.push(done / (now - begin));
  }
  return rates.sort((a, b) => a - b)[RUNS >> 1];
}

const engine = new LogicEngine();
const engines = {
  'json-logic-js': (rule) => (data) => jsonLogic.truthy(jsonLogic.apply(rule, data)),
  'json-logic-engine': (rule) => (data) => jsonLogic.truthy(engine.run(rule, data)),
  'json-logic-engine, compiled': (rule) => {
    const compiled = engine.build(rule);
    return (data) => jsonLogic.truthy(compiled(data));
  },
};

const report = {};
for (const [name, prepare] of Object.entries(engines)) {
  const figures = {};
  for (const [item, [rule, data, truthy]] of Object.entries(cases)) {
    const evaluate = prepare(rule);
    const found = data.filter((one) => evaluate(one)).length;
    if (found !== truthy) throw new Error(`${name}, ${item}: ${found} instead of ${truthy}`);
    let sum = 0;
    figures[item] = Math.round(rate((i) => { sum += evaluate(data[i % data.length]) ? 1 : 0; }, 256));
    if (sum === 0) throw new Error('nothing matched');
  }
  const many = Array.from({ length: 10_000 }, (_, i) => prepare(
    { and: [{ '==': [v('key'), `stream.state.${i}`] }, { '==': [v('value'), 'on'] }] }));
  const change = { key: 'stream.state.777', value: 'on' };
  const commit = () => {
    let fired = 0;
    for (const rule of many) fired += rule(change) ? 1 : 0;
    if (fired !== 1) throw new Error(`${name}: ${fired} rules fired`);
  };
  figures.commit_ns = Math.round(1e9 / rate(commit, 4));
  report[name] = figures;
}
console.log(JSON.stringify(report));

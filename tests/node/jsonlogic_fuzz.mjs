// Differential fuzzing: random rules over random data, our evaluator against json-logic-js itself.
//
//   node jsonlogic_fuzz.mjs [--binary FILE] [--seed N] [--cases N]
//
// Needs json-logic-js 2.0.5 in node_modules. The binary (else that of STATE_ENGINE_BIN or
// STATE_ENGINE_DEFAULT_BIN) is run once, as `rules eval --jsonl`. Each run makes fresh cases; the
// seed it prints makes them again.
//
// Prints how often each operator was evaluated and each way to fail was taken, as the reference saw
// it. Fails on any difference, and if an operator or a way to fail was tried too rarely to mean
// anything. Nothing is excluded but the two deliberate deviations: inherited JavaScript names
// (`constructor`) and objects whose own key is `toString` are not among the names tried.

import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import jsonLogic from 'json-logic-js';

const { values: flags } = parseArgs({
  options: {
    binary: {
      type: 'string',
      default: process.env.STATE_ENGINE_BIN || process.env.STATE_ENGINE_DEFAULT_BIN,
    },
    seed: { type: 'string', default: String(Date.now() % 1e9) },
    cases: { type: 'string', default: '120000' },
  },
});
if (!flags.binary) {
  console.error('usage: node jsonlogic_fuzz.mjs [--binary FILE] [--seed N] [--cases N]');
  process.exit(2);
}

const OPERATOR_EVALUATIONS_MIN = 1000;
const ERROR_CASES_MIN = 50;
const CASES_FOR_MINIMA = 100_000;  // below them the minima are not asked for

// A 64-bit linear congruential generator: the same seed gives the same cases everywhere.
let state = BigInt(flags.seed);
function random() {
  state = (state * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n);
  return Number(state >> 33n) / 2147483648;
}
const below = (limit) => Math.floor(random() * limit);
const pick = (list) => list[below(list.length)];
const times = (count, make) => Array.from({ length: count }, make);

const TEXTS = ['', 'a', 'b', 'on', 'off', '0', '1', '-1', '5', '10', '9', '3abc', ' 12 ', '0x10',
  '1e3', 'true', 'null', '[object Object]', 'a,b', '1,2', 'é😀x', '😀', '😀b', 'ﾮ', 'Infinity',
  '-0', 'a.b', 'arr', 'arr.0', 's.length', '\ufeff7', '1e400', '-5', '2.5', 'length', '0b11',
  '0b2', '..', '.5', '+3', '-Infinity', '1e21', '1e-7'];
const NUMBERS = [0, 1, -1, 2, 3, 5, 10, 0.1, 0.2, 1.5, -2.5, 1e21, 1e-7, 123456789012345680000,
  -3, 7, 100, 9007199254740992, 4294967295, 1e300, 5e-324];
const NAMES = ['a', 'b', 'arr', 'arr.0', 'arr.1.x', 's', 's.length', 's.1', 'n', 'o', 'o.a', 'e',
  'k', '', 'current', 'accumulator', 'x', 0, 1, 1.5, null, 'arr.length', 'o.arr', 'u', 'h.1',
  'h.length', 'o.x.0', 'io', 'io', 'io', 'io', 'io'];
const MEMBERS = ['a', 'b', 'c', 'x', '0', 'k', 'length', 'indexOf', '', ' '];
const ODD_OPERATORS = ['nope', 'var.length', 'var.x', '', 'x.y', 'if.a', 'cat.name.2',
  'cat.prototype.constructor'];
const OPERATORS = ['==', '===', '!=', '!==', '>', '>=', '<', '<=', '!!', '!', '%', 'log', 'in',
  'cat', 'substr', '+', '-', '*', '/', 'min', 'max', 'merge', 'var', 'missing', 'missing_some',
  'if', '?:', 'and', 'or', 'filter', 'map', 'reduce', 'all', 'none', 'some'];
const WITH_BODY = ['filter', 'map', 'all', 'none', 'some'];

function randomLiteral() {
  const roll = random();
  if (roll < 0.35) return pick(TEXTS);
  if (roll < 0.7) return pick(NUMBERS);
  return pick([null, true, false, [], {}]);
}

function randomData(depth) {
  const roll = random();
  if (depth <= 0 || roll < 0.5) return randomLiteral();
  if (roll < 0.75) return times(below(4), () => randomData(depth - 1));
  return Object.fromEntries(times(below(4), () => [pick(MEMBERS), randomData(depth - 1)]));
}

function randomRule(depth) {
  const roll = random();
  const argument = () => randomRule(depth - 1);
  if (depth <= 0 || roll < 0.18) return randomLiteral();
  if (roll < 0.33) return { var: pick(NAMES) };
  if (roll < 0.4) return { var: [random() < 0.8 ? pick(NAMES) : argument(), argument()] };
  if (roll < 0.46) return times(below(4), argument);
  if (roll < 0.48) return { a: argument(), b: 1 };
  if (roll < 0.49) return { [pick(ODD_OPERATORS)]: argument() };
  const operator = pick(OPERATORS);
  if (random() < 0.12) return { [operator]: argument() };
  if (WITH_BODY.includes(operator)) return { [operator]: times(2, argument) };
  if (operator === 'reduce') return { [operator]: times(random() < 0.8 ? 3 : 2, argument) };
  return { [operator]: times(random() < 0.6 ? 2 : below(5), argument) };
}

function randomContext() {
  if (random() < 0.1) return randomData(2);
  return {
    a: randomData(2), b: randomData(1), arr: times(below(4), () => randomData(1)),
    s: pick(TEXTS), n: pick(NUMBERS), e: '', k: pick(NAMES), h: 'é😀x',
    io: { indexOf: randomLiteral(), a: 1 },
    o: { a: randomLiteral(), b: randomData(1), arr: randomData(2), x: randomData(2) },
  };
}

function special(value) {
  if (value === undefined) return 'undefined';
  if (Object.is(value, -0)) return '-0';
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : undefined;
}

// Members in one order: JavaScript moves names that look like integers to the front.
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.keys(value).sort().map((name) => [name, sorted(value[name])]));
}

// json-logic-js calls itself through its own property, which is the place to count.
const evaluated = new Map(OPERATORS.map((name) => [name, 0]));
const applyLogic = jsonLogic.apply;
jsonLogic.apply = (rule, data) => {
  if (jsonLogic.is_logic(rule)) {
    const operator = jsonLogic.get_operator(rule);
    if (evaluated.has(operator)) evaluated.set(operator, evaluated.get(operator) + 1);
  }
  return applyLogic(rule, data);
};

const ERROR_PATHS = [
  ['unknown operator', (error) => /^Unrecognized operation/.test(error.message)],
  ['a name with a dot that is no function', (error) => /apply is not a function/.test(error.message)],
  ['product of nothing', (error) => /^Reduce of empty array/.test(error.message)],
  ['missing_some without keys', (error) => /reading 'length'/.test(error.message)],
  ['in: an own indexOf', (error) => /indexOf is not a function/.test(error.message)],
];
const failed = new Map(ERROR_PATHS.map(([name]) => [name, 0]));

function countFailure(error) {
  const path = ERROR_PATHS.find(([, matches]) => matches(error));
  const name = path ? path[0] : `other: ${error.message}`;
  failed.set(name, (failed.get(name) ?? 0) + 1);
}

// What json-logic-js answers, in the form of `rules eval --jsonl`; null if the stack overflows.
function reference(line) {
  const { rule, data } = JSON.parse(line);
  const log = console.log;
  console.log = () => {};
  try {
    const value = jsonLogic.apply(rule, data);
    const name = special(value);
    const truthy = jsonLogic.truthy(value);
    if (name !== undefined) return { result: null, truthy, special: name };
    return { result: JSON.parse(JSON.stringify(value)), truthy };
  } catch (error) {
    if (error instanceof RangeError) return null;
    countFailure(error);
    return { error: error instanceof TypeError ? 'type_error' : 'unrecognized_operation' };
  } finally {
    console.log = log;
  }
}

const canonical = (answer) => JSON.stringify(sorted(answer));

const lines = times(Number(flags.cases), () =>
  JSON.stringify({ rule: randomRule(4), data: randomContext() }));
const run = spawnSync(flags.binary, ['rules', 'eval', '--jsonl'],
  { input: lines.join('\n') + '\n', maxBuffer: 1 << 30 });
if (run.error || run.signal) {
  console.error(`the binary did not survive: ${run.error ?? run.signal}\n${run.stderr}`);
  process.exit(1);
}
const answers = String(run.stdout).trimEnd().split('\n');
let compared = 0;
let overflows = 0;
let differences = 0;
lines.forEach((line, index) => {
  const want = reference(line);
  if (want === null) {
    overflows += 1;
    return;
  }
  compared += 1;
  let got = answers[index] ?? '(no line)';
  try {
    const answer = JSON.parse(got);
    got = canonical(answer.error === undefined ? answer : { error: answer.error });
  } catch { /* shown as it is */ }
  if (got === canonical(want)) return;
  differences += 1;
  if (differences <= 10) console.error(`${line}\n  want ${canonical(want)}\n  got  ${got}`);
});
console.log(`seed ${flags.seed}: ${compared} cases compared, ${differences} differences, ` +
  `${overflows} not compared (the reference ran out of stack)`);

const problems = [];
function report(title, counts, minimum) {
  console.log(title);
  for (const [name, count] of counts) {
    console.log(`  ${String(count).padStart(8)}  ${name}`);
    if (lines.length >= CASES_FOR_MINIMA && count < minimum && !name.startsWith('other: ')) {
      problems.push(`"${name}" came up ${count} times, at least ${minimum} are wanted`);
    }
  }
}
report('evaluations per operator:', evaluated, OPERATOR_EVALUATIONS_MIN);
report('cases per way to fail:', failed, ERROR_CASES_MIN);
if (differences > 0) problems.push(`${differences} answers differ from json-logic-js`);
if (compared !== lines.length) problems.push(`${lines.length - compared} cases were not compared`);
for (const problem of problems) console.error(problem);
process.exit(problems.length === 0 && compared > 0 ? 0 : 1);

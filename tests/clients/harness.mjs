// Starts a real engine for client tests, and ends what was started. Node's own modules only; the
// SDKs come from tests/node at their pinned versions.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
export const root = join(here, '../..');
export const sdk = createRequire(join(here, '../node/package.json'));

export const config = `
allowedKeys: ["stream.*", "page.*", "obs.*"]
policy:
  - keys: [stream.state]
    schema: {enum: [on, off]}
rules:
  - id: scene
    on: change
    when: {'==': [{var: key}, stream.state]}
    actions:
      - {type: publishEgress, payload: {type: system.stream.changed}}
      - {type: proposeMutation, key: obs.scene, value: Live, reason: the stream changed}
`;

export function engineBinary() {
  const binary = process.env.STATE_ENGINE_BIN || process.env.STATE_ENGINE_DEFAULT_BIN ||
    join(root, 'build/release/bin/state-engine');
  assert.ok(existsSync(binary), `${binary} is not built; run ./dev build release`);
  return binary;
}

// Set by https.mjs: a directory with engine.crt and engine.key. The cases over HTTP then speak TLS.
const tls = process.env.SE_TEST_TLS_DIR;

// Settings of the caller would change an engine under test.
const ours = /^(STATE_ENGINE_|MCP_AUTH_TOKEN|SERVICE_PORT|LOG_LEVEL|LLM_|XDG_STATE_HOME)/;

export function cleanEnvironment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)));
}

// Polls until `condition` gives something true, and returns it.
export async function eventually(what, condition, seconds = 15) {
  const deadline = Date.now() + seconds * 1000;
  for (let pause = 2; ; pause = Math.min(pause * 2, 50)) {
    const value = await condition();
    if (value) return value;
    assert.ok(Date.now() < deadline, `${what}: not within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

export class Home {
  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'state-engine-clients-'));
    this.config = join(this.directory, 'config.yaml');
    writeFileSync(this.config, config);
    this.engines = [];
  }

  data(name) {
    return join(this.directory, name);
  }

  // What the engine `name` has logged so far.
  log(name) {
    return readFileSync(join(this.directory, `${name}.stderr`), 'utf8');
  }

  // A running `state-engine serve`: {url, dataDir, stop()}.
  async serve(name, more = []) {
    const dataDir = this.data(name);
    const logFile = join(this.directory, `${name}.stderr`);
    const log = openSync(logFile, 'a');
    const secure = tls
      ? ['--tls-cert', join(tls, 'engine.crt'), '--tls-key', join(tls, 'engine.key')] : [];
    const child = spawn(
      engineBinary(),
      ['serve', ...secure, '--listen', '127.0.0.1:0', '--data-dir', dataDir, '--config', this.config, ...more],
      { stdio: ['ignore', 'pipe', log], env: cleanEnvironment() });
    closeSync(log);
    const ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    this.engines.push({ child, ended });
    for await (const line of createInterface({ input: child.stdout })) {
      const ready = / is ready: (\S+)/.exec(line);
      if (!ready) continue;
      child.stdout.resume();
      return { url: new URL(ready[1]), dataDir, stop: () => (child.kill('SIGTERM'), ended) };
    }
    throw new Error(`the engine did not start:\n${readFileSync(logFile, 'utf8')}`);
  }

  // Command of a stdio server on `name`: a bridge if an engine serves it, else the engine itself.
  stdio(name) {
    return {
      command: engineBinary(),
      args: ['mcp', '--data-dir', this.data(name), '--config', this.config],
      env: cleanEnvironment(),
      stderr: 'inherit',
    };
  }

  async end() {
    for (const { child, ended } of this.engines) {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

// Runs named cases one after another; the exit code tells whether all passed.
export async function main(cases) {
  let failed = 0;
  if (tls) cases = cases.filter(([name]) => name.includes('HTTP'));
  for (const [name, run] of cases) {
    const home = new Home();
    try {
      await run(home);
      console.log(`ok      ${name}`);
    } catch (fault) {
      failed += 1;
      console.log(`FAILED  ${name}\n${fault.stack ?? fault}`);
    } finally {
      await home.end();
    }
  }
  console.log(`${cases.length - failed} of ${cases.length} passed`);
  process.exit(failed === 0 ? 0 : 1);
}

// A `state-engine mock twitch` for client tests, and what can be done to it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { cleanEnvironment, engineBinary } from './harness.mjs';

export class MockTwitch {
  // `args`: more options of the command.
  static async start(args = []) {
    const mock = new MockTwitch();
    mock.directory = mkdtempSync(join(tmpdir(), 'state-engine-twitch-'));
    const tokens = join(mock.directory, 'tokens.json');
    mock.child = spawn(
      engineBinary(),
      ['mock', 'twitch', '--listen', '127.0.0.1:0', '--channel', 'streamer:1001',
        '--tokens-file', tokens, '--log-level', 'warn', ...args],
      { stdio: ['ignore', 'pipe', 'inherit'], env: cleanEnvironment() });
    mock.ended = new Promise((resolve) => mock.child.once('exit', resolve));
    for await (const line of createInterface({ input: mock.child.stdout })) {
      const ready = / is ready: (http:\/\/\S+)/.exec(line);
      if (!ready) continue;
      mock.child.stdout.resume();
      mock.url = ready[1];
      mock.port = new URL(mock.url).port;
      mock.tokens = JSON.parse(readFileSync(tokens, 'utf8'));
      return mock;
    }
    throw new Error('the mock did not start');
  }

  // POST /control/`verb`; its answer, which must be ok.
  async control(verb, body = {}) {
    const response = await fetch(`${this.url}/control/${verb}`,
      { method: 'POST', body: JSON.stringify(body) });
    const answer = await response.json();
    assert.ok(answer.ok, `${verb}: ${JSON.stringify(answer)}`);
    return answer;
  }

  async report() {
    return (await fetch(`${this.url}/control/report`)).json();
  }

  // How often `method path` was requested.
  async requests(what) {
    return (await this.report()).requests[what] ?? 0;
  }

  async stop() {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    await this.ended;
    rmSync(this.directory, { recursive: true, force: true });
  }
}

// The SDK sessions once more, over https with a certificate that only NODE_EXTRA_CA_CERTS knows.
// Node reads that variable when it starts, so each session runs in a process of its own.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

function makeCertificate(directory) {
  const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt',
    'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=engine', '-addext',
    'subjectAltName=IP:127.0.0.1', '-keyout', join(directory, 'engine.key'), '-out',
    join(directory, 'engine.crt')], { encoding: 'utf8' });
  if (made.error?.code === 'ENOENT') {
    console.error('SKIP: missing openssl; ./dev test installs it');
    process.exit(process.env.CI ? 1 : 77);
  }
  if (made.status !== 0) throw new Error(made.stderr);
}

const directory = mkdtempSync(join(tmpdir(), 'state-engine-https-'));
let failed = 0;
try {
  makeCertificate(directory);
  for (const script of ['sdk_v1.mjs', 'sdk_v2.mjs']) {
    const env = { ...process.env, SE_TEST_TLS_DIR: directory,
      NODE_EXTRA_CA_CERTS: join(directory, 'engine.crt') };
    const run = spawnSync(process.execPath, [join(here, script)], { env, encoding: 'utf8' });
    console.log(`${script} over https\n${run.stdout}${run.stderr}`);
    // A run of nothing would pass as well.
    if (run.status !== 0 || !/ok {6}sdk v\d.* over HTTP/.test(run.stdout)) failed += 1;
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
process.exit(failed === 0 ? 0 : 1);

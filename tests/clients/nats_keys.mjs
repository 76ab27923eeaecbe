// Prints, as JSON, keys and credentials for tests: three NKey users, and an operator with an account
// and a user's credentials file. Made anew on each run.

import { createRequire } from 'node:module';

const require = createRequire(new URL('../node/package.json', import.meta.url));
const { createUser } = require('@nats-io/nkeys');
const jwt = require('@nats-io/jwt');

const text = (bytes) => new TextDecoder().decode(bytes);
const pair = () => {
  const key = createUser();
  return { seed: text(key.getSeed()), public: key.getPublicKey() };
};

const operator = jwt.createOperator();
const account = jwt.createAccount();
const system = jwt.createAccount();
const user = jwt.createUser();
const limits = {
  ...jwt.defaultNatsLimits, subs: -1, data: -1, payload: -1, conn: -1, leaf: -1, imports: -1, exports: -1, wildcards: true,
  mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1,
};
const accountJwt = await jwt.encodeAccount('platform', account, { limits }, { signer: operator });
const userJwt = await jwt.encodeUser("engine", user, account, {});

console.log(JSON.stringify({
  engine: pair(),
  ingress: pair(),
  agent: pair(),
  operatorJwt: await jwt.encodeOperator('test', operator, {}),
  account: account.getPublicKey(),
  accountJwt,
  system: system.getPublicKey(),
  systemJwt: await jwt.encodeAccount('system', system, {}, { signer: operator }),
  creds: text(jwt.fmtCreds(userJwt, user)),
}));

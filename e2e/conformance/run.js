// Runs plans of the OpenID Foundation's conformance suite against `doorward serve`. The suite must be running already.
//
//   node conformance/run.js [PLAN…]     SUITE=https://localhost:9443/  TLS=DIR  DOORWARD_BIN=…  PORT=9444  MODULE=…  ALIAS=…
//
// TLS holds `ca.pem`, `localhost.pem` and `localhost-key.pem`; start Node with NODE_EXTRA_CA_CERTS=DIR/ca.pem.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { configuration, EXPECTED, financial, PLANS } from './plans.js';
import { startServer } from './server.js';
import { suiteAt } from './suite.js';
import { makeTenant } from './tenant.js';

const base = process.env.SUITE ?? 'https://localhost:9443/';
const tls = process.env.TLS ?? fail('TLS must name the directory with ca.pem, localhost.pem and localhost-key.pem.');
const port = process.env.PORT ?? 9444;
const alias = process.env.ALIAS ?? 'doorward';
const chosen = process.argv.slice(2);
const plans = PLANS.filter(({ name }) => chosen.length === 0 || chosen.some((word) => name.includes(word)));
const results = path.join(import.meta.dirname, '..', 'results', 'conformance');

/** What is no failure. */
const COLUMNS = ['PASSED', 'WARNING', 'REVIEW', 'SKIPPED'];

const total = (numbers) => numbers.reduce((sum, number) => sum + number, 0);

function fail(why) {
  console.error(why);
  process.exit(1);
}

const suite = suiteAt(base);
const data = mkdtempSync(path.join(tmpdir(), 'doorward-conformance-'));
const server = await startServer({
  data,
  port,
  certificate: path.join(tls, 'localhost.pem'),
  key: path.join(tls, 'localhost-key.pem'),
  authority: path.join(tls, 'ca.pem'),
});
mkdirSync(results, { recursive: true });
let unexpected = 0;
const rows = [];
try {
  const tenant = await makeTenant(server, `${base}test/a/${alias}`);
  const known = { issuer: server.issuer, alias, tenant };
  const preparations = { 'oidcc-server-rotate-keys': () => tenant.manage('POST', 'keys/signing/rotate') };
  for (const { name, variant, financial: kind } of plans) {
    const config = { ...configuration(known), ...(kind ? financial(known, kind) : {}) };
    const plan = await suite.plan(name, variant, config);
    const counted = {};
    for (const module of plan.modules) {
      if (process.env.MODULE && !module.testModule.includes(process.env.MODULE)) continue;
      const { id, result, log } = await suite.run(plan.id, module, preparations[module.testModule]);
      counted[result] = (counted[result] ?? 0) + 1;
      const wrong = log.filter((entry) => ['FAILURE', 'WARNING'].includes(entry.result));
      const label = `${module.testModule}${Object.values(module.variant ?? {}).map((one) => ` ${one}`).join(',')}`;
      const bad = !COLUMNS.includes(result);
      if (bad && !EXPECTED[module.testModule]) unexpected += 1;
      console.log(`${result.padEnd(8)} ${label}${bad && EXPECTED[module.testModule] ? ' (expected)' : ''}`);
      for (const entry of wrong) console.log(`           ${entry.result} ${entry.src}: ${entry.msg}`);
      writeFileSync(path.join(results, `${name}.${module.testModule}.${id}.json`), JSON.stringify(log, null, 1));
    }
    rows.push([name, plan.modules.length, ...COLUMNS.map((result) => counted[result] ?? 0), plan.modules.length - total(COLUMNS.map((result) => counted[result] ?? 0))]);
  }
} finally {
  await server.stop();
  writeFileSync(path.join(results, 'server.log'), server.log());
  rmSync(data, { recursive: true, force: true });
}
console.log(`| plan | modules | ${COLUMNS.map((name) => name.toLowerCase()).join(' | ')} | failed |\n|---|${'---|'.repeat(COLUMNS.length + 2)}`);
for (const row of rows) console.log(`| ${row.join(' | ')} |`);
process.exit(unexpected > 0 ? 1 : 0);

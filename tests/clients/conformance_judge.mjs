// What a run of the MCP conformance suite is worth: pure, so that conformance_selftest.mjs can show
// that it notices vacuous passes and stale or unexplained baseline entries.
//
//   scored    names of the scenarios that the revision requires
//   results   {scenario: [{id, status, errorMessage}]}
//   needs     {scenario or "scenario:check": the name of the fixture tool, prompt or resource}
//   baseline  [{name, reason}]: what may fail, and why
//   offered   names of the tools and prompts and URIs of the resources that the server lists

// Every scenario has this check, and an error message passes it too: alone it proves nothing.
const schemaCheck = 'wire-schema-valid';

// Reads "name  # reason" lines; a line that starts with "#" is a comment.
export function parseBaseline(text) {
  return text.split('\n').map((line) => line.trim()).filter((line) => line && !line.startsWith('#'))
    .map((line) => {
      const [name, ...reason] = line.split('#');
      return { name: name.trim(), reason: reason.join('#').trim() };
    });
}

function failures(checks) {
  return checks.filter(({ status }) => status === 'FAILURE' || status === 'WARNING');
}

function judgeBaseline({ scored, results, needs, baseline, offered }) {
  const faults = [];
  for (const { name, reason } of baseline) {
    const [scenario, check] = name.split(':');
    if (!reason) faults.push(`baseline: ${name} has no reason; write one after "#"`);
    if (!scored.includes(scenario)) faults.push(`baseline: ${name} is no scored scenario; remove it`);
    const need = needs[name];
    if (!need) faults.push(`baseline: ${name} needs no fixture; implement it instead`);
    if (need && offered.includes(need)) faults.push(`baseline: ${name}: the server has ${need}; remove the entry`);
    const found = check && (results[scenario] ?? []).find(({ id }) => id === check);
    if (found && failures([found]).length === 0) faults.push(`baseline: ${name} passes; remove it`);
  }
  return faults;
}

// Returns {passed: [scenario], excused: [scenario], faults: [text]}; green means no faults.
export function judge(run) {
  const { scored, results, needs, baseline, offered } = run;
  const faults = judgeBaseline(run);
  const allowed = new Set(baseline.map(({ name }) => name));
  const passed = [];
  const excused = [];
  for (const scenario of scored) {
    const checks = results[scenario] ?? [];
    const open = failures(checks).filter(({ id }) => !allowed.has(`${scenario}:${id}`));
    if (allowed.has(scenario)) {
      excused.push(scenario);
    } else if (open.length > 0) {
      for (const { id, errorMessage } of open) faults.push(`${scenario}:${id}: ${errorMessage}`);
    } else if (!checks.some(({ id, status }) => id !== schemaCheck && status === 'SUCCESS')) {
      faults.push(`${scenario}: did not run, or nothing of it passed`);
    } else if (needs[scenario] && !offered.includes(needs[scenario])) {
      faults.push(`${scenario}: passed without ${needs[scenario]}, which proves nothing; baseline it`);
    } else {
      passed.push(scenario);
    }
  }
  return { passed, excused, faults };
}

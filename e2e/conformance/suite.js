// The suite's own API: plans, the modules of a plan, and what they say.

const PATIENCE = 240_000;

/** The suite at `base`, an https origin with a slash. */
export function suiteAt(base) {
  const ask = async (path, { method = 'GET', query = {}, body } = {}) => {
    const url = new URL(`api/${path}`, base);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
    const response = await fetch(url, { method, headers: { 'content-type': 'application/json' }, body: body && JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text.slice(0, 500)}`);
    return text ? JSON.parse(text) : undefined;
  };
  const until = async (id, states) => {
    for (const end = Date.now() + PATIENCE; Date.now() < end; ) {
      const { status } = await ask(`info/${id}`);
      if ([...states, 'FINISHED', 'INTERRUPTED'].includes(status)) return status;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    return 'LATE';
  };
  return {
    /** What the suite says of its version. */
    version: async () => ask('server'),
    /** Makes a plan: its id and its modules. */
    plan: (name, variant, config) =>
      ask('plan', { method: 'POST', query: { planName: name, variant: JSON.stringify(variant) }, body: config }),
    /** Runs one module of a plan to its end: `result`, and the log. What the suite asks of its user before the start is `prepare`. */
    run: async (plan, { testModule, variant }, prepare) => {
      const query = { test: testModule, plan, variant: variant && JSON.stringify(variant) };
      const { id } = await ask('runner', { method: 'POST', query });
      let status = await until(id, ['CONFIGURED', 'WAITING']);
      if (status === 'CONFIGURED') {
        await prepare?.();
        await ask(`runner/${id}`, { method: 'POST' });
        status = await until(id, []);
      } else if (status === 'WAITING') {
        status = await until(id, []);
      }
      const { result } = await ask(`info/${id}`);
      return { id, result: status === 'FINISHED' ? result : status, log: await ask(`log/${id}`) };
    },
  };
}

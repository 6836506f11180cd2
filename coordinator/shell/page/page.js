// The dashboard: draws each snapshot that the coordinator sends (the members of `weir stats --json`)
// and remembers the last ten minutes of them. It changes nothing, and knows no other source.
'use strict';

const HISTORY_MS = 10 * 60 * 1000;
const CARDS_MAX = 60; // of a thousand pools, those that matter; the filter finds the others
const ROWS_MAX = 50;
const SILENCE_MS = 5000; // an event comes every second

const byId = (id) => document.getElementById(id);
const state = { last: null, at: 0, rates: {}, history: new Map(), instances: [], token: '' };

// ---- words ------------------------------------------------------------------------------------

const count = new Intl.NumberFormat('en');
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const number = (value) => (value >= 100000 ? short.format(value) : count.format(value));
const percent = (part, whole) => (whole > 0 ? (100 * part) / whole : 0);

function duration(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 90) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

function windowName(limit) {
  const seconds = limit.window_s;
  if (seconds === 0) return '';
  if (limit.day || seconds === 86400) return 'a day';
  if (seconds === 1) return 'a second';
  if (seconds === 60) return 'a minute';
  if (seconds === 3600) return 'an hour';
  return `in ${duration(seconds)}`;
}

// Spending is told in millionths.
const amount = (limit, value) => (limit.dimension === 'spend' ? (value / 1e6).toFixed(2) : number(value));
const limitName = (limit) => `${limit.dimension.replace('_', ' ')} ${windowName(limit)}`.trim();

// ---- parts ------------------------------------------------------------------------------------

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shape(tag, attributes) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function bar(limit) {
  const kept = limit.effective || limit.amount;
  const leased = Math.min(limit.leased || 0, limit.used);
  const track = element('div', {
    class: limit.used >= 0.97 * kept ? 'bar is-full' : 'bar',
    role: 'meter',
    'aria-label': limitName(limit),
    'aria-valuemin': 0,
    'aria-valuemax': limit.amount,
    'aria-valuenow': limit.used,
    'aria-valuetext': `${amount(limit, limit.used)} of ${amount(limit, kept)}`,
  });
  const used = element('i', { class: 'used' });
  const out = element('i', { class: 'leased' });
  const cut = element('i', { class: 'cut' });
  used.style.width = `${Math.min(100, percent(limit.used - leased, limit.amount))}%`;
  out.style.left = used.style.width;
  out.style.width = `${Math.min(100, percent(leased, limit.amount))}%`;
  cut.style.width = `${percent(limit.amount - kept, limit.amount)}%`;
  track.append(used, out, cut);
  return track;
}

function limitRow(limit) {
  const kept = limit.effective || limit.amount;
  const words = element('div', { class: 'text' },
    element('span', {}, limitName(limit) + (limit.shadow ? ' (shadow)' : '')),
    element('span', { class: 'figure' }, `${amount(limit, limit.used)} / ${amount(limit, kept)}`));
  const row = element('div', { class: 'limit' }, words, bar(limit));
  const reasons = {
    stated: `the provider allows less than the configured ${amount(limit, limit.amount)}`,
    foreign: `somebody else spends the rest of ${amount(limit, limit.amount)}`,
    ramp: `use may have grown to ${amount(limit, limit.ramp)} by now: the provider said that it grew too fast`,
    closed: `closed for ${duration(limit.closed_s)}: what was spent is not known`,
  };
  for (const why of limit.why) row.append(element('p', { class: 'note is-warm' }, reasons[why] || why));
  return row;
}

const money = (micro) => (micro / 1e6).toFixed(2);

function costNote(owner) {
  const cost = owner.cost_today;
  if (!cost) return [];
  const day = cost.day === 'utc' ? 'the day of UTC' : 'the day of its limit';
  const most = cost.limit == null ? '' : ` of ${money(cost.limit)}`;
  return [`today cost ${money(cost.spend)}${most} (${day}, counted for ${duration(cost.counted_s)}, ${duration(cost.left_s)} left)`];
}

function breakerBadge(pool) {
  if (!pool.breaker || pool.breaker === 'closed') return null;
  const words = {
    open: pool.open_s == null ? 'breaker held open' : `breaker open, ${duration(pool.open_s)}`,
    half_open: `breaker half open, ${pool.probes} probes`,
    ramp: 'ramping up',
  };
  return element('span', { class: pool.breaker === 'ramp' ? 'badge is-warm' : 'badge is-bad' }, words[pool.breaker]);
}

// ---- history ----------------------------------------------------------------------------------

// The fullest limit that is enforced, as a share of what is kept.
function fullest(owner) {
  let share = 0;
  for (const limit of owner.limits) {
    if (!limit.shadow) share = Math.max(share, percent(limit.used, limit.effective || limit.amount));
  }
  return share;
}

const waiting = (pool) => (pool.queued ? pool.queued.online + pool.queued.batch : 0);

function remember(snapshot, at) {
  for (const pool of snapshot.pools) {
    if (!state.history.has(pool.name)) state.history.set(pool.name, []);
    const points = state.history.get(pool.name);
    const last = points[points.length - 1];
    const rejected = last ? Math.max(0, pool.rejected_429 - last.total) : 0;
    points.push({ at, used: fullest(pool), waiting: waiting(pool), rejected, total: pool.rejected_429 });
    while (points[0].at < at - HISTORY_MS) points.shift();
  }
}

function chart(pool, at) {
  const points = state.history.get(pool.name) || [];
  const marks = points.filter((p) => p.rejected > 0).length;
  const most = Math.max(1, ...points.map((p) => p.waiting));
  const box = shape('svg', { class: 'chart', viewBox: '0 0 600 100', preserveAspectRatio: 'none', role: 'img' });
  const title = shape('title', {});
  const first = points.length > 0 ? points[0].at : at;
  const span = Math.max(60 * 1000, at - first); // grows until it is ten minutes
  title.textContent = `The last ${duration(span / 1000)}: ${Math.round(fullest(pool))} % used now, at most ${most} waiting, ` +
    `${marks === 0 ? 'no 429s' : `429s at ${marks} instants`}`;
  const x = (p) => (600 * (p.at - at + span)) / span;
  const line = (y) => points.map((p, i) => `${i ? 'L' : 'M'}${x(p).toFixed(1)} ${y(p).toFixed(1)}`).join('');
  const used = line((p) => 100 - Math.min(100, p.used));
  box.append(title, shape('line', { class: 'edge', x1: 0, x2: 600, y1: 0.5, y2: 0.5 }),
    shape('line', { class: 'edge', x1: 0, x2: 600, y1: 99.5, y2: 99.5 }));
  if (points.length > 1) {
    box.append(shape('path', { class: 'area', d: `${used}L600 100L${x(points[0]).toFixed(1)} 100Z` }),
      shape('path', { class: 'line', d: used }));
    if (points.some((p) => p.waiting > 0)) {
      box.append(shape('path', { class: 'wait', d: line((p) => 100 - (90 * p.waiting) / most) }));
    }
  }
  for (const p of points) {
    if (p.rejected > 0) box.append(shape('line', { class: 'mark', x1: x(p), x2: x(p), y1: 0, y2: 18 }));
  }
  return box;
}

// ---- the page ---------------------------------------------------------------------------------

function drawTotals(snapshot) {
  const all = snapshot.totals;
  const queued = snapshot.pools.reduce((sum, pool) => sum + waiting(pool), 0);
  const leases = snapshot.pools.reduce((sum, pool) => sum + pool.leases, 0);
  const open = snapshot.pools.filter((pool) => pool.breaker === 'open' || pool.breaker === 'half_open').length;
  const priced = snapshot.pools.filter((pool) => pool.cost_today);
  const tiles = [
    ['instances', number(snapshot.sessions), false],
    ['calls granted a second', state.rates.grants == null ? '-' : number(Math.round(state.rates.grants)), false],
    ['leases out', number(leases), false],
    ['waiting', number(queued), false],
    ['429s since the start', number(all.rejected_429), all.rejected_429 > 0],
    ['breakers open', number(open), open > 0],
  ];
  if (priced.length > 0) {
    const spend = priced.reduce((sum, pool) => sum + pool.cost_today.spend, 0);
    const most = priced.every((pool) => pool.cost_today.limit != null)
      ? ` / ${money(priced.reduce((sum, pool) => sum + pool.cost_today.limit, 0))}` : '';
    tiles.push(['cost of today', `${money(spend)}${most}`, false]);
  }
  byId('totals').replaceChildren(...tiles.map(([name, value, isBad]) =>
    element('div', isBad ? { class: 'is-bad' } : {}, element('dt', {}, name), element('dd', {}, value))));
}

function card(pool, at) {
  const head = element('header', {}, element('h3', {}, pool.name),
    element('span', { class: 'badge' }, pool.profile || 'profile unknown'));
  const breaker = breakerBadge(pool);
  if (breaker) head.append(breaker);
  if (pool.frozen_s > 0) head.append(element('span', { class: 'badge is-warm' }, `frozen, ${duration(pool.frozen_s)}`));
  const queue = pool.queued;
  const notes = [`${number(queue.online)} online and ${number(queue.batch)} batch waiting, ${number(pool.leases)} leases out`];
  if (pool.latency_p95_s > 0) {
    notes.push(`calls take ${duration(pool.latency_p50_s)}, ${duration(pool.latency_p95_s)}, ` +
      `${duration(pool.latency_p99_s)} (50, 95, 99 of 100)`);
  }
  if (pool.head) {
    notes.push(`the next one waits for ${limitName(pool.head)}` +
      (pool.head.budget ? ` of budget ${pool.head.by}` : '') +
      `, about ${duration(pool.head.start_s)} yet`);
  }
  if (pool.wait_p95_s > 0) notes.push(`95 of 100 waited ${duration(pool.wait_p95_s)} at most`);
  notes.push(...costNote(pool));
  notes.push(`${number(pool.grants)} granted; rejected by the provider: ${number(pool.rejected.own)} ours, ` +
    `${number(pool.rejected.foreign)} through others, ${number(pool.rejected.capacity)} for lack of capacity`);
  return element('article', { class: 'card', 'data-pool': pool.name }, head, ...pool.limits.map(limitRow),
    chart(pool, at), ...notes.map((text) => element('p', { class: 'note' }, text)));
}

function drawPools(snapshot, at) {
  const order = byId('order').value;
  const filter = byId('filter').value.toLowerCase();
  const by = {
    used: (a, b) => fullest(b) - fullest(a),
    waiting: (a, b) => waiting(b) - waiting(a),
    name: () => 0,
  };
  const chosen = snapshot.pools.filter((pool) => pool.name.toLowerCase().includes(filter))
    .sort((a, b) => by[order](a, b) || a.name.localeCompare(b.name));
  byId('pools').replaceChildren(...chosen.slice(0, CARDS_MAX).map((pool) => card(pool, at)));
  byId('more').hidden = chosen.length <= CARDS_MAX;
  byId('more').textContent = `${chosen.length - CARDS_MAX} more; type a part of a name to find them`;
}

function drawBudgets(snapshot) {
  byId('budgets-room').hidden = snapshot.budgets.length === 0;
  byId('budgets').replaceChildren(...snapshot.budgets.map((budget) => element('article', { class: 'card' },
    element('header', {}, element('h3', {}, budget.name)), ...budget.limits.map(limitRow),
    ...costNote(budget).map((text) => element('p', { class: 'note' }, text)))));
}

function drawTable(name, caption, columns, rows) {
  byId(`${name}-room`).hidden = rows.length === 0;
  const head = element('tr', {}, ...columns.map(([title]) => element('th', { scope: 'col' }, title)));
  const body = rows.slice(0, ROWS_MAX).map((row) =>
    element('tr', {}, ...columns.map(([, text]) => element('td', {}, text(row)))));
  const words = rows.length > ROWS_MAX ? `${caption}; the first ${ROWS_MAX} of ${rows.length}` : caption;
  byId(name).replaceChildren(element('caption', {}, words), element('thead', {}, head), element('tbody', {}, ...body));
}

function draw() {
  const snapshot = state.last;
  if (!snapshot) return;
  const at = state.at;
  byId('about').textContent = `epoch ${snapshot.epoch}, up ${duration(snapshot.uptime_s)}`;
  drawTotals(snapshot);
  drawPools(snapshot, at);
  drawBudgets(snapshot);
  const used = new Map(); // of each pool
  for (const row of snapshot.tenants) used.set(row.pool, (used.get(row.pool) || 0) + row.share_pm);
  drawTable('tenants', 'The busiest first', [
    ['tenant', (row) => row.tenant || '(none)'], ['pool', (row) => row.pool], ['class', (row) => row.class],
    ['waiting', (row) => number(row.waiting)], ['leases', (row) => number(row.leases)],
    ['of what was used', (row) => `${percent(row.share_pm, used.get(row.pool)).toFixed(0)} %`]], snapshot.tenants);
  drawTable('slow', 'Of those that ended in the last ten minutes, the slowest first', [
    ['pool', (row) => row.pool], ['ended', (row) => `${duration(row.ended_s)} ago`],
    ['waited', (row) => duration(row.waited_s)], ['took', (row) => duration(row.took_s)],
    ['tokens in', (row) => number(row.input_tokens)], ['tokens out', (row) => number(row.output_tokens)],
    ['outcome', (row) => `${row.outcome || '-'}${row.http > 0 ? ` (${row.http})` : ''}`],
    ['instance', (row) => row.instance]], snapshot.slow);
  drawTable('sessions', 'Connected now', [
    ['instance', (row) => row.instance], ['tenant of its key', (row) => row.tenant || '-'], ['waiting', (row) => number(row.waiting)],
    ['leases', (row) => number(row.leases)], ['silent for', (row) => duration(row.silent_s)]], state.instances);
}

// ---- live -------------------------------------------------------------------------------------

function receive(snapshot) {
  const at = Date.now();
  if (state.last && state.last.epoch === snapshot.epoch && at > state.at) {
    state.rates.grants = (1000 * (snapshot.totals.grants - state.last.totals.grants)) / (at - state.at);
  }
  state.last = snapshot;
  state.at = at;
  remember(snapshot, at);
  draw();
}

// Not an EventSource: it could not bring a token.
function ask(path, signal) {
  const headers = state.token ? { authorization: `Bearer ${state.token}` } : {};
  return fetch(path, { headers, signal, cache: 'no-store' });
}

function tell(is, words) {
  const link = byId('link');
  if (link.dataset.is === is) return;
  link.dataset.is = is;
  link.textContent = words; // a screen reader says it once
}

// The stream ends by itself when nothing came for a while: figures that stand still are not live.
async function listen() {
  const stop = new AbortController();
  let silence = setTimeout(() => stop.abort(), SILENCE_MS);
  const answer = await ask('events', stop.signal);
  byId('token-room').hidden = answer.status !== 401;
  if (answer.status === 401) {
    clearTimeout(silence);
    tell('lost', 'a token is needed');
    byId('token').focus();
    return false;
  }
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error('the stream has ended');
    clearTimeout(silence);
    silence = setTimeout(() => stop.abort(), SILENCE_MS);
    const parts = (rest + value).split('\n\n');
    rest = parts.pop();
    for (const part of parts) {
      if (!part.startsWith('data:')) continue;
      receive(JSON.parse(part.slice(5)));
      tell('live', 'live');
    }
  }
}

async function connect() {
  try {
    if (!(await listen())) return;
  } catch {
    tell('lost', 'the coordinator does not answer; trying again');
  }
  setTimeout(connect, 1000 + 2000 * Math.random()); // many pages do not come back in step
}

// Instances are many, and change slowly.
async function lookAtInstances() {
  try {
    const answer = await ask('stats.json?sessions');
    if (answer.ok) state.instances = (await answer.json()).instances;
  } catch {
    // the line at the top tells already
  }
  setTimeout(lookAtInstances, 5000);
}

byId('order').addEventListener('change', draw);
byId('filter').addEventListener('input', draw);
byId('token-room').addEventListener('submit', (event) => {
  event.preventDefault();
  state.token = byId('token').value;
  connect();
});

// A link may bring the token behind '#', which is never sent; then it leaves the address.
if (location.hash.length > 1) {
  state.token = location.hash.slice(1);
  history.replaceState(null, '', location.pathname + location.search);
}
connect();
lookAtInstances();

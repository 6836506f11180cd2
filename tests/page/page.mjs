// page.mjs ADMIN_URL WEIR COORDINATOR FOLDER PID - the dashboard in a real browser, under load: the figures
// on the page are those of `weir stats --json`. Makes screenshots in FOLDER.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chromium } from 'playwright-core';

const [url, weir, coordinator, folder, pid] = process.argv.slice(2);
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
  '--disable-background-networking', '--disable-component-update'];

const stats = () => JSON.parse(execFileSync(weir, ['stats', '--json', '--coordinator', coordinator]));
const usedOf = (figures) => figures.pools[0].limits.find((limit) => limit.dimension === 'requests' && limit.window_s > 3600).used;

async function open(browser, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const problems = [];
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  page.on('pageerror', (error) => problems.push(error.message));
  await page.goto(url);
  await page.getByText('live', { exact: true }).waitFor();
  return { page, problems };
}

// A counter that only grows: what the page shows lies between a look before and one after.
async function figuresAgree(page) {
  for (let round = 0; round < 3; round++) {
    const before = usedOf(stats());
    await page.waitForFunction(() => {
      const now = document.querySelector('#about').textContent;
      const was = window.weirWas;
      window.weirWas = now;
      return was !== undefined && was !== now;
    });
    const row = page.locator('[data-pool=flash] .limit').filter({ hasText: 'requests a day' });
    const shown = Number((await row.locator('.figure').textContent()).split('/')[0].replaceAll(',', ''));
    const after = usedOf(stats());
    assert.ok(before <= shown && shown <= after, `the page shows ${shown}, stats ${before} to ${after}`);
    assert.equal(await row.getByRole('meter').getAttribute('aria-valuenow'), String(shown));
  }
}

// So does the cost of today, beside its limit.
async function costAgrees(page) {
  const spent = (figures) => figures.pools[0].cost_today.spend / 1e6;
  const tile = page.locator('#totals div').filter({ hasText: 'cost of today' }).locator('dd');
  const before = spent(stats());
  await page.waitForFunction((least) => {
    const shown = [...document.querySelectorAll('#totals div')].find((div) => div.textContent.startsWith('cost of today'));
    return shown && parseFloat(shown.querySelector('dd').textContent) >= least;
  }, Math.max(0.01, Math.floor(100 * before) / 100));
  const words = await tile.textContent();
  const shown = Number(words.split('/')[0]);
  const after = spent(stats());
  assert.ok(before - 0.01 <= shown && shown <= after + 0.01, `the page shows ${shown}, stats ${before} to ${after}`);
  const note = await page.locator('[data-pool=flash] .note').filter({ hasText: 'today cost' }).textContent();
  assert.match(note, / of 50\.00 \(the day of its limit, /);
  assert.equal(await page.locator('[data-pool=pro] .note').filter({ hasText: 'today cost' }).count(), 0);
}

// The slowest call first, as stats has it, though a slower one may have ended meanwhile.
async function slowAgrees(page) {
  await page.locator('#slow tbody tr').first().waitFor();
  const slowest = Math.max(...stats().slow.map((call) => call.waited_s + call.took_s));
  const cells = await page.locator('#slow tbody tr').first().locator('td').allTextContents();
  assert.equal(cells[0], 'flash');
  assert.match(cells[1], / ago$/);
  assert.equal(cells[6], 'ok (200)');
  assert.ok(slowest > 0);
}

async function keyboardReaches(page) {
  await page.locator('body').press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  await page.locator('#filter').focus();
  await page.keyboard.type('nothing');
  assert.equal(await page.locator('[data-pool]').count(), 0);
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.press('Delete');
  await page.locator('[data-pool=flash]').waitFor();
}

// Figures that stand still are not live.
async function noticesSilence(page) {
  process.kill(Number(pid), 'SIGSTOP');
  try {
    await page.getByText('trying again').waitFor();
  } finally {
    process.kill(Number(pid), 'SIGCONT');
  }
  await page.getByText('live', { exact: true }).waitFor();
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: flags });
try {
  for (const [name, options] of [
    ['desktop', { viewport: { width: 1280, height: 800 } }],
    ['dark', { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' }],
    ['phone', { viewport: { width: 390, height: 844 } }]]) {
    const { page, problems } = await open(browser, options);
    await figuresAgree(page);
    if (name === 'desktop') await keyboardReaches(page);
    if (name === 'desktop') await costAgrees(page);
    await slowAgrees(page);
    if (name === 'phone') await noticesSilence(page);
    await page.locator('#sessions tbody tr').first().waitFor();
    const tooWide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
    assert.ok(!tooWide, `${name}: the page is wider than its window`);
    await page.screenshot({ path: `${folder}/${name}.png` });
    assert.deepEqual(problems, [], `${name}: ${problems}`);
  }
  console.log('page.mjs: desktop, dark and phone agree with weir stats');
} finally {
  await browser.close();
}

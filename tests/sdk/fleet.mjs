// One copy of a program as people write it: the official SDK, some calls at a time, default retries.
// Prints one JSON line: {"done", "failed"}.
//
//   OPENAI_BASE_URL=... node fleet.mjs CALLS CONCURRENCY
import OpenAI from 'openai';

const [calls, concurrency] = process.argv.slice(2).map(Number);
const client = new OpenAI();
let next = 0;
let done = 0;
let failed = 0;

async function worker() {
  while (next++ < calls) {
    try {
      await client.chat.completions.create({
        model: 'gpt-4o',
        max_tokens: 20,
        messages: [{ role: 'user', content: 'hi' }],
      });
      done++;
    } catch {
      failed++;
    }
  }
}

await Promise.all(Array.from({ length: concurrency }, worker));
console.log(JSON.stringify({ done, failed }));

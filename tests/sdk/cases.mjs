// The official Node SDKs against whatever their own environment variables for the base URL name.
// Prints one JSON line for each case: {"sdk", "version", "case", "ok", "note"}.
//
//   node cases.mjs UPSTREAM       UPSTREAM is the simulated provider itself, for its faults only
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import OpenAI from 'openai';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import { generateText, streamText, generateObject, embed, jsonSchema, tool } from 'ai';
import { createOpenAI } from '@ai-sdk/openai';

const upstream = process.argv[2];
const require = createRequire(import.meta.url);
const png =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

function version(name) {
  for (let at = dirname(require.resolve(name)); at !== '/'; at = dirname(at)) {
    try {
      const found = JSON.parse(readFileSync(join(at, 'package.json')));
      if (found.name === name) return found.version;
    } catch {}
  }
  return '?';
}

const post = (path, body) =>
  fetch(upstream + path, { method: 'POST', body: JSON.stringify(body ?? {}) });
const faults = (list) => post('/_admin/script', { faults: list });
const counters = async () => (await fetch(upstream + '/_admin/counters')).json();
const wanted = (condition, note) => {
  if (!condition) throw new Error(note);
};
const failure = async (promise) => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
};

const chatTool = {
  type: 'function',
  function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
};

// What the cases need of an SDK: |text| calls once, |stream| gives each piece of text.
function openai() {
  const client = new OpenAI();
  const model = 'gpt-4o';
  const ask = (more) =>
    client.chat.completions.create({ model, max_tokens: 20, messages: [{ role: 'user', content: 'hi' }], ...more });
  const text = async (more) => (await ask(more)).choices[0].message.content;
  return {
    name: 'openai',
    text,
    stream: async function* (more, options) {
      const stream = await client.chat.completions.create(
        { model, max_tokens: 40, stream: true, messages: [{ role: 'user', content: 'hi' }], ...more },
        options,
      );
      for await (const chunk of stream) {
        wanted(chunk.choices.length > 0, 'a chunk without choices came, which the program did not ask for');
        if (chunk.choices[0].delta.content) yield chunk.choices[0].delta.content;
      }
    },
    tools: () => text({ tools: [chatTool], tool_choice: 'auto' }),
    json: () => text({ response_format: { type: 'json_object' } }),
    image: () =>
      text({
        messages: [
          { role: 'user', content: [{ type: 'text', text: 'what?' }, { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } }] },
        ],
      }),
    embeddings: async () =>
      (await client.embeddings.create({ model: 'text-embedding-3-small', input: 'hi', encoding_format: 'float' })).data[0]
        .embedding.length,
    large: (prompt) => text({ messages: [{ role: 'user', content: prompt }] }),
    extra: {
      responses: async () => (await client.responses.create({ model, input: 'hi', max_output_tokens: 20 })).output_text.length,
      'responses, streaming': async () => {
        let all = '';
        for await (const event of await client.responses.create({ model, input: 'hi', stream: true, max_output_tokens: 20 }))
          if (event.type === 'response.output_text.delta') all += event.delta;
        return all.length;
      },
      'usage of a stream, asked for': async () => {
        let usage;
        for await (const chunk of await ask({ stream: true, stream_options: { include_usage: true } })) usage = chunk.usage ?? usage;
        wanted(usage.prompt_tokens > 0, 'no usage came');
        return usage.total_tokens;
      },
      'list of models': async () => (await client.models.list()).data.length,
    },
  };
}

function anthropic() {
  const client = new Anthropic();
  const model = 'claude-sonnet-4-5';
  const ask = (more) =>
    client.messages.create({ model, max_tokens: 20, messages: [{ role: 'user', content: 'hi' }], ...more });
  const text = async (more) => (await ask(more)).content[0].text;
  return {
    name: '@anthropic-ai/sdk',
    text,
    stream: async function* (more, options) {
      const stream = client.messages.stream(
        { model, max_tokens: 40, messages: [{ role: 'user', content: 'hi' }], ...more },
        options,
      );
      for await (const event of stream) if (event.type === 'content_block_delta') yield event.delta.text;
    },
    tools: () => text({ tools: [{ name: 'weather', input_schema: { type: 'object', properties: {} } }] }),
    image: () =>
      text({
        messages: [
          { role: 'user', content: [{ type: 'text', text: 'what?' }, { type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } }] },
        ],
      }),
    large: (prompt) => text({ messages: [{ role: 'user', content: prompt }] }),
    extra: {
      'count of tokens': async () =>
        (await client.messages.countTokens({ model, messages: [{ role: 'user', content: 'hi there' }] })).input_tokens,
    },
  };
}

function genai() {
  const client = new GoogleGenAI({ apiKey: process.env.GEMINI_API_KEY });
  const model = 'gemini-2.5-flash';
  const ask = (more) =>
    client.models.generateContent({ model, contents: 'hi', ...more, config: { maxOutputTokens: 20, ...more?.config } });
  const text = async (more) => (await ask(more)).text;
  return {
    name: '@google/genai',
    text,
    stream: async function* (more, options) {
      const stream = await client.models.generateContentStream({
        model,
        contents: 'hi',
        config: { maxOutputTokens: 40, ...(options?.signal ? { abortSignal: options.signal } : {}) },
        ...more,
      });
      for await (const chunk of stream) if (chunk.text) yield chunk.text;
    },
    tools: () =>
      text({ config: { tools: [{ functionDeclarations: [{ name: 'weather', parametersJsonSchema: { type: 'object', properties: {} } }] }] } }),
    json: () => text({ config: { responseMimeType: 'application/json' } }),
    image: () => text({ contents: [{ role: 'user', parts: [{ text: 'what?' }, { inlineData: { mimeType: 'image/png', data: png } }] }] }),
    embeddings: async () =>
      (await client.models.embedContent({ model: 'gemini-embedding-001', contents: 'hi' })).embeddings[0].values.length,
    large: (prompt) => text({ contents: prompt }),
    extra: {
      'count of tokens': async () => (await client.models.countTokens({ model, contents: 'hi there' })).totalTokens,
    },
  };
}

function vercel() {
  const provider = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL });
  const model = provider.chat('gpt-4o');
  const ask = (more) => generateText({ model, maxOutputTokens: 20, prompt: 'hi', ...more });
  const text = async (more) => (await ask(more)).text;
  return {
    name: 'ai',
    text,
    stream: async function* (more, options) {
      let fault;
      const result = streamText({
        model,
        maxOutputTokens: 40,
        prompt: 'hi',
        abortSignal: options?.signal,
        onError: ({ error }) => (fault = error),
      });
      yield* result.textStream;
      if (fault) throw fault;
    },
    tools: () => text({ tools: { weather: tool({ inputSchema: jsonSchema({ type: 'object', properties: {} }) }) } }),
    image: () =>
      text({
        prompt: undefined,
        messages: [{ role: 'user', content: [{ type: 'text', text: 'what?' }, { type: 'image', image: Buffer.from(png, 'base64') }] }],
      }),
    embeddings: async () => (await embed({ model: provider.textEmbedding('text-embedding-3-small'), value: 'hi' })).embedding.length,
    large: (prompt) => text({ prompt }),
    extra: {
      responses: async () => (await generateText({ model: provider.responses('gpt-4o'), prompt: 'hi', maxOutputTokens: 20 })).text.length,
    },
  };
}

async function all(stream) {
  let text = '';
  for await (const piece of stream) text += piece;
  return text;
}

async function retried(sdk, kind) {
  await faults([{ kind, next: 1 }]);
  const text = await sdk.text();
  await faults([]);
  wanted(text.length > 0, 'empty');
  return '';
}

// A failure that does not pass reaches the program as its SDK's own error, and the SDK does not
// multiply the attempts that weir has made.
async function final(sdk, kind, status) {
  await faults([{ kind, probability: 1 }]);
  const before = (await counters()).totals.faults;
  const error = await failure(sdk.text());
  const attempts = (await counters()).totals.faults - before;
  await faults([]);
  // The AI SDK wraps the last of its attempts.
  const found = error.lastError?.statusCode ?? error.statusCode ?? error.status;
  wanted(found === status, `status ${found}: ${error}`);
  return `${error.constructor.name} after ${attempts} attempt${attempts === 1 ? '' : 's'} upstream`;
}

async function cancelled(sdk) {
  const before = (await counters()).accounts.reduce((sum, a) => sum + a.cancelled, 0);
  const abort = new AbortController();
  const stream = sdk.stream(undefined, { signal: abort.signal });
  await stream.next();
  abort.abort();
  await stream.next().catch(() => {});
  // The event is on the other side of two connections: ask for it, in bounds.
  for (let i = 0; i < 5000; i++)
    if ((await counters()).accounts.reduce((sum, a) => sum + a.cancelled, 0) > before) return '';
  throw new Error('upstream went on');
}

async function parallel(sdk) {
  const texts = await Promise.all(Array.from({ length: 100 }, () => all(sdk.stream())));
  wanted(texts.every((text) => text.length > 0), 'an empty stream');
  return '';
}

async function cases(sdk) {
  const nonempty = async (run) => {
    wanted(Number(await run()) !== 0, 'empty');
    return '';
  };
  const list = {
    plain: () => nonempty(() => sdk.text().then((t) => t.length)),
    streaming: () => nonempty(() => all(sdk.stream()).then((t) => t.length)),
    tools: sdk.tools && (() => nonempty(() => sdk.tools().then((t) => t.length))),
    'JSON mode': sdk.json && (() => nonempty(() => sdk.json().then((t) => t.length))),
    images: sdk.image && (() => nonempty(() => sdk.image().then((t) => t.length))),
    embeddings: sdk.embeddings && (() => nonempty(sdk.embeddings)),
    '429 that passes': () => retried(sdk, 'capacity_429'),
    '503 that passes': () => retried(sdk, 'overloaded_503'),
    '429 that stays': () => final(sdk, 'capacity_429', 429),
    'error in a stream': async () => {
      await faults([{ kind: 'stream_error', next: 1 }]);
      const error = await failure(all(sdk.stream()));
      await faults([]);
      return error.constructor.name;
    },
    'broken stream': async () => {
      await faults([{ kind: 'drop', next: 1 }]);
      const error = await failure(all(sdk.stream()));
      await faults([]);
      return error.constructor.name;
    },
    cancel: () => cancelled(sdk),
    'prompt of 8 MB': () => nonempty(() => sdk.large('weir '.repeat(1600000)).then((t) => t.length)),
    '100 parallel streams': () => parallel(sdk),
  };
  for (const [name, run] of Object.entries({ ...list, ...sdk.extra })) {
    const line = { sdk: `${sdk.name} ${version(sdk.name)} (Node)`, case: name };
    if (!run) continue;
    try {
      const note = await run();
      Object.assign(line, { ok: true, note: typeof note === 'string' ? note : '' });
    } catch (error) {
      Object.assign(line, { ok: false, note: String(error).slice(0, 200) });
      await faults([]);
    }
    console.log(JSON.stringify(line));
  }
}

const only = process.argv[3];
for (const make of [openai, anthropic, genai, vercel]) {
  const sdk = make();
  if (!only || sdk.name === only) await cases(sdk);
}

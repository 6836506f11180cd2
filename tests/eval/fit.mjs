// fit.mjs - reads what weir-eval-features writes, writes shim/state/weights.c.
//
// Non-negative weights that make the mean relative error least: least squares on relative errors,
// done again and again with each text weighted by 1 / its last error, all sources alike. First with
// few weights, tied together; they are the prior towards which the many are drawn (ridge), so that
// what was seen seldom costs about what its like costs.
import readline from "readline";

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const [STATES, TYPES, LATIN, CYRILLIC, SCRIPTS, NOISES] = (await lines.next()).value.split(" ").map(Number);
const RIDGE = 1e-2;
const WEIGHT_MAX = 3; // tokens
const ROUNDS = 12;
const ERROR_MIN = 0.03; // smaller errors do not make a text weigh more
const UNSEEN = 1; // of a script that no text has: rather too much

// Where the fields of struct weir_weights begin.
const latin = STATES * TYPES;
const cyrillic = latin + LATIN;
const scripts = cyrillic + CYRILLIC;
const noises = scripts + SCRIPTS;
const size = noises + NOISES;

// Types and states by number, as in weights.h.
const QUOTE = 5;
const DIGIT = TYPES - 1;
const DIGIT_2 = TYPES;
const LETTERS = [0, 1, STATES - 2];
const HAN = [31, 32];

function tie(index) {
  if (index >= noises) return `noise ${index}`;
  if (index >= scripts) return HAN.includes(index - scripts) ? "han" : `script ${index}`;
  if (index >= cyrillic) return "cyrillic";
  if (index >= latin) return "latin";
  const state = Math.floor(index / TYPES);
  const type = index % TYPES;
  if (type === DIGIT) return `digit ${[DIGIT, DIGIT_2].indexOf(state)}`;
  const isPunctuation = (code) => code >= QUOTE && code < DIGIT;
  const goesOn = isPunctuation(type)
    ? isPunctuation(state)
    : state === type || (LETTERS.includes(type) && LETTERS.includes(state));
  return `${type} ${goesOn}`;
}

// Minimises x'Gx / 2 - b'x over 0 <= x <= WEIGHT_MAX, one coordinate at a time, starting with x.
function descend(G, b, x) {
  const n = x.length;
  const slope = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    slope[i] = -b[i];
    for (let j = 0; j < n; j++) slope[i] += G[i * n + j] * x[j];
  }
  for (let round = 0, largest = 1; round < 300 && largest > 1e-6; round++) {
    largest = 0;
    for (let j = 0; j < n; j++) {
      const step = Math.min(WEIGHT_MAX, Math.max(0, x[j] - slope[j] / G[j * n + j])) - x[j];
      if (step === 0) continue;
      for (let i = 0; i < n; i++) slope[i] += G[j * n + i] * step;
      x[j] += step;
      largest = Math.max(largest, Math.abs(step));
    }
  }
}

// rows: {weight, features: [index, value]...}, whose sum of value * x[index] is to be 1.
function fit(rows, prior, ridge) {
  const n = prior.length;
  const x = Float64Array.from(prior);
  const weights = rows.map((row) => row.weight);
  for (let round = 0; round < ROUNDS; round++) {
    const G = new Float64Array(n * n);
    const b = Float64Array.from(prior, (value) => ridge * value);
    for (let i = 0; i < n; i++) G[i * n + i] = ridge;
    rows.forEach(({ features }, r) => {
      for (const [i, value] of features) {
        b[i] += weights[r] * value;
        for (const [j, other] of features) G[i * n + j] += weights[r] * value * other;
      }
    });
    descend(G, b, x);
    rows.forEach(({ weight, features }, r) => {
      const sum = features.reduce((total, [i, value]) => total + value * x[i], 0);
      weights[r] = weight / Math.max(Math.abs(sum - 1), ERROR_MIN);
    });
  }
  return x;
}

function tied(rows) {
  const names = new Map();
  const of = Array.from({ length: size }, (_, index) => {
    const name = tie(index);
    if (!names.has(name)) names.set(name, names.size);
    return names.get(name);
  });
  const few = rows.map(({ weight, features }) => {
    const sums = new Map();
    for (const [i, value] of features) sums.set(of[i], (sums.get(of[i]) ?? 0) + value);
    return { weight, features: [...sums] };
  });
  const prior = Float64Array.from(names.keys(), (name) => (name.startsWith("script") ? UNSEEN : 0.3));
  const x = fit(few, prior, RIDGE);
  return Float64Array.from(of, (i) => x[i]);
}

const texts = [];
for await (const line of lines) {
  const [head, counts] = line.split("\t");
  const [, o200k, gemma, source] = head.match(/^(\d+) (\d+) (.*)$/);
  const features = counts.trim().split(" ").map((pair) => pair.split(":").map(Number));
  texts.push({ tokens: [Number(o200k), Number(gemma)], source, features });
}
const calls = {};
for (const { source } of texts) calls[source] = (calls[source] ?? 0) + 1;

function table(values) {
  return `{${Array.from(values, (value) => Math.round(1000 * value)).join(", ")}}`;
}

function family(which) {
  const rows = texts.map(({ tokens, source, features }) => ({
    weight: 1 / calls[source],
    features: features.map(([i, count]) => [i, count / tokens[which]]),
  }));
  const x = fit(rows, tied(rows), RIDGE);
  x.fill(0, scripts, scripts + 2); // by letter
  x[noises - 1] = UNSEEN; // all other scripts, of which the texts have but strays
  const transitions = Array.from({ length: STATES }, (_, s) => table(x.slice(s * TYPES, (s + 1) * TYPES)));
  return `{.transitions = {${transitions.join(",\n")}},
    .latin = ${table(x.slice(latin, cyrillic))},
    .cyrillic = ${table(x.slice(cyrillic, scripts))},
    .scripts = ${table(x.slice(scripts, noises))},
    .noises = ${table(x.slice(noises, size))}}`;
}

console.log(`/* weights.c - made by \`./dev eval fit\`; see weights.h. */
#include "weights.h"

const struct weir_weights weir_weights[WEIR_FAMILIES] = {
    [WEIR_FAMILY_O200K] = ${family(0)},
    [WEIR_FAMILY_GEMMA] = ${family(1)},
};`);

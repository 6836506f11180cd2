// texts.mjs ROOT - real texts by source and half, cut into chunks: one JSON object a line.
//
// A source is one kind of text: a language's message catalogues, a manual, code, logs, made data.
// Its files go into two halves, one to fit weights on and one to judge them by, so that no file is
// in both; of a long file, and of what is made, a half each. A source's chunks are shuffled: the
// calls of one caller are of one kind, in no order.
import fs from "fs";
import path from "path";
import zlib from "zlib";
import crypto from "crypto";

const CHUNK_MAX = 3000; // characters; of small sources less,
const CHUNK_MIN = 400;
const CHUNKS = 90; // so that a half has as many: after 50 calls some must be left to judge
const CHUNKS_MAX = 120;
const SHORT = 300; // the beginning of a chunk, judged on its own
const root = process.argv[2];

const LANGUAGES = (
  "am ar as be bg bn bs ca cs da de el es et eu fa fi fr ga gl gu he hi hr hu hy id is it ja ka kk km kn " +
  "ko lo lt lv mk ml mr ms my nb ne nl or pa pl pt pt_BR ro ru si sk sl sq sr sv ta te th tr ug uk ur vi zh_CN zh_TW"
).split(" ");

function mulberry(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function shuffle(list, seed) {
  const random = mulberry(seed);
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [list[i], list[j]] = [list[j], list[i]];
  }
  return list;
}

function chunks(text, size) {
  const points = Array.from(text.toWellFormed());
  const list = [];
  for (let at = 0; at + size <= points.length && list.length < 8 * CHUNKS_MAX; at += size)
    list.push(points.slice(at, at + size).join(""));
  return list;
}

function emit(source, half, list) {
  for (const text of list) process.stdout.write(JSON.stringify({ source, half, text }) + "\n");
}

function draw(text, size) {
  return shuffle(chunks(text, size), 1).slice(0, CHUNKS_MAX);
}

// texts: of files that are alike; the largest go to either half in turn.
function source(name, texts) {
  const halves = { fit: [], judge: [] };
  texts.sort((a, b) => b.length - a.length);
  texts.forEach((text, i) => halves[[0, 3].includes(i % 4) ? "fit" : "judge"].push(text));
  const [fit, judge] = [halves.fit.join("\n"), halves.judge.join("\n")];
  const size = Math.min(CHUNK_MAX, Math.floor(Math.min(fit.length, judge.length) / CHUNKS));
  if (size < CHUNK_MIN) {
    console.error(`eval: ${name} is left out: too little text on this machine`);
    return;
  }
  const judged = draw(judge, size);
  emit(name, "fit", draw(fit, size));
  emit(name, "judge", judged);
  emit(name, "short", judged.map((chunk) => Array.from(chunk).slice(0, SHORT).join("")));
}

// One text: its first half and its second.
function split(name, text) {
  const middle = text.length >> 1;
  source(name, [text.slice(0, middle), text.slice(middle)]);
}

function read(file) {
  const bytes = fs.readFileSync(file);
  return (file.endsWith(".gz") ? zlib.gunzipSync(bytes) : bytes).toString("utf8");
}

function find(folder, pattern, skip = /node_modules|\/\.git|\/build\//) {
  const list = [];
  const walk = (at) => {
    let entries = [];
    try {
      entries = fs.readdirSync(at, { withFileTypes: true });
    } catch {
      return; // not on this machine
    }
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const file = path.join(at, entry.name);
      if (skip.test(file)) continue;
      if (entry.isDirectory()) walk(file);
      else if (entry.isFile() && pattern.test(file)) list.push(file);
    }
  };
  walk(folder);
  return list;
}

// The translations in a compiled message catalogue (GNU gettext, little endian).
function catalogue(file) {
  const bytes = fs.readFileSync(file);
  if (bytes.readUInt32LE(0) !== 0x950412de) return "";
  const count = bytes.readUInt32LE(8);
  const table = bytes.readUInt32LE(16);
  const list = [];
  for (let i = 1; i < count; i++) { // the first one describes the file
    const size = bytes.readUInt32LE(table + 8 * i);
    const at = bytes.readUInt32LE(table + 8 * i + 4);
    list.push(bytes.toString("utf8", at, at + size).replaceAll("\0", "\n"));
  }
  return list.join("\n");
}

function html(text) {
  const entities = { lt: "<", gt: ">", amp: "&", quot: '"', nbsp: " " };
  return text
    .replace(/<(script|style|head)[\s\S]*?<\/\1>/g, "")
    .replace(/<[^>]*>/g, "")
    .replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(code))
    .replace(/&(\w+);/g, (all, name) => entities[name] ?? all)
    .replace(/\n\s*\n+/g, "\n\n");
}

for (const language of LANGUAGES) {
  const files = find(`/usr/share/locale/${language}`, /\.mo$/, /iso_|iso-/);
  source(`lang ${language}`, files.map(catalogue));
}
for (const language of ["en", "de", "es", "fr", "ja", "zh-cn"]) {
  const files = find("/usr/share/debian-reference", new RegExp(`\\.${language}\\.html$`));
  source(`manual ${language}`, files.map((file) => html(read(file))));
}
for (const language of ["ru", "ko"]) {
  const files = find("/usr/share/doc/debian/FAQ", new RegExp(`debian-faq\\.${language}\\.txt`));
  if (files.length > 0) split(`manual ${language}`, read(files[0]));
}
for (const language of ["de", "fr", "ja", "pl", "ru", "sv", "uk", "zh_CN"])
  source(`man ${language}`, find(`/usr/share/man/${language}`, /\.gz$/).map(read));
source("man en", find("/usr/share/man/man1", /\.gz$/).slice(0, 600).map(read));
source("changelogs", find("/usr/share/doc", /changelog.*\.gz$/i).slice(0, 300).map(read));

source("code c", find(root, /\.[ch]$/).map(read));
source("code c++ headers", find("/usr/include/c++", /\/[a-z_]+(\.h)?$/).map(read));
source("code python", find("/usr/lib/python3.11", /\.py$/, /test|encodings/).map(read));
source("code perl", find("/usr/share/perl5", /\.pm$/).map(read));
source("code javascript", find("/usr/share/nodejs", /\.[jt]s$/).map(read));
source("code cmake", find("/usr/share", /\.cmake$/).map(read));
source("markdown", find(root, /\.md$/).concat(find("/usr/share/doc", /\.md(\.gz)?$/)).map(read));
source("logs dpkg", find("/var/log", /dpkg\.log/).map(read).join("").match(/(.*\n){1,2000}/g) ?? []);
source("json iso-codes", find("/usr/share/iso-codes/json", /\.json$/).map(read));
source("json packages", find("/usr/share/nodejs", /package\.json$/).map(read));
source("xml", find("/usr/share", /\.(xml|svg)$/).slice(0, 2000).map(read));

// Made data: one seed for either half.
const made = {
  base64: (n) => crypto.createHash("sha512").update(n).digest("base64"),
  "base64 long": (n) =>
    Array.from({ length: 24 }, (_, i) =>
      crypto.createHash("sha384").update(`${n} ${i}`).digest("base64")).join(""),
  hex: (n) => crypto.createHash("sha256").update(n).digest("hex"),
  uuid: (n) =>
    crypto.createHash("md5").update(n).digest("hex")
      .replace(/^(.{8})(.{4})(.{4})(.{4})(.*)$/, "$1-$2-$3-$4-$5"),
  digits: (n, r) => Array.from({ length: 60 }, () => Math.floor(r() * 10)).join(""),
  "numbers csv": (n, r) =>
    Array.from({ length: 8 }, (_, i) => (i % 2 ? (r() * 1e4).toFixed(2) : Math.floor(r() * 1e6))).join(","),
  "numbers floats": (n, r) => Array.from({ length: 6 }, () => (r() - 0.5).toFixed(8)).join(", "),
  "numbers table": (n, r) => Array.from({ length: 8 }, () => Math.floor(r() * 1000)).join("\t"),
  emoji: (n, r) =>
    Array.from({ length: 12 }, () => String.fromCodePoint(0x1f600 + Math.floor(r() * 80))).join(""),
  "json log lines": (n, r) =>
    JSON.stringify({
      time: new Date(1.79e12 + r() * 1e10).toISOString(),
      level: ["info", "warn", "error"][Math.floor(r() * 3)],
      instance: `worker-${Math.floor(r() * 64)}`,
      request_id: crypto.createHash("md5").update(n).digest("hex"),
      message: ["lease granted", "quota exceeded, waiting", "upstream closed", "settled"][Math.floor(r() * 4)],
      tokens: Math.floor(r() * 20000),
      took_ms: Number((r() * 900).toFixed(3)),
    }),
  "json api": (n, r) =>
    JSON.stringify(
      { id: Math.floor(r() * 1e9), userName: `user${Math.floor(r() * 1e4)}`, isActive: r() < 0.5,
        createdAt: new Date(1.7e12 + r() * 1e11).toISOString(), score: Number(r().toFixed(4)),
        shippingAddress: { postalCode: String(Math.floor(r() * 99999)), countryCode: "DE" },
        lineItems: [{ productId: Math.floor(r() * 1e5), unitPrice: Number((r() * 100).toFixed(2)) }] },
      null, 2),
  "access log": (n, r) =>
    `${[0, 0, 0, 0].map(() => Math.floor(r() * 256)).join(".")} - - [25/Nov/2026:0${Math.floor(r() * 10)}:` +
    `${10 + Math.floor(r() * 50)}:${10 + Math.floor(r() * 50)} +0000] "GET /api/v1/items/${Math.floor(r() * 1e5)} ` +
    `HTTP/1.1" ${r() < 0.9 ? 200 : 404} ${Math.floor(r() * 50000)} "-" "Mozilla/5.0 (X11; Linux x86_64)"`,
};
for (const name in made) {
  const half = (seed) => {
    const random = mulberry(seed);
    let text = "";
    for (let i = 0; text.length < CHUNK_MAX * (CHUNKS_MAX + 1); i++)
      text += made[name](`${seed} ${i}`, random) + "\n";
    return text;
  };
  source(`made ${name}`, [half(1), half(2)]);
}

/* estimate.c - how fast texts and bodies are estimated, beside a bare scan of the same bytes. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weir/estimate.h>
#include <weir/rng.h>

#define SIZE      ((size_t)4 << 20)
#define SIZE_Q    ((size_t)256 << 10)
#define REPEATS   15
#define REPEATS_Q 5

/* Words are drawn at random: a text that repeats would be learned by the processor. */
static const char *const english[] = {
    "the",      "coordinator", "of",    "a",        "project",       "holds",    "its",
    "quota,",   "and",         "every", "instance", "takes",         "leases",   "before",
    "it",       "calls.",      "When",  "an",       "answer",        "arrives,", "tokens",
    "are",      "settled",     "in",    "minute",   "windows;",      "that",     "which",
    "was",      "not",         "used",  "comes",    "back.",         "There",    "is",
    "(almost)", "nothing",     "to",    "do:",      "configuration",
};
static const char *const foreign[] = {
    "Straße",       "größer",
    "überall",      "naïve",
    "déjà",         "año",
    "координатор",  "квота",
    "каждый",       "запрос",
    "协调器",       "保存项目的",
    "预算，",       "コーディネーター",
    "の予算を",     "管理し、",
    "코디네이터는", "예산을",
    "관리하며,",    "संदेश",
    "ข้อความ",       "الرسالة",
    "μήνυμα",       "😀",
    "Việt",         "được",
    "the",          "42",
};
static const char *const code[] = {
    "if",          "(count",
    "==",          "0)\\n  ",
    "return",      "weir_time_add(now,",
    "ttl_us);\\n", "\\\"text\\\"",
    "for",         "(size_t",
    "i",           "=",
    "0;",          "i",
    "<",           "N_MAX;",
    "i++)\\n\\t",  "getUserName()",
    "0x1f",        "}\\n",
};

struct sample {
  const char *name, *before, *after; /* a body: what stands around the text */
  const char *const *words;
  size_t words_count;
  bool is_base64;
};

#define WORDS(w) .words = (w), .words_count = sizeof(w) / sizeof((w)[0])
#define BODY     "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\""

static const struct sample samples[] = {
    {"english", .before = NULL, WORDS(english)},
    {"mixed", .before = NULL, WORDS(foreign)},
    {"code", .before = NULL, WORDS(code)},
    {"body_english", .before = BODY, .after = "\"}]}]}", WORDS(english)},
    {"body_mixed", .before = BODY, .after = "\"}]}]}", WORDS(foreign)},
    {"body_code", .before = BODY, .after = "\"}]}]}", WORDS(code)},
    {"body_base64",
     .before = "{\"contents\":[{\"parts\":[{\"inlineData\":{\"mimeType\":\"image/x\",\"data\":\"",
     .after = "\"}}]}]}", .is_base64 = true},
};

static size_t append(char *bytes, size_t used, const char *text)
{
  size_t size = strlen(text);

  memcpy(bytes + used, text, size);
  return used + size;
}

/* Fills |bytes| to about |size|, with room for 1,024 more. Returns the size. */
static size_t fill(const struct sample *sample, char *bytes, size_t size)
{
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  struct weir_rng rng;
  size_t used = 0;

  weir_rng_init(&rng, 1);
  if (sample->before)
    used = append(bytes, used, sample->before);
  while (used < size) {
    if (sample->is_base64) {
      bytes[used++] = letters[weir_rng_below(&rng, 64)];
      continue;
    }
    used = append(bytes, used, sample->words[weir_rng_below(&rng, sample->words_count)]);
    bytes[used++] = ' ';
  }
  return sample->before ? append(bytes, used, sample->after) : used;
}

/* The baseline: code points of UTF-8, byte by byte. */
static uint64_t code_points(const char *bytes, size_t size)
{
  uint64_t count = 0;

  for (size_t i = 0; i < size; i++)
    count += ((uint8_t)bytes[i] & 0xc0) != 0x80;
  return count;
}

/* Of this thread alone: what else the machine does should not count. */
static uint64_t cpu_now_ns(void)
{
  struct timespec now;

  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static double mb_per_s(size_t size, uint64_t begin_ns)
{
  return (double)size * 1000 / (double)(cpu_now_ns() - begin_ns);
}

static void measure(struct bench *bench, const struct sample *sample, char *bytes)
{
  const size_t repeats = bench->is_quick ? REPEATS_Q : REPEATS;
  size_t size = fill(sample, bytes, bench->is_quick ? SIZE_Q : SIZE);
  double speeds[REPEATS], scans[REPEATS], speed, scan;
  uint64_t sum = 0;
  char name[64];

  for (size_t i = 0; i < repeats; i++) {
    uint64_t begin = cpu_now_ns();

    sum += code_points(bytes, size);
    scans[i] = mb_per_s(size, begin);
    begin = cpu_now_ns();
    sum += sample->before ? weir_estimate_body(WEIR_PROVIDER_GEMINI, bytes, size).tokens
                          : weir_estimate_text(WEIR_TOKENIZER_GEMMA, bytes, size).tokens;
    speeds[i] = mb_per_s(size, begin);
  }
  if (sum == 0)
    abort();
  speed = bench_median(speeds, repeats);
  scan = bench_median(scans, repeats);
  printf("  %-13s %6.0f MB/s   %5.1f %% of a scan that counts code points\n", sample->name, speed,
         100 * speed / scan);
  snprintf(name, sizeof(name), "estimate_mb_per_s_%s", sample->name);
  bench_json(bench, name, speed);
  snprintf(name, sizeof(name), "estimate_share_of_scan_%s", sample->name);
  bench_json(bench, name, speed / scan);
}

void bench_estimate(struct bench *bench)
{
  char *bytes = malloc(SIZE + 1024);

  if (!bytes)
    abort();
  printf("estimates, median of %d, %zu KB each, by CPU time:\n",
         bench->is_quick ? REPEATS_Q : REPEATS, (bench->is_quick ? SIZE_Q : SIZE) >> 10);
  for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
    measure(bench, &samples[i], bytes);
  printf("\n");
  free(bytes);
}

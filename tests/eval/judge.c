/* judge.c - judges the estimates of counted texts, before and after learning.
 *
 *   weir-eval-judge HALF < CHUNKS      (what count.mjs wrote; HALF: fit, judge or short)
 *
 * The chunks of one source are the calls of one caller: the first LESSONS of them teach a
 * weir_ratio, the rest is judged with the estimates as they are ("before") and corrected by what
 * was learned, while learning goes on ("after"). Errors are shares of the true count. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/estimate.h>

#include "chunks.h"

#define LESSONS     50
#define CHUNKS_MAX  40000
#define SOURCES_MAX 256
#define UNDER       -0.10

enum { BEFORE, AFTER, STAGES };

static const enum weir_tokenizer tokenizers[] = {WEIR_TOKENIZER_O200K, WEIR_TOKENIZER_GEMMA};
static const char *const tokenizer_names[] = {"o200k", "gemma"};

#define TOKENIZERS (sizeof(tokenizers) / sizeof(tokenizers[0]))

struct source {
  char name[64];
  size_t calls;
  struct weir_ratio ratios[TOKENIZERS];
};

/* Of the chunks that are judged, in the order in which they came. */
struct verdict {
  size_t source;
  double error[TOKENIZERS][STAGES]; /* (estimate - count) / count */
  bool is_in_band[TOKENIZERS];
};

static struct source sources[SOURCES_MAX];
static size_t sources_count;
static struct verdict verdicts[CHUNKS_MAX];
static size_t verdicts_count;

static void die(const char *text)
{
  fprintf(stderr, "weir-eval-judge: %s\n", text);
  exit(1);
}

static struct source *source_of(const char *name)
{
  struct source *s;

  for (size_t i = 0; i < sources_count; i++) {
    if (strcmp(sources[i].name, name) == 0)
      return &sources[i];
  }
  if (sources_count == SOURCES_MAX)
    die("too many sources");
  s = &sources[sources_count++];
  snprintf(s->name, sizeof(s->name), "%s", name);
  for (size_t t = 0; t < TOKENIZERS; t++)
    weir_ratio_init(&s->ratios[t]);
  return s;
}

static double error_of(uint64_t estimated, uint64_t actual)
{
  return ((double)estimated - (double)actual) / (double)actual;
}

static void chunk_judge(const struct chunk *chunk)
{
  const uint64_t *actual = chunk->counts;
  struct source *s = source_of(chunk->source);
  struct verdict *v = &verdicts[verdicts_count];

  if (verdicts_count == CHUNKS_MAX)
    die("too many chunks");
  v->source = (size_t)(s - sources);
  for (size_t t = 0; t < TOKENIZERS; t++) {
    struct weir_estimate e = weir_estimate_text(tokenizers[t], chunk->text, chunk->size);

    v->error[t][BEFORE] = error_of(e.tokens, actual[t]);
    v->error[t][AFTER] = error_of(weir_ratio_expect(&s->ratios[t], e.tokens), actual[t]);
    v->is_in_band[t] = e.low <= actual[t] && actual[t] <= e.high;
    weir_ratio_learn(&s->ratios[t], e.tokens, actual[t]);
  }
  if (++s->calls > LESSONS)
    verdicts_count++;
}

static void chunks_read(const char *half)
{
  static struct chunk chunk;

  while (chunk_read(stdin, &chunk)) {
    if (strcmp(chunk.half, half) == 0)
      chunk_judge(&chunk);
  }
}

static int by_double(const void *left, const void *right)
{
  const double *a = left, *b = right;

  return (*a > *b) - (*a < *b);
}

static double magnitude(double value)
{
  return value < 0 ? -value : value;
}

/* Beside the index of a source: */
enum { ALL = SOURCES_MAX, ALL_REAL /* not made by texts.mjs */ };

static bool is_of(const struct verdict *v, size_t source)
{
  if (source == ALL_REAL)
    return strncmp(sources[v->source].name, "made ", 5) != 0;
  return source == ALL || source == v->source;
}

/* Writes mean error, 95th percentile and share too low, in per cent. */
static void errors_show(size_t source, size_t tokenizer, int stage)
{
  static double errors[CHUNKS_MAX];
  double sum = 0, under = 0;
  size_t count = 0;

  for (size_t i = 0; i < verdicts_count; i++) {
    double error = verdicts[i].error[tokenizer][stage];

    if (!is_of(&verdicts[i], source))
      continue;
    errors[count++] = magnitude(error);
    sum += magnitude(error);
    under += error < UNDER;
  }
  if (count == 0)
    die("a source has no chunks to judge");
  qsort(errors, count, sizeof(errors[0]), by_double);
  printf("  %5.1f %5.1f %5.1f", 100 * sum / (double)count, 100 * errors[(count - 1) * 95 / 100],
         100 * under / (double)count);
}

static void bias_show(size_t source, size_t tokenizer)
{
  double sum = 0, in_band = 0, count = 0;

  for (size_t i = 0; i < verdicts_count; i++) {
    if (!is_of(&verdicts[i], source))
      continue;
    sum += verdicts[i].error[tokenizer][BEFORE];
    in_band += verdicts[i].is_in_band[tokenizer];
    count++;
  }
  printf("  %+6.1f %5.1f", 100 * sum / count, 100 * in_band / count);
}

static void row_show(const char *name, size_t source)
{
  printf("%-22s", name);
  for (size_t t = 0; t < TOKENIZERS; t++) {
    bias_show(source, t);
    errors_show(source, t, BEFORE);
    errors_show(source, t, AFTER);
    printf(t + 1 < TOKENIZERS ? "  |" : "\n");
  }
}

int main(int argc, char **argv)
{
  if (argc != 2)
    die("usage: weir-eval-judge fit|judge|short < CHUNKS");
  chunks_read(argv[1]);
  if (verdicts_count == 0)
    die("no chunks");
  printf("%s: %zu chunks of %zu sources after %d calls each; in per cent: mean signed error, "
         "counts in\n"
         "low-high, then, before and after learning: mean error, 95th percentile, chunks\n"
         "under-estimated by more than 10 %%\n%-22s",
         argv[1], verdicts_count, sources_count, LESSONS, "");
  for (size_t t = 0; t < TOKENIZERS; t++)
    printf("  %-6s  band  before             after            %s", tokenizer_names[t],
           t + 1 < TOKENIZERS ? "  |" : "\n");
  for (size_t i = 0; i < sources_count; i++)
    row_show(sources[i].name, i);
  row_show("all but made", ALL_REAL);
  row_show("all", ALL);
  return 0;
}

/* text.c - sentences for people. */
#include <weir/err.h>
#include <weir/time.h>
#include <weir/vocab.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <weir.h>

#define WORD_SIZE 40

/* "1,310,720" */
static const char *grouped(uint64_t value, char ret_text[WORD_SIZE])
{
  char digits[24];
  const int count = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
  char *at = ret_text;

  for (int i = 0; i < count; i++) {
    if (i > 0 && (count - i) % 3 == 0)
      *at++ = ',';
    *at++ = digits[i];
  }
  *at = '\0';
  return ret_text;
}

/* "12 s", "5 min"; rounded up, so that nobody comes too early. */
static const char *span(uint64_t ms, char ret_text[WORD_SIZE])
{
  if (ms < 1000)
    snprintf(ret_text, WORD_SIZE, "%llu ms", (unsigned long long)ms);
  else if (ms <= 120000)
    snprintf(ret_text, WORD_SIZE, "%llu s", (unsigned long long)((ms + 999) / 1000));
  else if (ms <= 7200000)
    snprintf(ret_text, WORD_SIZE, "%llu min", (unsigned long long)((ms + 59999) / 60000));
  else
    snprintf(ret_text, WORD_SIZE, "%llu h", (unsigned long long)((ms + 3599999) / 3600000));
  return ret_text;
}

/* "minute", "day", "10 s" */
static const char *window(uint64_t ms, char ret_text[WORD_SIZE])
{
  const uint64_t day = 24 * WEIR_US_PER_HOUR / WEIR_US_PER_MS;

  if (ms == WEIR_US_PER_MIN / WEIR_US_PER_MS)
    return "minute";
  if (ms == WEIR_US_PER_S / WEIR_US_PER_MS)
    return "second";
  if (ms == WEIR_US_PER_HOUR / WEIR_US_PER_MS)
    return "hour";
  /* A day's window is kept a bit longer than a day where it is rolling. */
  if (ms >= day && ms <= day + day / 12)
    return "day";
  return span(ms, ret_text);
}

static const char *unit(enum weir_dimension dimension)
{
  switch (dimension) {
  case WEIR_DIMENSION_REQUESTS:
    return "requests";
  case WEIR_DIMENSION_INPUT_TOKENS:
    return "input tokens";
  case WEIR_DIMENSION_OUTPUT_TOKENS:
    return "output tokens";
  case WEIR_DIMENSION_TOTAL_TOKENS:
    return "tokens";
  case WEIR_DIMENSION_SPEND:
    return "millionths of the currency";
  case WEIR_DIMENSION_IN_FLIGHT:
    return "calls in flight";
  case WEIR_DIMENSION_MAX:
  default:
    return "units";
  }
}

/* " per minute"; nothing for what is in flight, which has no window. */
static const char *per_window(uint64_t ms, char ret_text[WORD_SIZE])
{
  char word[WORD_SIZE];

  ret_text[0] = '\0';
  if (ms > 0)
    snprintf(ret_text, WORD_SIZE, " per %.30s", window(ms, word));
  return ret_text;
}

static void too_large(const struct weir_denied *denied, char *text, size_t size)
{
  char cost[WORD_SIZE], amount[WORD_SIZE], per[WORD_SIZE];

  if (denied->amount == 0)
    snprintf(text, size, "asks more than a whole limit allows: split it");
  else
    snprintf(text, size, "asks %s %s, the limit is %s%s: split it", grouped(denied->cost, cost),
             unit(denied->dimension), grouped(denied->amount, amount),
             per_window(denied->window_ms, per));
}

static void too_late(const struct weir_denied *denied, char *text, size_t size)
{
  char amount[WORD_SIZE], per[WORD_SIZE], wait[WORD_SIZE], limit[128] = "";

  if (denied->amount > 0)
    snprintf(limit, sizeof(limit), " (the limit is %s %s%s)", grouped(denied->amount, amount),
             unit(denied->dimension), per_window(denied->window_ms, per));
  if (denied->retry_in_ms == UINT64_MAX)
    snprintf(text, size, "its turn does not come in time%s", limit);
  else
    snprintf(text, size, "its turn would come in %s, later than it may wait%s",
             span(denied->retry_in_ms, wait), limit);
}

static void too_open(const struct weir_denied *denied, char *text, size_t size)
{
  char wait[WORD_SIZE];

  if (denied->retry_in_ms == UINT64_MAX)
    snprintf(text, size, "the provider is taken for down by an operator: weir breaker");
  else
    snprintf(text, size, "the provider fails; it is tried again in %s, later than this may wait",
             span(denied->retry_in_ms, wait));
}

const char *weir_denial_text(const struct weir_denied *denied, char *ret_text, size_t size)
{
  if (size == 0)
    return ret_text;
  switch (denied->why) {
  case WEIR_DENIAL_NO_POOL:
    snprintf(ret_text, size,
             "the coordinator has no pool or route for this model: add it to its configuration");
    break;
  case WEIR_DENIAL_TOO_LARGE:
    too_large(denied, ret_text, size);
    break;
  case WEIR_DENIAL_DEADLINE:
    too_late(denied, ret_text, size);
    break;
  case WEIR_DENIAL_QUEUE_FULL:
    snprintf(ret_text, size, "too many requests wait already: try again later");
    break;
  case WEIR_DENIAL_CLOSED:
    snprintf(ret_text, size, "the pool takes no requests: it was removed, or is shutting down");
    break;
  case WEIR_DENIAL_OPEN:
    too_open(denied, ret_text, size);
    break;
  case WEIR_DENIAL_RETRIES:
    snprintf(ret_text, size, "all instances together have tried again as often as they may");
    break;
  case WEIR_DENIAL_FINISHED:
  case WEIR_DENIAL_BUSY:
  case WEIR_DENIAL_MAX:
  default:
    snprintf(ret_text, size, "denied");
  }
  return ret_text;
}

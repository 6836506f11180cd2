#include "batch_progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "view.h"

#define BAR_SIZE         20
#define RATE_SECONDS_MIN 5
#define SHOW_TERMINAL_US 200000
#define SHOW_PLAIN_US    5000000

/* What the limit counts, of |tally|; without a limit, all tokens. */
static uint64_t units_of(const struct weir_batch_progress *progress,
                         const struct weir_batch_tally *tally)
{
  enum weir_dimension dimension =
      progress->limit ? progress->limit->dimension : WEIR_DIMENSION_TOTAL_TOKENS;

  switch (dimension) {
  case WEIR_DIMENSION_REQUESTS:
    return tally->attempts;
  case WEIR_DIMENSION_INPUT_TOKENS:
    return tally->input_tokens;
  case WEIR_DIMENSION_OUTPUT_TOKENS:
    return tally->output_tokens;
  case WEIR_DIMENSION_TOTAL_TOKENS:
  case WEIR_DIMENSION_SPEND:
  case WEIR_DIMENSION_IN_FLIGHT:
  case WEIR_DIMENSION_MAX:
    break;
  }
  return tally->input_tokens + tally->output_tokens;
}

/* Adds what is new to this second's element, and empties those of seconds without a look. */
static void rate_take(struct weir_batch_progress *progress, const struct weir_batch_tally *tally,
                      uint64_t now_us)
{
  uint64_t second = (now_us - progress->begun_us) / 1000000, units = units_of(progress, tally);

  if (second - progress->second >= WEIR_BATCH_RATE_SECONDS) {
    memset(progress->units, 0, sizeof(progress->units));
    progress->second = second;
  }
  while (progress->second < second)
    progress->units[++progress->second % WEIR_BATCH_RATE_SECONDS] = 0;
  progress->units[second % WEIR_BATCH_RATE_SECONDS] += units - progress->seen;
  progress->seen = units;
}

/* Writes ", 98,120 of 1,000,000 input_tokens/min": the pace over the last minute, or over the whole
 * run while it is shorter; nothing in the first seconds, from which no pace can be told. */
static void rate_format(const struct weir_batch_progress *progress, char *ret_text, size_t size)
{
  char rate[WEIR_CLI_TEXT_SIZE], limit[WEIR_CLI_TEXT_SIZE];
  uint64_t sum = 0, seconds = progress->second + 1;

  for (int i = 0; i < WEIR_BATCH_RATE_SECONDS; i++)
    sum += progress->units[i];
  if (seconds > WEIR_BATCH_RATE_SECONDS)
    seconds = WEIR_BATCH_RATE_SECONDS;
  weir_cli_grouped(sum * 60 / seconds, rate);
  if (seconds < RATE_SECONDS_MIN)
    ret_text[0] = '\0';
  else if (progress->limit)
    snprintf(ret_text, size, ", %s of %s %s/min", rate,
             weir_cli_grouped(weir_stats_amount(progress->limit), limit),
             weir_dimension_name(progress->limit->dimension));
  else
    snprintf(ret_text, size, ", %s tokens/min", rate);
}

static void eta_format(const struct weir_batch_progress *progress,
                       const struct weir_batch_tally *tally, uint64_t now_us, char *ret_text)
{
  uint64_t left = progress->total - progress->before - tally->done;
  uint64_t elapsed = now_us - progress->begun_us;

  if (left == 0 || tally->done == 0)
    snprintf(ret_text, WEIR_CLI_TEXT_SIZE, "%s", left == 0 ? "0s" : "?");
  else
    weir_cli_span((elapsed / tally->done * left / 1000000 + 1) * 1000000, ret_text);
}

static void line_format(const struct weir_batch_progress *progress,
                        const struct weir_batch_tally *tally, uint64_t now_us, char *ret_text,
                        size_t size)
{
  char done[WEIR_CLI_TEXT_SIZE], total[WEIR_CLI_TEXT_SIZE], tokens[WEIR_CLI_TEXT_SIZE];
  char eta[WEIR_CLI_TEXT_SIZE], rate[128];

  rate_format(progress, rate, sizeof(rate));
  eta_format(progress, tally, now_us, eta);
  snprintf(ret_text, size, "%s of %s done, %" PRIu32 " failed, %s tokens%s, %s left",
           weir_cli_grouped(progress->before + tally->done, done),
           weir_cli_grouped(progress->total, total), tally->failed,
           weir_cli_grouped(tally->input_tokens + tally->output_tokens, tokens), rate, eta);
}

void weir_batch_progress_show(struct weir_batch_progress *progress,
                              const struct weir_batch_tally *tally, uint64_t now_us, bool is_last)
{
  uint64_t pause = progress->is_terminal ? SHOW_TERMINAL_US : SHOW_PLAIN_US;
  uint32_t done = progress->before + tally->done;
  int filled = progress->total > 0 ? (int)((uint64_t)done * BAR_SIZE / progress->total) : BAR_SIZE;
  char text[320];

  rate_take(progress, tally, now_us);
  if (progress->is_silent || (!is_last && now_us - progress->shown_us < pause))
    return;
  progress->shown_us = now_us;
  line_format(progress, tally, now_us, text, sizeof(text));
  if (progress->is_terminal)
    fprintf(stderr, "\r[%.*s%*s] %s\033[K%s", filled, "####################", BAR_SIZE - filled, "",
            text, is_last ? "\n" : "");
  else
    fprintf(stderr, "weir batch: %s\n", text);
  fflush(stderr);
}

void weir_batch_progress_clear(const struct weir_batch_progress *progress)
{
  if (progress->is_terminal && !progress->is_silent)
    fputs("\r\033[K", stderr);
}

/* account.c - see account.h. */
#include "account.h"
#include "file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- prices ---- */

static int file_read(struct weir *w, const char *path)
{
  struct weir_price_fault fault;
  char *bytes;
  size_t size;
  int error = weir_file_read(path, WEIR_PRICE_FILE_SIZE_MAX, NULL, &bytes, &size);
  int err;

  if (error) {
    weir_log(w, WEIR_LEVEL_ERROR, "prices: %.200s cannot be read: %s", path, strerror(error));
    return WEIR_ECONFIG;
  }
  err = weir_prices_read(&w->prices, bytes, size, &fault);
  if (err)
    weir_log(w, WEIR_LEVEL_ERROR, "prices: %.200s:%" PRIu64 ":%" PRIu64 ": %s", path, fault.line,
             fault.column, fault.text);
  weir_file_free(bytes, size);
  return err ? WEIR_ECONFIG : WEIR_OK;
}

int weir_account_open(struct weir *w, const char *path)
{
  struct weir_price_fault fault;
  struct weir_price_rule *fitted;
  int err;

  if (!path)
    path = getenv("WEIR_PRICES");
  w->prices.capacity = WEIR_PRICE_RULES_MAX;
  w->prices.rules = calloc(w->prices.capacity, sizeof(*w->prices.rules));
  if (!w->prices.rules)
    return WEIR_ENOMEM;
  err = weir_prices_read(&w->prices, weir_price_table, weir_price_table_size, &fault);
  if (!err && path && *path)
    err = file_read(w, path);
  if (err)
    return err;
  /* Few of them are used; what does not get smaller is good as it is. */
  fitted = realloc(w->prices.rules, (w->prices.count + 1) * sizeof(*fitted));
  w->prices.rules = fitted ? fitted : w->prices.rules;
  return WEIR_OK;
}

void weir_account_close(struct weir *w)
{
  free(w->prices.rules);
}

void weir_account_fill(const struct weir *w, const struct weir_transfer *t, const char *model,
                       struct weir_response *response)
{
  const struct weir_usage *usage = &t->scan.usage;
  const char *const names[] = {t->provider->name, weir_provider_kind_name(t->provider->kind)};
  const uint64_t wall_s = (uint64_t)time(NULL);

  response->cached_tokens = usage->cached_tokens;
  response->has_cost = 0;
  response->cost_micro = 0;
  if (t->end != WEIR_TRANSFER_DONE || !t->scan.is_complete)
    return; /* the counts are not final */
  model = strchr(model, '/') + 1;
  for (int i = 0; i < 2 && !response->has_cost; i++)
    response->has_cost =
        weir_price_of_usage(&w->prices, names[i], model, wall_s, usage, &response->cost_micro);
}

/* ---- the call log ---- */

void weir_account_log(const struct weir *w, const struct weir_request *request,
                      const struct weir_lease *lease, const struct weir_response *response,
                      struct weir_calllog more)
{
  char line[WEIR_CALLLOG_SIZE];
  struct timespec now;

  if (!w->call_log)
    return;
  clock_gettime(CLOCK_REALTIME, &now);
  more.wall_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
  more.route = request->model;
  more.called = response->model[0] ? response->model : lease->model;
  more.pool = lease->pool[0] ? lease->pool : response->denied.pool;
  more.tag = request->tag;
  more.tenant = request->tenant;
  more.work_class = request->work_class ? request->work_class : WEIR_CLASS_ONLINE;
  more.outcome = response->outcome;
  more.denial = response->denied.why;
  more.http = response->http;
  more.attempts = response->attempts;
  more.wait_us = response->wait_us;
  more.latency_us = response->latency_us;
  more.first_us = response->first_us;
  more.has_usage = response->has_usage;
  more.input_tokens = response->input_tokens;
  more.output_tokens = response->output_tokens;
  more.cached_tokens = response->cached_tokens;
  more.has_cost = response->has_cost;
  more.cost_micro = response->cost_micro;
  more.lease = lease->err == WEIR_OK ? lease->id : 0;
  weir_calllog_write(&more, line);
  w->call_log(w->call_log_context, line);
}

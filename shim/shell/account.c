/* account.c - see account.h. */
#include "account.h"
#include "pricefile.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- prices ---- */

int weir_account_open(struct weir *w, const char *path)
{
  char why[WEIR_PRICEFILE_WHY_SIZE];
  const enum weir_err err =
      weir_pricefile_open(&w->prices, path ? path : getenv("WEIR_PRICES"), why);

  if (err == WEIR_ECONFIG)
    weir_log(w, WEIR_LEVEL_ERROR, "prices: %s", why);
  return err;
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

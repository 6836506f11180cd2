/* The line that the call log has for each call: that of libweir's own calls (docs/CLI.md). */
#include "call.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

void weir_call_price(struct weir_proxy_call *c)
{
  const char *const names[] = {c->provider->name, weir_provider_kind_name(c->provider->kind)};
  const char *slash = strchr(c->lease.model, '/');
  const char *model = slash ? slash + 1 : c->lease.model;

  c->log.has_cost = false;
  if (!c->scan || !c->scan->is_complete)
    return; /* the counts are not final */
  for (int i = 0; i < 2 && !c->log.has_cost; i++)
    c->log.has_cost = weir_price_of_usage(&c->p->prices, names[i], model, (uint64_t)time(NULL),
                                          &c->scan->usage, &c->log.cost_micro);
}

void weir_call_log_answer(struct weir_proxy_call *c, int err, enum weir_outcome outcome)
{
  const weir_tstamp sent_at = weir_fetch_sent_us(c->fetch);

  c->log.err = err;
  c->log.outcome = outcome;
  c->log.http = weir_fetch_http(c->fetch);
  c->log.latency_us = sent_at ? weir_time_sub(weir_now_us(), sent_at) : 0;
  c->log.lease = c->has_lease ? c->lease.id : 0;
  if (!c->scan)
    return;
  c->log.has_usage = c->scan->usage.has_input;
  c->log.input_tokens = c->scan->usage.input_tokens;
  c->log.output_tokens = c->scan->usage.output_tokens;
  c->log.cached_tokens = c->scan->usage.cached_tokens;
}

void weir_call_log_write(struct weir_proxy_call *c)
{
  char line[WEIR_CALLLOG_SIZE];
  struct timespec now;

  if (!c->p->call_log || c->path.protocol == 0)
    return;
  clock_gettime(CLOCK_REALTIME, &now);
  c->log.wall_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
  c->log.route = c->model;
  c->log.called = c->lease.model;
  c->log.pool = c->lease.pool;
  c->log.tag = c->wishes.tag;
  c->log.tenant = c->wishes.tenant;
  c->log.work_class = c->wishes.work_class;
  c->log.attempts = c->attempts;
  c->log.wait_us = c->wait_us;
  weir_calllog_write(&c->log, line);
  (void)fprintf(c->p->call_log, "%s\n", line);
}

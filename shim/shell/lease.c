/* lease.c - acquire, cancel, settle. The caller's own thread steps the machine; what has to be sent
 * is left to the worker. */
#include "handle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- waiters ---- */

static void append(struct weir_waiter_list *list, struct weir_waiter *waiter)
{
  waiter->next = NULL;
  waiter->prev = list->last;
  if (list->last)
    list->last->next = waiter;
  else
    list->first = waiter;
  list->last = waiter;
}

static void take_out(struct weir_waiter_list *list, struct weir_waiter *waiter)
{
  if (waiter->prev)
    waiter->prev->next = waiter->next;
  else
    list->first = waiter->next;
  if (waiter->next)
    waiter->next->prev = waiter->prev;
  else
    list->last = waiter->prev;
}

/* The descriptor becomes readable soon after |ready| holds something, and stays so as long. */
static void ready_signal(struct weir *w)
{
  if (w->ready_fd >= 0)
    eventfd_write(w->ready_fd, 1);
}

void weir_lease_signal(struct weir *w)
{
  const bool is_due = w->is_signal_due;

  w->is_signal_due = false;
  if (is_due)
    ready_signal(w);
}

static void ready_clear(struct weir *w)
{
  eventfd_t count;

  if (w->ready_fd >= 0)
    eventfd_read(w->ready_fd, &count);
}

static void finish(struct weir *w, struct weir_waiter *waiter)
{
  waiter->is_done = true;
  take_out(&w->waiters, waiter);
  if (!waiter->is_async) {
    pthread_cond_signal(&waiter->done);
    return;
  }
  append(&w->ready, waiter);
  if (w->ready.first == waiter)
    w->is_signal_due = true;
}

static void fill_denied(struct weir_denied *denied, const struct weir_msg_deny *deny)
{
  denied->why = deny->why;
  denied->dimension = deny->dimension;
  denied->retry_in_ms = deny->retry_in_us >= WEIR_DURATION_MAX
                            ? UINT64_MAX
                            : (deny->retry_in_us + WEIR_US_PER_MS - 1) / WEIR_US_PER_MS;
  denied->window_ms = deny->window_us / WEIR_US_PER_MS;
  denied->cost = deny->cost;
  denied->amount = deny->amount;
  memcpy(denied->pool, deny->pool, sizeof(denied->pool));
}

static void fill_lease(struct weir_lease *lease, const struct weir_client_result *result,
                       weir_tstamp now)
{
  lease->wait_us = result->wait_us;
  lease->is_queued = result->is_queued;
  switch (result->type) {
  case WEIR_CLIENT_GRANTED:
    lease->err = WEIR_OK;
    lease->expires_us = result->expires_at;
    lease->ttl_us = weir_time_sub(result->expires_at, now);
    memcpy(lease->pool, result->grant.pool, sizeof(lease->pool));
    memcpy(lease->model, result->grant.model, sizeof(lease->model));
    lease->is_reported = result->grant.is_reported;
    lease->is_probe = result->grant.is_probe;
    lease->is_island = result->is_island;
    lease->is_unlimited = result->is_open;
    if (result->grant.choice > 0 && result->grant.choice <= result->grant.choices) {
      lease->choice = result->grant.choice;
      lease->choices = result->grant.choices;
    }
    lease->timeout_us = result->grant.timeout_us;
    lease->ratio_pm = result->grant.ratio_pm;
    lease->ratio_error_pm = result->grant.ratio_error_pm;
    lease->requests_limit = result->grant.requests_limit;
    lease->requests_left = result->grant.requests_left;
    lease->tokens_limit = result->grant.tokens_limit;
    lease->tokens_left = result->grant.tokens_left;
    return;
  case WEIR_CLIENT_DENIED:
    lease->err = WEIR_EDENIED;
    fill_denied(&lease->denied, &result->deny);
    return;
  case WEIR_CLIENT_TIMED_OUT:
    lease->err = WEIR_ETIMEOUT;
    return;
  case WEIR_CLIENT_UNREACHABLE:
    lease->err = result->refusal == WEIR_REFUSAL_FORBIDDEN ? WEIR_EKEY : WEIR_EUNREACHABLE;
    return;
  case WEIR_CLIENT_CANCELLED:
    lease->err = WEIR_ECANCELLED;
    return;
  }
}

void weir_lease_deliver(struct weir *w, const struct weir_client_update *update, weir_tstamp now)
{
  for (uint32_t i = 0; i < update->results_count; i++) {
    const struct weir_client_result *result = &update->results[i];
    struct weir_waiter *waiter = (struct weir_waiter *)(uintptr_t)result->context;

    fill_lease(&waiter->lease, result, now);
    finish(w, waiter);
  }
}

int weir_lease_step(struct weir *w, struct weir_client_event *event)
{
  enum weir_err err;

  event->now = weir_now();
  w->update.messages_max = 0; /* the worker sends */
  err = weir_client_step(w->client, event, &w->update);
  weir_lease_deliver(w, &w->update, event->now);
  weir_lease_signal(w);
  weir_worker_wake(w, w->update.wake);
  return err;
}

void weir_lease_fail(struct weir *w, int err)
{
  while (w->waiters.first) {
    struct weir_waiter *waiter = w->waiters.first;
    struct weir_client_event event = {.type = WEIR_CLIENT_CANCEL, .cookie = waiter->lease.id};

    weir_lease_step(w, &event); /* finishes the waiter */
    waiter->lease.err = err;
  }
}

/* ---- acquire ---- */

static int check_ask(const struct weir *w, const struct weir_ask *ask)
{
  if (!ask->model || !weir_is_printable(ask->model, WEIR_NAME_SIZE) ||
      !weir_is_tenant(ask->tenant) || (unsigned)ask->work_class >= WEIR_CLASS_MAX ||
      (ask->prefer && *ask->prefer && !weir_is_printable(ask->prefer, WEIR_NAME_SIZE)))
    return WEIR_EINVAL;
  if (ask->requests > WEIR_REQUESTS_MAX || ask->input_tokens > WEIR_TOKENS_MAX ||
      ask->output_tokens > WEIR_TOKENS_MAX || ask->max_wait_ms > WEIR_WAIT_MAX_MS ||
      ask->attempts > WEIR_ATTEMPTS_MAX || ask->avoid >> WEIR_CHOICES_MAX != 0)
    return WEIR_ERANGE;
  if (w->is_closed)
    return WEIR_ECLOSED;
  return w->is_drained ? WEIR_ECANCELLED : WEIR_OK;
}

/* |ask| is of our own size. Precondition: the lock is held. */
static int start(struct weir *w, const struct weir_ask *ask, struct weir_waiter *waiter)
{
  const uint64_t wait_ms = ask->max_wait_ms ? ask->max_wait_ms : w->max_wait_ms;
  struct weir_client_ask client_ask = {
      .msg = {.class = ask->work_class ? ask->work_class : WEIR_CLASS_ONLINE,
              .requests = ask->requests ? ask->requests : 1,
              .input_tokens = ask->input_tokens,
              .output_tokens = ask->output_tokens,
              .attempts = ask->attempts,
              .avoid = ask->avoid},
      .wait_us = wait_ms * WEIR_US_PER_MS,
      .is_immediate = ask->is_immediate != 0};
  struct weir_client_event event = {
      .type = WEIR_CLIENT_ASK, .context = (uintptr_t)waiter, .ask = &client_ask};
  int err = check_ask(w, ask);

  if (!err)
    err = weir_worker_start(w);
  if (err)
    return err;
  snprintf(client_ask.msg.model, sizeof(client_ask.msg.model), "%s", ask->model);
  if (ask->tenant)
    snprintf(client_ask.msg.tenant, sizeof(client_ask.msg.tenant), "%s", ask->tenant);
  if (ask->prefer)
    snprintf(client_ask.msg.prefer, sizeof(client_ask.msg.prefer), "%s", ask->prefer);
  waiter->lease.id = event.cookie = ++w->id_last;
  /* First into the list: the step may finish it at once. */
  append(&w->waiters, waiter);
  err = weir_lease_step(w, &event);
  if (err)
    take_out(&w->waiters, waiter);
  return err;
}

int weir_lease_acquire(struct weir *w, const struct weir_ask *ask, struct weir_lease *ret_lease)
{
  struct weir_waiter waiter = {.lease = WEIR_INIT(struct weir_lease)};
  int err;

  pthread_cond_init(&waiter.done, NULL);
  err = start(w, ask, &waiter);
  if (!err) {
    while (!waiter.is_done)
      pthread_cond_wait(&waiter.done, &w->lock);
    *ret_lease = waiter.lease;
    err = waiter.lease.err;
  }
  pthread_cond_destroy(&waiter.done);
  return err;
}

static bool is_lease_size(size_t size)
{
  return size == WEIR_LEASE_SIZE_FIRST || size == sizeof(struct weir_lease);
}

/* Gives the caller as much of |lease| as its program knows. */
static void lease_write(const struct weir_lease *lease, struct weir_lease *ret_lease)
{
  const size_t size = ret_lease->size;

  memcpy(ret_lease, lease, size);
  ret_lease->size = size;
}

int weir_acquire(struct weir *w, const struct weir_ask *ask, struct weir_lease *ret_lease)
{
  struct weir_lease lease = WEIR_INIT(struct weir_lease);
  struct weir_ask own;
  int err;

  if (!w || !ask || !ret_lease || !is_lease_size(ret_lease->size) ||
      !weir_sized_read(ask, WEIR_ASK_SIZE_FIRST, &own, sizeof(own)))
    return WEIR_EINVAL;
  err = weir_enter(w);
  if (err)
    return err;
  err = weir_lease_acquire(w, &own, &lease);
  if (err == WEIR_ECANCELLED) /* maybe at once, by weir_drain */
    lease.err = err;
  if (lease.id || lease.err) /* else it did not begin */
    lease_write(&lease, ret_lease);
  weir_leave(w);
  return err;
}

int weir_acquire_start(struct weir *w, const struct weir_ask *ask, uint64_t *ret_id)
{
  struct weir_waiter *waiter;
  struct weir_ask own;
  int err;

  if (!w || !ask || !ret_id || !weir_sized_read(ask, WEIR_ASK_SIZE_FIRST, &own, sizeof(own)))
    return WEIR_EINVAL;
  waiter = calloc(1, sizeof(*waiter));
  if (!waiter)
    return WEIR_ENOMEM;
  waiter->is_async = true;
  waiter->lease.size = sizeof(waiter->lease);
  err = weir_enter(w);
  if (err) {
    free(waiter);
    return err;
  }
  err = start(w, &own, waiter);
  if (err)
    free(waiter);
  else
    *ret_id = waiter->lease.id;
  weir_leave(w);
  return err;
}

int weir_acquire_next(struct weir *w, struct weir_lease *ret_lease)
{
  struct weir_waiter *waiter;
  int err;

  if (!w || !ret_lease || !is_lease_size(ret_lease->size))
    return WEIR_EINVAL;
  err = weir_enter(w);
  if (err)
    return err;
  waiter = w->ready.first;
  if (waiter) {
    take_out(&w->ready, waiter);
    if (!w->ready.first)
      ready_clear(w);
    lease_write(&waiter->lease, ret_lease);
    ret_lease->ttl_us = weir_time_sub(ret_lease->expires_us, weir_now());
    free(waiter);
  } else {
    ready_clear(w); /* it was signalled after the last one was taken */
    err = WEIR_EAGAIN;
  }
  weir_leave(w);
  return err;
}

int weir_fd(struct weir *w)
{
  int err, fd;

  if (!w)
    return WEIR_EINVAL;
  err = weir_enter(w);
  if (err)
    return err;
  if (w->ready_fd < 0) {
    w->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->ready.first)
      ready_signal(w);
  }
  fd = w->ready_fd >= 0 ? w->ready_fd : WEIR_ESYSTEM;
  weir_leave(w);
  return fd;
}

int weir_cancel(struct weir *w, uint64_t id)
{
  struct weir_client_event event = {.type = WEIR_CLIENT_CANCEL, .cookie = id};
  int err;

  if (!w)
    return WEIR_EINVAL;
  err = weir_enter(w);
  if (err)
    return err;
  err = w->worker.is_running ? weir_lease_step(w, &event) : WEIR_ENOENT;
  weir_leave(w);
  return err;
}

/* ---- settle ---- */

static int check_settlement(const struct weir_settlement *s)
{
  if ((unsigned)s->outcome >= WEIR_OUTCOME_MAX)
    return WEIR_EINVAL;
  if (s->http > 999 || s->input_tokens > WEIR_TOKENS_MAX || s->output_tokens > WEIR_TOKENS_MAX ||
      s->retry_after_us > WEIR_DURATION_MAX || s->latency_us > WEIR_DURATION_MAX ||
      s->estimated_tokens > WEIR_TOKENS_MAX)
    return WEIR_ERANGE;
  if (s->stated_limit > WEIR_AMOUNT_MAX || s->stated_used > WEIR_AMOUNT_MAX ||
      s->requests_limit > WEIR_AMOUNT_MAX || s->requests_left > WEIR_AMOUNT_MAX ||
      s->tokens_limit > WEIR_AMOUNT_MAX || s->tokens_left > WEIR_AMOUNT_MAX)
    return WEIR_ERANGE;
  return WEIR_OK;
}

/* |lease| may be that of an older program: its last members are not read. */
static void fill_settle(struct weir_client_settle *settle, const struct weir_lease *lease,
                        const struct weir_settlement *s, weir_tstamp now)
{
  memset(settle, 0, sizeof(*settle));
  if (!s || s->is_unsent) {
    settle->msg.is_final = true;
    settle->msg.outcome = s && s->outcome ? s->outcome : WEIR_OUTCOME_CANCELLED;
    return;
  }
  /* A time that is not known, or not possible, is the latest one: it frees nothing too early. */
  settle->sent_at = s->sent_us ? s->sent_us : lease->expires_us;
  if (settle->sent_at > now)
    settle->sent_at = now;
  settle->msg.is_sent = true;
  settle->msg.is_final = !s->is_interim;
  settle->msg.has_usage = s->has_usage != 0;
  settle->msg.outcome = s->outcome;
  if (!s->outcome && !s->is_interim)
    settle->msg.outcome = WEIR_OUTCOME_OK;
  settle->msg.http = s->http;
  settle->msg.input_tokens = s->has_usage ? s->input_tokens : 0;
  settle->msg.output_tokens = s->has_usage ? s->output_tokens : 0;
  settle->msg.retry_after_us = s->retry_after_us;
  settle->msg.latency_us = s->latency_us;
  settle->msg.stated_limit = s->stated_limit;
  settle->msg.stated_used = s->stated_used;
  settle->msg.requests_limit = s->requests_limit;
  settle->msg.requests_left = s->requests_left;
  settle->msg.tokens_limit = s->tokens_limit;
  settle->msg.tokens_left = s->tokens_left;
  settle->msg.estimated_tokens = s->estimated_tokens;
}

int weir_lease_settle(struct weir *w, const struct weir_lease *lease,
                      const struct weir_settlement *settlement)
{
  struct weir_client_settle settle;
  struct weir_client_event event = {
      .type = WEIR_CLIENT_SETTLE, .cookie = lease->id, .settle = &settle};

  fill_settle(&settle, lease, settlement, weir_now());
  return w->worker.is_running ? weir_lease_step(w, &event) : WEIR_ENOENT;
}

int weir_settle(struct weir *w, const struct weir_lease *lease,
                const struct weir_settlement *settlement)
{
  struct weir_settlement own;
  int err;

  if (!w || !lease || !is_lease_size(lease->size) || lease->err != WEIR_OK)
    return WEIR_EINVAL;
  if (settlement) {
    if (!weir_sized_read(settlement, WEIR_SETTLEMENT_SIZE_FIRST, &own, sizeof(own)))
      return WEIR_EINVAL;
    err = check_settlement(&own);
    if (err)
      return err;
    settlement = &own;
  }
  err = weir_enter(w);
  if (err)
    return err;
  err = weir_lease_settle(w, lease, settlement);
  weir_leave(w);
  return err;
}

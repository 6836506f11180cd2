#include "fleet.h"

#include "../demo/clock.h"

#include "plain.h"
#include "stand.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/rng.h>

#define STACK_SIZE ((size_t)256 << 10)
#define SPENDERS   64
#define BODY(text)                                                                                 \
  "{\"contents\":[{\"parts\":[{\"text\":\"" text "\"}]}],"                                         \
  "\"generationConfig\":{\"maxOutputTokens\":16}}"

static const char body_of_call[] = BODY("Why is a weir not a dam, and what else is it not?");
static const char body_of_spender[] = BODY("Why");

/* ---- waiting ---- */

/* Waits until |at_us| or until the fleet is ended; true when it is. */
static bool wait_until(struct outage_fleet *fleet, uint64_t at_us)
{
  const struct timespec at = {(time_t)(at_us / 1000000), (long)(at_us % 1000000 * 1000)};
  bool is_ended;

  pthread_mutex_lock(&fleet->lock);
  while (!fleet->is_ended && demo_now_us() < at_us)
    pthread_cond_timedwait(&fleet->ended, &fleet->lock, &at);
  is_ended = fleet->is_ended;
  pthread_mutex_unlock(&fleet->lock);
  return is_ended;
}

void outage_fleet_wait(struct outage_fleet *fleet, uint64_t until_us)
{
  (void)wait_until(fleet, until_us);
}

static void keep(struct outage_fleet *fleet, const struct outage_call *call)
{
  pthread_mutex_lock(&fleet->lock);
  if (fleet->calls_count == fleet->calls_capacity) {
    fleet->calls_capacity = fleet->calls_capacity ? 2 * fleet->calls_capacity : 4096;
    fleet->calls = realloc(fleet->calls, fleet->calls_capacity * sizeof(*fleet->calls));
    if (!fleet->calls)
      abort();
  }
  fleet->calls[fleet->calls_count++] = *call;
  pthread_mutex_unlock(&fleet->lock);
}

/* ---- calls ---- */

static void call_weir(struct outage_fleet *fleet, struct weir *weir, struct outage_call *call)
{
  struct weir_request request = WEIR_INIT(struct weir_request);
  struct weir_response response = WEIR_INIT(struct weir_response);

  request.model = fleet->model;
  request.body = body_of_call;
  request.body_size = sizeof(body_of_call) - 1;
  request.max_wait_ms = fleet->deadline_ms;
  call->is_ok = weir_call(weir, &request, &response) == WEIR_OK;
  call->attempts = response.attempts;
  weir_response_free(&response);
}

static void call_plain(struct outage_fleet *fleet, struct outage_plain *plain, struct weir_rng *rng,
                       struct outage_call *call)
{
  const uint64_t deadline_us = call->begun_us + fleet->deadline_ms * 1000;
  uint64_t now_us = call->begun_us, after_us = 0;
  long status;

  do {
    wait_until(fleet, now_us + after_us);
    now_us = demo_now_us();
    if (now_us >= deadline_us)
      return;
    status = outage_plain_post(plain, body_of_call, deadline_us - now_us);
    call->attempts++;
    call->is_ok = status == 200;
    now_us = demo_now_us();
  } while (!call->is_ok && now_us < deadline_us &&
           outage_plain_backoff(status, call->attempts, deadline_us - now_us, rng, &after_us));
}

/* Until the next call of a thread, so that all of them together make |rate| a second. */
static uint64_t pause_us(const struct outage_fleet *fleet, struct weir_rng *rng)
{
  const double all = (double)(OUTAGE_INSTANCES * OUTAGE_THREADS) * 1e6 / (double)fleet->rate;
  const double mean = all - (double)fleet->answer_us;
  const double unit = (double)(weir_rng_next(rng) >> 11) * (1.0 / 9007199254740992.0);

  return (uint64_t)(-log(1 - unit) * mean);
}

static void *thread_run(void *context)
{
  struct outage_fleet *fleet = context;
  struct outage_plain plain;
  struct weir_rng rng;
  size_t number;

  pthread_mutex_lock(&fleet->lock);
  number = fleet->next++;
  pthread_mutex_unlock(&fleet->lock);
  weir_rng_init(&rng, fleet->seed * 10007 + number);
  if (!fleet->is_weir)
    outage_plain_open(&plain, fleet->base_url);
  while (!wait_until(fleet, demo_now_us() + pause_us(fleet, &rng))) {
    struct outage_call call = {.begun_us = demo_now_us()};

    if (fleet->is_weir)
      call_weir(fleet, fleet->handles[number % OUTAGE_INSTANCES], &call);
    else
      call_plain(fleet, &plain, &rng, &call);
    call.over_us = demo_now_us();
    keep(fleet, &call);
  }
  if (!fleet->is_weir)
    outage_plain_close(&plain);
  return NULL;
}

/* ---- begin and end ---- */

static bool handle_open(struct outage_fleet *fleet, size_t number)
{
  struct weir_options options = WEIR_INIT(struct weir_options);
  struct weir_provider provider = WEIR_INIT(struct weir_provider);
  char name[32];
  int err;

  snprintf(name, sizeof(name), "instance-%zu", number + 1);
  options.coordinator = fleet->endpoint;
  options.name = name;
  options.is_without_wallet = fleet->has_no_wallet;
  provider.name = "gemini";
  provider.base_url = fleet->base_url;
  provider.key = OUTAGE_KEY;
  err = weir_open(&options, &fleet->handles[number]);
  if (err == WEIR_OK)
    err = weir_provider_add(fleet->handles[number], &provider);
  if (err == WEIR_OK)
    return true;
  fprintf(stderr, "weir-outage: libweir: %s\n", weir_error_text(err));
  return false;
}

static bool thread_start(struct outage_fleet *fleet)
{
  pthread_attr_t attributes;
  int err;

  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_SIZE);
  err = pthread_create(&fleet->threads[fleet->threads_count], &attributes, thread_run, fleet);
  pthread_attr_destroy(&attributes);
  if (err == 0)
    fleet->threads_count++;
  else
    fprintf(stderr, "weir-outage: thread %zu: %s\n", fleet->threads_count + 1, strerror(err));
  return err == 0;
}

bool outage_fleet_start(struct outage_fleet *fleet)
{
  pthread_condattr_t attributes;
  bool is_well = true;

  pthread_mutex_init(&fleet->lock, NULL);
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&fleet->ended, &attributes);
  pthread_condattr_destroy(&attributes);
  for (size_t i = 0; fleet->is_weir && is_well && i < OUTAGE_INSTANCES; i++)
    is_well = handle_open(fleet, i);
  for (size_t i = 0; is_well && i < OUTAGE_INSTANCES * OUTAGE_THREADS; i++)
    is_well = thread_start(fleet);
  return is_well;
}

void outage_fleet_stop(struct outage_fleet *fleet)
{
  pthread_mutex_lock(&fleet->lock);
  fleet->is_ended = true;
  pthread_cond_broadcast(&fleet->ended);
  pthread_mutex_unlock(&fleet->lock);
  for (size_t i = 0; i < fleet->threads_count; i++)
    pthread_join(fleet->threads[i], NULL);
  fleet->threads_count = 0;
}

void outage_fleet_free(struct outage_fleet *fleet)
{
  outage_fleet_stop(fleet);
  for (size_t i = 0; i < OUTAGE_INSTANCES; i++)
    weir_close(fleet->handles[i]);
  free(fleet->calls);
  pthread_cond_destroy(&fleet->ended);
  pthread_mutex_destroy(&fleet->lock);
}

/* ---- somebody else ---- */

static void *spender_run(void *context)
{
  struct outage_plain plain;

  outage_plain_open(&plain, context);
  while (outage_plain_post(&plain, body_of_spender, 10000000) == 200)
    continue;
  outage_plain_close(&plain);
  return NULL;
}

void outage_spend(const char *base_url)
{
  pthread_t threads[SPENDERS];
  char url[64];
  size_t count = 0;

  snprintf(url, sizeof(url), "%s", base_url);
  while (count < SPENDERS && pthread_create(&threads[count], NULL, spender_run, url) == 0)
    count++;
  while (count > 0)
    pthread_join(threads[--count], NULL);
}

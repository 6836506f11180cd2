/* managed.c - the same calls through libweir: one handle for all threads, nothing else to do. */
#include "clock.h"
#include "instance.h"

#include <weir.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct demo_managed {
  struct demo_instance *instance;
  struct weir *weir;
  char model[128]; /* "gemini/NAME" */
};

static void on_log(void *context, enum weir_level level, const char *text)
{
  struct demo_instance *instance = context;

  (void)level;
  demo_instance_note(instance, text);
}

struct demo_managed *demo_managed_new(struct demo_instance *instance)
{
  struct demo_managed *m = calloc(1, sizeof(*m));
  struct weir_options options = WEIR_INIT(struct weir_options);
  struct weir_provider provider = WEIR_INIT(struct weir_provider);
  char name[32];
  int err;

  if (!m)
    abort();
  snprintf(name, sizeof(name), "instance-%llu", (unsigned long long)instance->number + 1);
  snprintf(m->model, sizeof(m->model), "gemini/%s", instance->model);
  m->instance = instance;
  options.coordinator = instance->coordinator;
  options.name = name;
  options.log = on_log;
  options.log_context = instance;
  provider.name = "gemini";
  provider.base_url = instance->base_url;
  provider.key = DEMO_KEY;
  err = weir_open(&options, &m->weir);
  if (err == WEIR_OK)
    err = weir_provider_add(m->weir, &provider);
  if (err != WEIR_OK) {
    fprintf(stderr, "weir-demo-instance: libweir: %s\n", weir_error_text(err));
    demo_managed_free(m);
    return NULL;
  }
  return m;
}

void demo_managed_free(struct demo_managed *managed)
{
  if (!managed)
    return;
  weir_close(managed->weir);
  free(managed);
}

void demo_managed_call(struct demo_managed *managed, const struct demo_request *body,
                       struct demo_call *call)
{
  struct weir_request request = WEIR_INIT(struct weir_request);
  struct weir_response response = WEIR_INIT(struct weir_response);
  uint64_t wait_ms;
  int err;

  request.model = managed->model;
  request.body = body->body;
  request.body_size = body->size;
  request.work_class = WEIR_CLASS_ONLINE;
  request.max_wait_ms = managed->instance->max_wait_ms;
  err = weir_call(managed->weir, &request, &response);
  wait_ms = response.wait_us / 1000;
  call->is_ok = err == WEIR_OK;
  call->attempts = response.attempts;
  call->rejected_429 = response.http == 429;
  if (response.attempts > 0)
    call->t_sent_ms = demo_now_ms() - response.latency_us / 1000;
  if (wait_ms > 0)
    demo_call_wait(call, call->t_first_ms, call->t_first_ms + wait_ms);
  if (err == WEIR_OK || err == WEIR_EUPSTREAM)
    snprintf(call->outcome, sizeof(call->outcome), "%s", weir_outcome_text((int)response.outcome));
  else
    snprintf(call->outcome, sizeof(call->outcome), "%s", weir_error_text(err));
  if (err == WEIR_OK) {
    call->input_tokens = response.input_tokens;
    call->output_tokens = response.output_tokens;
  } else {
    demo_instance_note(managed->instance, response.error);
  }
  weir_response_free(&response);
}

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/err.h>
#include <weir/msg.h>
#include <weir/vocab.h>

#include "batch_file.h"
#include "batch_work.h"
#include "cli.h"

#define STACK_SIZE ((size_t)1 << 20)
#define PAUSE_MS   1000

/* What to do with a call that has returned. */
enum ending {
  ENDING_RESULT = 1, /* write it */
  ENDING_AGAIN,      /* nothing was sent; soon there may be room */
  ENDING_LEAVE,      /* nothing was sent; the line is left for another run */
  ENDING_STOP        /* the same, and no other line would fare better */
};

struct worker {
  struct weir_batch_work *work;
  char *line;
  size_t line_capacity;
  struct weir_batch_request request;
  char denial[WEIR_BATCH_FAULT_MAX];
};

static void wake(struct weir_batch_work *work)
{
  uint64_t one = 1;

  if (write(work->wake_fd, &one, sizeof(one)) < 0) {
    /* The counter is at its maximum: whoever waits is awake. */
  }
}

/* The lock is held. */
static void stop_locked(struct weir_batch_work *work, int result, const char *reason)
{
  work->is_stopping = true;
  if (reason && work->reason[0] == '\0') {
    work->result = result;
    snprintf(work->reason, sizeof(work->reason), "%s", reason);
  }
}

void weir_batch_work_stop(struct weir_batch_work *work, int result, const char *reason)
{
  pthread_mutex_lock(&work->lock);
  stop_locked(work, result, reason);
  pthread_mutex_unlock(&work->lock);
  wake(work);
}

static struct weir_batch_entry *entry_take(struct weir_batch_work *work)
{
  struct weir_batch_entry *entry = NULL;

  pthread_mutex_lock(&work->lock);
  while (!work->is_stopping && !entry && work->next < work->index->count) {
    entry = &work->index->entries[work->next++];
    if (entry->state != WEIR_BATCH_PENDING)
      entry = NULL;
  }
  work->inflight += entry != NULL;
  pthread_mutex_unlock(&work->lock);
  return entry;
}

/* ---- One call ------------------------------------------------------------------------------ */

static bool is_about_account(enum weir_outcome outcome)
{
  return outcome == WEIR_OUTCOME_AUTH || outcome == WEIR_OUTCOME_BILLING ||
         outcome == WEIR_OUTCOME_QUOTA_SPEND || outcome == WEIR_OUTCOME_QUOTA_DAY_REQUESTS ||
         outcome == WEIR_OUTCOME_QUOTA_DAY_TOKENS;
}

static bool may_pass(enum weir_outcome outcome)
{
  return outcome == WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS ||
         outcome == WEIR_OUTCOME_QUOTA_MINUTE_TOKENS || outcome == WEIR_OUTCOME_RAMP_LIMIT ||
         outcome == WEIR_OUTCOME_CAPACITY_THROTTLE || outcome == WEIR_OUTCOME_OVERLOADED ||
         outcome == WEIR_OUTCOME_SERVER_ERROR || outcome == WEIR_OUTCOME_DEADLINE ||
         outcome == WEIR_OUTCOME_NETWORK;
}

static enum ending denial_judge(struct worker *worker, const struct weir_response *response,
                                struct weir_batch_result *result)
{
  weir_denial_text(&response->denied, worker->denial, sizeof(worker->denial));
  result->message = worker->denial;
  switch (response->denied.why) {
  case WEIR_DENIAL_TOO_LARGE:
    result->code = weir_denial_name(response->denied.why);
    return ENDING_RESULT;
  case WEIR_DENIAL_QUEUE_FULL:
  case WEIR_DENIAL_CLOSED:
  case WEIR_DENIAL_OPEN:
  case WEIR_DENIAL_RETRIES:
    return ENDING_AGAIN;
  case WEIR_DENIAL_NO_POOL:
  case WEIR_DENIAL_DEADLINE:
  case WEIR_DENIAL_FINISHED:
  case WEIR_DENIAL_BUSY:
  case WEIR_DENIAL_MAX:
    break;
  }
  return ENDING_STOP;
}

/* A call that reached the provider and failed has a result; one that did not is left for another
 * run, since nothing was learnt about the line. */
static enum ending call_judge(struct worker *worker, int err, const struct weir_response *response,
                              struct weir_batch_result *result)
{
  *result = (struct weir_batch_result){
      .is_ok = err == WEIR_OK,
      .is_retryable = may_pass(response->outcome),
      .http = (int)response->http,
      .code = weir_outcome_name(response->outcome),
      .message = response->error,
      .body = response->body,
      .body_size = response->body_size,
      .attempts = response->attempts,
  };
  switch (err) {
  case WEIR_OK:
    return ENDING_RESULT;
  case WEIR_EUPSTREAM:
    if (is_about_account(response->outcome))
      return ENDING_STOP;
    result->message = NULL; /* the provider's own words are better */
    return ENDING_RESULT;
  case WEIR_EDENIED:
    return response->attempts > 0 ? ENDING_RESULT : denial_judge(worker, response, result);
  case WEIR_ENETWORK:
    result->code = weir_outcome_name(WEIR_OUTCOME_NETWORK);
    result->is_retryable = true;
    return ENDING_RESULT;
  case WEIR_ETIMEOUT:
    return response->attempts > 0 ? ENDING_RESULT : ENDING_STOP;
  case WEIR_ECANCELLED:
  case WEIR_ECLOSED:
    return ENDING_LEAVE; /* it waited for its first lease, or for that of a new attempt */
  case WEIR_ERANGE:
  case WEIR_ESYNTAX:
    result->code = weir_outcome_name(WEIR_OUTCOME_BAD_REQUEST);
    return ENDING_RESULT;
  case WEIR_EFULL:
    return ENDING_AGAIN;
  default:
    return ENDING_STOP; /* unreachable, configuration, memory, threads */
  }
}

static void stop_because(struct worker *worker, const struct weir_batch_entry *entry, int err,
                         const struct weir_response *response,
                         const struct weir_batch_result *result)
{
  const char *what = result->message && result->message[0] ? result->message : weir_error_text(err);
  char reason[WEIR_BATCH_FAULT_MAX];

  snprintf(reason, sizeof(reason), "%.150s:%" PRIu32 ": %s%s%.300s", worker->work->input_path,
           entry->line, response->outcome > WEIR_OUTCOME_OK ? result->code : "",
           response->outcome > WEIR_OUTCOME_OK ? ": " : "", what);
  weir_batch_work_stop(worker->work, err == WEIR_EUNREACHABLE ? WEIR_CLI_UNREACHABLE : WEIR_CLI_BAD,
                       reason);
}

static bool is_stopping(struct weir_batch_work *work)
{
  bool is_stopping;

  pthread_mutex_lock(&work->lock);
  is_stopping = work->is_stopping;
  pthread_mutex_unlock(&work->lock);
  return is_stopping;
}

/* Waits a second, or less when the run ends; the lock is not held. */
static bool pause_or_stop(struct weir_batch_work *work)
{
  poll(NULL, 0, PAUSE_MS);
  return is_stopping(work);
}

/* Whether the end of the run, and nothing else, took a failed line its next attempt: then the next
 * run makes it, as if this one had gone on. */
static bool is_cut_short(struct weir_batch_work *work, const struct weir_response *response,
                         const struct weir_batch_result *result)
{
  return result->is_retryable && response->attempts <= work->retries && is_stopping(work);
}

/* ---- Writing ------------------------------------------------------------------------------- */

static bool is_full(int error)
{
  return error == ENOSPC || error == EDQUOT;
}

/* Appends the line; a full disk is waited for, since the result is paid: also when the run stops,
 * until its grace is over. */
static void result_append(struct weir_batch_work *work, struct weir_batch_entry *entry,
                          const struct weir_jsonout *out)
{
  bool is_written = false, may_go_on = true;

  while (!is_written && may_go_on) {
    pthread_mutex_lock(&work->lock);
    is_written = weir_batch_output_append(work->output, entry, out->bytes, out->size);
    if (!is_written && !is_full(errno)) {
      char reason[WEIR_BATCH_FAULT_MAX];

      snprintf(reason, sizeof(reason), "%.300s: %s; a finished result is lost", work->output->path,
               strerror(errno));
      stop_locked(work, WEIR_CLI_BAD, reason);
      may_go_on = false;
    }
    work->is_waiting = !is_written && may_go_on;
    pthread_mutex_unlock(&work->lock);
    if (!is_written && may_go_on) {
      wake(work);
      poll(NULL, 0, PAUSE_MS);
    }
  }
}

static void result_write(struct weir_batch_work *work, const struct weir_batch_request *request,
                         struct weir_batch_entry *entry, const struct weir_batch_result *result)
{
  struct weir_jsonout out = {0};

  weir_batch_result_write(&out, request, entry->line, result);
  if (out.is_failed) {
    weir_batch_work_stop(work, WEIR_CLI_BAD, "out of memory; a finished result is lost");
    weir_jsonout_free(&out);
    return;
  }
  result_append(work, entry, &out);
  weir_jsonout_free(&out);

  pthread_mutex_lock(&work->lock);
  if (entry->result_size > 0) {
    entry->state = result->is_ok          ? WEIR_BATCH_OK
                   : result->is_retryable ? WEIR_BATCH_RETRYABLE
                                          : WEIR_BATCH_FAILED;
    work->tally.done++;
    work->tally.failed += !result->is_ok;
  }
  pthread_mutex_unlock(&work->lock);
}

/* What was sent counts, whatever becomes of the line. */
static void sent_tally(struct weir_batch_work *work, const struct weir_response *response)
{
  pthread_mutex_lock(&work->lock);
  work->tally.attempts += response->attempts;
  work->tally.input_tokens += response->input_tokens;
  work->tally.output_tokens += response->output_tokens;
  pthread_mutex_unlock(&work->lock);
}

/* ---- Threads ------------------------------------------------------------------------------- */

/* At least 1: none would be the library's default. */
static uint64_t left_ms(uint64_t deadline_us)
{
  const uint64_t now_us = weir_cli_now_us();

  return deadline_us > now_us + 1000 ? (deadline_us - now_us) / 1000 : 1;
}

/* Makes the call for |entry| until it has an ending. */
static void entry_call(struct worker *worker, struct weir_batch_entry *entry)
{
  struct weir_batch_work *work = worker->work;
  struct weir_request request = WEIR_INIT(struct weir_request);
  uint64_t deadline_us = weir_cli_now_us() + work->max_wait_ms * 1000;
  char model[WEIR_NAME_SIZE];
  enum ending ending;

  if (!weir_batch_target_model(work->target, &worker->request, model))
    return; /* the index has refused such a line */
  request.model = model;
  request.path = worker->request.url[0] != '\0' ? worker->request.url : NULL;
  request.body = worker->line + worker->request.body_begin;
  request.body_size = worker->request.body_end - worker->request.body_begin;
  request.work_class = work->work_class;
  request.tenant = work->tenant;
  request.timeout_ms = work->timeout_ms;
  request.tag = worker->request.id;
  do {
    struct weir_response response = WEIR_INIT(struct weir_response);
    struct weir_batch_result result;
    int err;

    request.max_wait_ms = left_ms(deadline_us);
    err = weir_call(work->weir, &request, &response);
    ending = call_judge(worker, err, &response, &result);
    sent_tally(work, &response);
    if (ending == ENDING_AGAIN && left_ms(deadline_us) <= PAUSE_MS)
      ending = ENDING_STOP;
    if (ending == ENDING_RESULT && is_cut_short(work, &response, &result))
      ending = ENDING_LEAVE;
    if (ending == ENDING_RESULT)
      result_write(work, &worker->request, entry, &result);
    else if (ending == ENDING_STOP)
      stop_because(worker, entry, err, &response, &result);
    weir_response_free(&response);
  } while (ending == ENDING_AGAIN && !pause_or_stop(work));
}

static bool entry_load(struct worker *worker, const struct weir_batch_entry *entry)
{
  char reason[WEIR_BATCH_FAULT_MAX], why[WEIR_BATCH_REASON_MAX];

  if (!weir_batch_load(worker->work->input_fd, entry->offset, entry->size, &worker->line,
                       &worker->line_capacity))
    snprintf(reason, sizeof(reason), "%.300s:%" PRIu32 ": %s", worker->work->input_path,
             entry->line, strerror(errno));
  else if (!weir_batch_request_parse(worker->line, entry->size, &worker->request, why) ||
           weir_batch_id_hash(worker->request.id) != entry->hash)
    snprintf(reason, sizeof(reason), "%.300s:%" PRIu32 ": the file was changed while it was read",
             worker->work->input_path, entry->line);
  else
    return true;
  weir_batch_work_stop(worker->work, WEIR_CLI_BAD, reason);
  return false;
}

static void *worker_main(void *context)
{
  struct worker *worker = context;
  struct weir_batch_work *work = worker->work;
  struct weir_batch_entry *entry;

  while ((entry = entry_take(work)) != NULL) {
    if (entry_load(worker, entry))
      entry_call(worker, entry);
    pthread_mutex_lock(&work->lock);
    work->inflight--;
    pthread_mutex_unlock(&work->lock);
    wake(work);
  }
  pthread_mutex_lock(&work->lock);
  work->threads--;
  pthread_mutex_unlock(&work->lock);
  wake(work);
  free(worker->line);
  free(worker);
  return NULL;
}

bool weir_batch_work_start(struct weir_batch_work *work, uint32_t parallel)
{
  pthread_attr_t attributes;

  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_SIZE);
  pthread_mutex_lock(&work->lock);
  for (uint32_t i = 0; i < parallel; i++) {
    struct worker *worker = calloc(1, sizeof(*worker));

    if (!worker)
      break;
    worker->work = work;
    if (pthread_create(&work->handles[work->handles_count], &attributes, worker_main, worker) !=
        0) {
      free(worker);
      break;
    }
    work->handles_count++;
    work->threads++;
  }
  pthread_mutex_unlock(&work->lock);
  pthread_attr_destroy(&attributes);
  return work->handles_count > 0;
}

void weir_batch_work_join(struct weir_batch_work *work)
{
  for (uint32_t i = 0; i < work->handles_count; i++)
    pthread_join(work->handles[i], NULL);
  work->handles_count = 0;
}

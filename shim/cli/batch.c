/* batch.c - `weir batch`: runs a file of requests through the quota, resumable at any point. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <weir/err.h>
#include <weir/scrub.h>
#include <weir/vocab.h>

#include <weir.h>

#include "batch_index.h"
#include "batch_options.h"
#include "batch_output.h"
#include "batch_progress.h"
#include "batch_work.h"
#include "cli.h"
#include "jsonout.h"
#include "view.h"

#define BAD_SHOWN_MAX 20
#define LOOK_MS       200 /* between looks at the progress */

struct batch {
  struct weir_batch_options options;
  int input_fd, signal_fd, call_log_fd;
  bool is_interrupted, is_warned, has_call_log_failed;
  uint64_t warned_us; /* when a warning was shown last */
  uint32_t before;    /* results of earlier runs */
  uint64_t begun_us;
  struct weir_batch_index index;
  struct weir_batch_output output;
  struct weir_batch_work work;
  struct weir_batch_progress progress;
  struct weir_view_data view;
  char fault[WEIR_BATCH_FAULT_MAX];
};

static const struct weir_cli_command *const self = &weir_cli_batch_command;

static int fault(const struct batch *batch)
{
  weir_cli_error(self, "%s", batch->fault);
  return WEIR_CLI_BAD;
}

/* ---- Before the run ------------------------------------------------------------------------ */

static int input_read(struct batch *batch)
{
  enum weir_err err;

  batch->input_fd = open(batch->options.input, O_RDONLY | O_CLOEXEC);
  if (batch->input_fd < 0 || lseek(batch->input_fd, 0, SEEK_CUR) < 0) {
    weir_cli_error(self, "%s: %s", batch->options.input,
                   errno == ESPIPE ? "is not a regular file; save it to one first"
                                   : strerror(errno));
    return WEIR_CLI_BAD;
  }
  weir_batch_index_init(&batch->index, batch->input_fd, weir_batch_target_check,
                        &batch->options.target);
  err = weir_batch_index_read(&batch->index);
  if (err) {
    weir_cli_error(self, "%s: %s", batch->options.input,
                   err == WEIR_ESYSTEM ? strerror(errno) : weir_err_text((int)err));
    return WEIR_CLI_BAD;
  }
  return WEIR_CLI_FINE;
}

/* Shows the lines that cannot be sent; without --skip-bad nothing is sent at all. */
static int bad_show(struct batch *batch)
{
  char reason[WEIR_BATCH_REASON_MAX];
  uint32_t shown = 0;

  for (uint32_t i = 0; i < batch->index.count && shown < BAD_SHOWN_MAX; i++) {
    const struct weir_batch_entry *entry = &batch->index.entries[i];

    if (entry->state != WEIR_BATCH_BAD)
      continue;
    weir_batch_index_reason(&batch->index, entry, reason);
    fprintf(stderr, "%s:%" PRIu32 ": %s\n", batch->options.input, entry->line, reason);
    shown++;
  }
  if (batch->index.bad_count > shown)
    fprintf(stderr, "%s: and %" PRIu32 " more\n", batch->options.input,
            batch->index.bad_count - shown);
  if (batch->index.bad_count == 0 || batch->options.skips_bad)
    return WEIR_CLI_FINE;
  weir_cli_error(self,
                 "%" PRIu32 " of %" PRIu32 " lines cannot be sent, so nothing was; fix them, or "
                 "pass them over with --skip-bad",
                 batch->index.bad_count, batch->index.count);
  return WEIR_CLI_BAD;
}

/* Writes the lines that cannot be sent to the output, but for those that an earlier run wrote. */
static bool bad_write(struct batch *batch)
{
  char reason[WEIR_BATCH_REASON_MAX];

  for (uint32_t i = 0; i < batch->index.count; i++) {
    struct weir_batch_entry *entry = &batch->index.entries[i];
    struct weir_jsonout out = {0};
    bool is_fine;

    if (entry->state != WEIR_BATCH_BAD || entry->result_size > 0)
      continue;
    weir_batch_index_reason(&batch->index, entry, reason);
    weir_batch_reason_write(&out, entry->line, reason);
    errno = ENOMEM;
    is_fine =
        !out.is_failed && weir_batch_output_append(&batch->output, entry, out.bytes, out.size);
    weir_jsonout_free(&out);
    if (!is_fine) {
      snprintf(batch->fault, sizeof(batch->fault), "%.300s: %s", batch->options.output,
               strerror(errno));
      return false;
    }
  }
  return true;
}

static uint32_t count_state(const struct batch *batch, enum weir_batch_state state)
{
  uint32_t count = 0;

  for (uint32_t i = 0; i < batch->index.count; i++)
    count += batch->index.entries[i].state == state;
  return count;
}

static int output_prepare(struct batch *batch)
{
  if (!weir_batch_output_open(&batch->output, batch->options.output, batch->input_fd,
                              batch->fault) ||
      !weir_batch_output_resume(&batch->output, &batch->index, batch->fault) ||
      ((batch->options.retries_failed || batch->output.is_outdated) &&
       !weir_batch_output_rewrite(&batch->output, &batch->index, batch->options.retries_failed,
                                  batch->fault)) ||
      !bad_write(batch))
    return fault(batch);
  batch->before =
      batch->index.count - batch->index.bad_count - count_state(batch, WEIR_BATCH_PENDING);
  return WEIR_CLI_FINE;
}

static int coordinator_find(struct batch *batch)
{
  enum weir_err err = weir_view_get(batch->options.endpoint, WEIR_VIEW_TIMEOUT_MS, 0, &batch->view);

  /* Without the right to look no limit is shown; to ask is another right. */
  if (!err || err == WEIR_EDENIED)
    return WEIR_CLI_FINE;
  if (err == WEIR_ECONFIG || err == WEIR_EKEY)
    return weir_view_failed(self, batch->options.endpoint, WEIR_VIEW_TIMEOUT_MS, err);
  weir_cli_error(self,
                 "no answer from the coordinator at %s (%s); check that weir-coordinator runs and "
                 "that --coordinator or WEIR_COORDINATOR names its endpoint",
                 batch->options.endpoint, weir_err_text((int)err));
  return WEIR_CLI_UNREACHABLE;
}

static int provider_add(struct batch *batch, const char *name, const char *kind)
{
  struct weir_provider provider = WEIR_INIT(struct weir_provider);
  char url[256];
  int err;

  provider.name = name;
  provider.kind = kind;
  provider.base_url = batch->options.base_url;
  provider.key_env = batch->options.key_env;
  provider.keys = batch->options.keys;
  err = weir_provider_add(batch->work.weir, &provider);
  if (err == WEIR_OK)
    return WEIR_CLI_FINE;
  snprintf(url, sizeof(url), "%s", batch->options.base_url ? batch->options.base_url : "");
  weir_scrub(url); /* it may hold a password */
  return weir_cli_usage(self, "provider '%s'%s%s: %s", name, url[0] ? " at " : "", url,
                        weir_error_text(err));
}

/* Shows what the library tells: errors always; warnings, of which there may be one per request, at
 * most once a second; and that all is well again after a warning. Called from any thread. */
static void log_line(void *context, enum weir_level level, const char *text)
{
  struct batch *batch = context;
  uint64_t now_us = weir_cli_now_us();
  bool is_shown = level == WEIR_LEVEL_ERROR;

  pthread_mutex_lock(&batch->work.lock);
  if (level == WEIR_LEVEL_WARNING && now_us - batch->warned_us >= 1000000) {
    is_shown = true;
    batch->warned_us = now_us;
    batch->is_warned = true;
  } else if (level == WEIR_LEVEL_INFO) {
    is_shown = batch->is_warned;
    batch->is_warned = false;
  }
  pthread_mutex_unlock(&batch->work.lock);
  if (!is_shown)
    return;
  weir_batch_progress_clear(&batch->progress);
  weir_cli_error(self, "%s", text);
}

/* Appends a line in one piece, so that those of several threads, or runs, do not mix. Called from
 * any thread. */
static void call_line(void *context, const char *line)
{
  struct batch *batch = context;
  char text[1100];
  const int size = snprintf(text, sizeof(text), "%s\n", line);
  bool is_first;

  if (write(batch->call_log_fd, text, (size_t)size) == size)
    return;
  pthread_mutex_lock(&batch->work.lock);
  is_first = !batch->has_call_log_failed;
  batch->has_call_log_failed = true;
  pthread_mutex_unlock(&batch->work.lock);
  if (!is_first)
    return;
  weir_batch_progress_clear(&batch->progress);
  weir_cli_error(self, "%s: %s; lines of the call log are lost", batch->options.call_log,
                 strerror(errno));
}

static bool call_log_open(struct batch *batch, struct weir_options *open_options)
{
  if (!batch->options.call_log)
    return true;
  batch->call_log_fd =
      open(batch->options.call_log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (batch->call_log_fd < 0) {
    weir_cli_error(self, "%s: %s", batch->options.call_log, strerror(errno));
    return false;
  }
  open_options->call_log = call_line;
  open_options->call_log_context = batch;
  return true;
}

static int library_open(struct batch *batch)
{
  struct weir_options open_options = WEIR_INIT(struct weir_options);
  static const char *const names[] = {"gemini", "openai", "anthropic"};
  int err, result = WEIR_CLI_FINE;

  open_options.coordinator = batch->options.endpoint;
  open_options.retries_max = (uint32_t)batch->options.retries;
  open_options.is_without_retries = batch->options.retries == 0;
  open_options.log = log_line;
  open_options.log_context = batch;
  if (!call_log_open(batch, &open_options))
    return WEIR_CLI_BAD;
  err = weir_open(&open_options, &batch->work.weir);
  if (err != WEIR_OK) {
    weir_cli_error(self, "cannot start: %s", weir_error_text(err));
    return WEIR_CLI_BAD;
  }
  if (batch->options.target.provider)
    return provider_add(batch, batch->options.target.provider,
                        weir_provider_kind_name(batch->options.target.kind));
  for (size_t i = 0; result == WEIR_CLI_FINE &&
                     (batch->options.base_url || batch->options.key_env || batch->options.keys) &&
                     i < sizeof(names) / sizeof(names[0]);
       i++)
    result = provider_add(batch, names[i], names[i]);
  return result;
}

static bool is_pace(const struct weir_msg_row_limit *limit)
{
  return limit->window_us == 60000000 && !limit->is_shadow &&
         limit->dimension != WEIR_DIMENSION_SPEND;
}

/* The limit per minute to compare the pace with: of tokens, or else of requests. */
static const struct weir_msg_row_limit *limit_find(const struct weir_msg_row *pool)
{
  const struct weir_msg_row_limit *found = NULL;

  for (uint32_t i = 0; i < pool->limits_count; i++)
    if (is_pace(&pool->limits[i]) && (!found || found->dimension == WEIR_DIMENSION_REQUESTS))
      found = &pool->limits[i];
  return found;
}

/* Asks for a lease on |model| and gives it back: which pool has it? It may be full just now, and
 * tell all the same. */
static int pool_find(struct batch *batch, const char *model, char ret_pool[WEIR_POOL_NAME_SIZE])
{
  struct weir_ask ask = WEIR_INIT(struct weir_ask);
  struct weir_lease lease = WEIR_INIT(struct weir_lease);
  int err;

  ask.model = model;
  ask.work_class = batch->options.work_class;
  ask.tenant = batch->options.tenant;
  ask.max_wait_ms = 5000;
  ask.is_immediate = 1;
  err = weir_acquire(batch->work.weir, &ask, &lease);
  if (err == WEIR_OK && weir_settle(batch->work.weir, &lease, NULL) != WEIR_OK)
    return WEIR_EINVAL;
  snprintf(ret_pool, WEIR_POOL_NAME_SIZE, "%s", err == WEIR_OK ? lease.pool : lease.denied.pool);
  if (err == WEIR_EDENIED && lease.denied.why != WEIR_DENIAL_NO_POOL)
    return WEIR_OK;
  return err;
}

/* Looks at the first line to send before any is sent: does the coordinator know its model? */
static int first_probe(struct batch *batch)
{
  char pool[WEIR_POOL_NAME_SIZE], model[WEIR_NAME_SIZE], reason[WEIR_BATCH_REASON_MAX];
  struct weir_batch_request request;
  const struct weir_batch_entry *entry = NULL;
  int err;

  for (uint32_t i = 0; !entry && i < batch->index.count; i++)
    if (batch->index.entries[i].state == WEIR_BATCH_PENDING)
      entry = &batch->index.entries[i];
  if (!entry || !weir_batch_index_load(&batch->index, entry, &request, reason) ||
      !weir_batch_target_model(&batch->options.target, &request, model))
    return WEIR_CLI_FINE;
  err = pool_find(batch, model, pool);
  if (err == WEIR_EDENIED) {
    weir_cli_error(self,
                   "%s:%" PRIu32
                   ": the coordinator has no pool for '%s'; add it to 'models' in its "
                   "configuration, or name what it has ('weir stats') with --model or --route",
                   batch->options.input, entry->line, model);
    return WEIR_CLI_BAD;
  }
  if (err != WEIR_OK) {
    weir_cli_error(self, "no lease from the coordinator at %s: %s", batch->options.endpoint,
                   weir_error_text(err));
    return err == WEIR_EUNREACHABLE ? WEIR_CLI_UNREACHABLE : WEIR_CLI_BAD;
  }
  for (uint32_t i = 0; i < batch->view.pools_count; i++)
    if (strcmp(batch->view.pools[i].pool, pool) == 0)
      batch->progress.limit = limit_find(&batch->view.pools[i]);
  return WEIR_CLI_FINE;
}

/* ---- The summary for machines ------------------------------------------------------------- */

static void summary_json(const struct batch *batch, int result)
{
  const struct weir_batch_tally *tally = &batch->work.tally;
  struct weir_jsonout out = {0};

  weir_jsonout_object(&out, NULL);
  weir_jsonout_text(&out, "input", batch->options.input);
  weir_jsonout_text(&out, "output", batch->options.output);
  weir_jsonout_uint(&out, "lines", batch->index.count);
  weir_jsonout_uint(&out, "bad", batch->index.bad_count);
  weir_jsonout_uint(&out, "before", batch->before);
  weir_jsonout_uint(&out, "done", tally->done);
  weir_jsonout_uint(&out, "failed", tally->failed);
  weir_jsonout_uint(&out, "left", count_state(batch, WEIR_BATCH_PENDING));
  weir_jsonout_uint(&out, "failed_in_output",
                    count_state(batch, WEIR_BATCH_FAILED) +
                        count_state(batch, WEIR_BATCH_RETRYABLE));
  weir_jsonout_uint(&out, "attempts", tally->attempts);
  weir_jsonout_uint(&out, "input_tokens", tally->input_tokens);
  weir_jsonout_uint(&out, "output_tokens", tally->output_tokens);
  weir_jsonout_seconds(&out, "elapsed_s",
                       batch->begun_us > 0 ? weir_cli_now_us() - batch->begun_us : 0);
  weir_jsonout_bool(&out, "interrupted", batch->is_interrupted);
  weir_jsonout_text(&out, "stopped_because", batch->work.reason[0] ? batch->work.reason : NULL);
  weir_jsonout_uint(&out, "exit", (uint64_t)result);
  weir_jsonout_object_end(&out);
  weir_jsonout_newline(&out);
  weir_jsonout_print(&out);
}

/* ---- The run ------------------------------------------------------------------------------- */

/* What another second of waiting cannot bring back is given up. The lock keeps a result that is
 * being written whole. */
static void give_up(struct batch *batch)
{
  int result = WEIR_CLI_BAD;

  pthread_mutex_lock(&batch->work.lock);
  if (batch->is_interrupted)
    result = WEIR_CLI_INTERRUPTED;
  else if (batch->work.result != 0)
    result = batch->work.result;
  weir_batch_progress_clear(&batch->progress);
  weir_cli_error(self,
                 "stopped with %" PRIu32 " requests under way, which may be billed; run the same "
                 "command again to resume",
                 batch->work.inflight);
  if (batch->work.reason[0] != '\0')
    weir_cli_error(self, "stopped: %s", batch->work.reason);
  if (fsync(batch->output.fd) != 0)
    weir_cli_error(self, "%s: %s", batch->options.output, strerror(errno));
  if (batch->options.is_json)
    summary_json(batch, result);
  (void)weir_cli_flush(); /* the exit code says more */
  _exit(result);
}

/* Takes a signal; the second one means now. */
static void signal_take(struct batch *batch)
{
  struct signalfd_siginfo info;

  if (read(batch->signal_fd, &info, sizeof(info)) != sizeof(info))
    return;
  if (batch->is_interrupted)
    give_up(batch);
  batch->is_interrupted = true;
  weir_batch_work_stop(&batch->work, 0, NULL);
  weir_batch_progress_clear(&batch->progress);
  fputs("weir batch: interrupted; waiting for requests under way (again to stop now)\n", stderr);
}

/* Waits until all threads have ended, and shows how far they are. */
static void watch(struct batch *batch)
{
  struct pollfd fds[] = {{.fd = batch->signal_fd, .events = POLLIN},
                         {.fd = batch->work.wake_fd, .events = POLLIN}};
  uint64_t deadline_us = UINT64_MAX, ignored;
  bool is_over = false, is_drained = false, was_waiting = false;

  while (!is_over) {
    struct weir_batch_tally tally;
    bool is_stopping, is_waiting;
    uint64_t now_us;

    if (poll(fds, 2, LOOK_MS) > 0) {
      if (fds[0].revents)
        signal_take(batch);
      if (fds[1].revents && read(batch->work.wake_fd, &ignored, sizeof(ignored)) < 0)
        continue;
    }
    now_us = weir_cli_now_us();
    pthread_mutex_lock(&batch->work.lock);
    tally = batch->work.tally;
    is_stopping = batch->work.is_stopping;
    is_waiting = batch->work.is_waiting;
    is_over = batch->work.threads == 0;
    pthread_mutex_unlock(&batch->work.lock);
    if (is_stopping && !is_drained) {
      weir_drain(batch->work.weir);
      deadline_us = now_us + batch->options.grace_ms * 1000;
      is_drained = true;
    }
    if (is_waiting && !was_waiting) {
      weir_batch_progress_clear(&batch->progress);
      weir_cli_error(self, "%s: the disk is full; finished results wait until there is space",
                     batch->options.output);
    }
    was_waiting = is_waiting;
    weir_batch_progress_show(&batch->progress, &tally, now_us, is_over);
    if (!is_over && now_us > deadline_us)
      give_up(batch);
  }
}

static int lines_run(struct batch *batch)
{
  sigset_t signals;
  struct weir_batch_work *work = &batch->work;

  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, NULL);
  batch->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  work->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (batch->signal_fd < 0 || work->wake_fd < 0) {
    weir_cli_error(self, "cannot start: %s", strerror(errno));
    return WEIR_CLI_BAD;
  }
  work->target = &batch->options.target;
  work->input_path = batch->options.input;
  work->input_fd = batch->input_fd;
  work->max_wait_ms = batch->options.max_wait_ms;
  work->timeout_ms = batch->options.timeout_ms;
  work->retries = (uint32_t)batch->options.retries;
  work->work_class = batch->options.work_class;
  work->tenant = batch->options.tenant;
  work->index = &batch->index;
  work->output = &batch->output;
  batch->progress.is_silent = batch->options.is_quiet;
  batch->progress.is_terminal = isatty(STDERR_FILENO);
  batch->progress.total = batch->index.count - batch->index.bad_count;
  batch->progress.before = batch->before;
  batch->progress.begun_us = batch->progress.shown_us = batch->begun_us = weir_cli_now_us();
  if (!weir_batch_work_start(work, (uint32_t)batch->options.parallel)) {
    weir_cli_error(self, "the system refuses threads; try a smaller --parallel");
    return WEIR_CLI_BAD;
  }
  watch(batch);
  weir_batch_work_join(work);
  return WEIR_CLI_FINE;
}

/* ---- After the run ------------------------------------------------------------------------- */

static void summary_text(const struct batch *batch)
{
  uint32_t left = count_state(batch, WEIR_BATCH_PENDING);
  uint32_t retryable = count_state(batch, WEIR_BATCH_RETRYABLE);
  uint32_t failed = count_state(batch, WEIR_BATCH_FAILED);

  if (batch->work.reason[0] != '\0')
    weir_cli_error(self, "stopped: %s", batch->work.reason);
  if (left > 0)
    weir_cli_error(self, "lines left: %" PRIu32 "; run the same command again to resume", left);
  if (retryable > 0)
    weir_cli_error(self,
                   "lines that failed but may pass later: %" PRIu32 "; add --retry-failed to send "
                   "them again",
                   retryable);
  if (failed > 0)
    weir_cli_error(self, "lines that failed for good: %" PRIu32 "; see \"error\" in %s", failed,
                   batch->options.output);
}

/* Puts the finished output in order, tells how it went, and decides the exit code. */
static int finish(struct batch *batch)
{
  uint32_t left = count_state(batch, WEIR_BATCH_PENDING);
  int result = WEIR_CLI_FINE;
  bool is_fine = true;

  if (batch->options.is_in_order && left == 0)
    is_fine = weir_batch_output_rewrite(&batch->output, &batch->index, false, batch->fault);
  is_fine = weir_batch_output_close(&batch->output, batch->fault) && is_fine;
  if (left > 0 || !is_fine || batch->index.bad_count > 0 ||
      count_state(batch, WEIR_BATCH_FAILED) + count_state(batch, WEIR_BATCH_RETRYABLE) > 0)
    result = WEIR_CLI_BAD;
  if (batch->work.result != 0)
    result = batch->work.result;
  if (batch->is_interrupted && left > 0)
    result = WEIR_CLI_INTERRUPTED;
  if (!is_fine)
    fault(batch);
  summary_text(batch);
  if (batch->options.is_json)
    summary_json(batch, result);
  return result;
}

static int batch_run(struct batch *batch)
{
  int result = input_read(batch);

  if (result == WEIR_CLI_FINE)
    result = bad_show(batch);
  if (result == WEIR_CLI_FINE)
    result = output_prepare(batch);
  if (result == WEIR_CLI_FINE && count_state(batch, WEIR_BATCH_PENDING) > 0) {
    result = coordinator_find(batch);
    if (result == WEIR_CLI_FINE)
      result = library_open(batch);
    if (result == WEIR_CLI_FINE)
      result = first_probe(batch);
    if (result == WEIR_CLI_FINE)
      result = lines_run(batch);
  }
  return result == WEIR_CLI_FINE ? finish(batch) : result;
}

static void batch_free(struct batch *batch)
{
  char ignored[WEIR_BATCH_FAULT_MAX];

  weir_close(batch->work.weir);
  weir_batch_output_close(&batch->output, ignored);
  weir_batch_index_fini(&batch->index);
  weir_view_free(&batch->view);
  if (batch->input_fd >= 0)
    close(batch->input_fd);
  if (batch->signal_fd >= 0)
    close(batch->signal_fd);
  if (batch->call_log_fd >= 0)
    close(batch->call_log_fd);
  if (batch->work.wake_fd >= 0)
    close(batch->work.wake_fd);
  pthread_mutex_destroy(&batch->work.lock);
  free(batch);
}

static int run(int argc, char **argv)
{
  struct batch *batch = calloc(1, sizeof(*batch));
  int result;

  if (!batch) {
    weir_cli_error(self, "out of memory");
    return WEIR_CLI_BAD;
  }
  batch->input_fd = batch->output.fd = batch->signal_fd = batch->work.wake_fd = -1;
  batch->call_log_fd = -1;
  pthread_mutex_init(&batch->work.lock, NULL);
  result = weir_batch_options_parse(&batch->options, argc, argv);
  if (result == WEIR_CLI_FINE)
    result = batch_run(batch);
  batch_free(batch);
  return result;
}

const struct weir_cli_command weir_cli_batch_command = {
    .name = "batch",
    .synopsis = "INPUT.jsonl -o OUTPUT.jsonl [OPTION...]",
    .summary = "run a file of requests within the quota, resumable",
    .text =
        "Each line of INPUT is a request: {\"custom_id\",\"method\",\"url\",\"body\"} as for "
        "OpenAI's\n"
        "batches, {\"key\",\"request\"} as for Gemini's, or {\"custom_id\",\"params\"} as for\n"
        "Anthropic's. Results go to OUTPUT in the same provider's form, one line each, as they\n"
        "come; when all are there they are put in the order of INPUT. Ctrl-C, a crash or a closed\n"
        "quota cost nothing: the same command goes on where it stopped.\n\n"
        "  GEMINI_API_KEY=... weir batch in.jsonl -o out.jsonl --model gemini-2.5-flash",
    .options = weir_batch_option_table,
    .run = run,
};

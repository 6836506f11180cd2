/* weir-demo-instance - one of the demo's instances: it runs every N-th request of the workload on
 * several threads, with weir or without, and writes a line for whatever happens (call.h). */
#include "instance.h"

#include "clock.h"

#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void demo_instance_report(struct demo_instance *instance, const struct demo_line *line)
{
  char text[DEMO_LINE_SIZE];
  size_t size = demo_line_format(line, text);

  (void)instance;
  /* A line is shorter than PIPE_BUF, so lines of many threads do not mix. */
  while (write(STDOUT_FILENO, text, size) < 0 && errno == EINTR)
    continue;
}

void demo_instance_note(struct demo_instance *instance, const char *text)
{
  struct demo_line line = {.type = DEMO_LINE_NOTE};

  snprintf(line.note, sizeof(line.note), "%s", text);
  demo_instance_report(instance, &line);
}

void demo_instance_waits(struct demo_instance *instance, int by)
{
  struct demo_line line = {.type = DEMO_LINE_WAITING};

  /* Counted and told in one step: the last line told is the last count. */
  pthread_mutex_lock(&instance->lock);
  instance->waiting = by > 0 ? instance->waiting + 1 : instance->waiting - 1;
  line.number = instance->waiting;
  demo_instance_report(instance, &line);
  pthread_mutex_unlock(&instance->lock);
}

void demo_call_wait(struct demo_call *call, uint64_t from_ms, uint64_t to_ms)
{
  if (call->waits_count < DEMO_WAITS_MAX)
    call->waits[call->waits_count++] = (struct demo_wait){from_ms, to_ms};
}

struct worker {
  pthread_t thread;
  struct demo_instance *instance;
  struct demo_naive *naive;
  struct demo_managed *managed;
};

/* The next request of this instance; false when all are taken. */
static bool take(struct demo_instance *instance, uint64_t *ret_index)
{
  bool is_taken;

  pthread_mutex_lock(&instance->lock);
  is_taken = instance->next < instance->workload.count;
  if (is_taken) {
    *ret_index = instance->next;
    instance->next += instance->instances;
  }
  pthread_mutex_unlock(&instance->lock);
  return is_taken;
}

static void *work(void *context)
{
  struct worker *w = context;
  struct demo_instance *instance = w->instance;
  uint64_t index;

  while (take(instance, &index)) {
    const struct demo_request *request = &instance->workload.requests[index];
    struct demo_line begin = {.type = DEMO_LINE_BEGIN, .number = index};
    struct demo_line end = {.type = DEMO_LINE_CALL};
    struct demo_call *call = &end.call;

    demo_instance_report(instance, &begin);
    call->index = index;
    call->t_first_ms = demo_now_ms();
    if (w->managed)
      demo_managed_call(w->managed, request, call);
    else
      demo_naive_call(w->naive, request, call);
    call->t_end_ms = demo_now_ms();
    if (call->t_sent_ms < call->t_first_ms) /* never sent */
      call->t_sent_ms = call->t_end_ms;
    call->wait_ms = (call->is_ok ? call->t_sent_ms : call->t_end_ms) - call->t_first_ms;
    demo_instance_report(instance, &end);
  }
  return NULL;
}

static int run(struct demo_instance *instance)
{
  struct demo_managed *managed = instance->is_weir ? demo_managed_new(instance) : NULL;
  struct worker *workers = calloc(instance->parallel, sizeof(*workers));
  struct weir_rng seeds;

  if (!workers)
    abort();
  if (instance->is_weir && !managed) {
    free(workers);
    return 1;
  }
  weir_rng_init(&seeds, instance->seed);
  for (uint64_t i = 0; i < instance->parallel; i++) {
    struct worker *w = &workers[i];

    w->instance = instance;
    w->managed = managed;
    if (!managed)
      w->naive = demo_naive_new(instance, weir_rng_next(&seeds));
    if (pthread_create(&w->thread, NULL, work, w) != 0) {
      fprintf(stderr, "weir-demo-instance: no thread %" PRIu64 " of %" PRIu64 "\n", i + 1,
              instance->parallel);
      exit(1);
    }
  }
  for (uint64_t i = 0; i < instance->parallel; i++) {
    pthread_join(workers[i].thread, NULL);
    demo_naive_free(workers[i].naive);
  }
  free(workers);
  demo_managed_free(managed);
  return 0;
}

static bool number(const char *text, uint64_t *ret_number)
{
  char *end;

  errno = 0;
  *ret_number = strtoull(text, &end, 10);
  return *text >= '0' && *text <= '9' && *end == 0 && errno == 0;
}

static bool options_read(int argc, char **argv, struct demo_instance *instance,
                         const char **ret_workload)
{
  static const struct option options[] = {
      {"mode", required_argument, NULL, 'm'},        {"base-url", required_argument, NULL, 'b'},
      {"workload", required_argument, NULL, 'w'},    {"requests", required_argument, NULL, 'r'},
      {"number", required_argument, NULL, 'i'},      {"instances", required_argument, NULL, 'n'},
      {"parallel", required_argument, NULL, 'p'},    {"model", required_argument, NULL, 'M'},
      {"coordinator", required_argument, NULL, 'c'}, {"max-wait-ms", required_argument, NULL, 'x'},
      {"seed", required_argument, NULL, 's'},        {NULL, 0, NULL, 0}};
  bool is_good = true;
  int option;

  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    switch (option) {
    case 'm':
      instance->is_weir = strcmp(optarg, "weir") == 0;
      break;
    case 'b':
      instance->base_url = optarg;
      break;
    case 'w':
      *ret_workload = optarg;
      break;
    case 'M':
      instance->model = optarg;
      break;
    case 'c':
      instance->coordinator = optarg;
      break;
    case 'r':
      is_good &= number(optarg, &instance->requests);
      break;
    case 'i':
      is_good &= number(optarg, &instance->number);
      break;
    case 'n':
      is_good &= number(optarg, &instance->instances);
      break;
    case 'p':
      is_good &= number(optarg, &instance->parallel);
      break;
    case 'x':
      is_good &= number(optarg, &instance->max_wait_ms);
      break;
    case 's':
      is_good &= number(optarg, &instance->seed);
      break;
    default:
      is_good = false;
    }
  }
  return is_good && optind == argc && instance->base_url && instance->model && *ret_workload &&
         instance->instances > 0 && instance->parallel > 0 && instance->requests > 0 &&
         (!instance->is_weir || instance->coordinator);
}

int main(int argc, char **argv)
{
  struct demo_instance instance = {.instances = 1, .parallel = 1, .max_wait_ms = 600000};
  const char *workload = NULL;
  int status;

  if (!options_read(argc, argv, &instance, &workload)) {
    fprintf(stderr, "usage: weir-demo-instance --mode naive|weir --base-url URL --model NAME "
                    "--workload FILE --requests N --number I --instances N --parallel N "
                    "[--coordinator ENDPOINT] [--max-wait-ms N] [--seed N]\n"
                    "(weir-demo starts it)\n");
    return 2;
  }
  if (!demo_workload_load(workload, instance.requests, &instance.workload))
    return 1;
  curl_global_init(CURL_GLOBAL_DEFAULT);
  pthread_mutex_init(&instance.lock, NULL);
  instance.next = instance.number;
  status = run(&instance);
  pthread_mutex_destroy(&instance.lock);
  demo_workload_free(&instance.workload);
  curl_global_cleanup();
  return status;
}

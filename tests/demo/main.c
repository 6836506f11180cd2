/* weir-demo - the same workload on the same quota, first without weir, then with it.
 *
 * docs/DEMO.md says what it does and how its figures are defined. It decides nothing about weir:
 * it starts the real programs and counts what the provider saw.
 */
#include "half.h"
#include "report.h"
#include "screen.h"

#include "clock.h"

#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define WINDOW_MIN_MS  1000
#define WINDOW_MAX_MS  UINT64_C(600000)
#define WINDOW_PERCENT 52
#define TOKENS_ROUNDED 1000 /* limits are round numbers, as a provider's are */

static const char help[] =
    "usage: weir-demo [OPTION...]\n"
    "\n"
    "Runs a workload against a simulated provider whose quota is half of it in a window: first by\n"
    "plain HTTP with back-off and retries, then through weir. Needs no key and no network.\n"
    "\n"
    "  --instances N            processes that share the quota (8, at most 64)\n"
    "  --parallel N             calls of one instance at a time (16)\n"
    "  --requests N             requests of the workload to run (2400)\n"
    "  --workload FILE          (build/demo/workload.jsonl, made by tests/demo/record.sh)\n"
    "  --mode both|naive|weir   which halves (both)\n"
    "  --window DURATION        the provider's minute: 60s, 4s, 1500ms, 1m (60s)\n"
    "  --kill-instance S        kill -9 of one instance S seconds into weir's half\n"
    "  --kill-coordinator S     kill -9 of the coordinator, and a new one at once\n"
    "  --seed N                 of latencies and jitter (1)\n"
    "  --json FILE              writes the figures of both halves\n"
    "  --help                   prints this\n"
    "\n"
    "Exit: 0 when weir's half kept its promise (no 429, no failed call, quota at least 90 % used\n"
    "while work waited), 1 when it did not or could not run, 2 for a wrong option.\n";

struct options {
  struct demo_plan plan;
  bool is_naive, is_weir;
  const char *json_path;
};

static bool number(const char *option, const char *text, uint64_t min, uint64_t max,
                   uint64_t *ret_number)
{
  uint64_t value;
  char *end;

  errno = 0;
  value = strtoull(text, &end, 10);
  if (*text < '0' || *text > '9' || *end || errno || value < min || value > max) {
    fprintf(stderr, "weir-demo: --%s: '%s' is not a number from %" PRIu64 " to %" PRIu64 "\n",
            option, text, min, max);
    return false;
  }
  *ret_number = value;
  return true;
}

/* "60s", "4s", "1500ms", "1m". */
static bool duration(const char *text, uint64_t *ret_ms)
{
  uint64_t value;
  char *end;

  errno = 0;
  value = strtoull(text, &end, 10);
  if (*text >= '0' && *text <= '9' && !errno && value <= WINDOW_MAX_MS) {
    if (strcmp(end, "s") == 0)
      value *= 1000;
    else if (strcmp(end, "m") == 0)
      value *= 60000;
    else if (strcmp(end, "ms") != 0)
      value = 0;
    if (value >= WINDOW_MIN_MS && value <= WINDOW_MAX_MS) {
      *ret_ms = value;
      return true;
    }
  }
  fprintf(stderr,
          "weir-demo: --window: '%s' is not a duration from 1s to 10m, such as 60s or 1500ms\n",
          text);
  return false;
}

static bool seconds(const char *option, const char *text, uint64_t *ret_ms)
{
  if (!number(option, text, 0, WINDOW_MAX_MS / 1000, ret_ms))
    return false;
  *ret_ms *= 1000;
  return true;
}

static bool mode(const char *text, struct options *o)
{
  o->is_naive = strcmp(text, "both") == 0 || strcmp(text, "naive") == 0;
  o->is_weir = strcmp(text, "both") == 0 || strcmp(text, "weir") == 0;
  if (!o->is_naive && !o->is_weir)
    fprintf(stderr, "weir-demo: --mode: '%s' is no mode; use both, naive or weir\n", text);
  return o->is_naive || o->is_weir;
}

/* Returns -1 to go on, or the exit code. */
static int options_read(int argc, char **argv, struct options *o)
{
  static const struct option longs[] = {{"instances", required_argument, NULL, 'i'},
                                        {"parallel", required_argument, NULL, 'p'},
                                        {"requests", required_argument, NULL, 'r'},
                                        {"workload", required_argument, NULL, 'w'},
                                        {"mode", required_argument, NULL, 'm'},
                                        {"window", required_argument, NULL, 'W'},
                                        {"json", required_argument, NULL, 'j'},
                                        {"kill-instance", required_argument, NULL, 'k'},
                                        {"kill-coordinator", required_argument, NULL, 'K'},
                                        {"seed", required_argument, NULL, 's'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};
  struct demo_plan *plan = &o->plan;
  bool is_good = true;
  int letter;

  while (is_good && (letter = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
    if (letter == 'h') {
      fputs(help, stdout);
      return 0;
    }
    if (letter == 'i')
      is_good = number("instances", optarg, 1, DEMO_INSTANCES_MAX, &plan->instances);
    else if (letter == 'p')
      is_good = number("parallel", optarg, 1, 128, &plan->parallel);
    else if (letter == 'r')
      is_good = number("requests", optarg, 1, DEMO_WORKLOAD_REQUESTS_MAX, &plan->requests);
    else if (letter == 'w')
      plan->workload_path = optarg;
    else if (letter == 'm')
      is_good = mode(optarg, o);
    else if (letter == 'W')
      is_good = duration(optarg, &plan->window_ms);
    else if (letter == 'j')
      o->json_path = optarg;
    else if (letter == 'k')
      is_good = seconds("kill-instance", optarg, &plan->kill_instance_ms);
    else if (letter == 'K')
      is_good = seconds("kill-coordinator", optarg, &plan->kill_coordinator_ms);
    else if (letter == 's')
      is_good = number("seed", optarg, 0, UINT32_MAX, &plan->seed);
    else
      is_good = false;
  }
  if (is_good && optind == argc)
    return -1;
  if (is_good)
    fprintf(stderr, "weir-demo: '%s' is one word too many\n", argv[optind]);
  fputs("see weir-demo --help\n", stderr);
  return 2;
}

/* The folder of this program: the others stand beside it. */
static bool programs_find(char *ret_folder, size_t size)
{
  ssize_t length = readlink("/proc/self/exe", ret_folder, size - 1);
  char *slash;

  if (length <= 0)
    return false;
  ret_folder[length] = 0;
  slash = strrchr(ret_folder, '/');
  if (slash)
    *slash = 0;
  return slash != NULL;
}

static void folder_remove(const char *folder)
{
  static const char *const files[] = {"weir.sock", "weir.yaml", "weir.state", "weir.state.lock",
                                      "weir.state.new"};
  char path[128];

  for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
    snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
    unlink(path);
  }
  if (rmdir(folder) != 0)
    fprintf(stderr, "weir-demo: %s stays behind: %s\n", folder, strerror(errno));
}

/* A little more than half of the work fits into a window, so that it takes two: calls are whole,
 * and the last of a window rarely fills it to the last token. Requests do not bind. */
static bool limits_choose(struct demo_plan *plan)
{
  struct demo_workload workload;
  uint64_t tokens = 0;

  if (!demo_workload_load(plan->workload_path, plan->requests, &workload))
    return false;
  if (workload.count == 0)
    fprintf(stderr, "weir-demo: %s holds no requests\n", plan->workload_path);
  else if (workload.count < plan->requests)
    printf("the workload has %zu requests; using all of them\n", workload.count);
  if (workload.count < plan->requests)
    plan->requests = workload.count;
  demo_workload_free(&workload);
  if (plan->requests == 0 || !demo_half_count_tokens(plan, &tokens))
    return false;
  plan->limit_tokens =
      (tokens * WINDOW_PERCENT / 100 + TOKENS_ROUNDED / 2) / TOKENS_ROUNDED * TOKENS_ROUNDED;
  if (plan->limit_tokens == 0)
    plan->limit_tokens = TOKENS_ROUNDED;
  plan->limit_requests = (plan->requests * 3 + 3) / 4;
  printf("%" PRIu64 " requests of %" PRIu64 " input tokens in all, on %" PRIu64
         " instances with %" PRIu64 " calls at a time\n"
         "quota in each window of %.1f s: %" PRIu64 " input tokens, %" PRIu64 " requests\n\n",
         plan->requests, tokens, plan->instances, plan->parallel, (double)plan->window_ms / 1000,
         plan->limit_tokens, plan->limit_requests);
  fflush(stdout);
  return true;
}

static int signals_open(void)
{
  sigset_t set;

  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  signal(SIGPIPE, SIG_IGN);
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool half_run(struct demo_half *half, const struct demo_plan *plan, bool is_weir,
                     int signal_fd)
{
  if (demo_half_run(half, plan, is_weir, signal_fd))
    return true;
  fprintf(stderr, "weir-demo: %s\n", half->error);
  return false;
}

/* Prints and writes what came out; true when weir's half kept its promise. */
static bool conclude(const struct options *o, const struct demo_half *naive,
                     const struct demo_half *managed)
{
  bool is_good = true;

  demo_screen_compare(naive, managed);
  if (o->json_path)
    is_good = demo_report_json(o->json_path, naive, managed);
  if (naive)
    demo_report_doubt(naive);
  if (managed)
    is_good &= demo_report_verdict(managed);
  return is_good;
}

static int demo(struct options *o)
{
  static struct demo_half naive, managed; /* large, and there are two */
  int signal_fd = signals_open();
  bool is_good = limits_choose(&o->plan);

  if (is_good && o->is_naive)
    is_good = half_run(&naive, &o->plan, false, signal_fd);
  if (is_good && o->is_weir)
    is_good = half_run(&managed, &o->plan, true, signal_fd);
  if (is_good)
    is_good = conclude(o, o->is_naive ? &naive : NULL, o->is_weir ? &managed : NULL);
  demo_half_free(&naive);
  demo_half_free(&managed);
  close(signal_fd);
  return is_good ? 0 : 1;
}

int main(int argc, char **argv)
{
  struct options o = {.is_naive = true,
                      .is_weir = true,
                      .plan = {.workload_path = "build/demo/workload.jsonl",
                               .instances = 8,
                               .parallel = 16,
                               .requests = 2400,
                               .seed = 1,
                               .window_ms = 60000,
                               .kill_instance_ms = DEMO_NEVER,
                               .kill_coordinator_ms = DEMO_NEVER}};
  char programs[1024], folder[] = "/tmp/weir-demo-XXXXXX";
  int status = options_read(argc, argv, &o);

  if (status >= 0)
    return status;
  if (o.json_path && !demo_report_begin(o.json_path))
    return 1;
  if (!programs_find(programs, sizeof(programs)) || !mkdtemp(folder)) {
    fprintf(stderr, "weir-demo: no temporary folder in /tmp: %s\n", strerror(errno));
    return 1;
  }
  o.plan.programs = programs;
  o.plan.folder = folder;
  curl_global_init(CURL_GLOBAL_DEFAULT);
  status = demo(&o);
  curl_global_cleanup();
  folder_remove(folder);
  return status;
}

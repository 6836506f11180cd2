/* weir-bench - what weir costs: a decision, a message, a round trip. */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "usage: weir-bench [--quick] [--json FILE] [step] [scale] [show] [codec]\n"
    "                  [estimate] [store] [trip] [proxy]\n"
    "\n"
    "Measures, without a name everything but proxy:\n"
    "  step   one decision of the coordinator (weir_coord_step): acquire and settle, with 1 and\n"
    "         1,000 pools of three limits, on a virtual clock\n"
    "  scale  how the cost of a grant and its settlement grows with pools and waiters, and the\n"
    "         memory of each\n"
    "  show   what a scrape of the admin port takes of the coordinator, with 1,000 pools and\n"
    "         10,000 sessions\n"
    "  codec  encoding and decoding of single messages\n"
    "  estimate  token estimates of texts and bodies, beside a bare scan of the same bytes\n"
    "  store  durable commits of the coordinator's store, its size and a start on it; the file\n"
    "         stands in the working directory, whose disk is what is measured\n"
    "  trip   round trips of a lease (ASK and the SETTLE before it in one frame, GRANT back) to\n"
    "         weir-coordinator over ipc, beside a bare libzmq echo with frames of the same size\n"
    "  proxy  calls, events of streams and idle streams through weir-proxy, beside nginx (where "
    "it\n"
    "         is installed) and no proxy\n"
    "\n"
    "Prints medians of several runs. --quick makes fewer and shorter ones.\n";

uint64_t bench_now_ns(void)
{
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int by_double(const void *left, const void *right)
{
  const double *a = left, *b = right;

  return (*a > *b) - (*a < *b);
}

static int by_u32(const void *left, const void *right)
{
  const uint32_t *a = left, *b = right;

  return (*a > *b) - (*a < *b);
}

double bench_median(double *values, size_t count)
{
  qsort(values, count, sizeof(*values), by_double);
  return values[count / 2];
}

void bench_sort_u32(uint32_t *values, size_t count)
{
  qsort(values, count, sizeof(*values), by_u32);
}

uint32_t bench_percentile(uint32_t *sorted, size_t count, unsigned percent)
{
  return sorted[(count * percent + 99) / 100 - 1];
}

void bench_json(struct bench *bench, const char *name, double value)
{
  if (!bench->json)
    return;
  fprintf(bench->json, "%s\"%s\":%.3f", bench->is_json_begun ? "," : "{", name, value);
  bench->is_json_begun = true;
}

/* The folder of this program: weir-coordinator stands beside it. */
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

static bool names(int argc, char **argv, const char *name)
{
  for (int i = optind; i < argc; i++) {
    if (strcmp(argv[i], name) == 0)
      return true;
  }
  return false;
}

static bool wants(int argc, char **argv, const char *name)
{
  return optind == argc || names(argc, argv, name);
}

static bool is_name(const char *text)
{
  static const char *const names[] = {"step",     "scale", "show", "codec",
                                      "estimate", "store", "trip", "proxy"};

  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    if (strcmp(text, names[i]) == 0)
      return true;
  }
  return false;
}

static bool names_check(int argc, char **argv)
{
  for (int i = optind; i < argc; i++) {
    if (!is_name(argv[i])) {
      fprintf(stderr, "weir-bench: there is no '%s' to measure; see --help\n", argv[i]);
      return false;
    }
  }
  return true;
}

static bool measure(struct bench *bench, int argc, char **argv)
{
  if (wants(argc, argv, "step"))
    bench_step(bench);
  if (wants(argc, argv, "scale"))
    bench_scale(bench);
  if (wants(argc, argv, "show"))
    bench_show(bench);
  if (wants(argc, argv, "codec"))
    bench_codec(bench);
  if (wants(argc, argv, "estimate"))
    bench_estimate(bench);
  if (wants(argc, argv, "store") && !bench_store(bench))
    return false;
  if (wants(argc, argv, "trip") && !bench_trip(bench))
    return false;
  return !names(argc, argv, "proxy") || bench_proxy(bench);
}

int main(int argc, char **argv)
{
  static const struct option longs[] = {
      {"quick", no_argument, NULL, 'q'},      {"json", required_argument, NULL, 'j'},
      {"echo", required_argument, NULL, 'e'}, /* for itself */
      {"upstream", no_argument, NULL, 'u'},   /* for itself */
      {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0}};
  struct bench bench = {0};
  char programs[1024];
  const char *json = NULL;
  bool is_good;
  int letter;

  while ((letter = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
    if (letter == 'q') {
      bench.is_quick = true;
    } else if (letter == 'j') {
      json = optarg;
    } else if (letter == 'e') {
      return bench_echo(optarg);
    } else if (letter == 'u') {
      return bench_proxy_upstream();
    } else if (letter == 'h') {
      fputs(help, stdout);
      return 0;
    } else {
      fputs("see weir-bench --help\n", stderr);
      return 2;
    }
  }
  if (!names_check(argc, argv))
    return 2;
  if (!programs_find(programs, sizeof(programs))) {
    perror("weir-bench: /proc/self/exe");
    return 1;
  }
  if (json && !(bench.json = fopen(json, "w"))) {
    fprintf(stderr, "weir-bench: --json: %s: %s\n", json, strerror(errno));
    return 1;
  }
  bench.programs = programs;
  is_good = measure(&bench, argc, argv);
  if (bench.json) {
    fputs(bench.is_json_begun ? "}\n" : "{}\n", bench.json);
    is_good &= fclose(bench.json) == 0;
  }
  return is_good ? 0 : 1;
}

/* weir-chaos - real processes and sockets, killed, stopped, cut off and flooded, against a
 * simulated provider that judges. docs/CHAOS.md shows its output and says how the figures are
 * defined.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <curl/curl.h>

#include "../demo/child.h"
#include "../demo/clock.h"
#include "acts.h"
#include "peers.h"

static const char help[] =
    "usage: weir-chaos [OPTION...] [ACT...]\n"
    "\n"
    "Kills, stops, cuts off and floods a coordinator and its instances, and lets a simulated\n"
    "provider with exact windows judge. Needs no key and no network; root for the act network.\n"
    "\n"
    "acts (all of them without a name):\n"
    "  kill        the coordinator, 300 times, under load\n"
    "  endure      the coordinator, some times a minute, with a quota by the minute\n"
    "  instances   random instances, 300 times\n"
    "  stop        coordinator and instances stand still for longer than every time-out\n"
    "  network     cuts and losses between network namespaces, by TCP with keys\n"
    "  clock       the coordinator's wall clock is set by an hour, forwards and back\n"
    "  disk        the disk of what the coordinator remembers is full, broken or slow\n"
    "  peers       unknown and revoked keys, a stolen session, a flood\n"
    "  sessions    10,000 idle sessions; a restart under 1,000 instances\n"
    "  forget      kills of a coordinator that is made to forget: it has to be over\n"
    "\n"
    "  --share              a few seconds of kill, instances and forget\n"
    "  --memory WORD        what the coordinator remembers in: store (default), state\n"
    "  --seed N             of instants (1)\n"
    "  --help               prints this\n"
    "\n"
    "Exit: 0 when every promise was kept, 1 when one was not or an act could not run, 2 for a "
    "wrong\n"
    "option.\n";

static const struct act {
  const char *name;
  bool (*run)(const struct chaos_options *options);
  bool is_shared;
} acts[] = {{"kill", chaos_act_kill, true},
            {"endure", chaos_act_endure, false},
            {"instances", chaos_act_instances, false},
            {"stop", chaos_act_stop, false},
            {"network", chaos_act_network, false},
            {"clock", chaos_act_clock, false},
            {"disk", chaos_act_disk, false},
            {"peers", chaos_act_peers, false},
            {"sessions", chaos_act_sessions, false},
            {"forget", chaos_act_forget, true}};

#define ACTS_COUNT (sizeof(acts) / sizeof(acts[0]))

/* The folder of this program holds the others. */
static bool programs_find(struct chaos_options *o)
{
  const ssize_t size = readlink("/proc/self/exe", o->programs, sizeof(o->programs) - 1);

  if (size <= 0)
    return false;
  o->programs[size] = '\0';
  *strrchr(o->programs, '/') = '\0';
  return true;
}

/* ---- options ---- */

struct choice {
  bool is_chosen[ACTS_COUNT], is_any;
  const char *memory;
};

static bool act_choose(struct choice *choice, const char *name)
{
  for (size_t i = 0; i < ACTS_COUNT; i++)
    if (strcmp(acts[i].name, name) == 0)
      return choice->is_any = choice->is_chosen[i] = true;
  return false;
}

static bool option_read(struct chaos_options *o, struct choice *choice, const char *option,
                        const char *value)
{
  if (strcmp(option, "--memory") == 0) {
    choice->memory = value;
    return strcmp(value, "store") == 0 || strcmp(value, "state") == 0;
  }
  o->seed = strtoull(value, NULL, 10);
  return strcmp(option, "--seed") == 0 && o->seed > 0;
}

static bool options_read(int argc, char **argv, struct chaos_options *o, struct choice *choice)
{
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--share") == 0)
      o->is_short = true;
    else if (strncmp(argv[i], "--", 2) != 0 && act_choose(choice, argv[i]))
      continue;
    else if (i + 1 < argc && option_read(o, choice, argv[i], argv[i + 1]))
      i++;
    else
      return false;
  }
  return programs_find(o);
}

static bool run(const struct chaos_options *o, const struct choice *choice)
{
  const uint64_t begun_ms = demo_now_ms();
  bool is_kept = true;

  printf("%zu instances of %zu threads, %" PRIu64 " calls in %.0f s allowed; it remembers by %s\n",
         CHAOS_INSTANCES, CHAOS_THREADS, CHAOS_AMOUNT, (double)CHAOS_WINDOW_MS / 1000,
         o->is_store ? "a store" : "a state file");
  chaos_head();
  for (size_t i = 0; i < ACTS_COUNT; i++) {
    if (choice->is_any ? !choice->is_chosen[i] : o->is_short && !acts[i].is_shared)
      continue;
    if (chaos_is_interrupted() || !acts[i].run(o)) {
      printf("FAILED: act %s\n", acts[i].name);
      is_kept = false;
    }
  }
  printf("%s, %.0f s\n", is_kept ? "every promise was kept" : "not every promise was kept",
         (double)(demo_now_ms() - begun_ms) / 1000);
  return is_kept;
}

int main(int argc, char **argv)
{
  static struct chaos_options options = {.seed = 1};
  struct choice choice = {0};
  bool is_kept;

  if (argc > 1 && strcmp(argv[1], "--instance") == 0)
    return chaos_instance(argc, argv);
  if (argc > 1 && strcmp(argv[1], "--idle") == 0)
    return chaos_holder(argc, argv);
  if (argc > 1 && strcmp(argv[1], "--help") == 0) {
    fputs(help, stdout);
    return 0;
  }
  if (!options_read(argc, argv, &options, &choice)) {
    fputs(help, stderr);
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  chaos_interrupt_catch();
  setvbuf(stdout, NULL, _IOLBF, 0);
  curl_global_init(CURL_GLOBAL_DEFAULT);
  options.is_store = !choice.memory || strcmp(choice.memory, "store") == 0;
  is_kept = run(&options, &choice);
  curl_global_cleanup();
  return is_kept ? 0 : 1;
}

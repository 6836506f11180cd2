#include "fleet.h"

#include "../demo/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <weir.h>

#define CALL_WAIT_MS   900000 /* longer than any act: who waits does not give up */
#define FAILED_WAIT_US UINT64_C(200000)
#define NUMBER_SIZE    24

static const char body_of_call[] = "{\"contents\":[{\"parts\":[{\"text\":\"Why is a weir not a "
                                   "dam?\"}]}],\"generationConfig\":{\"maxOutputTokens\":16}}";

/* ---- the shared file ---- */

static struct chaos_tally *tallies_map(const char *path, int flags)
{
  const size_t size = CHAOS_INSTANCES * sizeof(struct chaos_tally);
  const int fd = open(path, flags | O_RDWR | O_CLOEXEC, 0600);
  void *memory = MAP_FAILED;

  if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED)
    fprintf(stderr, "weir-chaos: %s: %s\n", path, strerror(errno));
  if (fd >= 0)
    close(fd);
  return memory == MAP_FAILED ? NULL : memory;
}

/* ---- an instance ---- */

struct instance {
  struct weir *weir;
  struct chaos_tally *tally;
  uint64_t paced_until_us, pace_us;
  int end_fd; /* readable when no further call may begin */
};

static bool wait_or_end(const struct instance *instance, uint64_t until_us)
{
  const uint64_t now_us = demo_now_us();
  struct pollfd end = {instance->end_fd, POLLIN, 0};

  return poll(&end, 1, until_us > now_us ? (int)((until_us - now_us) / 1000) : 0) > 0;
}

/* Who was told "no" waits a little; nobody would call on and on. */
static void call_once(struct instance *instance)
{
  struct weir_request request = WEIR_INIT(struct weir_request);
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct chaos_tally *tally = instance->tally;
  int err;

  request.model = "gemini/" OUTAGE_MODEL;
  request.body = body_of_call;
  request.body_size = sizeof(body_of_call) - 1;
  request.max_wait_ms = CALL_WAIT_MS;
  atomic_fetch_add(&tally->begun, 1);
  err = weir_call(instance->weir, &request, &response);
  atomic_fetch_add(&tally->attempts, response.attempts);
  if (err == WEIR_OK)
    atomic_fetch_add(&tally->ok, 1);
  else if (err == WEIR_ECANCELLED)
    atomic_fetch_add(&tally->cancelled, 1);
  else
    atomic_store(&tally->last_err, err);
  atomic_fetch_add(&tally->over, 1);
  weir_response_free(&response);
  if (err != WEIR_OK)
    wait_or_end(instance, demo_now_us() + FAILED_WAIT_US);
}

/* At first one call at a time comes from each thread, in even steps: a window that was used up at
 * once would be free at once, for ever, and most blows would find nobody under way. */
static void *thread_run(void *context)
{
  struct instance *instance = context;
  const uint64_t begun_us = demo_now_us();
  uint64_t next_us = begun_us + (uint64_t)(uintptr_t)pthread_self() / 64 % (instance->pace_us + 1);

  while (demo_now_us() < instance->paced_until_us && !wait_or_end(instance, next_us)) {
    call_once(instance);
    next_us += instance->pace_us;
  }
  while (!wait_or_end(instance, 0))
    call_once(instance);
  return NULL;
}

static bool handle_open(struct instance *instance, char **argv)
{
  struct weir_options options = WEIR_INIT(struct weir_options);
  struct weir_provider provider = WEIR_INIT(struct weir_provider);
  int err;

  options.coordinator = argv[2];
  options.server_key = argv[7][0] ? argv[7] : NULL;
  options.key_file = argv[8][0] ? argv[8] : NULL;
  provider.name = "gemini";
  provider.base_url = argv[3];
  provider.key = OUTAGE_KEY;
  err = weir_open(&options, &instance->weir);
  if (err == WEIR_OK)
    err = weir_provider_add(instance->weir, &provider);
  if (err != WEIR_OK)
    fprintf(stderr, "weir-chaos: libweir: %s\n", weir_error_text(err));
  return err == WEIR_OK;
}

/* --instance ENDPOINT URL TALLIES NUMBER PACED_UNTIL_US:PACE_US SERVER_KEY KEY_FILE */
int chaos_instance(int argc, char **argv)
{
  struct instance instance = {.end_fd = eventfd(0, EFD_CLOEXEC)};
  const uint64_t one = 1;
  pthread_t threads[CHAOS_THREADS];
  size_t count = 0;
  sigset_t signals;
  char *colon;
  int signal;

  if (argc != 9 || instance.end_fd < 0)
    return 2;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, NULL);
  instance.tally = tallies_map(argv[4], 0);
  if (!instance.tally || !handle_open(&instance, argv))
    return 1;
  instance.tally += strtoull(argv[5], NULL, 10);
  instance.paced_until_us = strtoull(argv[6], &colon, 10);
  instance.pace_us = strtoull(colon + 1, NULL, 10);
  while (count < CHAOS_THREADS && pthread_create(&threads[count], NULL, thread_run, &instance) == 0)
    count++;
  sigwait(&signals, &signal);
  if (write(instance.end_fd, &one, sizeof(one)) < 0)
    return 1;
  weir_drain(instance.weir);
  while (count > 0)
    pthread_join(threads[--count], NULL);
  weir_close(instance.weir);
  return 0;
}

/* ---- the fleet ---- */

static bool instance_start(struct chaos_fleet *fleet, size_t number, uint64_t paced_until_us)
{
  char index[NUMBER_SIZE], pace[2 * NUMBER_SIZE];
  const char *const arguments[] = {"/proc/self/exe",
                                   "--instance",
                                   fleet->stand->endpoint,
                                   fleet->stand->base_url,
                                   fleet->path,
                                   index,
                                   pace,
                                   fleet->server_key ? fleet->server_key : "",
                                   fleet->key_file ? fleet->key_file : "",
                                   NULL};

  snprintf(index, sizeof(index), "%zu", number);
  snprintf(pace, sizeof(pace), "%" PRIu64 ":%" PRIu64, paced_until_us,
           fleet->step_us * CHAOS_INSTANCES * CHAOS_THREADS);
  if (demo_child_start(&fleet->children[number], arguments, false))
    return true;
  fprintf(stderr, "weir-chaos: instance %zu: %s\n", number + 1, strerror(errno));
  return false;
}

bool chaos_fleet_start(struct chaos_fleet *fleet)
{
  const uint64_t paced_until_us = demo_now_us() + fleet->ramp_us;
  bool is_well;

  snprintf(fleet->path, sizeof(fleet->path), "%s/tallies", fleet->stand->folder);
  fleet->tallies = tallies_map(fleet->path, O_CREAT);
  is_well = fleet->tallies != NULL;
  for (size_t i = 0; is_well && i < CHAOS_INSTANCES; i++)
    is_well = instance_start(fleet, i, paced_until_us);
  return is_well;
}

bool chaos_fleet_kill(struct chaos_fleet *fleet, size_t number)
{
  demo_child_end(&fleet->children[number], SIGKILL);
  return instance_start(fleet, number, 0);
}

void chaos_fleet_signal(struct chaos_fleet *fleet, size_t number, int signal)
{
  if (fleet->children[number].pid > 0)
    kill(fleet->children[number].pid, signal);
}

void chaos_fleet_stop(struct chaos_fleet *fleet)
{
  if (!fleet->tallies)
    return;
  for (size_t i = 0; i < CHAOS_INSTANCES; i++)
    chaos_fleet_signal(fleet, i, SIGTERM);
  for (size_t i = 0; i < CHAOS_INSTANCES; i++)
    if (fleet->children[i].pid > 0)
      demo_child_end(&fleet->children[i], SIGTERM);
}

void chaos_fleet_free(struct chaos_fleet *fleet)
{
  chaos_fleet_stop(fleet);
  if (fleet->tallies)
    munmap(fleet->tallies, CHAOS_INSTANCES * sizeof(*fleet->tallies));
  fleet->tallies = NULL;
}

void chaos_fleet_balance(const struct chaos_fleet *fleet, struct chaos_balance *ret_balance,
                         uint64_t *ret_failed, int *ret_err)
{
  struct chaos_balance balance = {0};
  uint64_t well = 0;

  *ret_err = 0;
  for (size_t i = 0; i < CHAOS_INSTANCES; i++) {
    struct chaos_tally *tally = &fleet->tallies[i];

    balance.begun += atomic_load(&tally->begun);
    balance.over += atomic_load(&tally->over);
    balance.attempts += atomic_load(&tally->attempts);
    well += atomic_load(&tally->ok) + atomic_load(&tally->cancelled);
    if (atomic_load(&tally->last_err) != 0)
      *ret_err = (int)atomic_load(&tally->last_err);
  }
  *ret_balance = balance;
  *ret_failed = balance.over > well ? balance.over - well : 0;
}

/* Network, wall clock and disk. */
#include "acts.h"

#include "../demo/clock.h"
#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define RECOVER_MS 30000

/* ---- network ---- */

#define CUTS        8
#define FLICKERS    60
#define LOSS        "20%"
#define NET_PORT    7411
#define IP          "/usr/sbin/ip"
#define TC          "/usr/sbin/tc"
#define NETWORK_MAX 64

/* A namespace, and a pair of interfaces that leads there; the names hold our process number. */
struct network {
  char space[NETWORK_MAX], ours[16], theirs[16], our_address[32], their_address[32];
  char endpoint[64], tell[NETWORK_MAX];
  bool is_there;
};

static bool ip_run(bool is_loud, const char *line)
{
  char words[256];
  const char *arguments[24] = {IP};
  size_t count = 1;

  snprintf(words, sizeof(words), "%s", line);
  for (char *rest = NULL, *word = strtok_r(words, " ", &rest); word && count < 23;
       word = strtok_r(NULL, " ", &rest))
    arguments[count++] = word;
  return chaos_command(arguments, is_loud, NULL, NULL, 0);
}

static bool ip(bool is_loud, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool ip(bool is_loud, const char *format, ...)
{
  char line[256];
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  return ip_run(is_loud, line);
}

static bool network_open(struct network *n)
{
  const int pid = (int)getpid(), subnet = pid % 250 + 1;

  *n = (struct network){.is_there = false};
  snprintf(n->space, sizeof(n->space), "weir-chaos-%d", pid);
  snprintf(n->ours, sizeof(n->ours), "wco%d", pid);
  snprintf(n->theirs, sizeof(n->theirs), "wct%d", pid);
  snprintf(n->our_address, sizeof(n->our_address), "10.213.%d.1", subnet);
  snprintf(n->their_address, sizeof(n->their_address), "10.213.%d.2", subnet);
  snprintf(n->endpoint, sizeof(n->endpoint), "tcp://%s:%d", n->their_address, NET_PORT);
  if (geteuid() != 0 || !ip(false, "netns add %s", n->space))
    return false;
  n->is_there = true;
  return ip(true, "link add %s type veth peer name %s netns %s", n->ours, n->theirs, n->space) &&
         ip(true, "address add %s/30 dev %s", n->our_address, n->ours) &&
         ip(true, "link set %s up", n->ours) && ip(true, "-n %s link set lo up", n->space) &&
         ip(true, "-n %s address add %s/30 dev %s", n->space, n->their_address, n->theirs) &&
         ip(true, "-n %s link set %s up", n->space, n->theirs);
}

/* The pair of interfaces goes with the namespace. */
static void network_close(const struct network *n)
{
  if (n->is_there)
    ip(true, "netns delete %s", n->space);
}

static bool network_cut(struct chaos_site *site, const struct network *n, uint64_t ms)
{
  bool is_well = ip(true, "-n %s link set %s down", n->space, n->theirs);

  chaos_site_wait(site, ms);
  return ip(true, "-n %s link set %s up", n->space, n->theirs) && is_well;
}

static bool cuts(struct chaos_site *site, const struct network *n)
{
  bool is_well = true;

  for (size_t i = 0; is_well && i < CUTS; i++) {
    chaos_site_wait_random(site, 2000, 4000);
    chaos_site_blow_begin(site);
    is_well = network_cut(site, n, i % 4 == 3 ? CHAOS_WINDOW_MS + 1000 : 1500);
    chaos_site_blow_end(site);
  }
  return is_well && chaos_site_recover(site, RECOVER_MS);
}

/* Packets get lost one by one where the kernel has netem, else all of short spans. */
static bool losses(struct chaos_site *site, const struct network *n)
{
  const char *const arguments[] = {TC,     "qdisc", "add",  "dev", n->ours,
                                   "root", "netem", "loss", LOSS,  NULL};
  bool is_well = true;

  if (chaos_command(arguments, false, NULL, NULL, 0)) {
    chaos_note("%s of the packets lost by netem, 30 s", LOSS);
    chaos_site_wait(site, 30000);
  } else {
    chaos_note("skipped: netem, which this kernel does not have; %d cuts of 10 to 120 ms instead",
               FLICKERS);
    for (size_t i = 0; is_well && i < FLICKERS; i++) {
      chaos_site_wait_random(site, 50, 400);
      is_well = network_cut(site, n, 10 + weir_rng_below(&site->rng, 110));
    }
  }
  return is_well && chaos_site_recover(site, RECOVER_MS);
}

static bool network_run(const struct chaos_options *options, const struct network *network,
                        const struct chaos_keys *keys)
{
  static bool (*const parts[])(struct chaos_site *, const struct network *) = {cuts, losses};
  static const char *const names[] = {"network cut, 1.5 to 6 s", "network that loses"};
  const char *const wrapper[] = {IP, "netns", "exec", network->space, NULL};
  char config[2048], key_file[96];
  bool is_all_kept = true;

  snprintf(config, sizeof(config), "%s%s", keys->config, chaos_config());
  chaos_keys_path(keys, "instance", key_file, sizeof(key_file));
  for (size_t i = 0; i < 2; i++) {
    struct chaos_site *site = chaos_site_new(options, config);
    bool is_kept;

    site->stand.listen = network->endpoint;
    site->stand.wrapper = wrapper;
    site->fleet.server_key = keys->server_key;
    site->fleet.key_file = key_file;
    is_kept = chaos_site_start(site) && parts[i](site, network) && chaos_site_end(site);
    if (is_kept) {
      chaos_row(names[i], site);
      is_kept = chaos_promise_never_over(site);
    }
    is_all_kept = is_kept && is_all_kept;
    chaos_site_free(site);
  }
  return is_all_kept;
}

bool chaos_act_network(const struct chaos_options *options)
{
  struct chaos_keys keys = {0};
  struct network network;
  bool is_kept = true;

  if (network_open(&network))
    is_kept = chaos_keys_open(&keys, options->programs) &&
              chaos_keys_new(&keys, "instance", true) && network_run(options, &network, &keys);
  else
    chaos_note("skipped: network, for which this user or this kernel makes no namespaces");
  chaos_keys_close(&keys);
  network_close(&network);
  return is_kept;
}

/* ---- the wall clock ---- */

#define FAKETIME "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
#define DAY      UINT64_C(3500)
#define SEEN_MS  UINT64_C(32000) /* the coordinator looks at the clock every 30 s */

/* Where midnight is within the hour of a step: by a clock an hour ahead it is tomorrow, or by one
 * an hour behind yesterday. The true midnight is at least five minutes away. */
static void zone_find(char *ret_zone, char *ret_reset, size_t size)
{
  const time_t now = time(NULL);
  const int hour = (int)(now / 3600 % 24), minute = (int)(now / 60 % 60);
  int ahead = (minute < 50 ? 23 : 24) - hour; /* the zone's hour is 23, or 0 */

  ahead = ahead > 12 ? ahead - 24 : ahead;
  /* POSIX counts west of Greenwich, so Etc/GMT-3 is three hours ahead of it. */
  snprintf(ret_zone, size, "Etc/GMT%+d", -ahead);
  snprintf(ret_reset, size, "%02d:00", (24 - ahead) % 24);
}

static bool clock_set(const char *path, const char *offset)
{
  char new_path[128];
  FILE *file;

  snprintf(new_path, sizeof(new_path), "%s.new", path);
  file = fopen(new_path, "w");
  if (file)
    fprintf(file, "%s\n", offset);
  if (file && fclose(file) == 0 && rename(new_path, path) == 0)
    return true;
  fprintf(stderr, "weir-chaos: %s: %s\n", path, strerror(errno));
  return false;
}

/* Two steps while there is budget left, two when there is none. */
static bool clock_run(struct chaos_site *site, const char *path, uint64_t *ret_served)
{
  static const char *const offsets[] = {"+3600", "-3600", "+3600", "+0"};
  uint64_t before;

  for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
    chaos_site_blow_begin(site);
    if (!clock_set(path, offsets[i]))
      return false;
    chaos_site_blow_end(site);
    chaos_site_wait(site, SEEN_MS - CHAOS_WINDOW_MS);
    before = atomic_load(&site->fleet.tallies[0].ok);
    chaos_site_wait(site, CHAOS_WINDOW_MS);
    if (i == 0)
      *ret_served = atomic_load(&site->fleet.tallies[0].ok) - before;
  }
  return true;
}

static bool clock_promises(const struct chaos_site *site, uint64_t served)
{
  const struct chaos_figures *f = &site->figures;
  bool is_kept = true;

  is_kept &= demo_promise(f->over == 0, "the provider rejected %" PRIu64 " requests", f->over);
  is_kept &= demo_promise(served > 0, "nothing was served after the first step");
  is_kept &= demo_promise(f->arrivals <= DAY && f->arrivals * 100 >= DAY * 99,
                          "%" PRIu64 " calls of a day of %" PRIu64, f->arrivals, DAY);
  is_kept &= demo_promise(chaos_balance_twice(&site->balance) == 0, "requests nobody knows of");
  return is_kept;
}

static bool clock_act(const struct chaos_options *options, const char *folder)
{
  char path[128], file[160], zone[32], reset[32], config[2048], limits[64];
  char preload[] = "LD_PRELOAD=" FAKETIME;
  const char *const wrapper[] = {"/usr/bin/env",
                                 preload,
                                 "FAKETIME_NO_CACHE=1",
                                 "FAKETIME_DONT_FAKE_MONOTONIC=1",
                                 "DONT_FAKE_MONOTONIC=1",
                                 file,
                                 NULL};
  struct chaos_site *site;
  uint64_t served = 0;
  bool is_kept;

  snprintf(path, sizeof(path), "%s/clock", folder);
  snprintf(file, sizeof(file), "FAKETIME_TIMESTAMP_FILE=%s", path);
  zone_find(zone, reset, sizeof(zone));
  snprintf(config, sizeof(config),
           "providers:\n"
           "  gemini: {kind: gemini, day_reset: %s}\n"
           "pools:\n"
           "  - name: flash\n"
           "    provider: gemini\n"
           "    models: [" OUTAGE_MODEL "]\n"
           "    limits: [{dimension: requests, window: 5s, amount: 250},\n"
           "             {dimension: requests, window: day, amount: %" PRIu64 "}]\n"
           "    profile: window\n"
           "    lease_ttl: 500ms\n",
           zone, DAY);
  snprintf(limits, sizeof(limits), "rpm=%" PRIu64 ",rpd=%" PRIu64, CHAOS_AMOUNT, DAY);
  site = chaos_site_new(options, config);
  site->stand.limits = limits;
  site->stand.day_reset = reset;
  site->stand.wrapper = wrapper;
  is_kept = clock_set(path, "+0") && chaos_site_start(site) && clock_run(site, path, &served) &&
            chaos_site_end(site);
  if (is_kept) {
    chaos_row("wall clock set by 1 h and 2 h", site);
    chaos_note("a day of %" PRIu64 " calls in %s: %" PRIu64 " came; calls fail once it is used up",
               DAY, zone, site->figures.arrivals);
    is_kept = clock_promises(site, served);
  }
  chaos_site_free(site);
  return is_kept;
}

bool chaos_act_clock(const struct chaos_options *options)
{
  char folder[64] = "";
  bool is_kept;

  if (access(FAKETIME, R_OK) != 0) {
    chaos_note("skipped: clock, for which libfaketime is not installed");
    return true;
  }
  is_kept = chaos_folder_new(folder) && clock_act(options, folder);
  if (folder[0])
    outage_folder_remove(folder);
  return is_kept;
}

/* ---- the disk ---- */

#define BROKEN_MS   UINT64_C(14000) /* what is promised ahead is used up after 10 s */
#define LAST_MAX_MS UINT64_C(11000)

struct disk {
  char folder[64], mode_path[96], preload[544], mode_env[128];
  volatile char *mode;
};

static bool disk_open(struct disk *disk, const struct chaos_options *options)
{
  void *memory = MAP_FAILED;
  int fd;

  memset(disk, 0, sizeof(*disk));
  if (!chaos_folder_new(disk->folder))
    return false;
  snprintf(disk->mode_path, sizeof(disk->mode_path), "%s/mode", disk->folder);
  snprintf(disk->preload, sizeof(disk->preload), "LD_PRELOAD=%s/weir-chaos-disk.so",
           options->programs);
  snprintf(disk->mode_env, sizeof(disk->mode_env), "WEIR_CHAOS_DISK=%s", disk->mode_path);
  fd = open(disk->mode_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd >= 0 && ftruncate(fd, 1) == 0)
    memory = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (fd >= 0)
    close(fd);
  disk->mode = memory == MAP_FAILED ? NULL : memory;
  return disk->mode != NULL;
}

static void disk_close(struct disk *disk)
{
  if (disk->mode)
    munmap((void *)(uintptr_t)disk->mode, 1);
  if (disk->folder[0])
    outage_folder_remove(disk->folder);
}

/* Fails for a time and works again, without a kill, then fails until a kill. */
static bool disk_run(struct chaos_site *site, struct disk *disk, char mode, uint64_t *ret_broken_us)
{
  bool is_well;

  *ret_broken_us = demo_now_us();
  chaos_site_blow_begin(site);
  *disk->mode = mode;
  chaos_site_wait(site, BROKEN_MS);
  *disk->mode = ' ';
  chaos_site_blow_end(site);
  is_well = chaos_site_recover(site, RECOVER_MS);
  if (!is_well)
    return false;
  chaos_site_wait(site, CHAOS_WINDOW_MS);
  *disk->mode = mode;
  chaos_site_wait_random(site, 500, 3000);
  chaos_site_blow_begin(site);
  outage_stand_coordinator_end(&site->stand, SIGKILL);
  *disk->mode = ' ';
  is_well = outage_stand_coordinator_start(&site->stand);
  chaos_site_blow_end(site);
  return is_well && chaos_site_recover(site, RECOVER_MS);
}

/* How long after |broken_us| the last request of that phase came. */
static double last_ms(const struct chaos_site *site, uint64_t broken_us)
{
  double last = 0;

  for (size_t i = 0; i < site->requests_count; i++) {
    const uint64_t at_us = site->requests[i].at_us;

    if (at_us >= broken_us && at_us < broken_us + BROKEN_MS * 1000)
      last = (double)(at_us - broken_us) / 1000;
  }
  return last;
}

static bool disk_judge(struct chaos_site *site, const char *name, uint64_t broken_us, bool is_slow)
{
  double last;
  bool is_kept;

  if (!chaos_site_end(site))
    return false;
  last = last_ms(site, broken_us);
  chaos_row(name, site);
  chaos_note("the last call before it worked again went %.1f s after it had begun; %" PRIu64
             " errors logged, held %" PRIu64 " times",
             last / 1000, site->errors, site->held);
  is_kept = chaos_promise_never_over(site);
  if (!is_slow)
    is_kept &= demo_promise(last <= (double)LAST_MAX_MS, "calls went on for %.1f s", last / 1000);
  return is_kept;
}

static bool disk_broken(const struct chaos_options *options, struct disk *disk)
{
  static const struct {
    char mode;
    const char *name;
  } faults[] = {{'e', "disk: input/output errors"}, {'f', "disk: full"}, {'s', "disk: slow, 2 s"}};
  const char *const wrapper[] = {"/usr/bin/env", disk->preload, disk->mode_env, NULL};
  bool is_all_kept = true;

  for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
    struct chaos_site *site = chaos_site_new(options, chaos_config());
    uint64_t broken_us = 0;
    bool is_kept;

    *disk->mode = ' ';
    site->is_quiet = true;
    site->stand.wrapper = wrapper;
    is_kept = chaos_site_start(site) && disk_run(site, disk, faults[i].mode, &broken_us) &&
              disk_judge(site, faults[i].name, broken_us, faults[i].mode == 's');
    is_all_kept = is_kept && is_all_kept;
    chaos_site_free(site);
  }
  return is_all_kept;
}

/* Fills what is left of the file system that |path| is on. */
static bool fill(const char *path)
{
  static const char zeros[4096];
  const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  bool is_full = false;

  while (fd >= 0 && !is_full)
    is_full = write(fd, zeros, sizeof(zeros)) < 0;
  is_full = is_full && errno == ENOSPC;
  if (fd >= 0)
    close(fd);
  return is_full;
}

/* A real file system of 256 KiB that only the coordinator sees; it goes when that ends. */
static bool disk_full(const struct chaos_options *options, const struct disk *disk)
{
  const char *const wrapper[] = {"/usr/bin/unshare",
                                 "--mount",
                                 "/bin/sh",
                                 "-c",
                                 "mount -t tmpfs -o size=256k tmpfs \"$0\" && exec \"$@\"",
                                 disk->folder,
                                 NULL};
  const char *const probe[] = {"/usr/bin/unshare", "--mount", "/bin/true", NULL};
  struct chaos_site *site;
  char path[160];
  uint64_t broken_us;
  bool is_kept;

  if (!chaos_command(probe, false, NULL, NULL, 0)) {
    chaos_note("skipped: a real full disk, for which this user may not mount");
    return true;
  }
  site = chaos_site_new(options, chaos_config());
  site->stand.wrapper = wrapper;
  site->stand.memory_folder = disk->folder;
  site->is_quiet = true;
  is_kept = chaos_site_start(site);
  snprintf(path, sizeof(path), "/proc/%d/root%s/filler", (int)site->stand.coordinator.pid,
           disk->folder);
  broken_us = demo_now_us();
  chaos_site_blow_begin(site);
  is_kept = is_kept && fill(path);
  chaos_site_wait(site, is_kept ? BROKEN_MS : 0);
  unlink(path);
  chaos_site_blow_end(site);
  is_kept = is_kept && chaos_site_recover(site, RECOVER_MS) &&
            disk_judge(site, "disk: a full tmpfs", broken_us, false);
  chaos_site_free(site);
  return is_kept;
}

bool chaos_act_disk(const struct chaos_options *options)
{
  struct disk disk;
  bool is_kept = disk_open(&disk, options) && disk_broken(options, &disk);

  is_kept = disk.mode && disk_full(options, &disk) && is_kept;
  disk_close(&disk);
  return is_kept;
}

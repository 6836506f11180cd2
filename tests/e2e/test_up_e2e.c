/* ./dev up: it starts, what it tells people to try works, and nothing is left of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "../demo/child.h"
#include "../demo/clock.h"

#define BOUND_MS 30000

struct up {
  struct demo_child child;
  char folder[32], url[64], endpoint[64];
  bool is_ready, has_told_who;
};

static void on_line(void *context, const char *line, size_t size)
{
  static const char listening[] = "listening on ";
  struct up *up = context;
  const char *at = strstr(line, listening);

  (void)size;
  if (at)
    snprintf(up->url, sizeof(up->url), "%s", at + sizeof(listening) - 1);
  if (strstr(line, "Ctrl-C stops everything"))
    up->is_ready = true;
  if (strstr(line, "coordinator ended by itself"))
    up->has_told_who = true;
}

/* Reads until |is_over|, or until the pipe is at its end when that is NULL. */
static void up_read(struct up *up, const bool *is_over)
{
  const uint64_t give_up_ms = demo_now_ms() + BOUND_MS;
  uint64_t now_ms;

  while (!(is_over && *is_over) && up->child.fd >= 0 && (now_ms = demo_now_ms()) < give_up_ms) {
    struct pollfd output = {up->child.fd, POLLIN, 0};

    if (poll(&output, 1, (int)(give_up_ms - now_ms)) > 0)
      demo_child_read(&up->child, on_line, up);
  }
}

static int set_up(void **state)
{
  struct up *up = calloc(1, sizeof(*up));
  const char *arguments[] = {getenv("WEIR_UP"), "--port", "0", "--folder", NULL, NULL};

  assert_non_null(up);
  assert_non_null(arguments[0]);
  strcpy(up->folder, "/tmp/weir-up-XXXXXX");
  assert_non_null(mkdtemp(up->folder));
  snprintf(up->endpoint, sizeof(up->endpoint), "ipc://%s/weir.sock", up->folder);
  arguments[4] = up->folder;
  assert_true(demo_child_start(&up->child, arguments, true));
  *state = up;
  up_read(up, &up->is_ready);
  assert_true(up->is_ready);
  return 0;
}

static int tear_down(void **state)
{
  struct up *up = *state;
  DIR *folder = opendir(up->folder);
  struct dirent *entry;

  demo_child_end(&up->child, SIGTERM);
  assert_non_null(folder);
  while ((entry = readdir(folder)) != NULL)
    unlinkat(dirfd(folder), entry->d_name, 0);
  closedir(folder);
  assert_int_equal(rmdir(up->folder), 0);
  free(up);
  return 0;
}

static size_t ignore(char *bytes, size_t one, size_t size, void *context)
{
  (void)bytes, (void)context;
  return one * size;
}

/* The status of the first command that is printed, 0 when nobody listens. */
static long hello(const struct up *up)
{
  CURL *curl = curl_easy_init();
  struct curl_slist *headers = curl_slist_append(NULL, "x-goog-api-key: demo");
  char url[128];
  long status = 0;

  assert_non_null(curl);
  assert_non_null(curl_slist_append(headers, "content-type: application/json"));
  snprintf(url, sizeof(url), "%s/v1beta/models/gemini-2.5-flash:generateContent", up->url);
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "{\"contents\":[{\"parts\":[{\"text\":\"Hello\"}]}]}");
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)BOUND_MS);
  if (curl_easy_perform(curl) == CURLE_OK)
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  curl_slist_free_all(headers);
  curl_easy_cleanup(curl);
  return status;
}

static void what_it_tells_to_try_works_and_ctrl_c_leaves_nothing(void **state)
{
  struct up *up = *state;
  char program[1024];
  const char *stats[] = {program, "stats", "--json", "--coordinator", up->endpoint, NULL};
  struct up other = {.child.fd = -1};

  assert_int_equal(hello(up), 200);
  snprintf(program, sizeof(program), "%s/weir", getenv("WEIR_BIN"));
  assert_true(demo_child_start(&other.child, stats, true));
  up_read(&other, NULL);
  assert_int_equal(demo_child_end(&other.child, 0), 0);

  assert_int_equal(kill(up->child.pid, SIGINT), 0);
  /* Every process of it holds its output: the end of the pipe is the end of them all. */
  up_read(up, NULL);
  assert_int_equal(up->child.fd, -1);
  assert_int_equal(demo_child_end(&up->child, 0), 0);
  assert_int_equal(hello(up), 0);
}

/* The process that has |folder|'s configuration on its command line. */
static pid_t coordinator_find(const char *folder)
{
  DIR *processes = opendir("/proc");
  struct dirent *entry;
  pid_t found = 0;

  assert_non_null(processes);
  while (!found && (entry = readdir(processes)) != NULL) {
    char path[300], line[4096], wanted[64];
    long pid = strtol(entry->d_name, NULL, 10);
    FILE *file;
    size_t size;

    snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
    snprintf(wanted, sizeof(wanted), "%s/weir.yaml", folder);
    file = pid > 0 ? fopen(path, "r") : NULL;
    if (!file)
      continue;
    size = fread(line, 1, sizeof(line) - 1, file);
    fclose(file);
    for (size_t i = 0; i < size; i++)
      line[i] = line[i] ? line[i] : ' ';
    line[size] = 0;
    if (strstr(line, wanted))
      found = (pid_t)pid;
  }
  closedir(processes);
  return found;
}

static void when_a_part_dies_it_says_which_and_stops_the_rest(void **state)
{
  struct up *up = *state;
  pid_t coordinator = coordinator_find(up->folder);
  int status;

  assert_true(coordinator > 0);
  assert_int_equal(kill(coordinator, SIGKILL), 0);
  up_read(up, NULL);
  assert_int_equal(up->child.fd, -1);
  assert_true(up->has_told_who);
  status = demo_child_end(&up->child, 0);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
  assert_int_equal(hello(up), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(what_it_tells_to_try_works_and_ctrl_c_leaves_nothing, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(when_a_part_dies_it_says_which_and_stops_the_rest, set_up,
                                      tear_down),
  };
  int failed;

  curl_global_init(CURL_GLOBAL_DEFAULT);
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  curl_global_cleanup();
  return failed;
}

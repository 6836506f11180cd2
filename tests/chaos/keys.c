#include "keys.h"

#include "../demo/child.h"
#include "../outage/stand.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND_WAIT_MS 10000

struct reader {
  const char *prefix;
  char *line, last[256];
  size_t size;
};

static void on_line(void *context, const char *line, size_t size)
{
  struct reader *r = context;

  (void)size;
  snprintf(r->last, sizeof(r->last), "%s", line);
  if (r->prefix && strncmp(line, r->prefix, strlen(r->prefix)) == 0)
    snprintf(r->line, r->size, "%s", line + strlen(r->prefix));
}

bool chaos_command(const char *const *arguments, bool is_loud, const char *prefix, char *ret_line,
                   size_t size)
{
  struct reader reader = {.prefix = prefix, .line = ret_line, .size = size};
  struct demo_child child;
  int status;

  if (!demo_child_start(&child, arguments, true)) {
    if (is_loud)
      fprintf(stderr, "weir-chaos: %s: %s\n", arguments[0], strerror(errno));
    return false;
  }
  while (child.fd >= 0) {
    struct pollfd output = {child.fd, POLLIN, 0};

    if (poll(&output, 1, COMMAND_WAIT_MS) <= 0)
      break;
    demo_child_read(&child, on_line, &reader);
  }
  status = demo_child_end(&child, 0);
  if (status != 0 && is_loud)
    fprintf(stderr, "weir-chaos: %s: %s\n", arguments[0], reader.last);
  return status == 0;
}

bool chaos_folder_new(char *ret_folder)
{
  strcpy(ret_folder, "/tmp/weir-chaos-XXXXXX");
  if (mkdtemp(ret_folder))
    return true;
  fprintf(stderr, "weir-chaos: %s: %s\n", ret_folder, strerror(errno));
  ret_folder[0] = '\0';
  return false;
}

void chaos_keys_path(const struct chaos_keys *keys, const char *name, char *ret_path, size_t size)
{
  snprintf(ret_path, size, "%s/%s.key", keys->folder, name);
}

bool chaos_keys_open(struct chaos_keys *keys, const char *programs)
{
  char program[544], path[96], secret[CHAOS_KEY_SIZE];
  const char *const arguments[] = {program, "keys", "new", "--coordinator", "--out", path, NULL};

  memset(keys, 0, sizeof(*keys));
  keys->programs = programs;
  if (!chaos_folder_new(keys->folder))
    return false;
  snprintf(program, sizeof(program), "%s/weir", programs);
  chaos_keys_path(keys, "server", path, sizeof(path));
  snprintf(keys->config, sizeof(keys->config), "key: %s\npeers: %s/peers\n", path, keys->folder);
  return chaos_command(arguments, true, "", keys->server_key, sizeof(keys->server_key)) &&
         chaos_keys_read(keys, "server", keys->server_key, secret);
}

void chaos_keys_close(struct chaos_keys *keys)
{
  if (keys->folder[0])
    outage_folder_remove(keys->folder);
}

bool chaos_keys_new(const struct chaos_keys *keys, const char *name, bool is_listed)
{
  char program[544], path[96], peers[96];
  const char *const arguments[] = {program,
                                   "keys",
                                   "new",
                                   name,
                                   "--out",
                                   path,
                                   is_listed ? "--peers" : NULL,
                                   is_listed ? peers : NULL,
                                   NULL};

  snprintf(program, sizeof(program), "%s/weir", keys->programs);
  snprintf(peers, sizeof(peers), "%s/peers", keys->folder);
  chaos_keys_path(keys, name, path, sizeof(path));
  return chaos_command(arguments, true, NULL, NULL, 0);
}

bool chaos_keys_revoke(const struct chaos_keys *keys, const char *name)
{
  char program[544], peers[96];
  const char *const arguments[] = {program, "keys", "revoke", name, "--peers", peers, NULL};

  snprintf(program, sizeof(program), "%s/weir", keys->programs);
  snprintf(peers, sizeof(peers), "%s/peers", keys->folder);
  return chaos_command(arguments, true, NULL, NULL, 0);
}

bool chaos_keys_read(const struct chaos_keys *keys, const char *name,
                     char ret_public[CHAOS_KEY_SIZE], char ret_secret[CHAOS_KEY_SIZE])
{
  char path[96], line[256];
  int found = 0;
  FILE *file;

  chaos_keys_path(keys, name, path, sizeof(path));
  file = fopen(path, "r");
  while (file && fgets(line, sizeof(line), file)) {
    found += sscanf(line, " public-key = \"%40[^\"]\"", ret_public) == 1;
    found += sscanf(line, " secret-key = \"%40[^\"]\"", ret_secret) == 1;
  }
  if (file)
    fclose(file);
  if (found != 2)
    fprintf(stderr, "weir-chaos: %s holds no pair of keys\n", path);
  return found == 2;
}

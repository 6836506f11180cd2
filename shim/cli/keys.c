/* keys.c - `weir keys`: makes keys, and shows and changes the list of those that a coordinator lets
 * in. It works on files: nothing is sent. */
#define _DEFAULT_SOURCE /* explicit_bzero */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zmq.h>

#include "cli.h"
#include "jsonout.h"
#include "keys_list.h"

#define PEERS_DEFAULT "/etc/weir/peers"

enum {
  OPTION_PEERS = 256,
  OPTION_TENANT,
  OPTION_RIGHTS,
  OPTION_MESSAGES,
  OPTION_BYTES,
  OPTION_SESSIONS,
  OPTION_COORDINATOR,
  OPTION_JSON
};

static const struct weir_cli_option options[] = {
    {"peers", OPTION_PEERS, "FILE",
     "the list (list and revoke: default $WEIR_PEERS, or\n" PEERS_DEFAULT
     "; new: without it the\nline is only printed)"},
    {"out", 'o', "FILE", "new: where the secret key goes (default: NAME.key)"},
    {"coordinator", OPTION_COORDINATOR, NULL, "new: a key for the coordinator itself"},
    {"tenant", OPTION_TENANT, "NAME", "new: asks of the key are this tenant's, whatever they say"},
    {"rights", OPTION_RIGHTS, "WORDS",
     "new: some of ask, show, admin, with commas between\n(default: ask,show)"},
    {"messages", OPTION_MESSAGES, "N", "new: frames a second (default: peer_limits)"},
    {"bytes", OPTION_BYTES, "N", "new: bytes a second (default: peer_limits)"},
    {"sessions", OPTION_SESSIONS, "N", "new: open sessions (default: peer_limits)"},
    {"json", OPTION_JSON, NULL, "one JSON object, on one line"},
    {0},
};

static const struct weir_cli_command *const self = &weir_cli_keys_command;

struct keys {
  const char *verb, *name, *out, *peers;
  struct weir_peer peer;
  bool is_coordinator, is_json;
};

/* ---- new ---- */

static int secret_write(const char *path, const char *name, const char *public, const char *secret)
{
  char text[512];
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  int size;
  bool is_written;

  if (fd < 0) {
    weir_cli_error(self, "%s: %s%s", path, strerror(errno),
                   errno == EEXIST ? "; keys are never overwritten: choose another --out" : "");
    return WEIR_CLI_BAD;
  }
  size = snprintf(text, sizeof(text),
                  "# weir: the secret key of %s. Whoever has it is %s.\n"
                  "metadata\n    name = \"%s\"\n"
                  "curve\n    public-key = \"%s\"\n    secret-key = \"%s\"\n",
                  name, name, name, public, secret);
  is_written = size > 0 && (size_t)size < sizeof(text) && write(fd, text, (size_t)size) == size &&
               fsync(fd) == 0;
  explicit_bzero(text, sizeof(text));
  is_written = close(fd) == 0 && is_written;
  if (is_written)
    return WEIR_CLI_FINE;
  weir_cli_error(self, "%s: %s", path, strerror(errno));
  unlink(path);
  return WEIR_CLI_BAD;
}

static int new_print(const struct keys *keys, const char *path)
{
  char line[WEIR_PEER_LINE_SIZE];
  struct weir_jsonout out = {0};

  weir_peer_format(&keys->peer, line);
  if (!keys->is_json) {
    puts(keys->is_coordinator ? keys->peer.key : line);
    return WEIR_CLI_FINE;
  }
  weir_jsonout_object(&out, NULL);
  weir_jsonout_text(&out, "name", keys->peer.name);
  weir_jsonout_text(&out, "key", keys->peer.key);
  weir_jsonout_text(&out, "file", path);
  weir_jsonout_text(&out, "line", keys->is_coordinator ? NULL : line);
  weir_jsonout_object_end(&out);
  weir_jsonout_newline(&out);
  return weir_jsonout_print(&out) ? WEIR_CLI_FINE : WEIR_CLI_BAD;
}

/* Names with the grammar of the list: a line of it tells whether they are ones. */
static int peer_check(struct keys *keys)
{
  char line[WEIR_PEER_LINE_SIZE], why[WEIR_CONF_ISSUE_SIZE];
  struct weir_peer parsed;

  weir_peer_format(&keys->peer, line);
  if (keys->peer.name[0] != '#' && strlen(keys->name) < WEIR_NAME_SIZE &&
      !strpbrk(keys->name, "\"\\") && weir_peer_parse(line, &parsed, why, sizeof(why)) &&
      strcmp(parsed.name, keys->name) == 0)
    return WEIR_CLI_FINE;
  return weir_cli_usage(self,
                        "'%s' is no name: 1 to %d printable characters without space, quote or "
                        "backslash, not beginning with '#'",
                        keys->name, WEIR_NAME_SIZE - 1);
}

static int new_run(struct keys *keys)
{
  char path[WEIR_NAME_SIZE + 8], secret[WEIR_KEY_SIZE];
  const char *out = keys->out;
  int result;

  if (!keys->name && keys->is_coordinator)
    keys->name = "coordinator";
  if (!keys->name)
    return weir_cli_usage(self, "new: which name? 'weir keys new checkout-1'");
  snprintf(keys->peer.name, sizeof(keys->peer.name), "%s", keys->name);
  if (zmq_curve_keypair(keys->peer.key, secret) != 0) {
    weir_cli_error(self, "this libzmq makes no CURVE keys");
    return WEIR_CLI_BAD;
  }
  result = peer_check(keys);
  if (!out && strchr(keys->name, '/'))
    result = weir_cli_usage(self, "'%s' is no name of a file: add --out FILE", keys->name);
  snprintf(path, sizeof(path), "%s.key", keys->peer.name);
  out = out ? out : path;
  if (result == WEIR_CLI_FINE)
    result = secret_write(out, keys->peer.name, keys->peer.key, secret);
  explicit_bzero(secret, sizeof(secret));
  if (result != WEIR_CLI_FINE)
    return result;
  if (keys->peers && !keys->is_coordinator)
    result = weir_keys_list_add(self, keys->peers, &keys->peer);
  if (result != WEIR_CLI_FINE)
    unlink(out);
  return result == WEIR_CLI_FINE ? new_print(keys, out) : result;
}

/* ---- list and revoke ---- */

static bool list_json(const struct weir_peers *peers)
{
  struct weir_jsonout out = {0};
  char rights[WEIR_RIGHTS_SIZE];

  weir_jsonout_object(&out, NULL);
  weir_jsonout_array(&out, "peers");
  for (uint32_t i = 0; i < peers->count; i++) {
    const struct weir_peer *peer = &peers->items[i];

    weir_rights_format(peer->is.rights, rights);
    weir_jsonout_object(&out, NULL);
    weir_jsonout_text(&out, "name", peer->name);
    weir_jsonout_text(&out, "key", peer->key);
    weir_jsonout_text(&out, "tenant", peer->is.tenant[0] ? peer->is.tenant : NULL);
    weir_jsonout_text(&out, "rights", rights);
    weir_jsonout_uint(&out, "messages", peer->messages);
    weir_jsonout_uint(&out, "bytes", peer->bytes);
    weir_jsonout_uint(&out, "sessions", peer->is.sessions_max);
    weir_jsonout_object_end(&out);
  }
  weir_jsonout_array_end(&out);
  weir_jsonout_object_end(&out);
  weir_jsonout_newline(&out);
  return weir_jsonout_print(&out);
}

static int by_name(const void *a, const void *b)
{
  return strcmp(((const struct weir_peer *)a)->name, ((const struct weir_peer *)b)->name);
}

static int list_run(const struct keys *keys)
{
  struct weir_peers *peers;
  char line[WEIR_PEER_LINE_SIZE];
  int result = weir_keys_list_read(self, keys->peers, &peers);

  if (result != WEIR_CLI_FINE)
    return result;
  if (peers->count > 0)
    qsort(peers->items, peers->count, sizeof(*peers->items), by_name);
  if (keys->is_json && !list_json(peers))
    result = WEIR_CLI_BAD;
  for (uint32_t i = 0; !keys->is_json && i < peers->count; i++) {
    weir_peer_format(&peers->items[i], line);
    puts(line);
  }
  weir_peers_free(peers);
  return result;
}

static int revoke_run(const struct keys *keys)
{
  int result;

  if (!keys->name)
    return weir_cli_usage(self, "revoke: which name? 'weir keys list' shows them");
  result = weir_keys_list_remove(self, keys->peers, keys->name);
  if (result == WEIR_CLI_FINE && !keys->is_json)
    printf("%s: revoked; the coordinator takes no more of its messages\n", keys->name);
  if (result == WEIR_CLI_FINE && keys->is_json)
    puts("{\"revoked\":true}");
  return result;
}

/* ---- the command line ---- */

static int operand(struct keys *keys, const char *word)
{
  static const char *const verbs[] = {"new", "list", "revoke"};
  const char *nearest = weir_cli_nearest(word, verbs, 3);

  if (!keys->verb) {
    keys->verb = word;
    for (size_t i = 0; i < 3; i++)
      if (strcmp(word, verbs[i]) == 0)
        return WEIR_CLI_FINE;
    return weir_cli_usage(self, "'%s' is none of new, list, revoke%s%s%s", word,
                          nearest ? "; did you mean '" : "", nearest ? nearest : "",
                          nearest ? "'?" : "");
  }
  if (keys->name || strcmp(keys->verb, "list") == 0)
    return weir_cli_usage(self, "'%s' is one word too many", word);
  keys->name = word;
  return WEIR_CLI_FINE;
}

static int tenant_take(struct keys *keys, const char *text)
{
  for (const char *at = text; *at; at++)
    if (*at <= ' ' || *at > '~')
      return weir_cli_usage(self, "--tenant: printable characters without space only");
  if (!*text || strlen(text) >= sizeof(keys->peer.is.tenant))
    return weir_cli_usage(self, "--tenant: a name has 1 to %d characters", WEIR_TENANT_SIZE - 1);
  snprintf(keys->peer.is.tenant, sizeof(keys->peer.is.tenant), "%s", text);
  return WEIR_CLI_FINE;
}

static int option_take(struct keys *keys, const struct weir_cli_args *args, int id)
{
  uint64_t sessions = 0;
  int result;

  switch (id) {
  case 'o':
    keys->out = args->value;
    return WEIR_CLI_FINE;
  case OPTION_PEERS:
    keys->peers = args->value;
    return WEIR_CLI_FINE;
  case OPTION_TENANT:
    return tenant_take(keys, args->value);
  case OPTION_RIGHTS:
    return weir_rights_parse(args->value, &keys->peer.is.rights)
               ? WEIR_CLI_FINE
               : weir_cli_usage(self, "--rights: write some of ask,show,admin, not '%s'",
                                args->value);
  case OPTION_MESSAGES:
    return weir_cli_uint(args, 1, WEIR_THROTTLE_RATE_MAX, &keys->peer.messages);
  case OPTION_BYTES:
    return weir_cli_uint(args, 1, WEIR_THROTTLE_RATE_MAX, &keys->peer.bytes);
  case OPTION_SESSIONS:
    result = weir_cli_uint(args, 1, UINT32_MAX, &sessions);
    keys->peer.is.sessions_max = (uint32_t)sessions;
    return result;
  case OPTION_COORDINATOR:
    keys->is_coordinator = true;
    return WEIR_CLI_FINE;
  case OPTION_JSON:
    keys->is_json = true;
    return WEIR_CLI_FINE;
  case WEIR_CLI_OPERAND:
    return operand(keys, args->value);
  default:
    return WEIR_CLI_USAGE;
  }
}

static int run(int argc, char **argv)
{
  struct weir_cli_args args = {.command = self, .argc = argc, .argv = argv};
  struct keys keys = {.peer.is.rights = WEIR_RIGHTS_DEFAULT};
  int id, result = WEIR_CLI_FINE;

  while (result == WEIR_CLI_FINE && (id = weir_cli_next(&args)) != WEIR_CLI_END)
    result = option_take(&keys, &args, id);
  if (result != WEIR_CLI_FINE)
    return result;
  if (!keys.verb)
    return weir_cli_usage(self, "what? new, list or revoke");
  if (strcmp(keys.verb, "new") == 0)
    return new_run(&keys);
  if (!keys.peers)
    keys.peers = getenv("WEIR_PEERS");
  if (!keys.peers || !keys.peers[0])
    keys.peers = PEERS_DEFAULT;
  return strcmp(keys.verb, "list") == 0 ? list_run(&keys) : revoke_run(&keys);
}

const struct weir_cli_command weir_cli_keys_command = {
    .name = "keys",
    .synopsis = "new NAME [--peers FILE] [--out FILE] [--tenant NAME] [--rights WORDS]\n"
                "                     [--messages N] [--bytes N] [--sessions N]\n"
                "       weir keys new --coordinator [--out FILE]\n"
                "       weir keys list [--peers FILE] [--json]\n"
                "       weir keys revoke NAME [--peers FILE]",
    .summary = "make, list and revoke the keys of instances that come by TCP",
    .text =
        "new writes a secret key to FILE, which only you may read, and prints what others need:\n"
        "the line of the coordinator's list (its 'peers'), added to it with --peers; or, with\n"
        "--coordinator, the public key that instances want as WEIR_SERVER_KEY. revoke takes a\n"
        "line out. A coordinator reads its list again when it changes: a new key is let in,\n"
        "and the next message of a revoked one ends its session.\n\n"
        "Rights: ask opens sessions and takes leases, show is what 'weir stats' needs, admin\n"
        "what 'weir breaker' needs to steer.",
    .options = options,
    .run = run,
};

#include <weir/peers.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/conf_read.h>
#include <weir/conf_value.h>

#define SPACES " \t\r"

static const struct {
  const char *word;
  uint32_t bit;
} rights_words[] = {
    {"ask", WEIR_RIGHT_ASK}, {"show", WEIR_RIGHT_SHOW}, {"admin", WEIR_RIGHT_ADMIN}};

#define RIGHTS_COUNT (sizeof rights_words / sizeof rights_words[0])

/* ---- words ---- */

static uint32_t right_of(const char *word, size_t size)
{
  for (size_t i = 0; i < RIGHTS_COUNT; i++) {
    if (strlen(rights_words[i].word) == size && memcmp(rights_words[i].word, word, size) == 0)
      return rights_words[i].bit;
  }
  return 0;
}

bool weir_rights_parse(const char *text, uint32_t *ret_rights)
{
  uint32_t rights = 0;
  for (const char *at = text; *at != '\0';) {
    size_t size = strcspn(at, ",");
    uint32_t right = right_of(at, size);
    if (right == 0 || (at[size] == ',' && at[size + 1] == '\0'))
      return false;
    rights |= right;
    at += size + (at[size] == ',');
  }
  *ret_rights = rights;
  return true;
}

void weir_rights_format(uint32_t rights, char ret_text[WEIR_RIGHTS_SIZE])
{
  size_t size = 0;
  ret_text[0] = '\0';
  for (size_t i = 0; i < RIGHTS_COUNT; i++) {
    if ((rights & rights_words[i].bit) != 0)
      size += (size_t)snprintf(ret_text + size, WEIR_RIGHTS_SIZE - size, "%s%s",
                               size > 0 ? "," : "", rights_words[i].word);
  }
}

/* ---- one line ---- */

static bool is_text(const char *text, size_t size_max)
{
  for (const char *at = text; *at != '\0'; at++) {
    if (*at <= ' ' || *at > '~')
      return false;
  }
  return text[0] != '\0' && strlen(text) < size_max;
}

static bool take_amount(const char *value, uint64_t max, uint64_t *ret_amount)
{
  return weir_conf_value_parse(WEIR_CONF_AMOUNT, value, ret_amount) && *ret_amount >= 1 &&
         *ret_amount <= max;
}

static bool take_option(struct weir_peer *peer, const char *name, const char *value)
{
  uint64_t sessions = 0;
  if (strcmp(name, "tenant") == 0 && is_text(value, sizeof peer->is.tenant)) {
    snprintf(peer->is.tenant, sizeof peer->is.tenant, "%s", value);
    return true;
  }
  if (strcmp(name, "rights") == 0)
    return weir_rights_parse(value, &peer->is.rights);
  if (strcmp(name, "messages") == 0)
    return take_amount(value, WEIR_THROTTLE_RATE_MAX, &peer->messages);
  if (strcmp(name, "bytes") == 0)
    return take_amount(value, WEIR_THROTTLE_RATE_MAX, &peer->bytes);
  if (strcmp(name, "sessions") != 0 || !take_amount(value, UINT32_MAX, &sessions))
    return false;
  peer->is.sessions_max = (uint32_t)sessions;
  return true;
}

static bool take_key(struct weir_peer *peer, const char *text)
{
  uint8_t bytes[WEIR_KEY_BYTES];
  if (!weir_key_decode(text, bytes))
    return false;
  snprintf(peer->key, sizeof peer->key, "%s", text);
  memcpy(&peer->is.id, bytes, sizeof peer->is.id);
  if (peer->is.id == 0)
    peer->is.id = 1; /* 0 stands for peers without a key */
  return true;
}

bool weir_peer_parse(const char *line, struct weir_peer *ret_peer, char *ret_why, size_t size)
{
  static const char *const options[] = {"tenant", "rights", "messages", "bytes", "sessions"};
  struct weir_peer peer = {.is.rights = WEIR_RIGHTS_DEFAULT};
  char text[WEIR_PEER_LINE_SIZE], *rest = NULL;
  uint32_t seen = 0;
  if (strlen(line) >= sizeof text) {
    snprintf(ret_why, size, "the line is longer than %zu bytes; shorten it", sizeof text - 1);
    return false;
  }
  snprintf(text, sizeof text, "%s", line);
  const char *name = strtok_r(text, SPACES, &rest);
  const char *key = strtok_r(NULL, SPACES, &rest);
  if (name == NULL || !is_text(name, sizeof peer.name)) {
    snprintf(ret_why, size, "the name is not 1 to %d printable characters; write NAME KEY",
             WEIR_NAME_SIZE - 1);
    return false;
  }
  snprintf(peer.name, sizeof peer.name, "%s", name);
  if (key == NULL || !take_key(&peer, key)) {
    snprintf(ret_why, size,
             "after '%s' no public key follows; copy the line that 'weir keys new' prints",
             peer.name);
    return false;
  }
  for (char *word = strtok_r(NULL, SPACES, &rest); word != NULL;
       word = strtok_r(NULL, SPACES, &rest)) {
    char *value = strchr(word, '=');
    uint32_t bit = 0;
    if (value != NULL)
      *value++ = '\0';
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
      bit |= strcmp(word, options[i]) == 0 ? UINT32_C(1) << i : 0;
    if (value == NULL || bit == 0 || (seen & bit) != 0 || !take_option(&peer, word, value)) {
      snprintf(ret_why, size,
               "'%.40s' is unknown, stands twice, or has no valid value; write tenant=NAME, "
               "rights=ask,show,admin, messages=N, bytes=N or sessions=N",
               word);
      return false;
    }
    seen |= bit;
  }
  *ret_peer = peer;
  return true;
}

void weir_peer_format(const struct weir_peer *peer, char ret_line[WEIR_PEER_LINE_SIZE])
{
  char rights[WEIR_RIGHTS_SIZE];
  weir_rights_format(peer->is.rights, rights);
  size_t size = (size_t)snprintf(ret_line, WEIR_PEER_LINE_SIZE, "%s %s", peer->name, peer->key);
  if (peer->is.tenant[0] != '\0')
    size += (size_t)snprintf(ret_line + size, WEIR_PEER_LINE_SIZE - size, " tenant=%s",
                             peer->is.tenant);
  size += (size_t)snprintf(ret_line + size, WEIR_PEER_LINE_SIZE - size, " rights=%s", rights);
  if (peer->messages > 0)
    size += (size_t)snprintf(ret_line + size, WEIR_PEER_LINE_SIZE - size, " messages=%llu",
                             (unsigned long long)peer->messages);
  if (peer->bytes > 0)
    size += (size_t)snprintf(ret_line + size, WEIR_PEER_LINE_SIZE - size, " bytes=%llu",
                             (unsigned long long)peer->bytes);
  if (peer->is.sessions_max > 0)
    snprintf(ret_line + size, WEIR_PEER_LINE_SIZE - size, " sessions=%u",
             (unsigned)peer->is.sessions_max);
}

/* ---- the list ---- */

static int by_key(const void *a, const void *b)
{
  return strcmp(((const struct weir_peer *)a)->key, ((const struct weir_peer *)b)->key);
}

static int by_name(const void *a, const void *b)
{
  return strcmp((*(const struct weir_peer *const *)a)->name,
                (*(const struct weir_peer *const *)b)->name);
}

/* Ids are the first 8 bytes of keys, 10 of their characters: who shares them shares sessions. */
static void check_unique(const struct weir_peers *peers, struct weir_conf_issues *issues)
{
  const struct weir_peer **names = malloc((peers->count + 1) * sizeof *names);
  if (names == NULL) {
    weir_conf_issue_at(issues, 0, 0, "out of memory; nothing was read");
    return;
  }
  for (uint32_t i = 0; i < peers->count; i++) {
    names[i] = &peers->items[i];
    if (i > 0 && strncmp(peers->items[i - 1].key, peers->items[i].key, 10) == 0)
      weir_conf_issue_at(issues, 0, 0,
                         "'%s' and '%s' have the same key; remove one, or make a new key",
                         peers->items[i - 1].name, peers->items[i].name);
  }
  qsort(names, peers->count, sizeof *names, by_name);
  for (uint32_t i = 1; i < peers->count; i++) {
    if (strcmp(names[i - 1]->name, names[i]->name) == 0)
      weir_conf_issue_at(issues, 0, 0, "the name '%s' stands twice; rename or remove one",
                         names[i]->name);
  }
  free(names);
}

/* Returns the line's first column that is not blank, or NULL when the line says nothing. */
static const char *content(const char *line)
{
  line += strspn(line, SPACES);
  return *line == '\0' || *line == '#' ? NULL : line;
}

static void take_line(struct weir_peers *peers, uint32_t number, const char *text, size_t size,
                      struct weir_conf_issues *issues)
{
  char line[WEIR_PEER_LINE_SIZE + 1], why[WEIR_CONF_ISSUE_SIZE];
  size_t length = size < sizeof line - 1 ? size : sizeof line - 1;
  memcpy(line, text, length);
  line[length] = '\0';
  if (memchr(text, '\0', size) != NULL) {
    weir_conf_issue_at(issues, number, 1, "a NUL byte stands here; save the file as text");
    return;
  }
  const char *at = content(line);
  if (at == NULL)
    return;
  if (peers->count == WEIR_PEERS_MAX)
    weir_conf_issue_at(issues, number, 1, "more than %d keys; split them over coordinators",
                       WEIR_PEERS_MAX);
  else if (weir_peer_parse(line, &peers->items[peers->count], why, sizeof why))
    peers->count++;
  else
    weir_conf_issue_at(issues, number, (uint32_t)(at - line) + 1, "%s", why);
}

static uint32_t count_lines(const char *bytes, size_t size)
{
  uint32_t count = 1;
  for (size_t i = 0; i < size; i++)
    count += bytes[i] == '\n';
  return count;
}

enum weir_err weir_peers_parse(const char *bytes, size_t size, struct weir_peers **ret_peers,
                               struct weir_conf_issues *ret_issues)
{
  *ret_issues = (struct weir_conf_issues){0};
  if (size > WEIR_PEERS_FILE_SIZE_MAX) {
    weir_conf_issue_at(ret_issues, 0, 0, "the file is larger than %u bytes; remove old keys",
                       WEIR_PEERS_FILE_SIZE_MAX);
    return WEIR_ECONFIG;
  }
  uint32_t room = count_lines(bytes, size), number = 0;
  struct weir_peers *peers = calloc(1, sizeof *peers);
  if (peers != NULL)
    peers->items = calloc(room < WEIR_PEERS_MAX ? room : WEIR_PEERS_MAX, sizeof *peers->items);
  if (peers == NULL || peers->items == NULL) {
    weir_peers_free(peers);
    return WEIR_ENOMEM;
  }
  for (size_t at = 0; at < size;) {
    const char *end = memchr(bytes + at, '\n', size - at);
    size_t length = end != NULL ? (size_t)(end - bytes) - at : size - at;
    take_line(peers, ++number, bytes + at, length, ret_issues);
    at += length + 1;
  }
  qsort(peers->items, peers->count, sizeof *peers->items, by_key);
  check_unique(peers, ret_issues);
  if (ret_issues->errors > 0) {
    weir_peers_free(peers);
    return WEIR_ECONFIG;
  }
  *ret_peers = peers;
  return WEIR_OK;
}

enum weir_err weir_peers_load(const char *path, struct weir_peers **ret_peers,
                              struct weir_conf_issues *ret_issues)
{
  *ret_issues = (struct weir_conf_issues){0};
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    weir_conf_issue_at(ret_issues, 0, 0,
                       "cannot be opened (%s); make it with 'weir keys new NAME --peers FILE', or "
                       "give the path of a readable file",
                       strerror(errno));
    return WEIR_ECONFIG;
  }
  enum weir_err err = WEIR_ENOMEM;
  char *bytes = malloc(WEIR_PEERS_FILE_SIZE_MAX + 1);
  if (bytes != NULL) {
    size_t size = fread(bytes, 1, WEIR_PEERS_FILE_SIZE_MAX + 1, file);
    if (ferror(file)) {
      weir_conf_issue_at(ret_issues, 0, 0, "cannot be read (%s); give a readable file",
                         strerror(errno));
      err = WEIR_ECONFIG;
    } else {
      err = weir_peers_parse(bytes, size, ret_peers, ret_issues);
    }
  }
  free(bytes);
  fclose(file);
  return err;
}

void weir_peers_free(struct weir_peers *peers)
{
  if (peers == NULL)
    return;
  free(peers->items);
  free(peers);
}

static int key_compare(const void *key, const void *item)
{
  return strcmp(key, ((const struct weir_peer *)item)->key);
}

struct weir_peer *weir_peers_find(const struct weir_peers *peers, const char *key)
{
  return peers != NULL && peers->count > 0
             ? bsearch(key, peers->items, peers->count, sizeof *peers->items, key_compare)
             : NULL;
}

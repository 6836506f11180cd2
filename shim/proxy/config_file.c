/* config_file.c - the settings as a file in YAML. */
#include "config_in.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <weir/conf_read.h>

#define TEXT_SIZE 8192
/* The kinds as words, and below in the same order; "|" stands before the first one, too. */
#define WORD(name, value, text, rules) "|" text
#define KIND(name, value, text, rules) WEIR_PROVIDER_##name,
#define KEYS_MAX                       ((size_t)64)

/* What a provider may have, below the settings of the table. */
static const struct weir_conf_key provider_keys[] = {
    {"providers", WEIR_CONF_MAP, "", "", "the providers, by the names that begin their paths"},
    {"providers.*", WEIR_CONF_MAP, "", "", "one provider"},
    {"providers.*.kind", WEIR_CONF_WORD, "", &(WEIR_PROVIDER_LIST(WORD))[1],
     "whose protocol it speaks"},
    {"providers.*.url", WEIR_CONF_TEXT, "", "", "its base URL"},
    {"providers.*.keys", WEIR_CONF_TEXTS, "", "",
     "where its keys are: env:NAME and file:/path, one key a line"},
};

#define PROVIDER_KEYS (sizeof(provider_keys) / sizeof(provider_keys[0]))

struct builder {
  struct weir_conf_reader reader;
  struct weir_proxy_config *config;
  struct weir_conf_key keys[KEYS_MAX];
};

/* The texts of a list as one, separated by commas. False, and an issue, where one is none, or the
 * list is empty. */
static bool list_join(struct builder *b, const yaml_node_t *node, const char *what,
                      char ret_text[TEXT_SIZE])
{
  const size_t count = weir_conf_items(node);
  size_t used = 0;

  if (count == 0)
    weir_conf_issue_add(b->reader.issues, false, node,
                        "%s: the list is empty; put something in, or leave it out", what);
  for (size_t i = 0; i < count; i++) {
    if (i > 0)
      ret_text[used++] = ',';
    if (!weir_conf_node_text(&b->reader, weir_conf_item(&b->reader, node, i), what, ret_text + used,
                             TEXT_SIZE - 1 - used))
      return false;
    used += strlen(ret_text + used);
  }
  ret_text[used] = '\0';
  return used > 0;
}

static void listen_read(struct builder *b, const yaml_node_t *node)
{
  char text[TEXT_SIZE];

  if (list_join(b, node, "listen", text) && !weir_proxy_listen_set(b->config, text))
    weir_conf_issue_add(b->reader.issues, false, node,
                        "listen: '%.80s' is not understood; write HOST:PORT and unix:PATH, one of "
                        "each at most",
                        text);
}

static void setting_read(struct builder *b, const struct weir_conf_section *top,
                         const struct weir_proxy_setting *setting)
{
  const char *name = setting->key.path;
  void *place = (char *)b->config + setting->place;
  const yaml_node_t *node = weir_conf_find(top, name);
  char text[TEXT_SIZE];
  int word;

  if (!node)
    return; /* it keeps its default */
  if (setting->key.type == WEIR_CONF_TEXTS) {
    listen_read(b, node);
  } else if (setting->key.type == WEIR_CONF_TEXT) {
    if (weir_conf_text(top, name, text, sizeof(text)) && !weir_proxy_text_set(place, text))
      weir_conf_issue_add(b->reader.issues, false, node, "%s: out of memory", name);
  } else if (setting->key.type == WEIR_CONF_AMOUNT) {
    *(uint64_t *)place = weir_conf_number(top, name);
  } else if (setting->key.type == WEIR_CONF_BOOL) {
    *(bool *)place = weir_conf_bool(top, name);
  } else {
    word = weir_conf_word(top, name);
    if (word >= 0)
      weir_proxy_word_set(b->config, setting, (size_t)word);
  }
}

static void provider_read(struct builder *b, const yaml_node_t *name, const yaml_node_t *value)
{
  static const enum weir_provider_kind kinds[] = {WEIR_PROVIDER_LIST(KIND)};
  const char *text = (const char *)name->data.scalar.value;
  char url[WEIR_PROXY_URL_SIZE], keys[TEXT_SIZE];
  struct weir_conf_section section;
  const uint32_t errors = b->reader.issues->errors;
  bool has_url, has_keys;
  const char *flaw;
  int kind = -1;

  if (!weir_conf_section_open(&b->reader, value, "providers.*", &section))
    return;
  if (weir_conf_find(&section, "kind"))
    kind = weir_conf_word(&section, "kind");
  has_url = weir_conf_text(&section, "url", url, sizeof(url));
  has_keys = weir_conf_find(&section, "keys") &&
             list_join(b, weir_conf_find(&section, "keys"), "keys", keys);
  if (b->reader.issues->errors > errors)
    return;
  flaw = weir_proxy_provider_set(b->config, text, name->data.scalar.length,
                                 kind >= 0 ? kinds[kind] : 0, has_url ? url : NULL,
                                 has_url ? strlen(url) : 0, has_keys ? keys : NULL);
  if (flaw)
    weir_conf_issue_add(b->reader.issues, false, name, "provider '%.40s' %s", text, flaw);
}

static void build(struct weir_conf_reader *reader, const yaml_node_t *root, void *context)
{
  struct builder *b = context;
  struct weir_conf_section top, providers;
  size_t count;
  const struct weir_proxy_setting *settings = weir_proxy_settings(&count);

  if (!weir_conf_section_open(reader, root, "", &top))
    return;
  for (size_t i = 0; i < count; i++)
    setting_read(b, &top, &settings[i]);
  if (!weir_conf_section_open(reader, weir_conf_find(&top, "providers"), "providers", &providers))
    return;
  for (size_t i = 0; i < weir_conf_pairs(providers.node); i++) {
    const yaml_node_t *name, *value;

    if (weir_conf_pair(reader, providers.node, i, &name, &value))
      provider_read(b, name, value);
  }
}

void weir_proxy_config_parse(struct weir_proxy_config *config, const char *bytes, size_t size,
                             struct weir_conf_issues *issues)
{
  struct builder b = {.reader = {.issues = issues}, .config = config};
  size_t count;
  const struct weir_proxy_setting *settings = weir_proxy_settings(&count);

  if (size > WEIR_CONF_FILE_SIZE_MAX) {
    weir_conf_issue_at(issues, 0, 0, "the file is larger than %d bytes; no settings need that",
                       WEIR_CONF_FILE_SIZE_MAX);
    return;
  }
  assert(count + PROVIDER_KEYS <= KEYS_MAX);
  for (size_t i = 0; i < count; i++)
    b.keys[b.reader.keys_count++] = settings[i].key;
  for (size_t i = 0; i < PROVIDER_KEYS; i++)
    b.keys[b.reader.keys_count++] = provider_keys[i];
  b.reader.keys = b.keys;
  weir_conf_document_read(&b.reader, bytes, size, build, &b);
}

int weir_proxy_config_load(struct weir_proxy_config *config, const char *path, FILE *errors)
{
  static struct weir_conf_issues issues; /* too large for a stack */
  char line[WEIR_CONF_LINE_SIZE];
  size_t size = 0;
  char *bytes;

  issues = (struct weir_conf_issues){0};
  bytes = weir_conf_file_read(path, &size, &issues);
  if (bytes)
    weir_proxy_config_parse(config, bytes, size, &issues);
  else if (issues.errors == 0)
    weir_conf_issue_at(&issues, 0, 0, "out of memory; nothing was read");
  free(bytes);
  for (uint32_t i = 0; i < issues.count; i++) {
    weir_conf_issue_format(&issues.items[i], path, line, sizeof(line));
    fprintf(errors, "%s\n", line);
  }
  return (int)issues.errors;
}

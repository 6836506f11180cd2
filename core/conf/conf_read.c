#include <weir/conf_read.h>

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <weir/conf_value.h>

#define KEY_SIZE      32
#define TYPO_DISTANCE 2

/* ---- issues ---- */

__attribute__((format(printf, 5, 0))) static void issue_write(struct weir_conf_issues *issues,
                                                              bool is_warning, uint32_t line,
                                                              uint32_t column, const char *format,
                                                              va_list args)
{
  if (!is_warning)
    issues->errors++;
  if (issues->count == WEIR_CONF_ISSUES_MAX) {
    issues->dropped++;
    return;
  }
  struct weir_conf_issue issue = {.line = line, .column = column, .is_warning = is_warning};
  vsnprintf(issue.text, sizeof issue.text, format, args);
  /* The file's own text stands in messages: keep it from writing to the terminal. */
  for (char *at = issue.text; *at != '\0'; at++) {
    if ((unsigned char)*at < ' ' || *at == 0x7f)
      *at = '?';
  }
  uint32_t place = issues->count++;
  for (; place > 0; place--) {
    const struct weir_conf_issue *before = &issues->items[place - 1];
    if (before->line < line || (before->line == line && before->column <= column))
      break;
    issues->items[place] = *before;
  }
  issues->items[place] = issue;
}

void weir_conf_issue_add(struct weir_conf_issues *issues, bool is_warning, const yaml_node_t *node,
                         const char *format, ...)
{
  uint32_t line = node == NULL ? 0 : (uint32_t)node->start_mark.line + 1;
  uint32_t column = node == NULL ? 0 : (uint32_t)node->start_mark.column + 1;
  va_list args;
  va_start(args, format);
  issue_write(issues, is_warning, line, column, format, args);
  va_end(args);
}

void weir_conf_issue_at(struct weir_conf_issues *issues, uint32_t line, uint32_t column,
                        const char *format, ...)
{
  va_list args;
  va_start(args, format);
  issue_write(issues, false, line, column, format, args);
  va_end(args);
}

void weir_conf_issue_format(const struct weir_conf_issue *issue, const char *file, char *ret_text,
                            size_t size)
{
  const char *kind = issue->is_warning ? "warning: " : "";
  if (issue->line == 0)
    snprintf(ret_text, size, "%s: %s%s", file, kind, issue->text);
  else
    snprintf(ret_text, size, "%s:%u:%u: %s%s", file, (unsigned)issue->line, (unsigned)issue->column,
             kind, issue->text);
}

/* ---- the table ---- */

const char *weir_conf_type_name(enum weir_conf_type type)
{
  switch (type) {
  case WEIR_CONF_AMOUNT:
    return "amount";
  case WEIR_CONF_DURATION:
    return "duration";
  case WEIR_CONF_PERCENT:
    return "percentage";
  case WEIR_CONF_MONEY:
    return "sum of money";
  case WEIR_CONF_BOOL:
    return "boolean";
  case WEIR_CONF_WORD:
    return "word";
  case WEIR_CONF_TEXT:
    return "text";
  case WEIR_CONF_TEXTS:
    return "text or list of texts";
  case WEIR_CONF_MAP:
    return "map";
  case WEIR_CONF_LIST:
    return "list";
  }
  assert(false);
  return "?";
}

/* The part of |path| that follows |prefix|, up to the next step: "log.level" after "log" is
 * "level". False when |path| is no child of |prefix|. */
static bool child_of(const char *path, const char *prefix, char *ret_child)
{
  size_t length = strlen(prefix);
  if (strncmp(path, prefix, length) != 0)
    return false;
  const char *rest = path + length;
  if (length > 0 && *rest++ != '.')
    return false;
  size_t size = strcspn(rest, ".[");
  if (size == 0 || size >= KEY_SIZE || rest[size] != '\0')
    return false;
  memcpy(ret_child, rest, size + 1);
  return true;
}

static const struct weir_conf_key *key_find(const struct weir_conf_reader *reader,
                                            const char *prefix, const char *name)
{
  char child[KEY_SIZE];
  for (size_t i = 0; i < reader->keys_count; i++) {
    if (child_of(reader->keys[i].path, prefix, child) && strcmp(child, name) == 0)
      return &reader->keys[i];
  }
  return NULL;
}

/* The key that |name| is probably meant to be, or NULL. */
static const struct weir_conf_key *key_guess(const struct weir_conf_reader *reader,
                                             const char *prefix, const char *name, char *ret_child)
{
  size_t best = TYPO_DISTANCE + 1;
  const struct weir_conf_key *guess = NULL;
  char child[KEY_SIZE];
  for (size_t i = 0; i < reader->keys_count; i++) {
    if (!child_of(reader->keys[i].path, prefix, child))
      continue;
    size_t distance = weir_conf_distance(name, child);
    if (distance < best && distance < strlen(child)) {
      best = distance;
      guess = &reader->keys[i];
      memcpy(ret_child, child, sizeof child);
    }
  }
  return guess;
}

static void report_unknown(struct weir_conf_reader *reader, const yaml_node_t *node,
                           const char *prefix, const char *name)
{
  char list[200] = "", child[KEY_SIZE];
  if (key_guess(reader, prefix, name, child) != NULL) {
    weir_conf_issue_add(reader->issues, false, node, "unknown key '%.40s'; did you mean '%s'?",
                        name, child);
    return;
  }
  size_t used = 0;
  for (size_t i = 0; i < reader->keys_count; i++) {
    if (child_of(reader->keys[i].path, prefix, child) && used + strlen(child) + 3 < sizeof list)
      used +=
          (size_t)snprintf(list + used, sizeof list - used, "%s%s", used == 0 ? "" : ", ", child);
  }
  weir_conf_issue_add(reader->issues, false, node, "unknown key '%.40s'; known here: %s", name,
                      list);
}

/* ---- maps and lists ---- */

static const char *scalar_text(const yaml_node_t *node)
{
  return (const char *)node->data.scalar.value;
}

static const yaml_node_t *node_get(const struct weir_conf_reader *reader, int id)
{
  /* libyaml's getter takes the document as writable, but only reads it. */
  yaml_document_t document = reader->document;
  return yaml_document_get_node(&document, id);
}

size_t weir_conf_pairs(const yaml_node_t *node)
{
  if (node == NULL)
    return 0;
  assert(node->type == YAML_MAPPING_NODE);
  return (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
}

bool weir_conf_pair(struct weir_conf_reader *reader, const yaml_node_t *node, size_t index,
                    const yaml_node_t **ret_key, const yaml_node_t **ret_value)
{
  const yaml_node_pair_t *pairs = node->data.mapping.pairs.start;
  const yaml_node_t *key = node_get(reader, pairs[index].key);
  if (key->type != YAML_SCALAR_NODE || key->data.scalar.length == 0) {
    weir_conf_issue_add(reader->issues, false, key, "a key must be a plain word; see the example");
    return false;
  }
  for (size_t i = 0; i < index; i++) {
    const yaml_node_t *before = node_get(reader, pairs[i].key);
    if (before->type == YAML_SCALAR_NODE && strcmp(scalar_text(before), scalar_text(key)) == 0) {
      weir_conf_issue_add(reader->issues, false, key,
                          "'%.40s' stands here twice, first in line %u; remove one",
                          scalar_text(key), (unsigned)before->start_mark.line + 1);
      return false;
    }
  }
  *ret_key = key;
  *ret_value = node_get(reader, pairs[index].value);
  return true;
}

static const char *or_root(const char *path)
{
  return path[0] == '\0' ? "the file" : path;
}

bool weir_conf_section_open(struct weir_conf_reader *reader, const yaml_node_t *node,
                            const char *path, struct weir_conf_section *ret_section)
{
  *ret_section = (struct weir_conf_section){.reader = reader, .path = path};
  if (node == NULL)
    return true;
  if (node->type != YAML_MAPPING_NODE) {
    weir_conf_issue_add(reader->issues, false, node,
                        "%s must be a map; write keys and values, 'key: value'", or_root(path));
    return false;
  }
  if (weir_conf_pairs(node) > WEIR_CONF_PAIRS_MAX) {
    weir_conf_issue_add(reader->issues, false, node, "%s has %zu keys; at most %d are allowed",
                        or_root(path), weir_conf_pairs(node), WEIR_CONF_PAIRS_MAX);
    return false;
  }
  ret_section->node = node;
  if (key_find(reader, path, "*") != NULL)
    return true; /* names of the file's own choice: its reader goes through them */
  for (size_t i = 0; i < weir_conf_pairs(node); i++) {
    const yaml_node_t *key = NULL, *value = NULL;
    if (weir_conf_pair(reader, node, i, &key, &value) &&
        key_find(reader, path, scalar_text(key)) == NULL)
      report_unknown(reader, key, path, scalar_text(key));
  }
  return true;
}

const yaml_node_t *weir_conf_find(const struct weir_conf_section *section, const char *key)
{
  for (size_t i = 0; i < weir_conf_pairs(section->node); i++) {
    const yaml_node_pair_t *pair = &section->node->data.mapping.pairs.start[i];
    const yaml_node_t *name = node_get(section->reader, pair->key);
    if (name->type == YAML_SCALAR_NODE && strcmp(scalar_text(name), key) == 0)
      return node_get(section->reader, pair->value);
  }
  return NULL;
}

const yaml_node_t *weir_conf_need(const struct weir_conf_section *section, const char *key)
{
  const yaml_node_t *node = weir_conf_find(section, key);
  if (node == NULL) {
    const struct weir_conf_key *known = key_find(section->reader, section->path, key);
    assert(known != NULL);
    weir_conf_issue_add(section->reader->issues, false, section->node,
                        "'%s' is missing; add it: %s", key, known->help);
  }
  return node;
}

size_t weir_conf_items(const yaml_node_t *node)
{
  if (node->type != YAML_SEQUENCE_NODE)
    return 1;
  return (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
}

const yaml_node_t *weir_conf_item(const struct weir_conf_reader *reader, const yaml_node_t *node,
                                  size_t index)
{
  if (node->type != YAML_SEQUENCE_NODE)
    return node;
  return node_get(reader, node->data.sequence.items.start[index]);
}

/* ---- values ---- */

static bool is_plain(const yaml_node_t *node)
{
  return node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* Words that YAML 1.1 takes for booleans or null when they are not quoted. */
static bool is_trap(const yaml_node_t *node)
{
  static const char *const traps[] = {"y",     "Y",    "n",    "N",    "yes",  "Yes",   "YES",
                                      "no",    "No",   "NO",   "on",   "On",   "ON",    "off",
                                      "Off",   "OFF",  "true", "True", "TRUE", "false", "False",
                                      "FALSE", "null", "Null", "NULL", "~"};
  if (!is_plain(node))
    return false;
  for (size_t i = 0; i < sizeof traps / sizeof traps[0]; i++) {
    if (strcmp(scalar_text(node), traps[i]) == 0)
      return true;
  }
  return false;
}

/* A scalar without NUL bytes that is not empty, or an issue. */
static bool check_scalar(struct weir_conf_reader *reader, const yaml_node_t *node, const char *what)
{
  if (node->type != YAML_SCALAR_NODE) {
    weir_conf_issue_add(reader->issues, false, node,
                        "%s must be a single value, not a map or a list; write '%s: value'", what,
                        what);
    return false;
  }
  if (node->data.scalar.length == 0) {
    weir_conf_issue_add(reader->issues, false, node, "%s has no value; write one or remove the key",
                        what);
    return false;
  }
  if (strlen(scalar_text(node)) != node->data.scalar.length) {
    weir_conf_issue_add(reader->issues, false, node, "%s holds a NUL byte; remove it", what);
    return false;
  }
  return true;
}

static uint64_t read_number(const struct weir_conf_section *section, const char *key,
                            enum weir_conf_type type, const char *range)
{
  const struct weir_conf_key *known = key_find(section->reader, section->path, key);
  assert(known != NULL);
  uint64_t fallback = 0, value = 0;
  if (known->fallback != NULL && known->fallback[0] != '\0') {
    bool is_number = weir_conf_value_parse(type, known->fallback, &fallback);
    assert(is_number && weir_conf_value_in_range(type, range, fallback));
    (void)is_number;
  }
  const yaml_node_t *node =
      known->fallback == NULL ? weir_conf_need(section, key) : weir_conf_find(section, key);
  if (node == NULL || !check_scalar(section->reader, node, key))
    return fallback;
  if (!weir_conf_value_parse(type, scalar_text(node), &value)) {
    weir_conf_issue_add(section->reader->issues, false, node, "%s: '%.40s' is not a valid %s; %s",
                        key, scalar_text(node), weir_conf_type_name(type),
                        weir_conf_value_hint(type));
    return fallback;
  }
  if (!weir_conf_value_in_range(type, range, value)) {
    weir_conf_issue_add(section->reader->issues, false, node,
                        "%s: %.40s is out of range; allowed is %s", key, scalar_text(node), range);
    return fallback;
  }
  return value;
}

uint64_t weir_conf_number(const struct weir_conf_section *section, const char *key)
{
  const struct weir_conf_key *known = key_find(section->reader, section->path, key);
  assert(known != NULL);
  return read_number(section, key, known->type, known->range);
}

uint64_t weir_conf_number_like(const struct weir_conf_section *section, const char *key,
                               const char *like)
{
  const struct weir_conf_key *keys = section->reader->keys;
  const size_t count = section->reader->keys_count;
  size_t place = 0;
  while (place < count && strcmp(keys[place].path, like) != 0)
    place++;
  assert(place < count);
  return read_number(section, key, keys[place].type, keys[place].range);
}

bool weir_conf_is_word(const yaml_node_t *node, const char *word)
{
  return node->type == YAML_SCALAR_NODE && strcmp(scalar_text(node), word) == 0;
}

bool weir_conf_bool(const struct weir_conf_section *section, const char *key)
{
  const struct weir_conf_key *known = key_find(section->reader, section->path, key);
  assert(known != NULL && known->type == WEIR_CONF_BOOL);
  bool fallback = strcmp(known->fallback, "true") == 0;
  const yaml_node_t *node = weir_conf_find(section, key);
  if (node == NULL || !check_scalar(section->reader, node, key))
    return fallback;
  if (is_plain(node) && strcmp(scalar_text(node), "true") == 0)
    return true;
  if (is_plain(node) && strcmp(scalar_text(node), "false") == 0)
    return false;
  weir_conf_issue_add(section->reader->issues, false, node,
                      "%s: '%.40s' is not a valid boolean; write true or false", key,
                      scalar_text(node));
  return fallback;
}

static void report_word(const struct weir_conf_section *section, const yaml_node_t *node,
                        const struct weir_conf_key *known, const char *key)
{
  char word[KEY_SIZE] = {0}, best[KEY_SIZE] = {0};
  size_t count = weir_conf_word_count(known->range, SIZE_MAX, word, sizeof word);
  size_t least = TYPO_DISTANCE + 1;
  for (size_t i = 0; i < count; i++) {
    weir_conf_word_count(known->range, i, word, sizeof word);
    size_t distance = weir_conf_distance(word, scalar_text(node));
    if (distance < least && distance < strlen(word)) {
      least = distance;
      memcpy(best, word, sizeof best);
    }
  }
  if (best[0] != '\0')
    weir_conf_issue_add(section->reader->issues, false, node,
                        "%s: unknown word '%.40s'; did you mean '%s'?", key, scalar_text(node),
                        best);
  else
    weir_conf_issue_add(section->reader->issues, false, node,
                        "%s: unknown word '%.40s'; write one of %s", key, scalar_text(node),
                        known->range);
}

int weir_conf_word(const struct weir_conf_section *section, const char *key)
{
  const struct weir_conf_key *known = key_find(section->reader, section->path, key);
  assert(known != NULL && known->type == WEIR_CONF_WORD);
  if (known->fallback == NULL && weir_conf_need(section, key) == NULL)
    return -1;
  const yaml_node_t *node = weir_conf_find(section, key);
  if (node == NULL)
    return weir_conf_word_find(known->range, known->fallback);
  if (!check_scalar(section->reader, node, key))
    return -1;
  int place = weir_conf_word_find(known->range, scalar_text(node));
  if (place < 0)
    report_word(section, node, known, key);
  return place;
}

bool weir_conf_node_text(struct weir_conf_reader *reader, const yaml_node_t *node, const char *what,
                         char *ret_text, size_t size)
{
  if (!check_scalar(reader, node, what))
    return false;
  if (is_trap(node)) {
    weir_conf_issue_add(reader->issues, false, node,
                        "%s: YAML reads %s as a boolean or null, not as text; write \"%s\" with "
                        "quotes",
                        what, scalar_text(node), scalar_text(node));
    return false;
  }
  if (node->data.scalar.length >= size) {
    weir_conf_issue_add(reader->issues, false, node,
                        "%s is %zu bytes long; at most %zu are allowed, shorten it", what,
                        node->data.scalar.length, size - 1);
    return false;
  }
  memcpy(ret_text, scalar_text(node), node->data.scalar.length + 1);
  return true;
}

bool weir_conf_text(const struct weir_conf_section *section, const char *key, char *ret_text,
                    size_t size)
{
  const struct weir_conf_key *known = key_find(section->reader, section->path, key);
  assert(known != NULL);
  const yaml_node_t *node =
      known->fallback == NULL ? weir_conf_need(section, key) : weir_conf_find(section, key);
  if (node != NULL)
    return weir_conf_node_text(section->reader, node, key, ret_text, size);
  if (known->fallback == NULL || known->fallback[0] == '\0')
    return false;
  assert(strlen(known->fallback) < size);
  memcpy(ret_text, known->fallback, strlen(known->fallback) + 1);
  return true;
}

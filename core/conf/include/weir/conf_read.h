/* conf_read.h - walks a YAML document by a table of keys and collects issues; the coordinator, the
 * proxy and the simulator's scenarios have a table each.
 *
 * A section is a map of the file together with its place in the table. Opening it reports every
 * unknown and repeated key; reading a value reports what is wrong with it and goes on with the
 * key's fallback, so that one run finds all problems. The walk goes only as deep as the table, so
 * neither deep nesting nor recursive aliases can lead it astray.
 */
#ifndef WEIR_CONF_READ_H
#define WEIR_CONF_READ_H

#include <yaml.h>

#include <weir/conf_key.h>

struct weir_conf_reader {
  yaml_document_t document;
  struct weir_conf_issues *issues;
  const struct weir_conf_key *keys; /* the table of the file's keys */
  size_t keys_count;
};

struct weir_conf_section {
  struct weir_conf_reader *reader;
  const yaml_node_t *node; /* NULL: absent, all keys have their fallbacks */
  const char *path;        /* in the table: "", "log", "pools[]" */
};

/* weir_conf_issue_add notes an error or a warning at |node| (NULL: the file as a whole). */
__attribute__((format(printf, 4, 5))) void weir_conf_issue_add(struct weir_conf_issues *issues,
                                                               bool is_warning,
                                                               const yaml_node_t *node,
                                                               const char *format, ...);
/* weir_conf_issue_at is the same for a line and a column. */
__attribute__((format(printf, 4, 5))) void weir_conf_issue_at(struct weir_conf_issues *issues,
                                                              uint32_t line, uint32_t column,
                                                              const char *format, ...);

/* weir_conf_file_read reads the file |path|, which blocks; the caller frees the bytes. At most one
 * byte more than WEIR_CONF_FILE_SIZE_MAX is read, so that the caller sees that it is too large.
 * NULL, and an issue unless memory is short, when it cannot be read. */
char *weir_conf_file_read(const char *path, size_t *ret_size, struct weir_conf_issues *issues);

/* What is made of a document: |root| is NULL when the file is empty. */
typedef void weir_conf_document_fn(struct weir_conf_reader *reader, const yaml_node_t *root,
                                   void *context);

/* weir_conf_document_read reads the |size| |bytes| of a file into |reader|, whose |issues| and
 * |keys| are set, and has |build| go through it; the tree is gone when it returns. What is not one
 * document of valid YAML is an issue, and |build| is not called. */
void weir_conf_document_read(struct weir_conf_reader *reader, const char *bytes, size_t size,
                             weir_conf_document_fn *build, void *context);

/* weir_conf_section_open fills |ret_section| for the map |node| at |path| of the table; false, and
 * an issue, when it is no map. */
bool weir_conf_section_open(struct weir_conf_reader *reader, const yaml_node_t *node,
                            const char *path, struct weir_conf_section *ret_section);

/* weir_conf_find returns the value of |key| in the section, or NULL. */
const yaml_node_t *weir_conf_find(const struct weir_conf_section *section, const char *key);

/* weir_conf_need is weir_conf_find that reports a missing key. */
const yaml_node_t *weir_conf_need(const struct weir_conf_section *section, const char *key);

/* weir_conf_number reads an AMOUNT, DURATION, PERCENT or MONEY, or its fallback. */
uint64_t weir_conf_number(const struct weir_conf_section *section, const char *key);

/* weir_conf_number_like is weir_conf_number with the type and range of the key |like|, named with
 * its whole path. */
uint64_t weir_conf_number_like(const struct weir_conf_section *section, const char *key,
                               const char *like);

/* weir_conf_is_word tells whether |node| is the text |word|. */
bool weir_conf_is_word(const yaml_node_t *node, const char *word);

/* weir_conf_bool reads a BOOL, or its fallback. */
bool weir_conf_bool(const struct weir_conf_section *section, const char *key);

/* weir_conf_word reads a WORD and returns its place in the key's range, from 0; -1 when it is
 * missing or unknown (reported), or absent without a fallback. */
int weir_conf_word(const struct weir_conf_section *section, const char *key);

/* weir_conf_text copies a text of fewer than |size| bytes, or the fallback; false when there is
 * none or it does not fit (reported). */
bool weir_conf_text(const struct weir_conf_section *section, const char *key, char *ret_text,
                    size_t size);

/* weir_conf_node_text is weir_conf_text for a value that stands alone, such as a list's element;
 * |what| names it in messages. */
bool weir_conf_node_text(struct weir_conf_reader *reader, const yaml_node_t *node, const char *what,
                         char *ret_text, size_t size);

/* weir_conf_items returns how many elements the list |node| has; 1 for a text that stands alone. */
size_t weir_conf_items(const yaml_node_t *node);

/* weir_conf_item returns element |index| of the list |node|, or |node| itself when it is a text. */
const yaml_node_t *weir_conf_item(const struct weir_conf_reader *reader, const yaml_node_t *node,
                                  size_t index);

/* weir_conf_pairs returns how many keys the map |node| has; 0 for NULL. */
size_t weir_conf_pairs(const yaml_node_t *node);

/* weir_conf_pair gives key and value number |index| of the map |node|; false, and an issue, when
 * the key is no text or stands in the map twice. */
bool weir_conf_pair(struct weir_conf_reader *reader, const yaml_node_t *node, size_t index,
                    const yaml_node_t **ret_key, const yaml_node_t **ret_value);

#endif

/* conf_document.c - from a file to a tree of YAML nodes, with errors that people can act on. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/conf_read.h>

#define DEPTH_MAX 32

/* libyaml's own words for a tab in the indentation help nobody. */
static bool find_tab(const char *bytes, size_t size, size_t line, uint32_t *ret_column)
{
  size_t at = 0;
  for (size_t i = 0; i < line; i++) {
    const char *end = memchr(bytes + at, '\n', size - at);
    if (end == NULL)
      return false;
    at = (size_t)(end - bytes) + 1;
  }
  for (size_t i = at; i < size && (bytes[i] == ' ' || bytes[i] == '\t'); i++) {
    if (bytes[i] == '\t') {
      *ret_column = (uint32_t)(i - at) + 1;
      return true;
    }
  }
  return false;
}

static void report_syntax(struct weir_conf_issues *issues, const yaml_parser_t *parser,
                          const char *bytes, size_t size)
{
  const char *problem = parser->problem != NULL ? parser->problem : "unknown";
  uint32_t line = (uint32_t)parser->problem_mark.line + 1, column = 0;
  if (parser->error == YAML_READER_ERROR) {
    weir_conf_issue_at(issues, 0, 0, "byte %zu: %s; save the file as UTF-8 text",
                       parser->problem_offset, problem);
    return;
  }
  if (find_tab(bytes, size, parser->problem_mark.line, &column)) {
    weir_conf_issue_at(issues, line, column,
                       "a tab stands in the indentation, which YAML forbids; use spaces");
    return;
  }
  weir_conf_issue_at(issues, line, (uint32_t)parser->problem_mark.column + 1,
                     "this is not valid YAML (%s%s%s); check indentation, brackets and quotes here "
                     "and in the line before",
                     parser->context != NULL ? parser->context : "",
                     parser->context != NULL ? ": " : "", problem);
}

/* Looks at the stream before a tree is built from it: libyaml's time grows with the square of the
 * nesting. False, and an issue, when it is not one document of valid YAML. */
static bool check_stream(struct weir_conf_issues *issues, yaml_parser_t *parser, const char *bytes,
                         size_t size)
{
  uint32_t depth = 0, documents = 0;
  yaml_event_t event;
  for (;;) {
    if (!yaml_parser_parse(parser, &event)) {
      report_syntax(issues, parser, bytes, size);
      return false;
    }
    yaml_event_type_t type = event.type;
    uint32_t line = (uint32_t)event.start_mark.line + 1;
    uint32_t column = (uint32_t)event.start_mark.column + 1;
    yaml_event_delete(&event);
    if (type == YAML_STREAM_END_EVENT)
      return true;
    if (type == YAML_DOCUMENT_START_EVENT && ++documents > 1) {
      weir_conf_issue_at(issues, line, column,
                         "a second document begins; keep one and remove this '---'");
      return false;
    }
    if (type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT)
      depth--;
    if (type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT)
      depth++;
    if (depth > DEPTH_MAX) {
      weir_conf_issue_at(issues, line, column,
                         "lists and maps are nested deeper than %d; no key needs that", DEPTH_MAX);
      return false;
    }
  }
}

void weir_conf_document_read(struct weir_conf_reader *reader, const char *bytes, size_t size,
                             weir_conf_document_fn *build, void *context)
{
  for (int pass = 0; pass < 2; pass++) {
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
      weir_conf_issue_at(reader->issues, 0, 0, "out of memory; nothing was read");
      return;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, size);
    bool is_valid = true;
    if (pass == 0) {
      is_valid = check_stream(reader->issues, &parser, bytes, size);
    } else if (!yaml_parser_load(&parser, &reader->document)) {
      report_syntax(reader->issues, &parser, bytes, size);
    } else {
      build(reader, yaml_document_get_root_node(&reader->document), context);
      yaml_document_delete(&reader->document);
    }
    yaml_parser_delete(&parser);
    if (!is_valid)
      return;
  }
}

char *weir_conf_file_read(const char *path, size_t *ret_size, struct weir_conf_issues *issues)
{
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    weir_conf_issue_at(issues, 0, 0, "cannot be opened (%s); give the path of a readable file",
                       strerror(errno));
    return NULL;
  }
  char *bytes = malloc(WEIR_CONF_FILE_SIZE_MAX + 1);
  if (bytes != NULL)
    *ret_size = fread(bytes, 1, WEIR_CONF_FILE_SIZE_MAX + 1, file);
  if (bytes != NULL && ferror(file)) {
    weir_conf_issue_at(issues, 0, 0, "cannot be read (%s); give a readable file", strerror(errno));
    free(bytes);
    bytes = NULL;
  }
  fclose(file);
  return bytes;
}

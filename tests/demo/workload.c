#include "workload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/json.h>

/* The whole file, with a NUL behind it; NULL after a message. */
static char *file_read(const char *path, size_t *ret_size)
{
  FILE *file = fopen(path, "rb");
  char *bytes = NULL;
  long size = -1;

  if (file && fseek(file, 0, SEEK_END) == 0)
    size = ftell(file);
  if (size >= 0 && (uint64_t)size <= DEMO_WORKLOAD_SIZE_MAX && fseek(file, 0, SEEK_SET) == 0)
    bytes = malloc((size_t)size + 1);
  if (bytes && fread(bytes, 1, (size_t)size, file) == (size_t)size) {
    bytes[size] = 0;
    *ret_size = (size_t)size;
  } else {
    fprintf(stderr, "weir-demo: cannot read the workload %s: %s; tests/demo/record.sh makes one\n",
            path, errno ? strerror(errno) : "it is too large");
    free(bytes);
    bytes = NULL;
  }
  if (file)
    fclose(file);
  return bytes;
}

/* Finds the value of "request" in one line. */
static bool request_find(const char *line, size_t size, struct demo_request *ret_request)
{
  struct weir_json json;
  struct weir_json_token token;
  enum weir_json_status status;
  bool is_found = false;

  weir_json_init(&json);
  weir_json_feed(&json, line, size);
  while ((status = weir_json_next(&json, &token)) == WEIR_JSON_TOKEN) {
    if (token.type == WEIR_JSON_OBJECT_END && token.depth == 1 &&
        strcmp(token.path, "request") == 0) {
      ret_request->body = line + token.offset_begin;
      ret_request->size = (size_t)(token.offset_end - token.offset_begin);
      is_found = true;
    }
  }
  return is_found && status != WEIR_JSON_BAD;
}

bool demo_workload_load(const char *path, size_t requests_max, struct demo_workload *ret_workload)
{
  struct demo_workload w = {0};
  size_t size = 0, line_number = 1;
  char *line;

  errno = 0;
  w.bytes = file_read(path, &size);
  if (!w.bytes)
    return false;
  w.requests = calloc(requests_max, sizeof(*w.requests));
  if (!w.requests)
    abort();
  for (line = w.bytes; line < w.bytes + size && w.count < requests_max; line_number++) {
    char *end = memchr(line, '\n', (size_t)(w.bytes + size - line));
    size_t length = end ? (size_t)(end - line) : (size_t)(w.bytes + size - line);

    if (length > 0 && !request_find(line, length, &w.requests[w.count++])) {
      fprintf(stderr, "weir-demo: %s:%zu: not a line {\"key\": ..., \"request\": {...}}\n", path,
              line_number);
      demo_workload_free(&w);
      return false;
    }
    line += length + 1;
  }
  *ret_workload = w;
  return true;
}

void demo_workload_free(struct demo_workload *workload)
{
  free(workload->requests);
  free(workload->bytes);
  memset(workload, 0, sizeof(*workload));
}

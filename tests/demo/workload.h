/* workload.h - the demo's requests: a file of lines {"key": ..., "request": {...}} in Gemini's
 * form.
 *
 * Owner: the caller; all slices point into one buffer that lives until demo_workload_free.
 */
#ifndef WEIR_DEMO_WORKLOAD_H
#define WEIR_DEMO_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEMO_WORKLOAD_REQUESTS_MAX 100000
#define DEMO_WORKLOAD_SIZE_MAX     (UINT64_C(512) << 20)

struct demo_request {
  const char *body; /* the value of "request": not terminated */
  size_t size;
};

struct demo_workload {
  char *bytes;
  size_t count;
  struct demo_request *requests;
};

/* demo_workload_load reads the first |requests_max| requests of |path|. False after a message on
 * standard error: the file cannot be read, or a line is no request. */
bool demo_workload_load(const char *path, size_t requests_max, struct demo_workload *ret_workload);

/* demo_workload_free frees what demo_workload_load gave. */
void demo_workload_free(struct demo_workload *workload);

#endif

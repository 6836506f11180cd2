/* manners.h - how the proxy speaks to an SDK: what its headers wish, when the SDK is to try again,
 * and errors in the shape of the provider whose API it calls.
 */
#ifndef WEIR_PROXY_MANNERS_H
#define WEIR_PROXY_MANNERS_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/err.h>
#include <weir/facts.h>
#include <weir/rng.h>
#include <weir/vocab.h>

#include <weir.h>

#include "paths.h"

/* ---- what a request wishes ---- */

#define WEIR_WISH_SIZE 64

struct weir_wishes {
  enum weir_class work_class;  /* x-weir-class; online without */
  uint64_t deadline_ms;        /* x-weir-deadline-ms; 0: not stated */
  char route[WEIR_WISH_SIZE];  /* x-weir-route: asked for instead of the model; "": none */
  char tenant[WEIR_WISH_SIZE]; /* x-weir-tenant; "": nobody in particular */
  char tag[WEIR_WISH_SIZE];    /* x-weir-tag, or the first of x-litellm-tags; "": none */
  uint32_t attempts;           /* that the SDK made before (x-stainless-retry-count), at most 100 */
};

/* weir_wishes_read reads the request headers. NULL when all is well, or the name of the header that
 * is not understood. */
const char *weir_wishes_read(const struct weir_header *headers, size_t count,
                             struct weir_wishes *ret_wishes);

/* ---- rejections ---- */

#define WEIR_RETRY_MS_MAX 60000 /* the longest wait that all SDKs honour */

/* An answer that the proxy gives itself. */
struct weir_rejection {
  uint32_t status;
  bool is_retried;   /* the SDK may try again, after |retry_ms|; else it is told not to */
  uint64_t retry_ms; /* at most WEIR_RETRY_MS_MAX */
  char text[224];    /* one sentence for people */
};

/* weir_rejection_of_lease tells what the client gets for a lease that it did not get. |err| and
 * |denied| (with WEIR_EDENIED) are the acquire's. Waits are spread over half their length, so that
 * those who were refused together do not come back together. */
void weir_rejection_of_lease(int err, const struct weir_denied *denied, struct weir_rng *rng,
                             struct weir_rejection *ret_rejection);

/* weir_rejection_make makes one that is final: the SDK is told not to try again. */
void weir_rejection_make(uint32_t status, const char *text, struct weir_rejection *ret_rejection);

/* weir_rejection_no_room makes the 503 of a request that neither memory nor disk has room for now;
 * the SDK may try again after a second. */
void weir_rejection_no_room(struct weir_rejection *ret_rejection);

/* weir_rejection_put writes the body of the answer, JSON in the shape of |protocol|; Gemini's holds
 * a RetryInfo where the SDK may try again. */
void weir_rejection_put(struct weir_put *put, enum weir_protocol protocol,
                        const struct weir_rejection *rejection);

#endif

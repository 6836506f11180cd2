/* outgoing.h - what a request looks like to the provider: its URL, and its body with the model that
 * the lease is for, which a route may have resolved to another one than the caller's.
 */
#ifndef WEIR_SHELL_OUTGOING_H
#define WEIR_SHELL_OUTGOING_H

#include "handle.h"

#include <weir/request.h>

/* How a request is made. */
struct weir_outgoing {
  const char *path;  /* the caller's, in which "{model}" is replaced; NULL: that of a generation */
  const char *model; /* as the provider calls it */
  bool is_stream;
  bool is_openai; /* in OpenAI's protocol, whatever the provider's own is */
};

/* weir_outgoing_url writes base URL and path. False when it does not fit into |size| bytes, when
 * the model may not stand in it, or when the base URL does not lead to OpenAI's protocol. */
bool weir_outgoing_url(const struct weir_provider_entry *provider, const struct weir_outgoing *how,
                       char *ret_url, size_t size);

/* weir_outgoing_body returns a copy of |body|, whose |facts| are known, with |model| as its
 * "model", to be freed by the caller; NULL without memory. */
char *weir_outgoing_body(const char *body, size_t size, const struct weir_request_facts *facts,
                         const char *model, size_t *ret_size);

#endif

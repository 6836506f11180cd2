/* relay.h - which header lines pass through the proxy, in which direction, and whose key goes
 * along.
 */
#ifndef WEIR_PROXY_RELAY_H
#define WEIR_PROXY_RELAY_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/facts.h>

/* weir_relay_is_request tells whether the request header |name| goes on to the provider. Not those
 * of the connection itself (also those that |connection|, the value of "Connection", names; NULL:
 * none), nor what the proxy states anew, nor what is meant for weir. With |is_key_replaced| no line
 * with a key goes on; with |is_read| none that would let the answer be compressed, because the
 * proxy has to read it. */
bool weir_relay_is_request(const char *name, const char *connection, bool is_key_replaced,
                           bool is_read);

/* weir_relay_is_response tells the same for a response header on its way to the client. With
 * |is_final| not the provider's "x-should-retry", which gives way to the proxy's. */
bool weir_relay_is_response(const char *name, const char *connection, bool is_final);

/* weir_relay_header returns the value of the first header called |name| (any case), or NULL. */
const char *weir_relay_header(const struct weir_header *headers, size_t count, const char *name);

/* Whose key goes to the provider. */
enum weir_key {
  WEIR_KEY_THEIRS = 1, /* what the request brings, if anything */
  WEIR_KEY_OURS,       /* that of the proxy's environment */
  WEIR_KEY_NONE        /* none: the request is refused */
};

/* What is known of a request's keys; everything is borrowed. */
struct weir_keys {
  const struct weir_header *headers; /* all of the request's */
  size_t header_count;
  const char *query; /* the key in its query as it is written, |query_size| bytes; NULL: none */
  size_t query_size;
};

/* weir_relay_key_choose decides: a request that brings the proxy's |token| (NULL: there is none) as
 * its key, in any of the providers' ways, gets ours. Others bring their own; where other machines
 * may connect (|is_wide|), only with the token beside it, in "x-weir-token". Tokens are compared in
 * a time that does not depend on where they differ. */
enum weir_key weir_relay_key_choose(const struct weir_keys *keys, const char *token, bool is_wide);

#endif

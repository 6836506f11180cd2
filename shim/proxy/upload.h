/* upload.h - a request's body on its way through: what came from the client and was not yet taken
 * for the provider, a few kilobytes however large the body is.
 */
#ifndef WEIR_PROXY_UPLOAD_H
#define WEIR_PROXY_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "paths.h"

#define WEIR_UPLOAD_PIECE_MAX ((size_t)16384) /* that is put at a time */
#define WEIR_UPLOAD_SIZE      (4 * WEIR_UPLOAD_PIECE_MAX)

/* The fields are private, but for |is_over|. */
struct weir_upload {
  size_t begin, size;
  bool is_over; /* nothing will be put any more: the owner's to set */
  char bytes[WEIR_UPLOAD_SIZE];
};

/* weir_upload_is_unread tells whether a request may pass before its body is there: one of more than
 * |memory_bytes| (UINT64_MAX: of unknown size), without lease whatever stands in it. What may
 * be JSON, by its content type, may name a model, and has to be read, but for a batch. |route| and
 * |content_type| are headers of the request; NULL without. */
bool weir_upload_is_unread(const struct weir_path *path, const char *route,
                           const char *content_type, uint64_t body_size, uint64_t memory_bytes);

/* weir_upload_init makes an empty one. */
void weir_upload_init(struct weir_upload *upload);

/* weir_upload_has_room tells that a piece may be put. */
bool weir_upload_has_room(const struct weir_upload *upload);

/* weir_upload_put adds a piece, which is copied. Preconditions: there is room, and |size| is at
 * most WEIR_UPLOAD_PIECE_MAX. */
void weir_upload_put(struct weir_upload *upload, const char *bytes, size_t size);

/* weir_upload_take moves up to |size| bytes to |ret_bytes|, in the order they were put, and returns
 * how many. */
size_t weir_upload_take(struct weir_upload *upload, char *ret_bytes, size_t size);

#endif

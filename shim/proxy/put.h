/* put.h - bounded text under construction. What does not fit is left out and remembered, so that
 * one look at the end tells whether the text is whole.
 */
#ifndef WEIR_PROXY_PUT_H
#define WEIR_PROXY_PUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir_put {
  char *at; /* the caller's; NUL-terminated after each call */
  size_t size, capacity;
  bool is_cut;
};

/* weir_put_init begins an empty text in |at|, of |capacity| bytes with its NUL (at least 1). */
void weir_put_init(struct weir_put *p, char *at, size_t capacity);

/* weir_put_bytes adds |size| bytes, or nothing where they do not fit. */
void weir_put_bytes(struct weir_put *p, const void *bytes, size_t size);

/* weir_put_text adds a NUL-terminated text. */
void weir_put_text(struct weir_put *p, const char *text);

/* weir_put_number adds |value| in decimal. */
void weir_put_number(struct weir_put *p, uint64_t value);

/* weir_put_json adds |text| as the inside of a JSON string (without the quotes). */
void weir_put_json(struct weir_put *p, const char *text);

#endif

/* json.h - an incremental pull scanner for JSON: any fragment size, no allocation, no tree.
 *
 *   struct weir_json j; weir_json_init(&j);
 *   weir_json_feed(&j, bytes, n);                    // as often as bytes arrive
 *   while (weir_json_next(&j, &token) == WEIR_JSON_TOKEN)
 *     if (token.type == WEIR_JSON_NUMBER && !strcmp(token.path, "usage.input_tokens")) ...
 *
 * A path is the keys from the root, joined by '.'; an array element is "[]":
 * "error.details[].violations[].quotaId", "[].error.code". A '.' or '[' inside a key is kept as it
 * is: paths are for known documents, not for arbitrary keys. A path longer than
 * WEIR_JSON_PATH_MAX, or through a key that holds a NUL, matches nothing: it reads "?".
 *
 * The structure is checked strictly: brackets, commas, colons, literals, numbers, escapes, control
 * characters in strings, depth. Not checked are UTF-8, which passes as it is, and keys that stand
 * twice. Escapes are decoded in |text|; half a surrogate pair becomes U+FFFD. Strings longer than
 * WEIR_JSON_TEXT_MAX arrive cut, maybe within a character, with |is_cut| set; offsets still span
 * the whole value. Values that follow one another (JSON lines) are scanned in turn; only numbers
 * and literals need white space before the next.
 *
 * Owner: fed bytes are borrowed until the scanner has returned WEIR_JSON_MORE for them; token
 * pointers are valid until the next call.
 */
#ifndef WEIR_JSON_H
#define WEIR_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_JSON_DEPTH_MAX 64
#define WEIR_JSON_PATH_MAX  255
#define WEIR_JSON_TEXT_MAX  4095

enum weir_json_type {
  WEIR_JSON_OBJECT = 1, /* begin; offset_begin is that of '{' */
  WEIR_JSON_OBJECT_END, /* offset_begin .. offset_end span the whole object */
  WEIR_JSON_ARRAY,
  WEIR_JSON_ARRAY_END,
  WEIR_JSON_STRING,
  WEIR_JSON_NUMBER,
  WEIR_JSON_TRUE,
  WEIR_JSON_FALSE,
  WEIR_JSON_NULL
};

enum weir_json_status {
  WEIR_JSON_TOKEN = 1, /* |ret_token| is filled */
  WEIR_JSON_MORE,      /* all that was fed is consumed */
  WEIR_JSON_BAD        /* not JSON, or deeper than WEIR_JSON_DEPTH_MAX; stays so */
};

struct weir_json_token {
  enum weir_json_type type;
  uint32_t depth;        /* 0 for a value at the root */
  const char *path;      /* NUL-terminated; "" at the root */
  const char *text;      /* decoded string, or the number's characters; NUL-terminated */
  size_t text_size;      /* bytes in |text|, without the NUL (a string may hold NUL bytes) */
  bool is_cut;           /* the string was longer than WEIR_JSON_TEXT_MAX */
  uint64_t offset_begin; /* of the value's first byte, counted from the first byte ever fed */
  uint64_t offset_end;   /* one past its last byte (unset at OBJECT and ARRAY) */
};

/* The fields are private. */
struct weir_json {
  const uint8_t *at, *end;
  uint64_t offset_end; /* of |end| */
  uint32_t state, number;
  uint32_t depth, path_size, text_size;
  uint32_t escape, escape_left, surrogate;
  bool is_cut, is_key;
  uint32_t path_mark[WEIR_JSON_DEPTH_MAX + 1]; /* path length of each open container */
  uint64_t begin[WEIR_JSON_DEPTH_MAX + 1];     /* offset of each open container */
  uint8_t kind[WEIR_JSON_DEPTH_MAX + 1];       /* '{' or '[' */
  uint64_t value_begin;
  const char *literal; /* what remains of "true", "false" or "null" */
  enum weir_json_type literal_type;
  char path[WEIR_JSON_PATH_MAX + 1];
  char text[WEIR_JSON_TEXT_MAX + 1];
};

/* weir_json_init starts a new document. */
void weir_json_init(struct weir_json *j);

/* weir_json_feed hands over |size| more bytes. Precondition: the last weir_json_next returned
 * WEIR_JSON_MORE (or nothing was fed yet). */
void weir_json_feed(struct weir_json *j, const void *bytes, size_t size);

/* weir_json_next scans to the next token. A number at the very end of the input is complete only
 * when a byte follows it: call weir_json_end to learn of it. */
enum weir_json_status weir_json_next(struct weir_json *j, struct weir_json_token *ret_token);

/* weir_json_end tells that no byte follows: a pending number is returned as TOKEN, else MORE means
 * that the input was complete, BAD that it ended inside a value. */
enum weir_json_status weir_json_end(struct weir_json *j, struct weir_json_token *ret_token);

/* weir_json_offset returns how many bytes were consumed of all that was fed; after WEIR_JSON_BAD,
 * the place where the input stopped being JSON, or one behind it. */
uint64_t weir_json_offset(const struct weir_json *j);

/* weir_json_uint reads a token of type NUMBER as an unsigned integer. A fraction of zeros and an
 * exponent are accepted when the value is whole; false for anything else or beyond 2^63. */
bool weir_json_uint(const struct weir_json_token *token, uint64_t *ret_value);

#endif

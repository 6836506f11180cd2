/* jsonout.h - writes one JSON document into a growing buffer; commas and escapes are its business.
 *
 *   struct weir_jsonout out = {0};
 *   weir_jsonout_object(&out, NULL);
 *   weir_jsonout_text(&out, "name", "gemini-flash");
 *   weir_jsonout_object_end(&out);
 *
 * |key| names a member of the open object; NULL adds an element of the open array or the root.
 * The result is one line: no newline stands in it, whatever went in. Memory that runs out is
 * remembered in |is_failed| and asked for once, at the end. Owner: the caller, who frees |bytes|
 * with weir_jsonout_free.
 */
#ifndef WEIR_JSONOUT_H
#define WEIR_JSONOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir_jsonout {
  char *bytes; /* NUL-terminated once something was written */
  size_t size, capacity;
  uint32_t depth; /* of what is open */
  bool needs_comma, is_failed;
};

void weir_jsonout_object(struct weir_jsonout *out, const char *key);
void weir_jsonout_object_end(struct weir_jsonout *out);
void weir_jsonout_array(struct weir_jsonout *out, const char *key);
void weir_jsonout_array_end(struct weir_jsonout *out);
void weir_jsonout_null(struct weir_jsonout *out, const char *key);
void weir_jsonout_bool(struct weir_jsonout *out, const char *key, bool value);
void weir_jsonout_uint(struct weir_jsonout *out, const char *key, uint64_t value);

/* weir_jsonout_string writes |size| bytes of |text|. Bytes that are no UTF-8 become U+FFFD. */
void weir_jsonout_string(struct weir_jsonout *out, const char *key, const char *text, size_t size);

/* weir_jsonout_text writes a NUL-terminated string; NULL becomes null. */
void weir_jsonout_text(struct weir_jsonout *out, const char *key, const char *text);

/* weir_jsonout_seconds writes |us| microseconds as seconds with three decimals. */
void weir_jsonout_seconds(struct weir_jsonout *out, const char *key, uint64_t us);

/* weir_jsonout_is_utf8 tells whether a string of these bytes would be written unchanged. */
bool weir_jsonout_is_utf8(const char *text, size_t size);

/* weir_jsonout_raw writes |size| bytes of |json| as they are, but for white space between the
 * tokens. When they are not exactly one JSON value in UTF-8, or so deep that the whole could not be
 * scanned again (WEIR_JSON_DEPTH_MAX), they become a string. */
void weir_jsonout_raw(struct weir_jsonout *out, const char *key, const void *json, size_t size);

/* weir_jsonout_newline ends the document with a newline, so that another may follow. */
void weir_jsonout_newline(struct weir_jsonout *out);

/* weir_jsonout_print writes the buffer to stdout and frees it. False when memory had run out (said
 * on stderr); a stdout that fails is noticed by main. */
bool weir_jsonout_print(struct weir_jsonout *out);

/* weir_jsonout_free frees the buffer and makes |out| new. */
void weir_jsonout_free(struct weir_jsonout *out);

#endif

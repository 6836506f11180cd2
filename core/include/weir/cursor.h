/* cursor.h - bounded reading of msgpack: every access is checked, nothing is allocated.
 *
 * Only what the protocol uses is accepted: unsigned integers, booleans, nil, str8/fixstr,
 * bin8, fixmap/map16, fixarray/array16. Floats, negative integers, ext and 32-bit lengths are
 * WEIR_ETYPE, so a hostile length field cannot ask for anything.
 *
 * The first error sticks: later reads return it again and leave their results untouched, so a
 * decoder reads straight through and asks once at the end.
 */
#ifndef WEIR_CURSOR_H
#define WEIR_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/err.h>

#define WEIR_CURSOR_DEPTH_MAX 4

struct weir_cursor {
  const uint8_t *at, *end; /* borrowed: the bytes outlive the cursor */
  enum weir_err err;
};

/* weir_cursor_init points |c| at |size| bytes that the caller keeps. */
void weir_cursor_init(struct weir_cursor *c, const void *bytes, size_t size);

/* weir_cursor_fail records |err| unless an earlier error stands, and returns the one that stands.
 */
enum weir_err weir_cursor_fail(struct weir_cursor *c, enum weir_err err);

/* weir_cursor_byte reads one raw byte; WEIR_ETRUNCATED at the end. */
enum weir_err weir_cursor_byte(struct weir_cursor *c, uint8_t *ret_byte);

/* weir_cursor_uint reads an unsigned integer of at most |max|; WEIR_ERANGE above it. */
enum weir_err weir_cursor_uint(struct weir_cursor *c, uint64_t max, uint64_t *ret_value);

/* weir_cursor_bool reads true or false. */
enum weir_err weir_cursor_bool(struct weir_cursor *c, bool *ret_value);

/* weir_cursor_str copies a string with its terminating NUL into |buffer| of |size| bytes.
 * WEIR_ERANGE when it is longer than size - 1 or holds a byte below 0x20 or 0x7f. */
enum weir_err weir_cursor_str(struct weir_cursor *c, char *buffer, size_t size);

/* weir_cursor_bin copies exactly |size| bytes; WEIR_ERANGE for any other length. */
enum weir_err weir_cursor_bin(struct weir_cursor *c, uint8_t *bytes, size_t size);

/* weir_cursor_map reads a map's head; WEIR_ERANGE above |max| pairs. */
enum weir_err weir_cursor_map(struct weir_cursor *c, uint32_t max, uint32_t *ret_pairs);

/* weir_cursor_array reads an array's head; WEIR_ERANGE above |max| elements. */
enum weir_err weir_cursor_array(struct weir_cursor *c, uint32_t max, uint32_t *ret_count);

/* weir_cursor_skip passes over one value of any accepted type, nested at most
 * WEIR_CURSOR_DEPTH_MAX deep (WEIR_EDEPTH). */
enum weir_err weir_cursor_skip(struct weir_cursor *c);

/* weir_cursor_left returns how many bytes are not read yet. */
size_t weir_cursor_left(const struct weir_cursor *c);

#endif

#include <weir/cursor.h>

#include <assert.h>
#include <string.h>

/* Type bytes of msgpack that the protocol uses; the fix* forms carry a value in their low bits. */
enum {
  FIXMAP = 0x80,
  FIXARRAY = 0x90,
  FIXSTR = 0xa0,
  NIL = 0xc0,
  FALSE_ = 0xc2,
  TRUE_ = 0xc3,
  BIN8 = 0xc4,
  UINT8 = 0xcc,
  UINT64 = 0xcf,
  STR8 = 0xd9,
  ARRAY16 = 0xdc,
  MAP16 = 0xde
};

void weir_cursor_init(struct weir_cursor *c, const void *bytes, size_t size)
{
  c->at = bytes;
  c->end = c->at + size;
  c->err = WEIR_OK;
}

enum weir_err weir_cursor_fail(struct weir_cursor *c, enum weir_err err)
{
  assert(err != WEIR_OK);
  if (c->err == WEIR_OK)
    c->err = err;
  return c->err;
}

size_t weir_cursor_left(const struct weir_cursor *c)
{
  return (size_t)(c->end - c->at);
}

enum weir_err weir_cursor_byte(struct weir_cursor *c, uint8_t *ret_byte)
{
  if (c->err != WEIR_OK)
    return c->err;
  if (c->at == c->end)
    return weir_cursor_fail(c, WEIR_ETRUNCATED);
  *ret_byte = *c->at++;
  return WEIR_OK;
}

/* Reads a big-endian number of |size| bytes. */
static enum weir_err number_read(struct weir_cursor *c, size_t size, uint64_t *ret_value)
{
  uint64_t value = 0;

  if (c->err != WEIR_OK)
    return c->err;
  if (weir_cursor_left(c) < size)
    return weir_cursor_fail(c, WEIR_ETRUNCATED);
  for (size_t i = 0; i < size; i++)
    value = value << 8 | c->at[i];
  c->at += size;
  *ret_value = value;
  return WEIR_OK;
}

static enum weir_err bytes_pass(struct weir_cursor *c, size_t size)
{
  if (c->err != WEIR_OK)
    return c->err;
  if (weir_cursor_left(c) < size)
    return weir_cursor_fail(c, WEIR_ETRUNCATED);
  c->at += size;
  return WEIR_OK;
}

enum weir_err weir_cursor_uint(struct weir_cursor *c, uint64_t max, uint64_t *ret_value)
{
  uint8_t head;
  uint64_t value = 0;

  if (weir_cursor_byte(c, &head) != WEIR_OK)
    return c->err;
  if (head < FIXMAP)
    value = head;
  else if (head < UINT8 || head > UINT64)
    return weir_cursor_fail(c, WEIR_ETYPE);
  else if (number_read(c, (size_t)1 << (head - UINT8), &value) != WEIR_OK)
    return c->err;
  if (value > max)
    return weir_cursor_fail(c, WEIR_ERANGE);
  *ret_value = value;
  return WEIR_OK;
}

enum weir_err weir_cursor_bool(struct weir_cursor *c, bool *ret_value)
{
  uint8_t head;

  if (weir_cursor_byte(c, &head) != WEIR_OK)
    return c->err;
  if (head != FALSE_ && head != TRUE_)
    return weir_cursor_fail(c, WEIR_ETYPE);
  *ret_value = head == TRUE_;
  return WEIR_OK;
}

enum weir_err weir_cursor_str(struct weir_cursor *c, char *buffer, size_t size)
{
  uint8_t head;
  uint64_t length = 0;

  assert(size > 0);
  if (weir_cursor_byte(c, &head) != WEIR_OK)
    return c->err;
  if (head >= FIXSTR && head < NIL)
    length = head - FIXSTR;
  else if (head != STR8)
    return weir_cursor_fail(c, WEIR_ETYPE);
  else if (number_read(c, 1, &length) != WEIR_OK)
    return c->err;
  if (length > size - 1)
    return weir_cursor_fail(c, WEIR_ERANGE);
  if (length > weir_cursor_left(c))
    return weir_cursor_fail(c, WEIR_ETRUNCATED);
  for (size_t i = 0; i < length; i++) {
    if (c->at[i] < 0x20 || c->at[i] == 0x7f)
      return weir_cursor_fail(c, WEIR_ERANGE);
  }
  memcpy(buffer, c->at, length);
  buffer[length] = '\0';
  c->at += length;
  return WEIR_OK;
}

enum weir_err weir_cursor_bin(struct weir_cursor *c, uint8_t *bytes, size_t size)
{
  uint8_t head;
  uint64_t length = 0;

  if (weir_cursor_byte(c, &head) != WEIR_OK)
    return c->err;
  if (head != BIN8)
    return weir_cursor_fail(c, WEIR_ETYPE);
  if (number_read(c, 1, &length) != WEIR_OK)
    return c->err;
  if (length != size)
    return weir_cursor_fail(c, WEIR_ERANGE);
  if (length > weir_cursor_left(c))
    return weir_cursor_fail(c, WEIR_ETRUNCATED);
  memcpy(bytes, c->at, size);
  c->at += size;
  return WEIR_OK;
}

/* Reads the head of a container: 16 values from |fix|, or |wide| and two bytes. */
static enum weir_err count_read(struct weir_cursor *c, uint8_t fix, uint8_t wide, uint32_t max,
                                uint32_t *ret_count)
{
  uint8_t head;
  uint64_t count = 0;

  if (weir_cursor_byte(c, &head) != WEIR_OK)
    return c->err;
  if (head >= fix && head < fix + 16)
    count = (uint64_t)(head - fix);
  else if (head != wide)
    return weir_cursor_fail(c, WEIR_ETYPE);
  else if (number_read(c, 2, &count) != WEIR_OK)
    return c->err;
  if (count > max)
    return weir_cursor_fail(c, WEIR_ERANGE);
  *ret_count = (uint32_t)count;
  return WEIR_OK;
}

enum weir_err weir_cursor_map(struct weir_cursor *c, uint32_t max, uint32_t *ret_pairs)
{
  return count_read(c, FIXMAP, MAP16, max, ret_pairs);
}

enum weir_err weir_cursor_array(struct weir_cursor *c, uint32_t max, uint32_t *ret_count)
{
  return count_read(c, FIXARRAY, ARRAY16, max, ret_count);
}

/* Passes over a scalar, or over the head of a container, whose values it counts in |ret_inside|.
 * Returns whether it was a container. */
static bool head_pass(struct weir_cursor *c, uint64_t *ret_inside)
{
  uint8_t head = NIL;
  uint64_t size = 0;

  *ret_inside = 0;
  weir_cursor_byte(c, &head);
  if (head < FIXMAP || head == NIL || head == FALSE_ || head == TRUE_)
    return false;
  if (head >= UINT8 && head <= UINT64) {
    bytes_pass(c, (size_t)1 << (head - UINT8));
    return false;
  }
  if (head >= FIXSTR && head < NIL) {
    bytes_pass(c, (size_t)(head - FIXSTR));
    return false;
  }
  if (head == STR8 || head == BIN8) {
    number_read(c, 1, &size);
    bytes_pass(c, size);
    return false;
  }
  if (head < FIXSTR)
    size = head & 0x0f;
  else if (head == MAP16 || head == ARRAY16)
    number_read(c, 2, &size);
  else
    weir_cursor_fail(c, WEIR_ETYPE);
  *ret_inside = head == MAP16 || head < FIXARRAY ? 2 * size : size;
  return true;
}

enum weir_err weir_cursor_skip(struct weir_cursor *c)
{
  uint64_t left[WEIR_CURSOR_DEPTH_MAX], inside;
  unsigned depth = 0;

  do {
    if (depth > 0)
      left[depth - 1]--;
    if (head_pass(c, &inside)) {
      if (depth == WEIR_CURSOR_DEPTH_MAX)
        return weir_cursor_fail(c, WEIR_EDEPTH);
      left[depth++] = inside;
    }
    if (c->err != WEIR_OK)
      return c->err;
    while (depth > 0 && left[depth - 1] == 0)
      depth--;
  } while (depth > 0);
  return WEIR_OK;
}

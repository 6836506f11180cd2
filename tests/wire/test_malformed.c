#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <weir/codec.h>

#include "fields.h"

/* Decodes |size| bytes from a block of just that size; on an error nothing may have changed. */
static enum weir_err decode(const void *bytes, size_t size)
{
  uint8_t *block = malloc(size > 0 ? size : 1);
  struct weir_msg msg, before;
  size_t offset = 0;
  enum weir_err err;

  assert_non_null(block);
  memcpy(block, bytes, size);
  memset(&msg, 0x5a, sizeof(msg));
  memset(&before, 0x5a, sizeof(before));
  err = weir_codec_decode(block, size, &offset, &msg);
  if (err != WEIR_OK) {
    assert_int_equal(offset, 0);
    assert_memory_equal(&msg, &before, sizeof(msg));
  }
  free(block);
  return err;
}

#define DECODE(bytes) decode("" bytes, sizeof("" bytes) - 1)

/* The shortest message with a body: CANCEL seq=1. */
#define CANCEL "\x77\x01\x09\x00"

static void accepts_the_message_that_the_others_vary(void **state)
{
  (void)state;
  assert_int_equal(DECODE(CANCEL "\x81\x02\x01"), WEIR_OK);
}

static void names_what_is_wrong_with_a_head(void **state)
{
  (void)state;
  assert_int_equal(DECODE("\x78\x01\x09\x00\x81\x02\x01"), WEIR_EMAGIC);
  assert_int_equal(DECODE("\x77\x00\x09\x00\x81\x02\x01"), WEIR_EVERSION);
  assert_int_equal(DECODE("\x77\x02\x09\x00\x81\x02\x01"), WEIR_EVERSION);
  assert_int_equal(DECODE("\x77\x01\x00\x00\x81\x02\x01"), WEIR_ETYPE);
  assert_int_equal(DECODE("\x77\x01\x0f\x00\x81\x02\x01"), WEIR_ETYPE);
  assert_int_equal(DECODE("\x77\x01\x09\x01\x81\x02\x01"), WEIR_ERANGE);
  assert_int_equal(DECODE("\x78"), WEIR_EMAGIC);
  assert_int_equal(DECODE("\x77\x02"), WEIR_EVERSION);
  assert_int_equal(DECODE(""), WEIR_ETRUNCATED);
}

static void reports_truncation_at_every_byte_of_every_message(void **state)
{
  uint8_t buffer[WEIR_MSG_SIZE_MAX];

  (void)state;
  for (int type = 1; type < WEIR_MSG_MAX; type++) {
    struct weir_msg msg;
    size_t size = 0;

    fields_most((enum weir_msg_type)type, &msg);
    assert_int_equal(weir_codec_encode(&msg, buffer, sizeof(buffer), &size), WEIR_OK);
    for (size_t cut = 0; cut < size; cut++)
      assert_int_equal(decode(buffer, cut), WEIR_ETRUNCATED);
    assert_int_equal(decode(buffer, size), WEIR_OK);
  }
}

static void takes_what_trails_a_message_for_the_next_one(void **state)
{
  static const char frame[] = CANCEL "\x81\x02\x01"
                                     "\x00";
  struct weir_msg msg;
  size_t offset = 0;

  (void)state;
  assert_int_equal(weir_codec_decode(frame, sizeof(frame) - 1, &offset, &msg), WEIR_OK);
  assert_int_equal(offset, sizeof(frame) - 2);
  assert_int_equal(weir_codec_decode(frame, sizeof(frame) - 1, &offset, &msg), WEIR_EMAGIC);
  assert_int_equal(offset, sizeof(frame) - 2);
}

static void rejects_a_key_that_stands_twice(void **state)
{
  (void)state;
  assert_int_equal(DECODE(CANCEL "\x82\x02\x01\x02\x01"), WEIR_EDUPLICATE);
  assert_int_equal(DECODE(CANCEL "\x83\x02\x01\x1f\x01\x1f\x02"), WEIR_EDUPLICATE);
}

static void passes_over_unknown_keys_of_every_kind(void **state)
{
  (void)state;
  assert_int_equal(
      DECODE(CANCEL "\x84\x1e\x93\x01\x81\x00\xc0\xa1x\x02\x01\x1d\xc4\x01\xff\x1f\xc3"), WEIR_OK);
  assert_int_equal(DECODE(CANCEL "\x82\x20\x01\x02\x01"), WEIR_ERANGE);
}

static void refuses_keys_that_are_no_small_numbers(void **state)
{
  (void)state;
  assert_int_equal(DECODE(CANCEL "\x82\xa1x\x01\x02\x01"), WEIR_ETYPE);
  assert_int_equal(DECODE(CANCEL "\x82\xff\x01\x02\x01"), WEIR_ETYPE);
  assert_int_equal(DECODE(CANCEL "\x82\x80\x01\x02\x01"), WEIR_ETYPE);
}

static void refuses_bodies_that_are_no_map(void **state)
{
  (void)state;
  assert_int_equal(DECODE(CANCEL "\x91\x01"), WEIR_ETYPE);
  assert_int_equal(DECODE(CANCEL "\x01"), WEIR_ETYPE);
  assert_int_equal(DECODE(CANCEL "\xc0"), WEIR_ETYPE);
}

static void refuses_types_that_the_protocol_does_not_use(void **state)
{
  /* float, double, negative fixint, int8..int64, ext8..ext32, fixext, str16, bin16, 0xc1 */
  static const uint8_t heads[] = {0xca, 0xcb, 0xff, 0xe0, 0xd0, 0xd1, 0xd2, 0xd3, 0xc7, 0xc8,
                                  0xc9, 0xd4, 0xd8, 0xda, 0xdb, 0xc5, 0xc6, 0xdd, 0xdf, 0xc1};

  (void)state;
  for (size_t i = 0; i < sizeof(heads); i++) {
    uint8_t bytes[32] = CANCEL "\x81\x02";

    bytes[6] = heads[i];
    assert_int_equal(decode(bytes, sizeof(bytes)), WEIR_ETYPE);
    bytes[5] = 0x1f; /* an unknown key */
    assert_int_equal(decode(bytes, sizeof(bytes)), WEIR_ETYPE);
  }
}

static void refuses_nesting_and_lengths_that_cost_more_than_they_carry(void **state)
{
  uint8_t deep[1000];

  (void)state;
  memset(deep, 0x91, sizeof(deep));
  memcpy(deep, CANCEL "\x81\x1f", 6);
  assert_int_equal(decode(deep, sizeof(deep)), WEIR_EDEPTH);
  assert_int_equal(DECODE(CANCEL "\xde\xff\xff\x02\x01"), WEIR_ERANGE);
  assert_int_equal(DECODE(CANCEL "\xdf\x05\xf5\xe1\x00\x02\x01"), WEIR_ETYPE);
  assert_int_equal(DECODE(CANCEL "\x82\x1f\xdc\xff\xff\x02\x01"), WEIR_ETRUNCATED);
}

static void refuses_messages_and_frames_that_are_too_long(void **state)
{
  static uint8_t frame[WEIR_FRAME_SIZE_MAX + 1];
  size_t size = 4 + 1 + 2 + 1 + 3;

  (void)state;
  /* CANCEL with an unknown array of zeros that makes it as long as a message may be, then longer.
   */
  memcpy(frame, CANCEL "\x82\x02\x01\x1f\xdc", 9);
  frame[9] = (WEIR_MSG_SIZE_MAX - 11) >> 8;
  frame[10] = (WEIR_MSG_SIZE_MAX - 11) & 0xff;
  assert_int_equal(size, 11);
  assert_int_equal(decode(frame, WEIR_MSG_SIZE_MAX), WEIR_OK);
  frame[10]++;
  assert_int_equal(decode(frame, WEIR_MSG_SIZE_MAX + 1), WEIR_ERANGE);
  memcpy(frame, CANCEL "\x81\x02\x01", 7);
  assert_int_equal(decode(frame, WEIR_FRAME_SIZE_MAX), WEIR_OK);
  assert_int_equal(decode(frame, sizeof(frame)), WEIR_ERANGE);
}

/* Packs the smallest message of |f|'s type with msgpack-c, but |f| as |msg| has it, or not at all.
 */
static enum weir_err decode_varied(enum weir_msg_type type, const struct fields_entry *varied,
                                   const struct weir_msg *msg)
{
  msgpack_sbuffer buffer;
  msgpack_packer pk;
  uint32_t count = 0;
  enum weir_err err;

  for (size_t i = 0; i < fields_count; i++)
    count += fields_is_in(&fields[i], type) && (msg || &fields[i] != varied);
  msgpack_sbuffer_init(&buffer);
  fields_pack_head(&buffer, type);
  msgpack_packer_init(&pk, &buffer, msgpack_sbuffer_write);
  msgpack_pack_map(&pk, count);
  for (size_t i = 0; i < fields_count; i++) {
    struct weir_msg least;

    fields_least(type, &least);
    if (fields_is_in(&fields[i], type) && &fields[i] != varied)
      fields_pack_one(&pk, &fields[i], &least);
  }
  if (msg)
    fields_pack_one(&pk, varied, msg);
  err = decode(buffer.data, buffer.size);
  msgpack_sbuffer_destroy(&buffer);
  return err;
}

static void assert_refused_both_ways(const struct fields_entry *f, enum weir_msg_type type,
                                     const struct weir_msg *msg)
{
  uint8_t buffer[WEIR_MSG_SIZE_MAX];
  size_t size = 0;

  if (decode_varied(type, f, msg) != WEIR_ERANGE ||
      weir_codec_encode(msg, buffer, sizeof(buffer), &size) != WEIR_EINVAL)
    fail_msg("%s was accepted outside its range", f->name);
  assert_int_equal(size, 0);
}

static void holds_every_number_to_its_range_both_ways(void **state)
{
  (void)state;
  for (size_t i = 0; i < fields_count; i++) {
    const struct fields_entry *f = &fields[i];
    enum weir_msg_type type = f->type ? f->type : WEIR_MSG_PING;
    uint64_t most = f->size == 4 ? UINT32_MAX : UINT64_MAX;
    struct weir_msg msg;

    if (f->kind != FIELDS_UINT)
      continue;
    fields_least(type, &msg);
    if (f->min > 0) {
      fields_store(f, &msg, f->min - 1);
      assert_refused_both_ways(f, type, &msg);
    }
    if (f->max < most) {
      fields_store(f, &msg, f->max + 1);
      assert_refused_both_ways(f, type, &msg);
      fields_store(f, &msg, most);
      assert_refused_both_ways(f, type, &msg);
    }
    fields_store(f, &msg, f->max);
    assert_int_equal(decode_varied(type, f, &msg), WEIR_OK);
  }
}

static void holds_every_text_to_printable_ascii_both_ways(void **state)
{
  static const char strangers[] = {'\x01', '\n', '\x1f', '\x7f', '\x80', '\xe9', '\xff'};

  (void)state;
  for (size_t i = 0; i < fields_count; i++) {
    const struct fields_entry *f = &fields[i];
    struct weir_msg msg;
    char *text = (char *)&msg + f->offset;

    if (f->kind != FIELDS_TEXT)
      continue;
    for (size_t s = 0; s < sizeof(strangers); s++) {
      fields_least(f->type, &msg);
      memcpy(text, "abc", 4);
      text[s % 3] = strangers[s];
      assert_refused_both_ways(f, f->type, &msg);
    }
    if (f->min > 0) {
      fields_least(f->type, &msg);
      text[0] = '\0';
      assert_refused_both_ways(f, f->type, &msg);
    }
  }
}

static void encodes_no_text_without_its_terminator(void **state)
{
  uint8_t buffer[WEIR_MSG_SIZE_MAX];

  (void)state;
  for (size_t i = 0; i < fields_count; i++) {
    const struct fields_entry *f = &fields[i];
    struct weir_msg msg;
    size_t size = 0;

    if (f->kind != FIELDS_TEXT)
      continue;
    fields_least(f->type, &msg);
    memset((char *)&msg + f->offset, 'a', f->size);
    assert_int_equal(weir_codec_encode(&msg, buffer, sizeof(buffer), &size), WEIR_EINVAL);
  }
}

static void misses_every_required_field_and_no_other(void **state)
{
  (void)state;
  for (size_t i = 0; i < fields_count; i++) {
    const struct fields_entry *f = &fields[i];
    enum weir_err err = decode_varied(f->type ? f->type : WEIR_MSG_BYE, f, NULL);

    if (err != (f->min > 0 ? WEIR_EMISSING : WEIR_OK))
      fail_msg("%s left out: %s", f->name, weir_err_name(err));
  }
}

static void refuses_strings_and_binaries_of_wrong_lengths(void **state)
{
  char hello[128] = "\x77\x01\x01\x00\x83\x04\x01\x05\x01\x02\xc4", ask[256];

  (void)state;
  for (unsigned size = 0; size < 40; size++) {
    hello[11] = (char)size;
    assert_int_equal(decode(hello, 12 + size), size == WEIR_INSTANCE_SIZE ? WEIR_OK : WEIR_ERANGE);
  }
  for (unsigned size = 0; size < 200; size++) {
    memcpy(ask, "\x77\x01\x04\x00\x84\x02\x01\x04\x01\x05\x01\x03\xd9", 13);
    ask[13] = (char)size;
    memset(ask + 14, 'm', size);
    assert_int_equal(decode(ask, 14 + size),
                     size > 0 && size < WEIR_NAME_SIZE ? WEIR_OK : WEIR_ERANGE);
  }
}

static void holds_the_parts_of_a_row_to_their_bounds(void **state)
{
  struct weir_msg msg;
  uint8_t buffer[WEIR_MSG_SIZE_MAX];
  size_t size = 0;

  (void)state;
#define ROW "\x77\x01\x0e\x00\x82\x02\x02"
  assert_int_equal(DECODE(ROW "\x0b\x91\x81\x00\x01"), WEIR_OK);
  assert_int_equal(DECODE(ROW "\x0b\x91\x80"), WEIR_EMISSING);
  assert_int_equal(DECODE(ROW "\x0b\x91\x81\x00\x07"), WEIR_ERANGE);
  assert_int_equal(DECODE(ROW "\x0b\x91\x82\x00\x01\x05\xc3"), WEIR_OK);
  assert_int_equal(DECODE(ROW "\x0b\x91\x82\x00\x01\x05\x01"), WEIR_ETYPE);
  assert_int_equal(DECODE(ROW "\x0b\x91\x82\x00\x01\x04\xc3"), WEIR_ETYPE);
  assert_int_equal(DECODE(ROW "\x0b\x91\x82\x00\x01\x00\x01"), WEIR_EDUPLICATE);
  assert_int_equal(DECODE(ROW "\x0b\x91\x82\x00\x01\x0f\xc0"), WEIR_OK);
  assert_int_equal(DECODE(ROW "\x0b\x91\x01"), WEIR_ETYPE);
  assert_int_equal(DECODE(ROW "\x0b\x99\x80\x80\x80\x80\x80\x80\x80\x80\x80"), WEIR_ERANGE);
  assert_int_equal(DECODE(ROW "\x0c\x93\x01\x02\x03"), WEIR_OK); /* a class that is not ours */
  assert_int_equal(DECODE(ROW "\x0c\x91\xcf\x00\x00\x00\x01\x00\x00\x00\x00"), WEIR_ERANGE);
  assert_int_equal(DECODE(ROW "\x0c\x91\xc2"), WEIR_ETYPE);
  assert_int_equal(DECODE(ROW "\x09\xdc\x00\x41"), WEIR_ERANGE);
#undef ROW
  fields_most(WEIR_MSG_ROW, &msg);
  msg.row.limits_count = WEIR_LIMITS_MAX + 1;
  assert_int_equal(weir_codec_encode(&msg, buffer, sizeof(buffer), &size), WEIR_EINVAL);
  fields_most(WEIR_MSG_ROW, &msg);
  msg.row.limits[7].amount = WEIR_AMOUNT_MAX + 1;
  assert_int_equal(weir_codec_encode(&msg, buffer, sizeof(buffer), &size), WEIR_EINVAL);
  fields_most(WEIR_MSG_ROW, &msg);
  msg.row.limits[7].effective = WEIR_AMOUNT_MAX + 1;
  assert_int_equal(weir_codec_encode(&msg, buffer, sizeof(buffer), &size), WEIR_EINVAL);
}

static void encodes_no_message_outside_the_list(void **state)
{
  uint8_t buffer[WEIR_MSG_SIZE_MAX];
  struct weir_msg msg;
  size_t size = 0;

  (void)state;
  memset(&msg, 0, sizeof(msg));
  assert_int_equal(weir_codec_encode(&msg, buffer, sizeof(buffer), &size), WEIR_EINVAL);
  msg.type = WEIR_MSG_MAX;
  assert_int_equal(weir_codec_encode(&msg, buffer, sizeof(buffer), &size), WEIR_EINVAL);
}

/* Whatever a single byte is turned into, the reader stays within its bytes and its struct. */
static void survives_every_change_of_one_byte(void **state)
{
  uint8_t buffer[WEIR_MSG_SIZE_MAX];
  struct weir_rng rng;
  int accepted = 0;

  (void)state;
  weir_rng_init(&rng, 5);
  for (int type = 1; type < WEIR_MSG_MAX; type++) {
    struct weir_msg msg;
    size_t size = 0;

    fields_random((enum weir_msg_type)type, &rng, &msg);
    assert_int_equal(weir_codec_encode(&msg, buffer, sizeof(buffer), &size), WEIR_OK);
    for (size_t i = 0; i < size; i++) {
      uint8_t kept = buffer[i];

      for (unsigned value = 0; value < 256; value++) {
        buffer[i] = (uint8_t)value;
        accepted += decode(buffer, size) == WEIR_OK;
      }
      buffer[i] = kept;
    }
  }
  assert_true(accepted > 1000);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(accepts_the_message_that_the_others_vary),
      cmocka_unit_test(names_what_is_wrong_with_a_head),
      cmocka_unit_test(reports_truncation_at_every_byte_of_every_message),
      cmocka_unit_test(takes_what_trails_a_message_for_the_next_one),
      cmocka_unit_test(rejects_a_key_that_stands_twice),
      cmocka_unit_test(passes_over_unknown_keys_of_every_kind),
      cmocka_unit_test(refuses_keys_that_are_no_small_numbers),
      cmocka_unit_test(refuses_bodies_that_are_no_map),
      cmocka_unit_test(refuses_types_that_the_protocol_does_not_use),
      cmocka_unit_test(refuses_nesting_and_lengths_that_cost_more_than_they_carry),
      cmocka_unit_test(refuses_messages_and_frames_that_are_too_long),
      cmocka_unit_test(holds_every_number_to_its_range_both_ways),
      cmocka_unit_test(holds_every_text_to_printable_ascii_both_ways),
      cmocka_unit_test(encodes_no_text_without_its_terminator),
      cmocka_unit_test(misses_every_required_field_and_no_other),
      cmocka_unit_test(refuses_strings_and_binaries_of_wrong_lengths),
      cmocka_unit_test(holds_the_parts_of_a_row_to_their_bounds),
      cmocka_unit_test(encodes_no_message_outside_the_list),
      cmocka_unit_test(survives_every_change_of_one_byte),
  };
  return cmocka_run_group_tests_name("malformed", tests, NULL, NULL);
}

/* fields.h - PROTOCOL.md as a table, written down a second time so that it can disagree with the
 * codec: keys, kinds and ranges of every field. */
#ifndef WEIR_TEST_FIELDS_H
#define WEIR_TEST_FIELDS_H

#include <msgpack.h>

#include <weir/msg.h>
#include <weir/rng.h>

#define FIELDS_LIMIT_SHADOW 5 /* keys of those that are a bool */
#define FIELDS_LIMIT_DAY    12
#define FIELDS_LIMIT_KEYS   13 /* of an element of ROW's limits */
#define FIELDS_PART_KEYS    4  /* of an element of ISLAND's parts */

enum fields_kind {
  FIELDS_UINT = 1,
  FIELDS_BOOL,
  FIELDS_TEXT,
  FIELDS_BYTES,
  FIELDS_ARRAY,
  FIELDS_LIMITS,
  FIELDS_PARTS
};

struct fields_entry {
  enum weir_msg_type type; /* 0: in every message */
  uint32_t key;
  const char *name;
  enum fields_kind kind;
  size_t offset, size;
  uint64_t min, max; /* of the number, or of a text's length; min > 0: required */
};

extern const struct fields_entry fields[];
extern const size_t fields_count;

/* fields_is_in tells whether |f| stands in messages of |type|. */
bool fields_is_in(const struct fields_entry *f, enum weir_msg_type type);

/* fields_is_same compares two messages that were zeroed before they were filled. */
bool fields_is_same(const struct weir_msg *a, const struct weir_msg *b);

/* fields_load, fields_store read and write the number that |f| names in |msg|. */
uint64_t fields_load(const struct fields_entry *f, const struct weir_msg *msg);
void fields_store(const struct fields_entry *f, struct weir_msg *msg, uint64_t value);

/* fields_least and fields_most fill |msg| with the smallest and largest value of every field. */
void fields_least(enum weir_msg_type type, struct weir_msg *msg);
void fields_most(enum weir_msg_type type, struct weir_msg *msg);

/* fields_random fills |msg| with a random message of |type|, zeros among it. */
void fields_random(enum weir_msg_type type, struct weir_rng *rng, struct weir_msg *msg);

/* fields_parse fills |msg| from "ASK seq=1 model=\"a\" class=1 ...", failing the test if it cannot.
 */
void fields_parse(const char *meaning, struct weir_msg *msg);

/* fields_pack packs the head and field |f| of |msg| with msgpack-c: key and value. */
void fields_pack_head(msgpack_sbuffer *buffer, enum weir_msg_type type);
void fields_pack_one(msgpack_packer *pk, const struct fields_entry *f, const struct weir_msg *msg);

#endif

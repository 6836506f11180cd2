#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/codec.h>

#include "fields.h"

#define VECTORS_MAX 256

struct vector {
  bool is_encoded; /* "both:": an encoder writes exactly these bytes */
  char meaning[4096];
  uint8_t bytes[WEIR_MSG_SIZE_MAX];
  size_t size;
};

static struct vector vectors[VECTORS_MAX];
static size_t vectors_count;

static void bytes_add(struct vector *v, const char *digits)
{
  for (; isxdigit((unsigned char)digits[0]); digits += 2) {
    char byte[3] = {digits[0], digits[1], 0};

    assert_true(v->size < sizeof(v->bytes));
    v->bytes[v->size++] = (uint8_t)strtoul(byte, NULL, 16);
  }
}

static int vectors_read(void **state)
{
  static char line[4096];
  FILE *file = fopen(WEIR_PROTO_DIR "/golden/v1.txt", "r");

  (void)state;
  if (!file)
    return -1;
  while (fgets(line, sizeof(line), file)) {
    line[strcspn(line, "\n")] = '\0';
    if (line[0] == '#' || line[0] == '\0')
      continue;
    if (line[0] == ' ') {
      bytes_add(&vectors[vectors_count - 1], line + strspn(line, " "));
      continue;
    }
    assert_true(vectors_count < VECTORS_MAX && strchr(line, ' '));
    vectors[vectors_count].is_encoded = strncmp(line, "both: ", 6) == 0;
    snprintf(vectors[vectors_count].meaning, sizeof(vectors[0].meaning), "%s",
             strchr(line, ' ') + 1);
    vectors_count++;
  }
  fclose(file);
  return 0;
}

static void decodes_every_vector_to_its_meaning(void **state)
{
  (void)state;
  for (size_t i = 0; i < vectors_count; i++) {
    struct weir_msg expected, found;
    size_t offset = 0;
    enum weir_err err = weir_codec_decode(vectors[i].bytes, vectors[i].size, &offset, &found);

    fields_parse(vectors[i].meaning, &expected);
    if (err != WEIR_OK || offset != vectors[i].size || !fields_is_same(&found, &expected))
      fail_msg("decoded differently (%s): %s", weir_err_name(err), vectors[i].meaning);
  }
}

static void encodes_every_meaning_to_its_vector(void **state)
{
  (void)state;
  for (size_t i = 0; i < vectors_count; i++) {
    uint8_t buffer[WEIR_MSG_SIZE_MAX];
    struct weir_msg msg;
    size_t size = 0;

    if (!vectors[i].is_encoded)
      continue;
    fields_parse(vectors[i].meaning, &msg);
    if (weir_codec_encode(&msg, buffer, sizeof(buffer), &size) != WEIR_OK ||
        size != vectors[i].size || memcmp(buffer, vectors[i].bytes, size) != 0)
      fail_msg("encoded differently: %s", vectors[i].meaning);
  }
}

static void has_the_least_and_the_most_of_every_message(void **state)
{
  (void)state;
  for (int type = 1; type < WEIR_MSG_MAX; type++) {
    struct weir_msg msg;
    size_t leasts = 0, mosts = 0;

    for (size_t i = 0; i < vectors_count; i++) {
      size_t offset = 0;

      if (weir_codec_decode(vectors[i].bytes, vectors[i].size, &offset, &msg) != WEIR_OK ||
          (int)msg.type != type)
        continue;
      leasts += msg.session == 0 && msg.mark == 0;
      mosts += msg.session == UINT64_MAX && msg.mark == UINT64_MAX;
    }
    if (leasts == 0 || mosts == 0)
      fail_msg("%s has no minimal or no maximal vector", weir_msg_name((enum weir_msg_type)type));
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(decodes_every_vector_to_its_meaning),
      cmocka_unit_test(encodes_every_meaning_to_its_vector),
      cmocka_unit_test(has_the_least_and_the_most_of_every_message),
  };
  return cmocka_run_group_tests_name("golden", tests, vectors_read, NULL);
}

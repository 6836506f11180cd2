/* Any bytes as JSON: the tokens are the same in one piece and in pieces, whose sizes the first
 * bytes of the input say. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <weir/json.h>

#define TOKENS_MAX 256
#define SIZES      8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a scan said: the first tokens, a hash of all of them, and how it ended. */
struct record {
  struct weir_json_token tokens[TOKENS_MAX];
  size_t count;
  uint64_t hash;
  enum weir_json_status status;
};

static struct weir_json scanner;
static struct record whole, parts;

static void hash_add(struct record *r, const void *bytes, size_t size)
{
  for (size_t i = 0; i < size; i++)
    r->hash = (r->hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
}

static void record_add(struct record *r, const struct weir_json_token *t)
{
  uint64_t value = 0;

  assert(t->depth <= WEIR_JSON_DEPTH_MAX && t->text_size <= WEIR_JSON_TEXT_MAX);
  assert(strlen(t->path) <= WEIR_JSON_PATH_MAX && t->text[t->text_size] == '\0');
  assert(t->type == WEIR_JSON_OBJECT || t->type == WEIR_JSON_ARRAY ||
         t->offset_begin < t->offset_end);
  hash_add(r, t->path, strlen(t->path) + 1);
  hash_add(r, t->text, t->text_size + 1);
  if (weir_json_uint(t, &value))
    hash_add(r, &value, sizeof(value));
  if (r->count < TOKENS_MAX) {
    r->tokens[r->count] = *t;
    r->tokens[r->count].path = r->tokens[r->count].text = NULL; /* valid until the next call only */
  }
  r->count++;
}

static void drain(struct record *r)
{
  struct weir_json_token token;

  while ((r->status = weir_json_next(&scanner, &token)) == WEIR_JSON_TOKEN)
    record_add(r, &token);
}

static void finish(struct record *r)
{
  struct weir_json_token token;

  while (r->status != WEIR_JSON_BAD &&
         (r->status = weir_json_end(&scanner, &token)) == WEIR_JSON_TOKEN)
    record_add(r, &token);
}

static void scan(struct record *r, const uint8_t *data, size_t size, const uint8_t *sizes)
{
  memset(r, 0, sizeof(*r));
  weir_json_init(&scanner);
  for (size_t at = 0, i = 0; at < size; i++) {
    size_t piece = sizes ? 1 + sizes[i % SIZES] % 32u : size;
    uint8_t *block;

    piece = piece < size - at ? piece : size - at;
    block = malloc(piece); /* of its own, so that a read beyond it is noticed */
    assert(block);
    memcpy(block, data + at, piece);
    weir_json_feed(&scanner, block, piece);
    drain(r);
    free(block);
    at += piece;
    if (r->status == WEIR_JSON_BAD)
      break;
  }
  if (size == 0)
    r->status = WEIR_JSON_MORE;
  finish(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < SIZES)
    return 0;
  scan(&whole, data + SIZES, size - SIZES, NULL);
  scan(&parts, data + SIZES, size - SIZES, data);
  assert(whole.count == parts.count && whole.hash == parts.hash && whole.status == parts.status);
  for (size_t i = 0; i < whole.count && i < TOKENS_MAX; i++) {
    const struct weir_json_token *a = &whole.tokens[i], *b = &parts.tokens[i];

    assert(a->type == b->type && a->depth == b->depth && a->is_cut == b->is_cut);
    assert(a->offset_begin == b->offset_begin && a->offset_end == b->offset_end);
  }
  return 0;
}

#include <weir/cache.h>

#include <weir/table.h>

#include <assert.h>
#include <string.h>

#define NONE        UINT32_MAX
#define BLOCK_BYTES 960
#define PARTS       (WEIR_CACHE_REQUEST_PARTS + WEIR_CACHE_ANSWER_PARTS)

/* Bytes of storage for a block and its share of the table, which has less than 8/3 slots a block.
 */
#define BLOCK_SHARE (sizeof(struct block) + 48)

/* An entry is a chain of blocks that hold its parts one after the other; the first one says what
 * they are. */
struct block {
  uint32_t next;         /* of the chain, or of the free ones */
  uint32_t newer, older; /* entries by their last use */
  uint32_t sizes[PARTS]; /* of the request's parts and of the answer's */
  uint32_t count;        /* blocks of the chain */
  uint64_t hash;
  weir_tstamp stored_at;
  uint8_t bytes[BLOCK_BYTES];
};

struct weir_cache {
  uint64_t seed;
  struct block *blocks;
  uint32_t blocks_count;
  uint32_t fresh; /* blocks from here on were never used */
  uint32_t free_first, free_count;
  uint32_t newest, oldest;
  struct weir_table entries; /* by hash */
};

struct cursor {
  uint32_t block;
  size_t at;
};

/* ---- bytes of a chain ---- */

/* Returns up to |size| bytes at the cursor and moves it on. */
static uint8_t *span(const struct weir_cache *c, struct cursor *cursor, size_t size,
                     size_t *ret_size)
{
  if (cursor->at == BLOCK_BYTES) {
    cursor->block = c->blocks[cursor->block].next;
    cursor->at = 0;
  }
  *ret_size = BLOCK_BYTES - cursor->at < size ? BLOCK_BYTES - cursor->at : size;
  cursor->at += *ret_size;
  return c->blocks[cursor->block].bytes + cursor->at - *ret_size;
}

static void bytes_write(const struct weir_cache *c, struct cursor *cursor,
                        const struct weir_cache_bytes *part)
{
  size_t size;

  for (size_t done = 0; done < part->size; done += size) {
    uint8_t *to = span(c, cursor, part->size - done, &size);

    memcpy(to, (const uint8_t *)part->bytes + done, size);
  }
}

static bool bytes_match(const struct weir_cache *c, struct cursor *cursor,
                        const struct weir_cache_bytes *part)
{
  size_t size;

  for (size_t done = 0; done < part->size; done += size) {
    const uint8_t *from = span(c, cursor, part->size - done, &size);

    if (memcmp(from, (const uint8_t *)part->bytes + done, size) != 0)
      return false;
  }
  return true;
}

/* Copies |count| bytes to |ret_bytes|, or passes over them when it is NULL. */
static void bytes_read(const struct weir_cache *c, struct cursor *cursor, size_t count,
                       uint8_t *ret_bytes)
{
  size_t size;

  for (size_t done = 0; done < count; done += size) {
    const uint8_t *from = span(c, cursor, count - done, &size);

    if (ret_bytes)
      memcpy(ret_bytes + done, from, size);
  }
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
  const uint8_t *at = bytes;
  uint64_t word;

  for (; size > 0; size -= size < 8 ? size : 8, at += 8) {
    word = 0;
    memcpy(&word, at, size < 8 ? size : 8);
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    hash ^= hash >> 29;
  }
  return hash;
}

/* It only finds; what is found is compared. */
static uint64_t hash_of(const struct weir_cache *c, const struct weir_cache_request *request)
{
  uint64_t hash = c->seed;

  for (int i = 0; i < WEIR_CACHE_REQUEST_PARTS; i++) {
    const uint64_t size = request->parts[i].size;

    hash = mix(hash, &size, sizeof(size));
    hash = mix(hash, request->parts[i].bytes, request->parts[i].size);
  }
  return hash;
}

/* ---- entries ---- */

static void use_remove(struct weir_cache *c, const struct block *b)
{
  if (b->newer == NONE)
    c->newest = b->older;
  else
    c->blocks[b->newer].older = b->older;
  if (b->older == NONE)
    c->oldest = b->newer;
  else
    c->blocks[b->older].newer = b->newer;
}

static void use_add(struct weir_cache *c, uint32_t entry)
{
  struct block *b = &c->blocks[entry];

  b->newer = NONE;
  b->older = c->newest;
  if (c->newest == NONE)
    c->oldest = entry;
  else
    c->blocks[c->newest].newer = entry;
  c->newest = entry;
}

static void use_renew(struct weir_cache *c, uint32_t entry)
{
  use_remove(c, &c->blocks[entry]);
  use_add(c, entry);
}

static void entry_drop(struct weir_cache *c, uint32_t entry)
{
  const struct block *b = &c->blocks[entry];
  const uint32_t count = b->count;
  uint32_t last = entry;

  weir_table_remove(&c->entries, b->hash);
  use_remove(c, b);
  for (uint32_t i = 1; i < count; i++)
    last = c->blocks[last].next;
  c->blocks[last].next = c->free_first;
  c->free_first = entry;
  c->free_count += count;
}

static uint32_t block_take(struct weir_cache *c)
{
  uint32_t block = c->free_first;

  if (c->fresh < c->blocks_count)
    return c->fresh++;
  c->free_first = c->blocks[block].next;
  c->free_count--;
  return block;
}

/* Precondition: so many are free. */
static uint32_t chain_take(struct weir_cache *c, uint32_t count)
{
  uint32_t first = NONE;

  for (uint32_t i = 0; i < count; i++) {
    const uint32_t block = block_take(c);

    c->blocks[block].next = first;
    first = block;
  }
  return first;
}

struct weir_cache *weir_cache_init(void *storage, size_t size, uint64_t seed)
{
  struct weir_cache *c = storage;
  uint8_t *at = storage;
  uint32_t count;

  assert(size >= WEIR_CACHE_SIZE_MIN && size <= WEIR_CACHE_SIZE_MAX);
  count = (uint32_t)((size - sizeof(*c) - 64) / BLOCK_SHARE);
  memset(c, 0, sizeof(*c));
  at += (sizeof(*c) + 15) & ~(size_t)15;
  assert((size_t)(at - (uint8_t *)storage) + weir_table_size(count) +
             count * sizeof(struct block) <=
         size);
  weir_table_init(&c->entries, at, count);
  c->blocks = (struct block *)(void *)(at + weir_table_size(count));
  c->blocks_count = count;
  c->seed = seed;
  c->free_first = c->newest = c->oldest = NONE;
  return c;
}

/* Blocks for |size| bytes; NONE when they are more than any entry may have. */
static uint32_t blocks_for(const struct weir_cache *c, uint64_t size)
{
  const uint64_t count = size / BLOCK_BYTES + 1;

  return count <= c->blocks_count / 4 ? (uint32_t)count : NONE;
}

bool weir_cache_put(struct weir_cache *c, const struct weir_cache_request *request,
                    const struct weir_cache_answer *answer, weir_tstamp now)
{
  struct weir_cache_bytes parts[PARTS];
  uint64_t size = 0;
  uint32_t count, entry;
  struct cursor cursor = {0};
  struct block *b;
  enum weir_err err;

  memcpy(parts, request->parts, sizeof(request->parts));
  memcpy(parts + WEIR_CACHE_REQUEST_PARTS, answer->parts, sizeof(answer->parts));
  for (int i = 0; i < PARTS; i++)
    size = weir_time_add(size, parts[i].size);
  count = blocks_for(c, size);
  if (count == NONE)
    return false;
  if (weir_table_find(&c->entries, hash_of(c, request), &entry))
    entry_drop(c, entry);
  while (c->blocks_count - c->fresh + c->free_count < count)
    entry_drop(c, c->oldest);
  entry = cursor.block = chain_take(c, count);
  b = &c->blocks[entry];
  b->count = count;
  b->hash = hash_of(c, request);
  b->stored_at = now;
  for (int i = 0; i < PARTS; i++) {
    b->sizes[i] = (uint32_t)parts[i].size;
    bytes_write(c, &cursor, &parts[i]);
  }
  use_add(c, entry);
  err = weir_table_put(&c->entries, b->hash, entry);
  assert(err == WEIR_OK); /* there is room for every block */
  (void)err;
  return true;
}

static bool is_for(const struct weir_cache *c, uint32_t entry,
                   const struct weir_cache_request *request)
{
  struct cursor cursor = {.block = entry};

  for (int i = 0; i < WEIR_CACHE_REQUEST_PARTS; i++) {
    if (c->blocks[entry].sizes[i] != request->parts[i].size ||
        !bytes_match(c, &cursor, &request->parts[i]))
      return false;
  }
  return true;
}

bool weir_cache_find(struct weir_cache *c, const struct weir_cache_request *request,
                     weir_tstamp now, weir_duration ttl_us, struct weir_cache_found *ret_found)
{
  const struct block *b;
  uint32_t entry;

  if (!weir_table_find(&c->entries, hash_of(c, request), &entry) || !is_for(c, entry, request))
    return false;
  b = &c->blocks[entry];
  if (weir_time_sub(now, b->stored_at) > ttl_us)
    return false;
  use_renew(c, entry);
  ret_found->entry = entry;
  ret_found->age_us = weir_time_sub(now, b->stored_at);
  for (int i = 0; i < WEIR_CACHE_ANSWER_PARTS; i++)
    ret_found->sizes[i] = b->sizes[WEIR_CACHE_REQUEST_PARTS + i];
  return true;
}

void weir_cache_read(const struct weir_cache *c, const struct weir_cache_found *found,
                     enum weir_cache_part part, void *ret_bytes)
{
  struct cursor cursor = {.block = found->entry};
  const uint32_t *sizes = c->blocks[found->entry].sizes;

  for (int i = 0; i < WEIR_CACHE_REQUEST_PARTS + (int)part; i++)
    bytes_read(c, &cursor, sizes[i], NULL);
  bytes_read(c, &cursor, found->sizes[part], ret_bytes);
}

void weir_cache_wipe(struct weir_cache *c)
{
  while (c->oldest != NONE)
    entry_drop(c, c->oldest);
  memset(c->blocks, 0, c->fresh * sizeof(*c->blocks));
  c->fresh = c->free_count = 0;
  c->free_first = NONE;
}

void weir_cache_check(const struct weir_cache *c)
{
  uint32_t used = 0, entries = 0, free = 0, newer = NONE, found;

  for (uint32_t i = c->newest; i != NONE; i = c->blocks[i].older) {
    const struct block *b = &c->blocks[i];

    assert(b->newer == newer && b->count > 0);
    assert(weir_table_find(&c->entries, b->hash, &found) && found == i);
    used += b->count;
    entries++;
    newer = i;
  }
  assert(c->oldest == newer && c->entries.count == entries);
  for (uint32_t i = c->free_first; i != NONE; i = c->blocks[i].next)
    free++;
  assert(free == c->free_count && used + free == c->fresh && c->fresh <= c->blocks_count);
}

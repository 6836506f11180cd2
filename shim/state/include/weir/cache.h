/* cache.h - the last good answers of an instance, in bounded storage, to fall back on when a call
 * fails for good.
 *
 *   c = weir_cache_init(storage, size, seed);
 *   weir_cache_put(c, &request, &answer, now);            // after a success
 *   if (weir_cache_find(c, &request, now, ttl, &found))   // after a failure
 *     weir_cache_read(c, &found, WEIR_CACHE_BODY, buffer);
 *
 * Whole requests are kept and compared, so no answer is ever given to another request. The one that
 * was used longest ago makes room. Entries are chains of blocks of equal size: storage does not
 * fragment, whatever their sizes.
 *
 * Owner: the caller owns the storage. Cost: O(bytes of the request and the answer), plus what makes
 * room. No allocation. One thread at a time.
 */
#ifndef WEIR_CACHE_H
#define WEIR_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/time.h>

#define WEIR_CACHE_SIZE_MIN (UINT64_C(1) << 16)
#define WEIR_CACHE_SIZE_MAX (UINT64_C(1) << 36)

struct weir_cache_bytes {
  const void *bytes;
  size_t size; /* below 4 GiB */
};

/* What makes a request the same. */
#define WEIR_CACHE_REQUEST_PARTS 5

struct weir_cache_request {
  struct weir_cache_bytes parts[WEIR_CACHE_REQUEST_PARTS];
};

enum weir_cache_part {
  WEIR_CACHE_MODEL = 0,
  WEIR_CACHE_CONTENT_TYPE,
  WEIR_CACHE_BODY,
  WEIR_CACHE_ANSWER_PARTS
};

struct weir_cache_answer {
  struct weir_cache_bytes parts[WEIR_CACHE_ANSWER_PARTS];
};

struct weir_cache_found {
  weir_duration age_us;
  size_t sizes[WEIR_CACHE_ANSWER_PARTS];
  uint32_t entry; /* private */
};

struct weir_cache; /* lives in the caller's storage */

/* weir_cache_init makes an empty cache in |storage| (|size| bytes, aligned as malloc does) and
 * returns it. Storage that was never used stays untouched. Precondition: |size| is within the
 * bounds above. */
struct weir_cache *weir_cache_init(void *storage, size_t size, uint64_t seed);

/* weir_cache_put keeps |answer| for |request|, in place of an older one. False, changing nothing,
 * when both together take more than a quarter of the storage. */
bool weir_cache_put(struct weir_cache *c, const struct weir_cache_request *request,
                    const struct weir_cache_answer *answer, weir_tstamp now);

/* weir_cache_find looks for an answer to |request| that is at most |ttl_us| old; |ret_found| is
 * good until the next put. False, writing nothing, when there is none. */
bool weir_cache_find(struct weir_cache *c, const struct weir_cache_request *request,
                     weir_tstamp now, weir_duration ttl_us, struct weir_cache_found *ret_found);

/* weir_cache_read copies a part of what was found, of found->sizes[part] bytes, to |ret_bytes|. */
void weir_cache_read(const struct weir_cache *c, const struct weir_cache_found *found,
                     enum weir_cache_part part, void *ret_bytes);

/* weir_cache_wipe forgets everything and overwrites it with zeros. */
void weir_cache_wipe(struct weir_cache *c);

/* weir_cache_check asserts every invariant; O(everything), for tests. */
void weir_cache_check(const struct weir_cache *c);

#endif

/* price.h - what calls cost: a table of dated prices, and the price of a call's tokens.
 *
 * Money is in millionths of a US dollar ("micro"), prices in micro per million tokens, all whole
 * numbers: $0.075 per million tokens is 75,000.
 *
 * The table is read from JSON. data/models.json is built in; a file of the same form may be read on
 * top of it, and takes the place of the models that it names:
 *
 *   {"models": [{"provider": "gemini", "model": "gemini-2.5-pro",
 *                "price_usd_per_1m": {"input": 1.25, "output": 10, "cached_input": 0.125,
 *                                     "long_context_starts_at": 200000, "input_long": 2.5,
 *                                     "output_long": 15, "cached_input_long": 0.25,
 *                                     "from_2027-01-01": {"input": 1.5, "output": 12}}}]}
 *
 * A price holds for everybody and always, or, below "from_DATE", from that day on (UTC), whole: it
 * takes over nothing from the one before. Above long_context_starts_at input tokens the _long
 * prices hold for the whole call, and where there are none the price is not known. cache_write is
 * the price of input that was written to a cache. Other members of a model are passed over.
 */
#ifndef WEIR_PRICE_H
#define WEIR_PRICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/err.h>
#include <weir/usage.h>

#define WEIR_PRICE_RULES_MAX     1024
#define WEIR_PRICE_PROVIDER_SIZE 32
#define WEIR_PRICE_MODEL_SIZE    64
#define WEIR_PRICE_FILE_SIZE_MAX ((size_t)4 << 20)
#define WEIR_PRICE_NONE          UINT64_MAX /* not stated */

/* The parts of a call that have a price of their own. */
enum weir_price_part {
  WEIR_PRICE_INPUT,
  WEIR_PRICE_CACHED,      /* input that was read from a cache; NONE: priced as input */
  WEIR_PRICE_CACHE_WRITE, /* input that was written to one; NONE: priced as input */
  WEIR_PRICE_OUTPUT,      /* NONE: calls with output have no known price */
  WEIR_PRICE_PARTS
};

/* The prices of a model from a day on. */
struct weir_price_rule {
  char provider[WEIR_PRICE_PROVIDER_SIZE];
  char model[WEIR_PRICE_MODEL_SIZE];
  uint64_t from_day;                        /* since 1970-01-01; 0: always */
  uint64_t long_above;                      /* input tokens; 0: there is no long context */
  uint64_t micro[WEIR_PRICE_PARTS];         /* per million tokens */
  uint64_t micro_of_long[WEIR_PRICE_PARTS]; /* the same, above |long_above| */
};

/* The storage is the caller's. */
struct weir_prices {
  struct weir_price_rule *rules;
  uint32_t capacity; /* at most WEIR_PRICE_RULES_MAX */
  uint32_t count;
};

/* Where and why a table cannot be read; lines and columns count from 1. */
struct weir_price_fault {
  uint64_t offset, line, column;
  const char *text; /* what is wrong, and how to mend it; static storage */
};

/* data/models.json, byte for byte. */
extern const unsigned char weir_price_table[];
extern const size_t weir_price_table_size;

/* weir_prices_read adds the prices in |json| to |prices|; a model (of one provider) that stands in
 * |json| loses those that it had before, also when its price is null: not known. Fails, changing
 * nothing but what lies behind |count|, with WEIR_ESYNTAX, and |ret_fault| tells why. */
WEIR_MUSTUSE enum weir_err weir_prices_read(struct weir_prices *prices, const void *json,
                                            size_t size, struct weir_price_fault *ret_fault);

/* weir_price_find returns the price of |model| of |provider| on |day| (since 1970-01-01), or NULL.
 * Without an entry of its own, a name with a date at its end ("gpt-5-2026-08-07",
 * "claude-haiku-4-5-20251001") has the price of the name before it. */
const struct weir_price_rule *weir_price_find(const struct weir_prices *prices,
                                              const char *provider, const char *model,
                                              uint64_t day);

/* weir_price_of_usage writes what |usage| cost at |wall_s| (Unix time), in micro, rounded up.
 * False, writing nothing, when it is not known: no such model, no price for a part that was used,
 * or no counts. */
bool weir_price_of_usage(const struct weir_prices *prices, const char *provider, const char *model,
                         uint64_t wall_s, const struct weir_usage *usage, uint64_t *ret_micro);

#endif

#include "pricefile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"

static enum weir_err file_add(struct weir_prices *prices, const char *path, char *why)
{
  struct weir_price_fault fault;
  char *bytes;
  size_t size;
  const int error = weir_file_read(path, WEIR_PRICE_FILE_SIZE_MAX, NULL, &bytes, &size);
  enum weir_err err;

  if (error) {
    snprintf(why, WEIR_PRICEFILE_WHY_SIZE, "%.200s cannot be read: %s", path, strerror(error));
    return WEIR_ECONFIG;
  }
  err = weir_prices_read(prices, bytes, size, &fault);
  if (err)
    snprintf(why, WEIR_PRICEFILE_WHY_SIZE, "%.200s:%" PRIu64 ":%" PRIu64 ": %s", path, fault.line,
             fault.column, fault.text);
  weir_file_free(bytes, size);
  return err ? WEIR_ECONFIG : WEIR_OK;
}

enum weir_err weir_pricefile_open(struct weir_prices *prices, const char *path, char *why)
{
  struct weir_price_fault fault;
  struct weir_price_rule *fitted;
  enum weir_err err;

  snprintf(why, WEIR_PRICEFILE_WHY_SIZE, "out of memory");
  prices->capacity = WEIR_PRICE_RULES_MAX;
  prices->rules = calloc(prices->capacity, sizeof(*prices->rules));
  if (!prices->rules)
    return WEIR_ENOMEM;
  err = weir_prices_read(prices, weir_price_table, weir_price_table_size, &fault);
  if (!err && path && *path)
    err = file_add(prices, path, why);
  if (err)
    return err;
  /* Few of them are used; what does not get smaller is good as it is. */
  fitted = realloc(prices->rules, (prices->count + 1) * sizeof(*fitted));
  prices->rules = fitted ? fitted : prices->rules;
  return WEIR_OK;
}

/* What calls cost: the prices that `weir prices` shows. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "proxy.h"

static bool file_read(struct weir_prices *prices, const char *path, char *error, size_t error_size)
{
  struct weir_price_fault fault;
  char *bytes;
  size_t size;
  const int flaw = weir_file_read(path, WEIR_PRICE_FILE_SIZE_MAX, NULL, &bytes, &size);
  bool is_read;

  if (flaw) {
    snprintf(error, error_size, "prices: %.120s cannot be read: %s", path, strerror(flaw));
    return false;
  }
  is_read = weir_prices_read(prices, bytes, size, &fault) == WEIR_OK;
  if (!is_read)
    snprintf(error, error_size, "prices: %.100s:%" PRIu64 ":%" PRIu64 ": %s", path, fault.line,
             fault.column, fault.text);
  weir_file_free(bytes, size);
  return is_read;
}

bool weir_prices_open(struct weir_prices *prices, const char *path, char *error, size_t error_size)
{
  struct weir_price_fault fault;
  struct weir_price_rule *fitted;

  prices->capacity = WEIR_PRICE_RULES_MAX;
  prices->rules = calloc(prices->capacity, sizeof(*prices->rules));
  if (!prices->rules ||
      weir_prices_read(prices, weir_price_table, weir_price_table_size, &fault) != WEIR_OK) {
    snprintf(error, error_size, "out of memory");
    return false;
  }
  if (path && !file_read(prices, path, error, error_size))
    return false;
  /* Few of them are used; what does not get smaller is good as it is. */
  fitted = realloc(prices->rules, (prices->count + 1) * sizeof(*fitted));
  prices->rules = fitted ? fitted : prices->rules;
  return true;
}

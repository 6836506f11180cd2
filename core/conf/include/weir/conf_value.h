/* conf_value.h - what people write for numbers, and what they probably meant. Integers only: 2.5M
 * is exactly 2500000, and what is not exact is refused. */
#ifndef WEIR_CONF_VALUE_H
#define WEIR_CONF_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/conf_key.h>

/* weir_conf_value_parse reads |text| as an AMOUNT, a DURATION (microseconds), a PERCENT
 * (thousandths) or MONEY (millionths). False when it is not of that form, not a whole number of
 * units, or above 2^62. */
bool weir_conf_value_parse(enum weir_conf_type type, const char *text, uint64_t *ret_value);

/* weir_conf_value_hint returns how a value of |type| is to be written. Static storage. */
const char *weir_conf_value_hint(enum weir_conf_type type);

/* weir_conf_value_in_range tells whether |value| lies in |range|, "low..high" in the same writing;
 * an empty range holds everything. */
bool weir_conf_value_in_range(enum weir_conf_type type, const char *range, uint64_t value);

/* weir_conf_word_find returns the place of |word| in "a|b|c", from 0, or -1. */
int weir_conf_word_find(const char *words, const char *word);

/* weir_conf_word_count returns how many words "a|b|c" has, and copies number |index| to |ret_word|
 * (|size| bytes) if it is one of them. */
size_t weir_conf_word_count(const char *words, size_t index, char *ret_word, size_t size);

/* weir_conf_distance returns how many letters must be put in, left out, replaced or swapped with
 * the next to turn |a| into |b|; SIZE_MAX for words of more than 31 letters. */
size_t weir_conf_distance(const char *a, const char *b);

#endif

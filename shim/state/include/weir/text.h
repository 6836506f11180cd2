/* text.h - what providers write for people, read by a program: durations, counts, dates, wording.
 *
 * Nothing here fails on hostile text: what is not understood is false, what is too large is cut to
 * the largest value.
 */
#ifndef WEIR_TEXT_H
#define WEIR_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/time.h>

/* Longer durations are cut to this: 31 days, after which every quota has turned over. */
#define WEIR_TEXT_DURATION_MAX (UINT64_C(31) * 24 * WEIR_US_PER_HOUR)

/* weir_text_find returns the place behind the first |part| in |text|, or NULL; letters of ASCII
 * match in either case. An empty |part| is found at the beginning. */
const char *weir_text_find(const char *text, const char *part);

/* weir_text_has tells whether |text| holds the parts of |pattern|, separated by '*', one after the
 * other. "*" matches every text that is not empty. */
bool weir_text_has(const char *text, const char *pattern);

/* weir_text_is tells whether two texts are the same but for the case of ASCII letters. */
bool weir_text_is(const char *text, const char *other);

/* weir_text_count reads an unsigned number at |text|, after blanks and a colon; commas between
 * digits are skipped ("58,276"). Beyond 2^63 it is cut to 2^63. */
bool weir_text_count(const char *text, uint64_t *ret_value);

/* weir_text_duration reads a duration at |text| after blanks: "1h2m3.4s", "6m0s", "84ms",
 * "20 seconds". Fractions are rounded up to microseconds. What follows does not matter. */
bool weir_text_duration(const char *text, weir_duration *ret_duration);

/* weir_text_decimal reads a whole value such as "42" or "1.5", in units of |unit_us|, rounded up.
 */
bool weir_text_decimal(const char *text, weir_duration unit_us, weir_duration *ret_duration);

/* weir_text_date reads an HTTP date in any of its three forms as seconds since 1970. */
bool weir_text_date(const char *text, uint64_t *ret_unix_s);

/* weir_text_unescape decodes the inside of a JSON string (between its quotes, validated by the
 * scanner) from |*at| on, into at most |size| bytes (at least 8), and moves |*at| behind what it
 * has decoded. Returns the bytes written; 0 only at |end|. */
size_t weir_text_unescape(const uint8_t **at, const uint8_t *end, uint8_t *ret_bytes, size_t size);

#endif

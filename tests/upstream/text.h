/* text.h - the simulated provider's tokenizer and its prose.
 *
 * Tokens of a text, a deterministic stand-in for a real tokenizer (about 4.5 characters a token in
 * English prose, one token per digit and per Chinese character):
 *   run of ASCII letters         one per 6, rounded up
 *   run of other letters         one per 3 characters, rounded up (U+0080 - U+07FF)
 *   digit                        one each
 *   other BMP character          one each (Chinese, Japanese, Korean, symbols)
 *   character beyond U+FFFF      two each (emoji)
 *   run of ASCII punctuation     one per 3, rounded up
 *   run of line ends and tabs    one
 *   run of spaces                none for the first, one per 8 further, rounded up
 */
#ifndef WEIR_UP_TEXT_H
#define WEIR_UP_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include <weir/rng.h>

struct weir_up_count {
  uint64_t tokens, characters;
  uint32_t run_kind, run_length; /* the run at hand, not yet in |tokens| */
};

/* weir_up_count_add counts the characters of a JSON string's raw |bytes| (without its quotes),
 * taking escapes as what they stand for. */
void weir_up_count_add(struct weir_up_count *count, const char *bytes, size_t size);

/* weir_up_count_end ends the run at hand: texts do not join. */
void weir_up_count_end(struct weir_up_count *count);

/* weir_up_prose writes |words| words of |rng|'s choice with a space before each, |at| > 0 being the
 * number of words before them; each is one token. Returns the bytes written; |size| must be at
 * least 8 times |words|. Needs no escaping in JSON. */
size_t weir_up_prose(struct weir_rng *rng, uint64_t words, uint64_t at, char *ret_text,
                     size_t size);

#endif

/* weights.h - what code points cost, in thousandths of a token.
 *
 * The numbers in weights.c are measured: `./dev eval fit` makes that file. What they mean is here.
 */
#ifndef WEIR_WEIGHTS_H
#define WEIR_WEIGHTS_H

#include <stdint.h>

/* Tokenizers with weights of their own. */
enum weir_family { WEIR_FAMILY_O200K, WEIR_FAMILY_GEMMA, WEIR_FAMILIES };

/* Types of ASCII characters. What one costs depends on what stands before it: a letter after a
 * space begins a word, one after a letter is mostly free. */
enum weir_type {
  WEIR_TYPE_LOWER,
  WEIR_TYPE_UPPER,
  WEIR_TYPE_SPACE,
  WEIR_TYPE_NEWLINE, /* LF, CR */
  WEIR_TYPE_TAB,
  WEIR_TYPE_QUOTE,   /* " ' ` */
  WEIR_TYPE_BRACKET, /* ( ) [ ] { } < > */
  WEIR_TYPE_STOP,    /* . , ; : ! ? */
  WEIR_TYPE_LOWLINE, /* _ */
  WEIR_TYPE_DASH,    /* - */
  WEIR_TYPE_SLASH,   /* / and backslash */
  WEIR_TYPE_MARK,    /* all others, with control characters */
  WEIR_TYPE_DIGIT,
  WEIR_TYPES
};

/* What stands before: a type, or one of these. Tokenizers cut numbers into groups of three, whose
 * first digit is WEIR_TYPE_DIGIT. */
enum weir_state {
  WEIR_STATE_DIGIT_2 = WEIR_TYPES,
  WEIR_STATE_DIGIT_3,
  WEIR_STATE_LETTER, /* a Latin letter beyond ASCII */
  WEIR_STATE_ELSE,   /* anything else beyond ASCII, or the beginning */
  WEIR_STATES
};

/* Code points beyond ASCII. Most cost the same wherever they stand. Letters that tell languages
 * apart have a weight each, because they stand for those around them as well. */
enum weir_script {
  WEIR_SCRIPT_LATIN,    /* by letter, U+00C0 to U+017F */
  WEIR_SCRIPT_CYRILLIC, /* by letter, U+0400 to U+045F */
  WEIR_SCRIPT_LATIN_1,  /* punctuation */
  WEIR_SCRIPT_LATIN_MORE,
  WEIR_SCRIPT_VIETNAMESE,
  WEIR_SCRIPT_GREEK,
  WEIR_SCRIPT_CYRILLIC_MORE,
  WEIR_SCRIPT_ARMENIAN,
  WEIR_SCRIPT_HEBREW,
  WEIR_SCRIPT_ARABIC,
  WEIR_SCRIPT_DEVANAGARI,
  WEIR_SCRIPT_BENGALI,
  WEIR_SCRIPT_GURMUKHI,
  WEIR_SCRIPT_GUJARATI,
  WEIR_SCRIPT_ORIYA,
  WEIR_SCRIPT_TAMIL,
  WEIR_SCRIPT_TELUGU,
  WEIR_SCRIPT_KANNADA,
  WEIR_SCRIPT_MALAYALAM,
  WEIR_SCRIPT_SINHALA,
  WEIR_SCRIPT_THAI,
  WEIR_SCRIPT_LAO,
  WEIR_SCRIPT_MYANMAR,
  WEIR_SCRIPT_GEORGIAN,
  WEIR_SCRIPT_ETHIOPIC,
  WEIR_SCRIPT_KHMER,
  WEIR_SCRIPT_TYPOGRAPHY, /* dashes, quotes, ellipses */
  WEIR_SCRIPT_SYMBOL,     /* arrows, boxes, mathematics */
  WEIR_SCRIPT_CJK_PUNCT,
  WEIR_SCRIPT_HIRAGANA,
  WEIR_SCRIPT_KATAKANA,
  WEIR_SCRIPT_HAN,
  WEIR_SCRIPT_HAN_TRADITIONAL,
  WEIR_SCRIPT_HANGUL,
  WEIR_SCRIPT_WIDE, /* half and full width forms */
  WEIR_SCRIPT_EMOJI,
  WEIR_SCRIPT_OTHER,
  WEIR_SCRIPTS
};

#define WEIR_LATIN_FIRST    0x00c0
#define WEIR_LATIN_LAST     0x017f
#define WEIR_LATIN_COUNT    (WEIR_LATIN_LAST - WEIR_LATIN_FIRST + 1)
#define WEIR_CYRILLIC_FIRST 0x0400
#define WEIR_CYRILLIC_LAST  0x045f
#define WEIR_CYRILLIC_COUNT (WEIR_CYRILLIC_LAST - WEIR_CYRILLIC_FIRST + 1)

/* Long unbroken runs that are no words; their bytes cost this instead. */
enum weir_noise {
  WEIR_NOISE_DIGITS,
  WEIR_NOISE_HEX,
  WEIR_NOISE_UUID,
  WEIR_NOISE_BASE64,
  WEIR_NOISES
};

struct weir_weights {
  uint16_t transitions[WEIR_STATES][WEIR_TYPES]; /* by what stands before and what comes */
  uint16_t latin[WEIR_LATIN_COUNT], cyrillic[WEIR_CYRILLIC_COUNT];
  uint16_t scripts[WEIR_SCRIPTS]; /* 0 for those by letter */
  uint16_t noises[WEIR_NOISES];
};

extern const struct weir_weights weir_weights[WEIR_FAMILIES];

/* Where each range of code points ends, in order; what lies behind the last one is OTHER. Han
 * characters are ordered by radicals: where a radical has a simplified form, the ranges tell
 * traditional characters from others. */
static const struct weir_range {
  uint32_t last;
  enum weir_script script;
} weir_ranges[] = {
    {0x007f, WEIR_SCRIPT_OTHER}, /* ASCII in too many bytes */
    {0x00bf, WEIR_SCRIPT_LATIN_1},
    {WEIR_LATIN_LAST, WEIR_SCRIPT_LATIN},
    {0x024f, WEIR_SCRIPT_LATIN_MORE},
    {0x036f, WEIR_SCRIPT_OTHER},
    {0x03ff, WEIR_SCRIPT_GREEK},
    {WEIR_CYRILLIC_LAST, WEIR_SCRIPT_CYRILLIC},
    {0x052f, WEIR_SCRIPT_CYRILLIC_MORE},
    {0x058f, WEIR_SCRIPT_ARMENIAN},
    {0x05ff, WEIR_SCRIPT_HEBREW},
    {0x077f, WEIR_SCRIPT_ARABIC},
    {0x08ff, WEIR_SCRIPT_OTHER},
    {0x097f, WEIR_SCRIPT_DEVANAGARI},
    {0x09ff, WEIR_SCRIPT_BENGALI},
    {0x0a7f, WEIR_SCRIPT_GURMUKHI},
    {0x0aff, WEIR_SCRIPT_GUJARATI},
    {0x0b7f, WEIR_SCRIPT_ORIYA},
    {0x0bff, WEIR_SCRIPT_TAMIL},
    {0x0c7f, WEIR_SCRIPT_TELUGU},
    {0x0cff, WEIR_SCRIPT_KANNADA},
    {0x0d7f, WEIR_SCRIPT_MALAYALAM},
    {0x0dff, WEIR_SCRIPT_SINHALA},
    {0x0e7f, WEIR_SCRIPT_THAI},
    {0x0eff, WEIR_SCRIPT_LAO},
    {0x0fff, WEIR_SCRIPT_OTHER},
    {0x109f, WEIR_SCRIPT_MYANMAR},
    {0x10ff, WEIR_SCRIPT_GEORGIAN},
    {0x11ff, WEIR_SCRIPT_HANGUL},
    {0x139f, WEIR_SCRIPT_ETHIOPIC},
    {0x177f, WEIR_SCRIPT_OTHER},
    {0x17ff, WEIR_SCRIPT_KHMER},
    {0x1dff, WEIR_SCRIPT_OTHER},
    {0x1eff, WEIR_SCRIPT_VIETNAMESE},
    {0x1fff, WEIR_SCRIPT_OTHER},
    {0x206f, WEIR_SCRIPT_TYPOGRAPHY},
    {0x2fff, WEIR_SCRIPT_SYMBOL},
    {0x303f, WEIR_SCRIPT_CJK_PUNCT},
    {0x309f, WEIR_SCRIPT_HIRAGANA},
    {0x30ff, WEIR_SCRIPT_KATAKANA},
    {0x33ff, WEIR_SCRIPT_OTHER},
    {0x7cf7, WEIR_SCRIPT_HAN},
    {0x7e9e, WEIR_SCRIPT_HAN_TRADITIONAL}, /* silk */
    {0x898a, WEIR_SCRIPT_HAN},
    {0x89c0, WEIR_SCRIPT_HAN_TRADITIONAL}, /* see */
    {0x89ff, WEIR_SCRIPT_HAN},
    {0x8b9f, WEIR_SCRIPT_HAN_TRADITIONAL}, /* speech */
    {0x8c9c, WEIR_SCRIPT_HAN},
    {0x8d1c, WEIR_SCRIPT_HAN_TRADITIONAL}, /* shell */
    {0x8ec9, WEIR_SCRIPT_HAN},
    {0x8f65, WEIR_SCRIPT_HAN_TRADITIONAL}, /* cart */
    {0x91e6, WEIR_SCRIPT_HAN},
    {0x9484, WEIR_SCRIPT_HAN_TRADITIONAL}, /* metal */
    {0x9576, WEIR_SCRIPT_HAN},
    {0x95e7, WEIR_SCRIPT_HAN_TRADITIONAL}, /* long, gate */
    {0x97ca, WEIR_SCRIPT_HAN},
    {0x9874, WEIR_SCRIPT_HAN_TRADITIONAL}, /* leather, leaf */
    {0x98a7, WEIR_SCRIPT_HAN},
    {0x98cd, WEIR_SCRIPT_HAN_TRADITIONAL}, /* wind */
    {0x98de, WEIR_SCRIPT_HAN},
    {0x9962, WEIR_SCRIPT_HAN_TRADITIONAL}, /* eat */
    {0x99ab, WEIR_SCRIPT_HAN},
    {0x9a6b, WEIR_SCRIPT_HAN_TRADITIONAL}, /* horse */
    {0x9aff, WEIR_SCRIPT_HAN},
    {0x9b29, WEIR_SCRIPT_HAN_TRADITIONAL}, /* hair */
    {0x9b59, WEIR_SCRIPT_HAN},
    {0x9c7b, WEIR_SCRIPT_HAN_TRADITIONAL}, /* fish */
    {0x9ce4, WEIR_SCRIPT_HAN},
    {0x9e1e, WEIR_SCRIPT_HAN_TRADITIONAL}, /* bird */
    {0x9fff, WEIR_SCRIPT_HAN},
    {0xabff, WEIR_SCRIPT_OTHER},
    {0xd7af, WEIR_SCRIPT_HANGUL},
    {0xfeff, WEIR_SCRIPT_OTHER},
    {0xffef, WEIR_SCRIPT_WIDE},
    {0x1efff, WEIR_SCRIPT_OTHER},
    {0x1faff, WEIR_SCRIPT_EMOJI},
    {0x1ffff, WEIR_SCRIPT_OTHER},
    {0x2ffff, WEIR_SCRIPT_HAN},
};

#define WEIR_RANGES (sizeof(weir_ranges) / sizeof(weir_ranges[0]))

#endif

#include <weir/json.h>

#include <assert.h>
#include <string.h>

/* What comes next. */
enum state {
  STATE_VALUE,        /* a value, or at the root also the end of the input */
  STATE_ELEMENT,      /* after '[': a value or ']' */
  STATE_KEY_FIRST,    /* after '{': a key or '}' */
  STATE_KEY,          /* after ',' in an object: a key */
  STATE_COLON,        /* after a key */
  STATE_SEPARATOR,    /* after a value in a container: ',' or the container's end */
  STATE_GAP,          /* after a number or literal at the root: white space */
  STATE_STRING,       /* a string's characters or its closing quote */
  STATE_ESCAPE,       /* after '\' in a string */
  STATE_ESCAPE_DIGIT, /* hexadecimal digits after "\u" */
  STATE_NUMBER,
  STATE_LITERAL,
  STATE_BAD
};

/* How far into the grammar of a number: see number_step. */
enum number {
  NUMBER_MINUS,
  NUMBER_ZERO,
  NUMBER_INT,
  NUMBER_POINT,
  NUMBER_FRACTION,
  NUMBER_E,
  NUMBER_SIGN,
  NUMBER_EXPONENT,
  NUMBER_OVER /* the byte does not belong to the number */
};

/* The steps below return a status for the caller, or this while there is nothing to tell yet. */
#define GO_ON ((enum weir_json_status)0)

#define PATH_CUT     (WEIR_JSON_PATH_MAX + 1) /* path_size of a path that did not fit */
#define REPLACEMENT  0xfffd
#define HALF_MARK    0xfc00
#define HALF_HIGH    0xd800
#define HALF_LOW     0xdc00
#define EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

static uint64_t offset_of(const struct weir_json *j)
{
  return j->offset_end - (uint64_t)(j->end - j->at);
}

static enum weir_json_status bad(struct weir_json *j)
{
  j->state = STATE_BAD;
  return WEIR_JSON_BAD;
}

static enum weir_json_status emit(struct weir_json *j, enum weir_json_type type, uint64_t begin,
                                  struct weir_json_token *ret_token)
{
  bool has_text = type == WEIR_JSON_STRING || type == WEIR_JSON_NUMBER;

  if (j->path_size <= WEIR_JSON_PATH_MAX)
    j->path[j->path_size] = '\0';
  j->text[j->text_size] = '\0';
  *ret_token = (struct weir_json_token){
      .type = type,
      .depth = j->depth,
      .path = j->path_size <= WEIR_JSON_PATH_MAX ? j->path : "?",
      .text = has_text ? j->text : "",
      .text_size = has_text ? j->text_size : 0,
      .is_cut = has_text && j->is_cut,
      .offset_begin = begin,
      .offset_end = offset_of(j),
  };
  return WEIR_JSON_TOKEN;
}

static void text_clear(struct weir_json *j)
{
  j->text_size = 0;
  j->is_cut = false;
}

static void text_add(struct weir_json *j, const void *bytes, size_t size)
{
  size_t room = WEIR_JSON_TEXT_MAX - j->text_size;

  if (size > room) {
    size = room;
    j->is_cut = true;
  }
  if (size == 0)
    return;
  memcpy(j->text + j->text_size, bytes, size);
  j->text_size += (uint32_t)size;
}

static void text_add_code_point(struct weir_json *j, uint32_t code)
{
  uint8_t utf8[4];
  size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};

  for (size_t i = size - 1; i > 0; i--, code >>= 6)
    utf8[i] = (uint8_t)(0x80 | (code & 0x3f));
  utf8[0] = (uint8_t)(leads[size] | code);
  text_add(j, utf8, size);
}

/* A high surrogate that no low one follows stands for nothing. */
static void surrogate_flush(struct weir_json *j)
{
  if (j->surrogate != 0)
    text_add_code_point(j, REPLACEMENT);
  j->surrogate = 0;
}

static void path_add(struct weir_json *j, const char *text, size_t size)
{
  if (j->path_size + size > WEIR_JSON_PATH_MAX) {
    j->path_size = PATH_CUT;
    return;
  }
  memcpy(j->path + j->path_size, text, size);
  j->path_size += (uint32_t)size;
}

static void path_set_key(struct weir_json *j)
{
  j->path_size = j->path_mark[j->depth];
  if (j->depth > 1)
    path_add(j, ".", 1);
  if (memchr(j->text, '\0', j->text_size))
    j->path_size = PATH_CUT; /* as a C string it would read like a shorter key */
  else
    path_add(j, j->text, j->text_size);
}

static enum weir_json_status container_open(struct weir_json *j, uint8_t kind,
                                            struct weir_json_token *ret_token)
{
  if (j->depth == WEIR_JSON_DEPTH_MAX)
    return bad(j);
  emit(j, kind == '{' ? WEIR_JSON_OBJECT : WEIR_JSON_ARRAY, offset_of(j), ret_token);
  ret_token->offset_end = 0;
  j->depth++;
  j->kind[j->depth] = kind;
  j->begin[j->depth] = offset_of(j);
  j->path_mark[j->depth] = j->path_size;
  j->state = kind == '{' ? STATE_KEY_FIRST : STATE_ELEMENT;
  j->at++;
  return WEIR_JSON_TOKEN;
}

static enum weir_json_status container_close(struct weir_json *j, struct weir_json_token *ret_token)
{
  uint8_t kind = j->kind[j->depth];

  if (*j->at != (kind == '{' ? '}' : ']'))
    return bad(j);
  j->at++;
  j->path_size = j->path_mark[j->depth];
  j->depth--;
  j->state = j->depth > 0 ? STATE_SEPARATOR : STATE_VALUE;
  return emit(j, kind == '{' ? WEIR_JSON_OBJECT_END : WEIR_JSON_ARRAY_END, j->begin[j->depth + 1],
              ret_token);
}

static enum weir_json_status string_begin(struct weir_json *j, bool is_key)
{
  j->value_begin = offset_of(j);
  j->is_key = is_key;
  j->state = STATE_STRING;
  j->at++;
  text_clear(j);
  return GO_ON;
}

static enum weir_json_status literal_begin(struct weir_json *j, const char *word,
                                           enum weir_json_type type)
{
  j->value_begin = offset_of(j);
  j->literal = word;
  j->literal_type = type;
  j->state = STATE_LITERAL;
  return GO_ON;
}

static enum weir_json_status value_begin(struct weir_json *j, struct weir_json_token *ret_token)
{
  uint8_t c = *j->at;

  if (j->depth > 0 && j->kind[j->depth] == '[') {
    j->path_size = j->path_mark[j->depth];
    path_add(j, "[]", 2);
  }
  switch (c) {
  case '{':
  case '[':
    return container_open(j, c, ret_token);
  case '"':
    return string_begin(j, false);
  case 't':
    return literal_begin(j, "true", WEIR_JSON_TRUE);
  case 'f':
    return literal_begin(j, "false", WEIR_JSON_FALSE);
  case 'n':
    return literal_begin(j, "null", WEIR_JSON_NULL);
  default:
    if (c != '-' && (c < '0' || c > '9'))
      return bad(j);
    j->value_begin = offset_of(j);
    j->number = c == '-' ? NUMBER_MINUS : c == '0' ? NUMBER_ZERO : NUMBER_INT;
    j->state = STATE_NUMBER;
    text_clear(j);
    text_add(j, &c, 1);
    j->at++;
    return GO_ON;
  }
}

static enum weir_json_status structure_scan(struct weir_json *j, struct weir_json_token *ret_token)
{
  uint8_t c = *j->at;

  if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
    j->at++;
    if (j->state == STATE_GAP)
      j->state = STATE_VALUE;
    return GO_ON;
  }
  switch (j->state) {
  case STATE_VALUE:
    return value_begin(j, ret_token);
  case STATE_ELEMENT:
    return c == ']' ? container_close(j, ret_token) : value_begin(j, ret_token);
  case STATE_KEY_FIRST:
    if (c == '}')
      return container_close(j, ret_token);
    return c == '"' ? string_begin(j, true) : bad(j);
  case STATE_KEY:
    return c == '"' ? string_begin(j, true) : bad(j);
  case STATE_COLON:
    if (c != ':')
      return bad(j);
    j->at++;
    j->state = STATE_VALUE;
    return GO_ON;
  case STATE_SEPARATOR:
    if (c != ',')
      return container_close(j, ret_token);
    j->at++;
    j->state = j->kind[j->depth] == '{' ? STATE_KEY : STATE_VALUE;
    return GO_ON;
  default:
    return bad(j);
  }
}

/* Returns the first byte in [at, end) that is a quote, a backslash or a control character; eight
 * bytes at a time while there is none: strings are most of most documents. */
static const uint8_t *string_run(const uint8_t *at, const uint8_t *end)
{
  while (end - at >= 8) {
    uint64_t word, quotes, slashes;

    memcpy(&word, at, 8);
    quotes = word ^ EACH_BYTE('"');
    slashes = word ^ EACH_BYTE('\\');
    /* A byte's top bit is set where word < 0x20, quotes == 0 or slashes == 0. */
    if ((((word - EACH_BYTE(0x20)) & ~word) | ((quotes - EACH_BYTE(1)) & ~quotes) |
         ((slashes - EACH_BYTE(1)) & ~slashes)) &
        EACH_BYTE(0x80))
      break;
    at += 8;
  }
  while (at < end && *at != '"' && *at != '\\' && *at >= 0x20)
    at++;
  return at;
}

static enum weir_json_status string_scan(struct weir_json *j, struct weir_json_token *ret_token)
{
  const uint8_t *stop = string_run(j->at, j->end);

  if (stop > j->at) {
    surrogate_flush(j);
    text_add(j, j->at, (size_t)(stop - j->at));
    j->at = stop;
  }
  if (j->at == j->end)
    return GO_ON;
  if (*j->at < 0x20)
    return bad(j);
  if (*j->at++ == '\\') {
    j->state = STATE_ESCAPE;
    return GO_ON;
  }
  surrogate_flush(j);
  if (j->is_key) {
    path_set_key(j);
    j->state = STATE_COLON;
    return GO_ON;
  }
  j->state = j->depth > 0 ? STATE_SEPARATOR : STATE_VALUE;
  return emit(j, WEIR_JSON_STRING, j->value_begin, ret_token);
}

/* What a letter stands for behind a backslash; 0: nothing. */
static char letter_decode(uint8_t letter)
{
  switch (letter) {
  case '"':
  case '\\':
  case '/':
    return (char)letter;
  case 'b':
    return '\b';
  case 'f':
    return '\f';
  case 'n':
    return '\n';
  case 'r':
    return '\r';
  case 't':
    return '\t';
  default:
    return 0;
  }
}

static enum weir_json_status escape_scan(struct weir_json *j)
{
  uint8_t c = *j->at++;
  char decoded = letter_decode(c);

  if (c == 'u') {
    j->escape = 0;
    j->escape_left = 4;
    j->state = STATE_ESCAPE_DIGIT;
    return GO_ON;
  }
  if (decoded == 0)
    return bad(j);
  surrogate_flush(j);
  text_add(j, &decoded, 1);
  j->state = STATE_STRING;
  return GO_ON;
}

static void escape_end(struct weir_json *j)
{
  uint32_t code = j->escape;

  j->state = STATE_STRING;
  if (j->surrogate != 0 && (code & HALF_MARK) == HALF_LOW) {
    code = 0x10000 + ((j->surrogate - HALF_HIGH) << 10) + (code - HALF_LOW);
    j->surrogate = 0;
  }
  surrogate_flush(j);
  if (code < 0x10000 && (code & HALF_MARK) == HALF_HIGH)
    j->surrogate = code;
  else
    text_add_code_point(j, code < 0x10000 && (code & HALF_MARK) == HALF_LOW ? REPLACEMENT : code);
}

static enum weir_json_status escape_digits_scan(struct weir_json *j)
{
  while (j->at < j->end && j->escape_left > 0) {
    uint8_t c = *j->at++;

    if (c >= '0' && c <= '9')
      j->escape = j->escape << 4 | (uint32_t)(c - '0');
    else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
      j->escape = j->escape << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
    else
      return bad(j);
    j->escape_left--;
  }
  if (j->escape_left == 0)
    escape_end(j);
  return GO_ON;
}

/* What a byte is to a number. */
enum byte { BYTE_ZERO, BYTE_DIGIT, BYTE_POINT, BYTE_E, BYTE_SIGN, BYTE_OTHER, BYTE_MAX };

static enum byte byte_of(uint8_t c)
{
  if (c >= '1' && c <= '9')
    return BYTE_DIGIT;
  switch (c) {
  case '0':
    return BYTE_ZERO;
  case '.':
    return BYTE_POINT;
  case 'e':
  case 'E':
    return BYTE_E;
  case '+':
  case '-':
    return BYTE_SIGN;
  default:
    return BYTE_OTHER;
  }
}

/* The grammar of RFC 8259: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? */
static enum number number_step(enum number number, uint8_t c)
{
  enum {
    M = NUMBER_MINUS,
    Z = NUMBER_ZERO,
    I = NUMBER_INT,
    P = NUMBER_POINT,
    F = NUMBER_FRACTION,
    E = NUMBER_E,
    S = NUMBER_SIGN,
    X = NUMBER_EXPONENT,
    O = NUMBER_OVER
  };
  static const uint8_t next[NUMBER_OVER][BYTE_MAX] = {
      /*      0  1-9 .  e  +- other */
      [M] = {Z, I, O, O, O, O}, /* after "-" */
      [Z] = {O, O, P, E, O, O}, /* after "0" */
      [I] = {I, I, P, E, O, O}, /* after "12" */
      [P] = {F, F, O, O, O, O}, /* after "12." */
      [F] = {F, F, O, E, O, O}, /* after "12.5" */
      [E] = {X, X, O, O, S, O}, /* after "12.5e" */
      [S] = {X, X, O, O, O, O}, /* after "12.5e+" */
      [X] = {X, X, O, O, O, O}, /* after "12.5e+3" */
  };

  return (enum number)next[number][byte_of(c)];
}

static bool number_is_whole(uint32_t n)
{
  return n == NUMBER_ZERO || n == NUMBER_INT || n == NUMBER_FRACTION || n == NUMBER_EXPONENT;
}

static enum weir_json_status number_end(struct weir_json *j, struct weir_json_token *ret_token)
{
  if (!number_is_whole(j->number))
    return bad(j);
  j->state = j->depth > 0 ? STATE_SEPARATOR : STATE_GAP;
  return emit(j, WEIR_JSON_NUMBER, j->value_begin, ret_token);
}

static enum weir_json_status number_scan(struct weir_json *j, struct weir_json_token *ret_token)
{
  const uint8_t *stop = j->at;
  enum number next = (enum number)j->number;

  while (stop < j->end && (next = number_step((enum number)j->number, *stop)) != NUMBER_OVER) {
    j->number = next;
    stop++;
  }
  text_add(j, j->at, (size_t)(stop - j->at));
  j->at = stop;
  return next == NUMBER_OVER ? number_end(j, ret_token) : GO_ON;
}

static enum weir_json_status literal_scan(struct weir_json *j, struct weir_json_token *ret_token)
{
  if (*j->at != (uint8_t)*j->literal)
    return bad(j);
  j->at++;
  if (*++j->literal != '\0')
    return GO_ON;
  j->state = j->depth > 0 ? STATE_SEPARATOR : STATE_GAP;
  return emit(j, j->literal_type, j->value_begin, ret_token);
}

void weir_json_init(struct weir_json *j)
{
  j->at = j->end = NULL;
  j->offset_end = 0;
  j->state = STATE_VALUE;
  j->depth = j->path_size = 0;
  j->surrogate = 0;
  text_clear(j);
}

void weir_json_feed(struct weir_json *j, const void *bytes, size_t size)
{
  assert(j->at == j->end || j->state == STATE_BAD);
  j->at = bytes;
  j->end = j->at + size;
  j->offset_end += size;
}

enum weir_json_status weir_json_next(struct weir_json *j, struct weir_json_token *ret_token)
{
  enum weir_json_status status = GO_ON;

  if (j->state == STATE_BAD)
    return WEIR_JSON_BAD;
  while (status == GO_ON) {
    if (j->at == j->end)
      return WEIR_JSON_MORE;
    switch (j->state) {
    case STATE_STRING:
      status = string_scan(j, ret_token);
      break;
    case STATE_ESCAPE:
      status = escape_scan(j);
      break;
    case STATE_ESCAPE_DIGIT:
      status = escape_digits_scan(j);
      break;
    case STATE_NUMBER:
      status = number_scan(j, ret_token);
      break;
    case STATE_LITERAL:
      status = literal_scan(j, ret_token);
      break;
    default:
      status = structure_scan(j, ret_token);
    }
  }
  return status;
}

enum weir_json_status weir_json_end(struct weir_json *j, struct weir_json_token *ret_token)
{
  assert(j->at == j->end || j->state == STATE_BAD);
  if (j->state == STATE_NUMBER)
    return number_end(j, ret_token);
  if (j->depth == 0 && (j->state == STATE_VALUE || j->state == STATE_GAP))
    return WEIR_JSON_MORE;
  return bad(j);
}

uint64_t weir_json_offset(const struct weir_json *j)
{
  return offset_of(j);
}

/* A number as digits * 10^(zeros - places): zeros wait, for 1.50e1 is whole although its digits do
 * not end at the point. */
struct decimal {
  uint64_t digits, zeros, places;
};

/* Moves |digits| |power| places to the left and adds |digit|; false beyond 2^63. */
static bool decimal_shift(uint64_t *digits, uint64_t power, uint32_t digit)
{
  const uint64_t max = UINT64_C(1) << 63;

  for (; power > 0 && *digits > 0; power--) {
    if (*digits > max / 10)
      return false;
    *digits *= 10;
  }
  if (*digits > max - digit)
    return false;
  *digits += digit;
  return true;
}

/* Reads digits and a point up to the exponent or the end, where it returns; NULL beyond 2^63. */
static const char *decimal_read(const char *at, struct decimal *d)
{
  bool is_fraction = false;

  for (; *at != '\0' && *at != 'e' && *at != 'E'; at++) {
    if (*at == '.') {
      is_fraction = true;
      continue;
    }
    d->places += is_fraction;
    if (*at == '0') {
      d->zeros++;
      continue;
    }
    if (!decimal_shift(&d->digits, d->zeros + 1, (uint32_t)(*at - '0')))
      return NULL;
    d->zeros = 0;
  }
  return at;
}

static void exponent_read(const char *at, struct decimal *d)
{
  bool is_negative = *at == '-';
  uint64_t exponent = 0;

  for (at += *at == '-' || *at == '+'; *at != '\0'; at++) {
    if (exponent < 100000) /* more than any text here has digits */
      exponent = exponent * 10 + (uint64_t)(*at - '0');
  }
  *(is_negative ? &d->places : &d->zeros) += exponent;
}

bool weir_json_uint(const struct weir_json_token *token, uint64_t *ret_value)
{
  struct decimal d = {0, 0, 0};
  const char *at = token->text;

  if (token->type != WEIR_JSON_NUMBER || token->is_cut || *at == '-')
    return false;
  at = decimal_read(at, &d);
  if (!at)
    return false;
  if (*at != '\0')
    exponent_read(at + 1, &d);
  if (d.digits != 0 && (d.zeros < d.places || !decimal_shift(&d.digits, d.zeros - d.places, 0)))
    return false;
  *ret_value = d.digits;
  return true;
}

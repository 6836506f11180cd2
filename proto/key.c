#include <weir/key.h>

#include <string.h>

static const char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               ".-:+=^!/*?&<>()[]{}@%$#";

/* Not memset: a compiler leaves that out where nobody looks at the bytes afterwards. */
static void wipe(void *bytes, size_t size)
{
  for (volatile uint8_t *at = bytes; size > 0; size--)
    *at++ = 0;
}

bool weir_key_decode(const char *text, uint8_t ret_bytes[WEIR_KEY_BYTES])
{
  uint8_t bytes[WEIR_KEY_BYTES];

  if (strnlen(text, WEIR_KEY_SIZE) != WEIR_KEY_SIZE - 1)
    return false;
  for (size_t word = 0; word < WEIR_KEY_BYTES / 4; word++) {
    uint64_t value = 0;

    for (size_t i = 0; i < 5; i++) {
      const char *digit = strchr(alphabet, text[word * 5 + i]);

      if (!digit)
        return false;
      value = value * 85 + (uint64_t)(digit - alphabet);
    }
    if (value > UINT32_MAX)
      return false;
    for (size_t i = 0; i < 4; i++)
      bytes[word * 4 + i] = (uint8_t)(value >> (24 - 8 * i));
  }
  memcpy(ret_bytes, bytes, sizeof(bytes));
  wipe(bytes, sizeof(bytes));
  return true;
}

/* A part of the text; not terminated. */
struct span {
  const char *at;
  size_t size;
};

static bool is_space(char c)
{
  return c == ' ' || c == '\t' || c == '\r';
}

static struct span trim(struct span s)
{
  while (s.size > 0 && is_space(s.at[0])) {
    s.at++;
    s.size--;
  }
  while (s.size > 0 && is_space(s.at[s.size - 1]))
    s.size--;
  return s;
}

static bool is_word(struct span s, const char *word)
{
  return s.size == strlen(word) && memcmp(s.at, word, s.size) == 0;
}

/* The value of `name = "value"`; false when the line is not of that form. */
static bool value_of(struct span line, struct span *ret_name, struct span *ret_value)
{
  const char *equals = memchr(line.at, '=', line.size);
  struct span value;

  if (!equals)
    return false;
  *ret_name = trim((struct span){line.at, (size_t)(equals - line.at)});
  value = trim((struct span){equals + 1, line.size - (size_t)(equals + 1 - line.at)});
  if (value.size < 2 || value.at[0] != '"' || value.at[value.size - 1] != '"')
    return false;
  *ret_value = (struct span){value.at + 1, value.size - 2};
  return true;
}

static bool take_key(struct span value, char ret_key[WEIR_KEY_SIZE])
{
  uint8_t bytes[WEIR_KEY_BYTES];
  bool is_key;

  if (value.size != WEIR_KEY_SIZE - 1)
    return false;
  memcpy(ret_key, value.at, value.size);
  ret_key[value.size] = '\0';
  is_key = weir_key_decode(ret_key, bytes);
  wipe(bytes, sizeof(bytes));
  return is_key;
}

/* What was read of a file so far. */
struct reading {
  bool is_curve, has_secret; /* |is_curve|: inside that section */
  char secret[WEIR_KEY_SIZE];
};

/* Takes a line of the section; false when it has not the form. */
static bool take_line(struct reading *r, struct span line)
{
  char public[WEIR_KEY_SIZE];
  struct span name, value;

  if (!value_of(line, &name, &value))
    return false;
  if (is_word(name, "public-key"))
    return take_key(value, public);
  if (!is_word(name, "secret-key"))
    return true;
  if (r->has_secret || !take_key(value, r->secret))
    return false;
  r->has_secret = true;
  return true;
}

static enum weir_err read_lines(struct reading *r, const char *bytes, size_t size)
{
  for (size_t at = 0; at < size;) {
    const char *end = memchr(bytes + at, '\n', size - at);
    const size_t length = end ? (size_t)(end - bytes) - at : size - at;
    const bool is_inner = length > 0 && is_space(bytes[at]);
    const struct span line = trim((struct span){bytes + at, length});

    at += length + 1;
    if (line.size == 0 || line.at[0] == '#')
      continue;
    if (!is_inner)
      r->is_curve = is_word(line, "curve");
    else if (r->is_curve && !take_line(r, line))
      return WEIR_ESYNTAX;
  }
  return r->has_secret ? WEIR_OK : WEIR_EMISSING;
}

enum weir_err weir_key_file_parse(const char *bytes, size_t size, char ret_secret[WEIR_KEY_SIZE])
{
  struct reading r = {.has_secret = false};
  enum weir_err err = read_lines(&r, bytes, size);

  if (!err)
    memcpy(ret_secret, r.secret, sizeof(r.secret));
  wipe(&r, sizeof(r));
  return err;
}

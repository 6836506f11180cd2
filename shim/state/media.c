#include <weir/media.h>

#include <string.h>

/* ---- bytes out of base64 ---- */

struct source {
  const uint8_t *at, *end;
  uint32_t bits, bits_count; /* decoded, not yet taken */
  uint64_t offset, size;     /* of the next byte; of the whole file, about */
  bool is_over; /* a byte beyond the end or the bound was asked for, or no base64 met */
};

/* 0 to 63, or 64: not of base64. */
static uint32_t sextet_of(uint8_t c)
{
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26u;
  if (c >= '0' && c <= '9')
    return c - '0' + 52u;
  if (c == '+' || c == '-')
    return 62;
  return c == '/' || c == '_' ? 63 : 64;
}

/* Goes past line breaks, as they are and escaped, and past the backslash of an escaped slash. */
static void breaks_skip(struct source *s)
{
  while (s->at < s->end) {
    bool is_escape = *s->at == '\\' && s->end - s->at >= 2;

    if (is_escape && (s->at[1] == 'n' || s->at[1] == 'r'))
      s->at += 2;
    else if (*s->at == '\n' || *s->at == '\r' || (is_escape && s->at[1] == '/'))
      s->at++;
    else
      return;
  }
}

static uint32_t byte_take(struct source *s)
{
  while (s->bits_count < 8) {
    uint32_t sextet;

    breaks_skip(s);
    sextet = s->at < s->end ? sextet_of(*s->at) : 64;
    if (sextet == 64 || s->offset >= WEIR_MEDIA_HEAD_MAX) {
      s->is_over = true;
      return 0;
    }
    s->at++;
    s->bits = (s->bits << 6 | sextet) & 0xffff;
    s->bits_count += 6;
  }
  s->bits_count -= 8;
  s->offset++;
  return s->bits >> s->bits_count & 0xff;
}

static uint64_t big(struct source *s, int bytes)
{
  uint64_t value = 0;

  for (int i = 0; i < bytes; i++)
    value = value << 8 | byte_take(s);
  return value;
}

static uint64_t little(struct source *s, int bytes)
{
  uint64_t value = 0;

  for (int i = 0; i < bytes; i++)
    value |= (uint64_t)byte_take(s) << 8 * i;
  return value;
}

static void skip(struct source *s, uint64_t bytes)
{
  for (; bytes > 0 && !s->is_over; bytes--)
    byte_take(s);
}

static uint64_t left_of(const struct source *s)
{
  return s->size > s->offset ? s->size - s->offset : 0;
}

/* ---- formats ---- */

#define TAG(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

static bool image(const struct source *s, uint64_t width, uint64_t height,
                  struct weir_media *ret_media)
{
  if (s->is_over || width == 0 || height == 0 || width > WEIR_MEDIA_SIDE_MAX ||
      height > WEIR_MEDIA_SIDE_MAX)
    return false;
  *ret_media = (struct weir_media){
      .type = WEIR_MEDIA_IMAGE, .width = (uint32_t)width, .height = (uint32_t)height};
  return true;
}

/* |units| of which |rate| make a second. */
static bool sound(const struct source *s, uint64_t units, uint64_t rate,
                  struct weir_media *ret_media)
{
  if (s->is_over || rate == 0 || units / rate >= WEIR_MEDIA_DURATION_MAX / 1000)
    return false;
  *ret_media = (struct weir_media){.type = WEIR_MEDIA_SOUND, .duration_ms = units * 1000 / rate};
  return true;
}

static bool png_read(struct source *s, struct weir_media *ret_media)
{
  uint64_t width, height;

  skip(s, 12); /* the rest of the signature, length and name of IHDR */
  width = big(s, 4);
  height = big(s, 4);
  return image(s, width, height, ret_media);
}

static bool gif_read(struct source *s, struct weir_media *ret_media)
{
  uint64_t width, height;

  skip(s, 2); /* the version */
  width = little(s, 2);
  height = little(s, 2);
  return image(s, width, height, ret_media);
}

/* Goes from segment to segment up to the one that begins a frame. Behind "ff d8 ff". */
static bool jpeg_read(struct source *s, uint32_t marker, struct weir_media *ret_media)
{
  while (!s->is_over) {
    uint64_t size = big(s, 2), width, height;

    if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) {
      skip(s, 1); /* bits per sample */
      height = big(s, 2);
      width = big(s, 2);
      return image(s, width, height, ret_media);
    }
    if (size < 2 || marker == 0xda) /* the data begins */
      return false;
    skip(s, size - 2);
    if (byte_take(s) != 0xff)
      return false;
    do
      marker = byte_take(s);
    while (marker == 0xff); /* padding */
  }
  return false;
}

static bool webp_read(struct source *s, struct weir_media *ret_media)
{
  uint64_t chunk = big(s, 4), width, height, bits;

  skip(s, 4);
  switch (chunk) {
  case TAG('V', 'P', '8', ' '):
    skip(s, 3);
    if (big(s, 3) != 0x9d012a)
      return false;
    width = little(s, 2) & 0x3fff;
    height = little(s, 2) & 0x3fff;
    return image(s, width, height, ret_media);
  case TAG('V', 'P', '8', 'L'):
    if (byte_take(s) != 0x2f)
      return false;
    bits = little(s, 4);
    return image(s, (bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1, ret_media);
  case TAG('V', 'P', '8', 'X'):
    skip(s, 4);
    width = little(s, 3) + 1;
    height = little(s, 3) + 1;
    return image(s, width, height, ret_media);
  default:
    return false;
  }
}

/* The data's size may not be known to who writes it: then it is what is left. */
static bool wav_read(struct source *s, struct weir_media *ret_media)
{
  uint64_t bytes_per_s = 0;

  while (!s->is_over) {
    uint64_t chunk = big(s, 4), size = little(s, 4);

    if (chunk == TAG('d', 'a', 't', 'a')) {
      if (size == 0 || size > left_of(s))
        size = left_of(s);
      return sound(s, size, bytes_per_s, ret_media);
    }
    size += size % 2; /* padding */
    if (chunk == TAG('f', 'm', 't', ' ')) {
      if (size < 12)
        return false;
      skip(s, 8); /* format, channels, samples per second */
      bytes_per_s = little(s, 4);
      size -= 12;
    }
    skip(s, size);
  }
  return false;
}

static bool riff_read(struct source *s, struct weir_media *ret_media)
{
  uint64_t form;

  skip(s, 4);
  form = big(s, 4);
  if (form == TAG('W', 'E', 'B', 'P'))
    return webp_read(s, ret_media);
  return form == TAG('W', 'A', 'V', 'E') && wav_read(s, ret_media);
}

static bool flac_read(struct source *s, struct weir_media *ret_media)
{
  uint64_t bits;

  if ((byte_take(s) & 0x7f) != 0) /* not the block of the stream's properties */
    return false;
  skip(s, 13); /* its size; sizes of blocks and frames */
  bits = big(s, 8);
  return sound(s, bits & UINT64_C(0xfffffffff), bits >> 44, ret_media);
}

/* |header| is that of a frame: 11 bits of 1, version, layer, ..., bit rate, ... */
static bool mp3_read(const struct source *s, uint64_t header, struct weir_media *ret_media)
{
  static const uint16_t rates[2][16] = {
      {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0},
      {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0},
  };
  uint64_t version = header >> 19 & 3, layer = header >> 17 & 3, rate = header >> 12 & 15;

  if (header >> 21 != 0x7ff || version == 1 || layer != 1)
    return false;
  return sound(s, left_of(s), (uint64_t)rates[version == 3][rate] * 125, ret_media);
}

/* A tag, in front of the frames, with 7 bits of its size in a byte. Behind "ID3" and a version. */
static bool id3_read(struct source *s, struct weir_media *ret_media)
{
  uint64_t size = 0;

  skip(s, 2);
  for (int i = 0; i < 4; i++)
    size = size << 7 | (byte_take(s) & 0x7f);
  skip(s, size);
  return mp3_read(s, big(s, 4), ret_media);
}

/* The beginning of a data URL, up to its comma. */
static const uint8_t *url_skip(const uint8_t *at, const uint8_t *end)
{
  const uint8_t *comma;

  if (end - at < 5 || memcmp(at, "data:", 5) != 0)
    return at;
  comma = memchr(at, ',', end - at < 256 ? (size_t)(end - at) : 256);
  return comma ? comma + 1 : at;
}

bool weir_media_read(const void *text, size_t size, struct weir_media *ret_media)
{
  const uint8_t *end = (const uint8_t *)text + size;
  struct source s = {.at = url_skip(text, end), .end = end};
  uint64_t magic;

  s.size = (uint64_t)(end - s.at) / 4 * 3;
  magic = big(&s, 4);
  if (magic == TAG(0x89, 'P', 'N', 'G'))
    return png_read(&s, ret_media);
  if (magic == TAG('G', 'I', 'F', '8'))
    return gif_read(&s, ret_media);
  if (magic == TAG('R', 'I', 'F', 'F'))
    return riff_read(&s, ret_media);
  if (magic == TAG('f', 'L', 'a', 'C'))
    return flac_read(&s, ret_media);
  if (magic >> 8 == 0xffd8ff)
    return jpeg_read(&s, magic & 0xff, ret_media);
  if (magic >> 8 == TAG(0, 'I', 'D', '3'))
    return id3_read(&s, ret_media);
  return mp3_read(&s, magic, ret_media);
}

/* ---- what they cost ---- */

static uint64_t divide_up(uint64_t value, uint64_t by)
{
  return (value + by - 1) / by;
}

/* Scales an image down until a side has |side| pixels: the longer one, or the shorter one. */
static void fit(uint64_t *width, uint64_t *height, bool is_longer, uint64_t side)
{
  uint64_t judged = (*width > *height) == is_longer ? *width : *height;

  if (judged <= side)
    return;
  *width = divide_up(*width * side, judged);
  *height = divide_up(*height * side, judged);
}

static uint64_t image_tokens(enum weir_tokenizer tokenizer, uint64_t width, uint64_t height)
{
  uint64_t tokens;

  switch (tokenizer) {
  case WEIR_TOKENIZER_GEMMA:
    if (width <= 384 && height <= 384)
      return 258;
    return 258 * divide_up(width, 768) * divide_up(height, 768);
  case WEIR_TOKENIZER_O200K:
    fit(&width, &height, true, 2048);
    fit(&width, &height, false, 768);
    return 85 + 170 * divide_up(width, 512) * divide_up(height, 512);
  case WEIR_TOKENIZER_CLAUDE:
    tokens = divide_up(width * height, 750);
    return tokens < 1600 ? tokens : 1600;
  case WEIR_TOKENIZER_MAX:
    break;
  }
  return 0;
}

uint64_t weir_media_tokens(enum weir_tokenizer tokenizer, const struct weir_media *media)
{
  if (media->type == WEIR_MEDIA_IMAGE)
    return image_tokens(tokenizer, media->width, media->height);
  if (tokenizer == WEIR_TOKENIZER_GEMMA)
    return divide_up(media->duration_ms * 32, 1000);
  return tokenizer == WEIR_TOKENIZER_O200K ? divide_up(media->duration_ms * 10, 1000) : 0;
}

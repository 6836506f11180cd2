/* Headers of images and sounds, written byte by byte as their formats say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/media.h>

/* A file under construction: bytes, and 4 times the room for their base64. */
struct file {
  uint8_t bytes[400000];
  size_t size;
  char text[600000];
  size_t text_size;
};

static struct file file;

static void put(const char *bytes, size_t size)
{
  assert_true(file.size + size <= sizeof(file.bytes));
  memcpy(file.bytes + file.size, bytes, size);
  file.size += size;
}

#define PUT(literal) put(literal, sizeof(literal) - 1)

static void put_zeros(size_t size)
{
  for (size_t i = 0; i < size; i++)
    PUT("\0");
}

static void put_number(uint64_t value, int bytes, int is_big)
{
  for (int i = 0; i < bytes; i++) {
    char byte = (char)(value >> 8 * (is_big ? bytes - 1 - i : i));

    put(&byte, 1);
  }
}

static void put_big(uint64_t value, int bytes)
{
  put_number(value, bytes, 1);
}

static void put_little(uint64_t value, int bytes)
{
  put_number(value, bytes, 0);
}

static void start(void)
{
  file.size = 0;
}

/* Encodes the file, with |line_end| after every 76 characters, behind |before|. */
static void encode(const char *before, const char *line_end)
{
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t used = (size_t)sprintf(file.text, "%s", before);

  for (size_t i = 0; i < file.size; i += 3) {
    uint32_t bits = (uint32_t)file.bytes[i] << 16;

    bits |= i + 1 < file.size ? (uint32_t)file.bytes[i + 1] << 8 : 0;
    bits |= i + 2 < file.size ? file.bytes[i + 2] : 0;
    for (int k = 0; k < 4; k++)
      file.text[used++] = i + (size_t)k > file.size ? '=' : letters[bits >> (18 - 6 * k) & 0x3f];
    if (i % 57 == 54)
      used += (size_t)sprintf(file.text + used, "%s", line_end);
  }
  file.text_size = used;
}

static bool read_encoded(struct weir_media *media)
{
  encode("", "");
  return weir_media_read(file.text, file.text_size, media);
}

static void check_image(uint32_t width, uint32_t height)
{
  struct weir_media media = {0};

  assert_true(read_encoded(&media));
  assert_int_equal(media.type, WEIR_MEDIA_IMAGE);
  assert_int_equal(media.width, width);
  assert_int_equal(media.height, height);
}

static void check_sound(uint64_t duration_ms)
{
  struct weir_media media = {0};

  assert_true(read_encoded(&media));
  assert_int_equal(media.type, WEIR_MEDIA_SOUND);
  assert_in_range(media.duration_ms, duration_ms, duration_ms + duration_ms / 1000);
}

static void check_unknown(void)
{
  struct weir_media media;

  assert_false(read_encoded(&media));
}

static void write_png(uint32_t width, uint32_t height)
{
  start();
  PUT("\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
  put_big(width, 4);
  put_big(height, 4);
  PUT("\x08\x06\0\0\0");
}

static void a_png_tells_its_sides(void **state)
{
  (void)state;
  write_png(1920, 1080);
  check_image(1920, 1080);
  write_png(1, WEIR_MEDIA_SIDE_MAX);
  check_image(1, WEIR_MEDIA_SIDE_MAX);
}

static void sides_out_of_bounds_are_not_believed(void **state)
{
  (void)state;
  write_png(0, 1080);
  check_unknown();
  write_png(1080, 0);
  check_unknown();
  write_png(WEIR_MEDIA_SIDE_MAX + 1, 1);
  check_unknown();
  write_png(1, UINT32_MAX);
  check_unknown();
}

static void a_gif_tells_its_sides(void **state)
{
  (void)state;
  start();
  PUT("GIF89a");
  put_little(320, 2);
  put_little(258, 2);
  check_image(320, 258);
}

static void a_webp_tells_its_sides_in_each_of_its_three_forms(void **state)
{
  (void)state;
  start();
  PUT("RIFF\x10\0\0\0WEBPVP8 \x10\0\0\0\1\2\3\x9d\x01\x2a");
  put_little(640 | 0x4000, 2); /* with a scale */
  put_little(480 | 0x8000, 2);
  check_image(640, 480);
  start();
  PUT("RIFF\x10\0\0\0WEBPVP8L\x10\0\0\0\x2f");
  put_little((641 - 1) | (483 - 1) << 14, 4);
  check_image(641, 483);
  start();
  PUT("RIFF\x10\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0");
  put_little(5000 - 1, 3);
  put_little(3000 - 1, 3);
  check_image(5000, 3000);
}

/* Segments that stand before the frame's header: 0xff, marker, size, content. */
static void put_segment(int marker, size_t content)
{
  put_big(0xff00 | (unsigned)marker, 2);
  put_big(content + 2, 2);
  put_zeros(content);
}

static void put_frame(int marker, uint32_t width, uint32_t height)
{
  put_big(0xff00 | (unsigned)marker, 2);
  put_big(17, 2);
  PUT("\x08");
  put_big(height, 2);
  put_big(width, 2);
}

static void a_jpeg_tells_its_sides_behind_other_segments(void **state)
{
  static const int markers[] = {0xc0, 0xc1, 0xc2, 0xcf}; /* of frames */
  (void)state;

  for (size_t i = 0; i < sizeof(markers) / sizeof(markers[0]); i++) {
    start();
    PUT("\xff\xd8");
    put_segment(0xe0, 14);
    put_segment(0xe1, 60000); /* a camera's notes, with a preview in it */
    put_segment(0xdb, 65);
    put_segment(0xc4, 30); /* no frame, although the number is near */
    PUT("\xff\xff");       /* padding */
    put_frame(markers[i], 4000, 3000);
    check_image(4000, 3000);
  }
}

static void a_jpeg_without_a_frame_or_with_one_far_away_is_unknown(void **state)
{
  (void)state;
  start();
  PUT("\xff\xd8");
  put_segment(0xda, 10);
  put_frame(0xc0, 40, 30);
  check_unknown();
  start();
  PUT("\xff\xd8");
  for (int i = 0; i < 5; i++)
    put_segment(0xe2, 60000);
  put_frame(0xc0, 40, 30);
  check_unknown();
  start();
  PUT("\xff\xd8\xff\xe0\0\1"); /* a segment shorter than its own size */
  put_frame(0xc0, 40, 30);
  check_unknown();
  start();
  PUT("\xff\xd8");
  put_segment(0xe0, 14);
  PUT("\0"); /* no segment begins so */
  put_frame(0xc0, 40, 30);
  check_unknown();
}

static void put_wav(uint64_t data_size)
{
  PUT("RIFF");
  put_little(data_size + 36, 4);
  PUT("WAVELIST\3\0\0\0abc\0fmt \x10\0\0\0\1\0\1\0");
  put_little(16000, 4);
  put_little(32000, 4);
  PUT("\2\0\x10\0data");
  put_little(data_size, 4);
}

static void a_wav_tells_its_length(void **state)
{
  (void)state;
  start();
  put_wav(96000);
  put_zeros(96000);
  check_sound(3000);
}

static void a_wav_of_unknown_size_is_as_long_as_its_data(void **state)
{
  (void)state;
  start();
  put_wav(0);
  put_zeros(96000);
  check_sound(3000);
  start();
  put_wav(0xffffffff);
  put_zeros(96000);
  check_sound(3000);
}

static void a_wav_without_a_rate_is_unknown(void **state)
{
  (void)state;
  start();
  PUT("RIFF\0\0\0\0WAVEdata\4\0\0\0abcd");
  check_unknown();
  start();
  PUT("RIFF\0\0\0\0WAVEfmt \4\0\0\0\1\0\1\0data\4\0\0\0abcd");
  check_unknown();
}

static void put_flac(uint64_t rate, uint64_t samples)
{
  PUT("fLaC\x80\0\0\x22");
  put_zeros(10);
  put_big(rate << 44 | UINT64_C(0x1f) << 36 | samples, 8);
}

static void a_flac_tells_its_length_up_to_a_day(void **state)
{
  (void)state;
  start();
  put_flac(44100, 44100 * 90);
  check_sound(90000);
  start();
  put_flac(1, 86399);
  check_sound(86399000);
  start();
  put_flac(1, 86400);
  check_unknown();
}

static void an_mp3_is_as_long_as_its_bit_rate_says(void **state)
{
  (void)state;
  start();
  PUT("\xff\xfb\x90\x64"); /* MPEG 1, layer III, 128 kbit/s */
  put_zeros(160000 - 4);
  check_sound(9999);
  start();
  PUT("ID3\4\0\0\0\0\2\0"); /* 256 bytes of titles */
  put_zeros(256);
  PUT("\xff\xf3\x40\xc4"); /* MPEG 2, layer III, 32 kbit/s */
  put_zeros(40000 - 4);
  check_sound(9999);
}

static void other_headers_are_no_mp3(void **state)
{
  (void)state;
  start();
  PUT("\xff\xfd\x90\x64\0\0\0\0"); /* layer II */
  check_unknown();
  start();
  PUT("\xff\xeb\x90\x64\0\0\0\0"); /* a version that is reserved */
  check_unknown();
  start();
  PUT("\xff\xfb\0\0\0\0\0\0"); /* no bit rate */
  check_unknown();
}

static void line_breaks_escapes_and_urls_do_not_matter(void **state)
{
  static const char *const line_ends[] = {"\n", "\r\n", "\\n", "\\r\\n"};
  static const char *const befores[] = {"", "data:image/png;base64,",
                                        "data:image/png;name=a;base64,"};
  struct weir_media media;
  (void)state;

  start();
  PUT("\xff\xd8");
  put_segment(0xe0, 500);
  put_frame(0xc0, 40, 30);
  for (size_t i = 0; i < 4; i++) {
    for (size_t k = 0; k < 3; k++) {
      encode(befores[k], line_ends[i]);
      assert_true(weir_media_read(file.text, file.text_size, &media));
      assert_int_equal(media.width, 40);
      assert_int_equal(media.height, 30);
    }
  }
  assert_true(weir_media_read("\\/9j\\/wAALCAAeACgBAREA", 22, &media)); /* as PHP writes it */
  assert_int_equal(media.width, 40);
  assert_true(weir_media_read("_9j_wAALCAAeACgBAREA", 20, &media)); /* for URLs */
  assert_int_equal(media.height, 30);
}

static void what_is_cut_or_no_base64_is_unknown(void **state)
{
  static const char *const texts[] = {"",       "A",         "https://example.org/cat.png",
                                      "iVBOR",  "R0lGODlh",  "data:image/png;base64,",
                                      "data:,", "R0lG ODlh", "file-0123456789abcdef"};
  struct weir_media media;
  (void)state;

  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
    assert_false(weir_media_read(texts[i], strlen(texts[i]), &media));
  write_png(800, 600);
  encode("", "");
  for (size_t size = 0; size < 32; size++) /* the sides end with byte 24 */
    assert_false(weir_media_read(file.text, size, &media));
  assert_true(weir_media_read(file.text, 32, &media));
}

static uint64_t image_tokens(enum weir_tokenizer tokenizer, uint32_t width, uint32_t height)
{
  const struct weir_media media = {.type = WEIR_MEDIA_IMAGE, .width = width, .height = height};

  return weir_media_tokens(tokenizer, &media);
}

static void gemini_counts_tiles(void **state)
{
  (void)state;
  assert_int_equal(image_tokens(WEIR_TOKENIZER_GEMMA, 384, 384), 258);
  assert_int_equal(image_tokens(WEIR_TOKENIZER_GEMMA, 1, 1), 258);
  assert_int_equal(image_tokens(WEIR_TOKENIZER_GEMMA, 768, 385), 258);
  assert_int_equal(image_tokens(WEIR_TOKENIZER_GEMMA, 769, 384), 2 * 258);
  assert_int_equal(image_tokens(WEIR_TOKENIZER_GEMMA, 1920, 1080), 6 * 258);
}

/* The examples of OpenAI's own page, and sizes around the borders. */
static void openai_counts_tiles_of_a_scaled_image(void **state)
{
  (void)state;
  assert_int_equal(image_tokens(WEIR_TOKENIZER_O200K, 1024, 1024), 765);
  assert_int_equal(image_tokens(WEIR_TOKENIZER_O200K, 2048, 4096), 1105);
  assert_int_equal(image_tokens(WEIR_TOKENIZER_O200K, 4096, 2048), 1105);
  assert_int_equal(image_tokens(WEIR_TOKENIZER_O200K, 512, 512), 255);
  assert_int_equal(image_tokens(WEIR_TOKENIZER_O200K, 513, 512), 425);
  assert_int_equal(image_tokens(WEIR_TOKENIZER_O200K, 1, 65535), 85 + 4 * 170);
}

static void anthropic_counts_pixels_up_to_a_bound(void **state)
{
  (void)state;
  assert_int_equal(image_tokens(WEIR_TOKENIZER_CLAUDE, 750, 1), 1);
  assert_int_equal(image_tokens(WEIR_TOKENIZER_CLAUDE, 751, 1), 2);
  assert_int_equal(image_tokens(WEIR_TOKENIZER_CLAUDE, 1000, 1000), 1334);
  assert_int_equal(image_tokens(WEIR_TOKENIZER_CLAUDE, 1200, 1000), 1600);
  assert_int_equal(image_tokens(WEIR_TOKENIZER_CLAUDE, 65535, 65535), 1600);
}

static void sound_costs_by_the_second(void **state)
{
  const struct weir_media media = {.type = WEIR_MEDIA_SOUND, .duration_ms = 60001};
  (void)state;

  assert_int_equal(weir_media_tokens(WEIR_TOKENIZER_GEMMA, &media), 1921);
  assert_int_equal(weir_media_tokens(WEIR_TOKENIZER_O200K, &media), 601);
  assert_int_equal(weir_media_tokens(WEIR_TOKENIZER_CLAUDE, &media), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_png_tells_its_sides),
      cmocka_unit_test(sides_out_of_bounds_are_not_believed),
      cmocka_unit_test(a_gif_tells_its_sides),
      cmocka_unit_test(a_webp_tells_its_sides_in_each_of_its_three_forms),
      cmocka_unit_test(a_jpeg_tells_its_sides_behind_other_segments),
      cmocka_unit_test(a_jpeg_without_a_frame_or_with_one_far_away_is_unknown),
      cmocka_unit_test(a_wav_tells_its_length),
      cmocka_unit_test(a_wav_of_unknown_size_is_as_long_as_its_data),
      cmocka_unit_test(a_wav_without_a_rate_is_unknown),
      cmocka_unit_test(a_flac_tells_its_length_up_to_a_day),
      cmocka_unit_test(an_mp3_is_as_long_as_its_bit_rate_says),
      cmocka_unit_test(other_headers_are_no_mp3),
      cmocka_unit_test(line_breaks_escapes_and_urls_do_not_matter),
      cmocka_unit_test(what_is_cut_or_no_base64_is_unknown),
      cmocka_unit_test(gemini_counts_tiles),
      cmocka_unit_test(openai_counts_tiles_of_a_scaled_image),
      cmocka_unit_test(anthropic_counts_pixels_up_to_a_bound),
      cmocka_unit_test(sound_costs_by_the_second),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}

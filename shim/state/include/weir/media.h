/* media.h - how large an image or a sound is, from the beginning of its bytes, and what it costs.
 *
 * Read are PNG, JPEG, GIF, WebP, WAV, FLAC and MP3 (at the bit rate of its first frame). No more is
 * looked at than the headers, at most WEIR_MEDIA_HEAD_MAX bytes.
 */
#ifndef WEIR_MEDIA_H
#define WEIR_MEDIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/provider.h>

#define WEIR_MEDIA_HEAD_MAX     ((uint64_t)256 << 10)
#define WEIR_MEDIA_SIDE_MAX     UINT32_C(65535)              /* of an image, in pixels */
#define WEIR_MEDIA_DURATION_MAX (UINT64_C(24) * 3600 * 1000) /* of a sound, in ms */

enum weir_media_type { WEIR_MEDIA_IMAGE = 1, WEIR_MEDIA_SOUND };

struct weir_media {
  enum weir_media_type type;
  uint32_t width, height; /* of an image: 1 to WEIR_MEDIA_SIDE_MAX pixels */
  uint64_t duration_ms;   /* of a sound: up to WEIR_MEDIA_DURATION_MAX */
};

/* weir_media_read reads the headers of a file that |text| holds as base64 (in either alphabet; what
 * JSON escapes in it may stay escaped), maybe behind the beginning of a data URL. False if it is
 * none of the formats above, cut, or out of bounds. */
bool weir_media_read(const void *text, size_t size, struct weir_media *ret_media);

/* weir_media_tokens returns what |media| costs by the rules that the provider of |tokenizer|
 * publishes; 0 if it publishes none. */
uint64_t weir_media_tokens(enum weir_tokenizer tokenizer, const struct weir_media *media);

#endif

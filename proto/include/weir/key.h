/* key.h - the keys by which peers know each other, as text: CURVE keys in Z85, and the files that
 * hold them.
 *
 * A file of a secret key has the form of CZMQ's certificates, so that other programs of ZeroMQ
 * read it, too:
 *
 *     curve
 *         public-key = "40 characters"
 *         secret-key = "40 characters"
 *
 * Owner: the caller owns everything, and wipes what was secret. No state, no blocking.
 */
#ifndef WEIR_KEY_H
#define WEIR_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/err.h>

#define WEIR_KEY_BYTES         32
#define WEIR_KEY_SIZE          41   /* in Z85, with its NUL */
#define WEIR_KEY_FILE_SIZE_MAX 4096 /* of a file with one */

/* weir_key_decode turns |text|, a key in Z85, to bytes; false when it is none. */
bool weir_key_decode(const char *text, uint8_t ret_bytes[WEIR_KEY_BYTES]);

/* weir_key_file_parse reads the |size| bytes of a file and gives its secret key in |ret_secret|.
 * WEIR_ESYNTAX: it has not the form above, WEIR_EMISSING: no secret key stands in it. */
WEIR_MUSTUSE enum weir_err weir_key_file_parse(const char *bytes, size_t size,
                                               char ret_secret[WEIR_KEY_SIZE]);

#endif

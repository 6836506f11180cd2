/* codec.h - struct weir_msg to bytes and back: bounded, versioned, no allocation.
 *
 * A frame is one or more messages, each a head of four bytes (0x77 'w', version, type, flags = 0)
 * and a msgpack map with small integer keys (PROTOCOL.md). msgpack-c packs into the caller's
 * buffer; a bounded cursor (cursor.h) reads, so hostile lengths cost nothing.
 */
#ifndef WEIR_CODEC_H
#define WEIR_CODEC_H

#include <stddef.h>

#include <weir/err.h>
#include <weir/msg.h>

#define WEIR_MSG_SIZE_MAX   2048  /* no single message is longer */
#define WEIR_FRAME_SIZE_MAX 16384 /* no frame is longer; ZMQ_MAXMSGSIZE on both sides */
#define WEIR_MAGIC          0x77

/* weir_codec_encode appends |msg| to the |*size| bytes already in |buffer| (of |capacity| bytes)
 * and advances |*size|. WEIR_EFULL, changing nothing, when it does not fit; WEIR_EINVAL for a field
 * outside its range (an error of the caller, never of a peer). */
WEIR_MUSTUSE enum weir_err weir_codec_encode(const struct weir_msg *msg, void *buffer,
                                             size_t capacity, size_t *size);

/* weir_codec_decode reads the message that begins at |*offset| of |bytes| and advances |*offset| to
 * the next. Call it until |*offset| equals |size|. On an error |*offset| and |ret_msg| stay as
 * they were, and the rest of the frame is worth nothing.
 *
 * Errors: WEIR_EMAGIC, WEIR_EVERSION, WEIR_ETYPE, WEIR_ETRUNCATED, WEIR_ERANGE, WEIR_EDUPLICATE,
 * WEIR_EMISSING, WEIR_EDEPTH. Unknown keys are passed over. */
WEIR_MUSTUSE enum weir_err weir_codec_decode(const void *bytes, size_t size, size_t *offset,
                                             struct weir_msg *ret_msg);

#endif

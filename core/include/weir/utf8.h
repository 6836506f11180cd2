/* utf8.h - is it UTF-8? */
#ifndef WEIR_UTF8_H
#define WEIR_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* weir_utf8_size returns the length of the valid UTF-8 sequence at |at|, of which |left| > 0 bytes
 * are there; 0 when there is none (overlong forms, surrogates and what lies beyond U+10FFFF are not
 * valid). */
size_t weir_utf8_size(const void *at, size_t left);

#endif

/* chunks.h - reads what count.mjs writes: texts with the counts of real tokenizers. */
#ifndef CHUNKS_H
#define CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct chunk {
  char half[8], source[64];
  uint64_t counts[2]; /* o200k, gemma */
  size_t size;
  char text[1 << 20];
};

/* chunk_read reads the next chunk; false at the end. Exits with a message when |file| is none of
 * count.mjs. */
bool chunk_read(FILE *file, struct chunk *ret_chunk);

#endif

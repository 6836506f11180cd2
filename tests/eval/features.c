/* features.c - what the texts of count.mjs hold, for fit.mjs: a line with the sizes of the parts of
 * struct weir_weights, then one for each text of the half to fit on,
 * "O200K GEMMA SOURCE<tab>INDEX:COUNT ...", with indices into that struct. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "chunks.h"
#include "naive_estimate.h"

int main(void)
{
  static struct naive_counts counts;
  static struct chunk chunk;

  printf("%d %d %d %d %d %d\n", WEIR_STATES, WEIR_TYPES, WEIR_LATIN_COUNT, WEIR_CYRILLIC_COUNT,
         WEIR_SCRIPTS, WEIR_NOISES);
  while (chunk_read(stdin, &chunk)) {
    if (strcmp(chunk.half, "fit") != 0)
      continue;
    naive_count(chunk.text, chunk.size, &counts);
    printf("%" PRIu64 " %" PRIu64 " %s\t", chunk.counts[0], chunk.counts[1], chunk.source);
    for (size_t i = 0; i < sizeof(counts) / sizeof(uint64_t); i++) {
      uint64_t count;

      memcpy(&count, (const char *)&counts + i * sizeof(count), sizeof(count));
      if (count > 0)
        printf("%zu:%" PRIu64 " ", i, count);
    }
    printf("\n");
  }
  return 0;
}

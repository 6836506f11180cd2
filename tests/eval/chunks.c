#include "chunks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool chunk_read(FILE *file, struct chunk *ret_chunk)
{
  struct chunk *c = ret_chunk;
  char line[256];
  int at = 0;

  if (!fgets(line, sizeof(line), file))
    return false;
  if (sscanf(line, "%7s %" SCNu64 " %" SCNu64 " %zu %n", c->half, &c->counts[0], &c->counts[1],
             &c->size, &at) < 4 ||
      c->counts[0] == 0 || c->counts[1] == 0 || c->size >= sizeof(c->text) ||
      fread(c->text, 1, c->size + 1, file) != c->size + 1) {
    fprintf(stderr, "eval: the chunks are not what count.mjs writes\n");
    exit(1);
  }
  snprintf(c->source, sizeof(c->source), "%.*s", (int)strcspn(line + at, "\n"), line + at);
  return true;
}

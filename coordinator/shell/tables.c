#define _DEFAULT_SOURCE /* madvise */
#include "tables.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define LARGE_PAGE ((uintptr_t)2 << 20)

/* The books of many pools are reached at random, a few lines in each of many pages: on large pages
 * the processor need not look up where each page is. A system that has none is asked in vain. */
static void pages_enlarge(char *memory, size_t size)
{
#ifdef MADV_HUGEPAGE
  const size_t skipped = (LARGE_PAGE - (uintptr_t)memory % LARGE_PAGE) % LARGE_PAGE;

  if (size >= skipped + LARGE_PAGE)
    (void)madvise(memory + skipped, (size - skipped) / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
#endif
}

void *weir_tables_new(size_t size)
{
  char *memory = calloc(1, size);

  if (memory)
    pages_enlarge(memory, size);
  return memory;
}

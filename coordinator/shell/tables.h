/* tables.h - memory for the machine's tables. */
#ifndef WEIR_TABLES_H
#define WEIR_TABLES_H

#include <stddef.h>

/* weir_tables_new returns |size| bytes of zeroes for weir_coord_init, on pages as large as the
 * system gives, or NULL without memory. The caller frees it. */
void *weir_tables_new(size_t size);

#endif

/* pricefile.h - the prices that calls are reckoned by: those that are built in, and on top of them
 * a file of the user's. */
#ifndef WEIR_SHELL_PRICEFILE_H
#define WEIR_SHELL_PRICEFILE_H

#include <weir/err.h>
#include <weir/price.h>

#define WEIR_PRICEFILE_WHY_SIZE 512

/* weir_pricefile_open fills |prices| (zeros) with the built-in ones and those of the file |path|
 * (NULL or "": none). The caller frees |prices->rules|, also after an error. Fails with
 * WEIR_ECONFIG (the file cannot be read, or is not valid) or WEIR_ENOMEM, and puts a line without
 * end that says why into |why| (WEIR_PRICEFILE_WHY_SIZE bytes). Blocks on the file. */
WEIR_MUSTUSE enum weir_err weir_pricefile_open(struct weir_prices *prices, const char *path,
                                               char *why);

#endif

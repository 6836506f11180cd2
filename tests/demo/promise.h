/* promise.h - what the demo, an outage and chaos say of a promise that was not kept. */
#ifndef WEIR_DEMO_PROMISE_H
#define WEIR_DEMO_PROMISE_H

#include <stdbool.h>

/* demo_promise returns |is_kept|, and prints a line that begins with FAILED and says, as printf
 * does, what was not kept. */
bool demo_promise(bool is_kept, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

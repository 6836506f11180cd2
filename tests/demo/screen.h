/* screen.h - the demo's live table, and the comparison at its end. */
#ifndef WEIR_DEMO_SCREEN_H
#define WEIR_DEMO_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include "half.h"

struct demo_screen {
  bool is_terminal;
  unsigned lines; /* drawn, to be drawn over */
  uint64_t next_ms;
};

/* demo_screen_init prepares for standard output. */
void demo_screen_init(struct demo_screen *screen);

/* demo_screen_draw draws the state of |half| when it is due, each second on a terminal and else a
 * plain line every 5 s; always when |is_last|. */
void demo_screen_draw(struct demo_screen *screen, const struct demo_half *half, uint64_t now_ms,
                      bool is_last);

/* demo_screen_say prints a line between two tables. */
void demo_screen_say(struct demo_screen *screen, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* demo_screen_compare prints the two halves side by side; either may be NULL. */
void demo_screen_compare(const struct demo_half *naive, const struct demo_half *managed);

#endif

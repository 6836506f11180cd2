/* clock.h - the one clock of the demo: monotonic, the same for all processes of this machine. */
#ifndef WEIR_DEMO_CLOCK_H
#define WEIR_DEMO_CLOCK_H

#include <stdint.h>
#include <time.h>

/* demo_now_us returns microseconds on CLOCK_MONOTONIC. */
static inline uint64_t demo_now_us(void)
{
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* demo_now_ms returns milliseconds on the same clock. */
static inline uint64_t demo_now_ms(void)
{
  return demo_now_us() / 1000;
}

#endif

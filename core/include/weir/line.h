/* line.h - lines of a cache: memory comes in these, and whoever waits for one waits long. What is
 * used together stands in few of them. */
#ifndef WEIR_LINE_H
#define WEIR_LINE_H

#define WEIR_LINE_SIZE 64

/* Of a member: it begins a line. */
#define WEIR_LINE _Alignas(WEIR_LINE_SIZE)

#endif

/* buffer.h - a text that grows. Memory running out ends the program: this is a test tool. */
#ifndef WEIR_UP_BUFFER_H
#define WEIR_UP_BUFFER_H

#include <stddef.h>

struct weir_up_buffer {
  char *text; /* NUL-terminated once something was added */
  size_t size, capacity;
};

/* weir_up_add appends printf's output. */
void weir_up_add(struct weir_up_buffer *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* weir_up_add_bytes appends |size| bytes as they are. */
void weir_up_add_bytes(struct weir_up_buffer *b, const char *bytes, size_t size);

/* weir_up_add_json appends |text| as a JSON string with its quotes. */
void weir_up_add_json(struct weir_up_buffer *b, const char *text);

/* weir_up_buffer_free frees the text and empties the buffer. */
void weir_up_buffer_free(struct weir_up_buffer *b);

#endif

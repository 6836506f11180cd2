#include "promise.h"

#include <stdarg.h>
#include <stdio.h>

bool demo_promise(bool is_kept, const char *format, ...)
{
  va_list arguments;

  if (is_kept)
    return true;
  printf("FAILED: ");
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  printf("\n");
  return false;
}

/* A host program in C that knows nothing but the installed header: prints the library's version and
 * what it says about a coordinator that is not there. */
#include <stdio.h>

#include <weir.h>

int main(int argc, char **argv)
{
  struct weir_options options = WEIR_INIT(struct weir_options);
  struct weir_ask ask = WEIR_INIT(struct weir_ask);
  struct weir_lease lease = WEIR_INIT(struct weir_lease);
  struct weir *weir;
  int err;

  if (argc != 2)
    return 2;
  options.coordinator = argv[1];
  if (weir_open(&options, &weir) != WEIR_OK)
    return 1;
  ask.model = "gemini/gemini-2.5-flash";
  ask.max_wait_ms = 50;
  err = weir_acquire(weir, &ask, &lease);
  printf("%s: %s\n", weir_version(), weir_error_text(err));
  weir_close(weir);
  return err == WEIR_EUNREACHABLE ? 0 : 1;
}

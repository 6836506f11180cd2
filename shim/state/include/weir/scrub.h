/* scrub.h - takes secrets out of text that goes to people: a URL may carry a key. */
#ifndef WEIR_SCRUB_H
#define WEIR_SCRUB_H

/* weir_scrub replaces in |text|, by "***" or less, what follows "key=" and "token=" (also as the
 * end of a longer name, in either case, with a percent-encoded "=") up to the end of the parameter,
 * and user and password before the host of a URL. The text never grows. */
void weir_scrub(char *text);

#endif

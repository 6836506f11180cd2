/* classify.h - the work of `weir classify`, apart from the command line. */
#ifndef WEIR_CLI_CLASSIFY_H
#define WEIR_CLI_CLASSIFY_H

#include <stdbool.h>
#include <stdio.h>

/* weir_cli_classify_lines reads answers from |in|, one JSON object a line, and writes a verdict a
 * line to |out|. A line that is no answer is reported to |err| with |name|, its number and what to
 * do, has no verdict, and makes the result false; the others are still judged. */
bool weir_cli_classify_lines(FILE *in, const char *name, FILE *out, FILE *err);

#endif

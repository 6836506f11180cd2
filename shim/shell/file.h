/* file.h - reads a small file whole. */
#ifndef WEIR_SHELL_FILE_H
#define WEIR_SHELL_FILE_H

#include <stddef.h>
#include <sys/stat.h>

/* weir_file_read reads the regular file |path| of at most |size_max| bytes. Returns 0, or an errno:
 * EFBIG when it is larger, EINVAL when it is not a regular file. |ret_stat| (may be NULL) is from
 * before the first byte was read. The caller frees *ret_bytes, which a NUL follows. Blocks. */
int weir_file_read(const char *path, size_t size_max, struct stat *ret_stat, char **ret_bytes,
                   size_t *ret_size);

/* weir_file_free wipes and frees |size| bytes at |bytes|; NULL does nothing. */
void weir_file_free(char *bytes, size_t size);

#endif

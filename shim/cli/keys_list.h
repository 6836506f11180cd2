/* keys_list.h - changes the list of keys that a coordinator lets in.
 *
 * A change takes a lock beside the list, writes a new file and puts it in place at once, so that
 * neither the coordinator nor another change ever sees half of it. Lines that it does not concern,
 * comments included, stay as they are.
 */
#ifndef WEIR_CLI_KEYS_LIST_H
#define WEIR_CLI_KEYS_LIST_H

#include <weir/peers.h>

#include "cli.h"

/* weir_keys_list_read gives the list in the file |path|, to be freed by weir_peers_free.
 * WEIR_CLI_BAD, having said why in the name of |command|, when it cannot. */
int weir_keys_list_read(const struct weir_cli_command *command, const char *path,
                        struct weir_peers **ret_peers);

/* weir_keys_list_add adds |peer| to the list, which is made when it is not there. Results as above:
 * a name or a key that stands there already is refused. */
int weir_keys_list_add(const struct weir_cli_command *command, const char *path,
                       const struct weir_peer *peer);

/* weir_keys_list_remove takes the key of |name| out. Results as above. */
int weir_keys_list_remove(const struct weir_cli_command *command, const char *path,
                          const char *name);

#endif

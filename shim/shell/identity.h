/* identity.h - the keys that an instance shows to a coordinator on TCP.
 *
 * The secret key is read from its file when a connection is made, handed to libzmq, and wiped:
 * a handle holds only its path.
 */
#ifndef WEIR_SHELL_IDENTITY_H
#define WEIR_SHELL_IDENTITY_H

#include "handle.h"

#include <weir/key.h>

/* weir_identity_open takes the keys of |options| or of the environment for a handle whose
 * coordinator is known, and looks whether they can be used. On ipc there are none.
 * WEIR_ECONFIG (the log says why), WEIR_ENOMEM. */
WEIR_MUSTUSE int weir_identity_open(struct weir *w, const struct weir_options *options);

/* weir_identity_apply gives the keys to |socket|, for the connections that follow. WEIR_ECONFIG
 * when the file has changed for the worse. |w|'s identity does not change while it is open: no lock
 * is needed. */
WEIR_MUSTUSE int weir_identity_apply(const struct weir *w, void *socket);

/* weir_identity_close frees them. */
void weir_identity_close(struct weir *w);

#endif

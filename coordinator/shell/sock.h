/* sock.h - the coordinator's one ROUTER socket, by CZMQ.
 *
 * Owner: the caller owns a zsock_t and ends it with weir_sock_close. One thread.
 */
#ifndef WEIR_SOCK_H
#define WEIR_SOCK_H

#include <czmq.h>

#include <weir/conf.h>

#include "secret.h"

#define WEIR_SOCK_ERROR_SIZE 512

/* weir_sock_prepare sets the process up for CZMQ: its signal handlers stay out, and the C
 * library's random numbers, which libzmq draws, begin with |seed|. To be called once, before any
 * other use of the library; no other thread may run. */
void weir_sock_prepare(unsigned seed);

/* weir_sock_open binds every endpoint of |conf|; an ipc path that nobody listens on any more is
 * removed first. ipc is bound without keys, TCP only with |secret|, which may be NULL when there is
 * no TCP; for both libzmq asks the gate, which has to run. |ret_bound| gets the endpoints as they
 * are bound, ports included. WEIR_ECLOSED when somebody listens there, WEIR_ESYSTEM otherwise;
 * |ret_error| (WEIR_SOCK_ERROR_SIZE bytes) says what and how to go on. */
WEIR_MUSTUSE enum weir_err weir_sock_open(const struct weir_conf *conf,
                                          const struct weir_secret *secret, zsock_t **ret_sock,
                                          char ret_bound[][WEIR_CONF_ENDPOINT_SIZE],
                                          char *ret_error);

/* weir_sock_close closes the socket, removes its ipc paths, and ends the library; |sock| may be
 * NULL. |conf| is the one that opened it. */
void weir_sock_close(zsock_t *sock, const struct weir_conf *conf);

#endif

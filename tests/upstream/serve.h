/* serve.h - the simulated provider as an HTTP server: what happens to a call, and when. */
#ifndef WEIR_UP_SERVE_H
#define WEIR_UP_SERVE_H

#include <stdint.h>

#include <uv.h>

#include <weir/http_server.h>
#include <weir/rng.h>

#include "book.h"
#include "script.h"

struct weir_up_server {
  uv_loop_t *loop;
  struct weir_http_server *http;
  struct weir_up_settings settings;
  struct weir_up_book book;
  uint64_t book_epoch; /* grows when the book is reset: accounts of before are gone */
  struct weir_rng rng;
  uint64_t calls;          /* ever; makes ids */
  uint64_t wall_offset_us; /* wall clock less monotonic clock, at the start */
};

/* weir_up_serve_open listens on |host|:|port| (0: any) with |server->settings|, which the caller
 * has filled; loop, http, book, rng are set here. Errors as weir_http_server_open's. */
WEIR_MUSTUSE enum weir_err weir_up_serve_open(struct weir_up_server *server, uv_loop_t *loop,
                                              const char *host, uint16_t port, char *error,
                                              size_t error_size);

/* weir_up_serve_close cuts what is open; the caller runs the loop to its end, then calls _fini. */
void weir_up_serve_close(struct weir_up_server *server);
void weir_up_serve_fini(struct weir_up_server *server);

/* weir_up_now_us is wall time that never runs backwards. */
uint64_t weir_up_now_us(const struct weir_up_server *server);

/* weir_up_admin answers a request below /_admin/. */
void weir_up_admin(struct weir_up_server *server, struct weir_http_exchange *x);

/* weir_up_reply answers with JSON. */
void weir_up_reply(struct weir_http_exchange *x, uint32_t status, const char *json, size_t size);

#endif

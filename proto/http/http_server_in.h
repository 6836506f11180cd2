/* http_server_in.h - what the server's two halves share: listening and time (http_server.c), one
 * connection with its exchange (http_exchange.c). */
#ifndef WEIR_HTTP_SERVER_IN_H
#define WEIR_HTTP_SERVER_IN_H

#include <weir/http_server.h>
#include <weir/spool.h>

#define LINGER_MS 2000 /* for the client to read a last answer before the connection closes */

enum exchange_state {
  EXCHANGE_READING = 1, /* the request is awaited or incomplete */
  EXCHANGE_OPEN,        /* on_request was called, no answer yet */
  EXCHANGE_STARTED,     /* the head of the answer is queued */
  EXCHANGE_FINISHED,    /* all of the answer is queued */
  EXCHANGE_LINGERING,   /* the connection's last answer is sent; the client's end is awaited */
  EXCHANGE_CLOSING      /* the socket is being closed */
};

struct buffer {
  uint8_t *at;
  size_t size, capacity;
};

/* A connection carries one exchange at a time, so both are one object. Owner: the server's list,
 * until libuv has closed the socket. */
struct weir_http_exchange {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } io;
  struct weir_http_server *server;
  struct weir_http_exchange *prev, *next;
  struct weir_http_conn *http;
  enum exchange_state state;
  bool is_reading, is_eof;
  bool is_processing; /* inside process(): ends are handled there, not by recursion */
  bool is_full;       /* on_drain is owed */
  bool is_streamed;   /* the rest of the body goes to on_body */
  bool is_body_paused;

  struct weir_http_request request; /* a copy: the machine forgets its own when it finishes */
  struct buffer body;
  struct weir_spool spool; /* the body, once it is too large for memory */
  uint64_t spooled_bytes;  /* that are counted for it */
  uint64_t index;
  void *data;

  struct buffer out;    /* not yet given to libuv */
  struct buffer flying; /* libuv writes from here */
  uv_write_t write;
  uv_shutdown_t shutdown;
  bool is_flying;
  struct weir_http_exchange **due_at, *due_next; /* in the server's list; NULL: not in it */
  bool is_broken;                                /* libuv would not write: the sweep cuts */

  uint64_t since_ms; /* of the last event that the time limit of the state counts from */
  uint64_t queued_total, taken_mark; /* bytes queued ever; bytes taken when last looked at */
};

struct weir_http_server {
  uv_loop_t *loop;
  struct weir_http_server_options options;
  uv_tcp_t tcp;
  uv_pipe_t pipe;
  uv_timer_t sweep;
  uv_prepare_t turn_end;          /* active while something is due */
  struct weir_http_exchange *due; /* have something to write, or to end, when the turn ends */
  uint32_t handles;               /* open listeners, timers and the like */
  uint16_t port;
  char *unix_path, *spool_folder;
  uint8_t *input; /* what is read at the moment, of whichever connection */
  struct weir_http_exchange *connections;
  uint32_t connection_count;
  uint64_t bodies_bytes;  /* in memory */
  uint64_t spooled_bytes; /* in files */
  bool is_closing;
  uint64_t idle_cut_ms; /* when closing: idle connections are closed then */
  uint64_t cut_ms;      /* and open exchanges cut then */
  void (*on_closed)(void *context);
  void *closed_context;
};

/* weir_http_exchange_accept takes over the pending connection of |listener|. */
void weir_http_exchange_accept(struct weir_http_server *server, uv_stream_t *listener);

/* weir_http_exchange_adopt takes over |fd|, a TCP connection that was accepted (-1: none was).
 * False when there is none, or no memory for it; it is closed then. */
bool weir_http_exchange_adopt(struct weir_http_server *server, int fd);

/* weir_http_exchanges_flush writes what the handler has queued in this turn of the loop. */
void weir_http_exchanges_flush(struct weir_http_server *server);

/* weir_http_exchange_sweep applies the limits of time. */
void weir_http_exchange_sweep(struct weir_http_exchange *x, uint64_t now_ms);

/* weir_http_exchange_is_idle tells that closing |x| now loses nothing. */
bool weir_http_exchange_is_idle(const struct weir_http_exchange *x);

/* weir_http_exchange_cut closes the connection at once. */
void weir_http_exchange_cut(struct weir_http_exchange *x);

/* weir_http_server_reap frees a closing server when nothing of it is left open. */
void weir_http_server_reap(struct weir_http_server *server);

#endif

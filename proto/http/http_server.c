/* Listening, limits of time, and the end. */

/* SO_REUSEPORT is not in POSIX.1-2008. */
#define _DEFAULT_SOURCE

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http_server_in.h"

#define BACKLOG 1024

static bool say(char *error, size_t size, const char *what, const char *where, const char *why)
{
  (void)snprintf(error, size, "%s %s: %s", what, where, why);
  return false;
}

/* --- listening ----------------------------------------------------------------------------- */

static void on_connection(uv_stream_t *listener, int status)
{
  if (status == 0)
    weir_http_exchange_accept(listener->data, listener);
}

static int bind_tcp(struct weir_http_server *s, const struct weir_http_server_options *options)
{
  struct sockaddr_storage address = {0};
  if (uv_ip4_addr(options->host, options->port, (struct sockaddr_in *)&address) != 0 &&
      uv_ip6_addr(options->host, options->port, (struct sockaddr_in6 *)&address) != 0)
    return UV_EINVAL;
  int err = uv_tcp_init_ex(s->loop, &s->tcp, address.ss_family);
  if (err != 0)
    return err;
  s->tcp.data = s;
  s->handles++;
  if (options->is_port_shared) {
    uv_os_fd_t fd;
    int on = 1;
    if (uv_fileno((uv_handle_t *)&s->tcp, &fd) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
      return UV_ENOTSUP;
  }
  err = uv_tcp_bind(&s->tcp, (struct sockaddr *)&address, 0);
  if (err == 0)
    err = uv_listen((uv_stream_t *)&s->tcp, BACKLOG, on_connection);
  int size = sizeof address;
  if (err == 0)
    err = uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&address, &size);
  if (err == 0)
    s->port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                                  : ((struct sockaddr_in *)&address)->sin_port);
  return err;
}

/* A socket file that nobody listens on is left over from a process that died: take it away. A
 * connect to a Unix socket does not block for long: it succeeds or fails at once. */
static void remove_stale_socket(const char *path)
{
  struct stat file;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (stat(path, &file) != 0 || !S_ISSOCK(file.st_mode) || strlen(path) >= sizeof address.sun_path)
    return;
  memcpy(address.sun_path, path, strlen(path) + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0)
    return;
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno == ECONNREFUSED)
    (void)unlink(path);
  (void)close(fd);
}

static int bind_unix(struct weir_http_server *s, const struct weir_http_server_options *options)
{
  if (strlen(options->unix_path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
    return UV_ENAMETOOLONG;
  int err = uv_pipe_init(s->loop, &s->pipe, 0);
  if (err != 0)
    return err;
  s->pipe.data = s;
  s->handles++;
  remove_stale_socket(options->unix_path);
  /* Nobody may connect between bind and chmod. */
  mode_t mask = umask(0777 & ~(mode_t)options->unix_mode);
  err = uv_pipe_bind(&s->pipe, options->unix_path);
  (void)umask(mask);
  if (err != 0)
    return err;
  s->unix_path = strdup(options->unix_path);
  return s->unix_path == NULL ? UV_ENOMEM
                              : uv_listen((uv_stream_t *)&s->pipe, BACKLOG, on_connection);
}

/* A socket that somebody else has bound, and may keep for who comes after us. */
static int take_over(struct weir_http_server *s, int fd)
{
  struct sockaddr_storage address = {0};
  socklen_t size = sizeof address;
  if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
    return UV_ENOTSOCK;
  if (address.ss_family == AF_UNIX) {
    int err = uv_pipe_init(s->loop, &s->pipe, 0);
    if (err != 0)
      return err;
    s->pipe.data = s;
    s->handles++;
    err = uv_pipe_open(&s->pipe, fd);
    return err != 0 ? err : uv_listen((uv_stream_t *)&s->pipe, BACKLOG, on_connection);
  }
  int err = uv_tcp_init(s->loop, &s->tcp);
  if (err != 0)
    return err;
  s->tcp.data = s;
  s->handles++;
  err = uv_tcp_open(&s->tcp, fd);
  if (err == 0)
    err = uv_listen((uv_stream_t *)&s->tcp, BACKLOG, on_connection);
  s->port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                                : ((struct sockaddr_in *)&address)->sin_port);
  return err;
}

/* --- time ---------------------------------------------------------------------------------- */

static void close_idle(struct weir_http_server *s)
{
  for (struct weir_http_exchange *x = s->connections; x != NULL; x = x->next)
    if (weir_http_exchange_is_idle(x))
      weir_http_exchange_cut(x);
}

static void on_sweep(uv_timer_t *timer)
{
  struct weir_http_server *s = timer->data;
  uint64_t now_ms = uv_now(s->loop);
  for (struct weir_http_exchange *x = s->connections; x != NULL; x = x->next) {
    weir_http_exchange_sweep(x, now_ms);
    if (s->is_closing && now_ms >= s->cut_ms)
      weir_http_exchange_cut(x);
  }
  if (s->is_closing && now_ms >= s->idle_cut_ms)
    close_idle(s);
  weir_http_server_reap(s);
}

/* A quarter of the shortest limit, so that none is overrun by much, and at most a second. */
static uint64_t sweep_ms(const struct weir_http_server_options *options)
{
  uint32_t limits[] = {options->head_ms, options->body_ms, options->idle_ms, options->stall_ms};
  uint64_t least = 4000;
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
    least = limits[i] < least ? limits[i] : least;
  return least / 4 > 10 ? least / 4 : 10;
}

/* --- open and close ------------------------------------------------------------------------ */

static void on_handle_closed(uv_handle_t *handle)
{
  struct weir_http_server *s = handle->data;
  s->handles--;
  weir_http_server_reap(s);
}

static void close_handle(struct weir_http_server *s, uv_handle_t *handle)
{
  if (handle->data == s && !uv_is_closing(handle))
    uv_close(handle, on_handle_closed);
}

/* Called after each end of a part: the last one frees the whole. */
void weir_http_server_reap(struct weir_http_server *s)
{
  if (!s->is_closing || s->connection_count > 0)
    return;
  close_handle(s, (uv_handle_t *)&s->sweep);
  close_handle(s, (uv_handle_t *)&s->turn_end);
  if (s->handles > 0)
    return;
  void (*on_closed)(void *) = s->on_closed;
  void *context = s->closed_context;
  free(s->unix_path);
  free(s->spool_folder);
  free(s->input);
  free(s);
  if (on_closed != NULL)
    on_closed(context);
}

static bool are_options_sound(const struct weir_http_server_options *o, char *error, size_t size)
{
  const struct weir_http_limits *l = &o->limits;
  if (o->handler.on_request == NULL)
    return say(error, size, "http server", "handler", "on_request is missing");
  if (o->host == NULL && o->unix_path == NULL && o->socket_fd == 0)
    return say(error, size, "http server", "address", "neither host nor Unix path is given");
  if (o->socket_fd != 0 && (o->host != NULL || o->unix_path != NULL))
    return say(error, size, "http server", "address", "there is a socket besides");
  if (l->head_bytes_max == 0 || l->target_bytes_max == 0 || l->headers_max == 0 ||
      l->input_bytes_max == 0 || o->connections_max == 0 || o->head_ms == 0 || o->body_ms == 0 ||
      o->idle_ms == 0 || o->stall_ms == 0)
    return say(error, size, "http server", "limits", "a limit is 0");
  return true;
}

enum weir_err weir_http_server_open(uv_loop_t *loop, const struct weir_http_server_options *options,
                                    struct weir_http_server **ret_server, char *error,
                                    size_t error_size)
{
  if (!are_options_sound(options, error, error_size))
    return WEIR_EINVAL;
  struct weir_http_server *s = calloc(1, sizeof *s);
  uint8_t *input = malloc(options->limits.input_bytes_max);
  if (s == NULL || input == NULL) {
    free(s);
    free(input);
    say(error, error_size, "http server", "memory", "out of memory");
    return WEIR_ENOMEM;
  }
  s->loop = loop;
  s->input = input;
  s->options = *options;
  s->options.host = s->options.unix_path = s->options.spool_folder = NULL;

  if (options->spool_folder != NULL && (s->spool_folder = strdup(options->spool_folder)) == NULL) {
    free(s);
    free(input);
    say(error, error_size, "http server", "memory", "out of memory");
    return WEIR_ENOMEM;
  }

  const char *where = "timer";
  char address[128];
  int err = uv_timer_init(loop, &s->sweep);
  if (err == 0) {
    s->sweep.data = s;
    s->handles++;
    err = uv_timer_start(&s->sweep, on_sweep, sweep_ms(options), sweep_ms(options));
  }
  if (err == 0 && (err = uv_prepare_init(loop, &s->turn_end)) == 0) {
    s->turn_end.data = s;
    s->handles++;
  }
  if (err == 0 && options->socket_fd != 0) {
    where = "the socket that was handed over";
    err = take_over(s, options->socket_fd);
  }
  if (err == 0 && options->host != NULL) {
    (void)snprintf(address, sizeof address, "%s:%u", options->host, options->port);
    where = address;
    err = bind_tcp(s, options);
  }
  if (err == 0 && options->unix_path != NULL) {
    where = options->unix_path;
    err = bind_unix(s, options);
  }
  if (err != 0) {
    say(error, error_size, "cannot listen on", where,
        err == UV_EINVAL ? "not a numeric IPv4 or IPv6 address" : uv_strerror(err));
    weir_http_server_close(s, 0, NULL, NULL);
    return err == UV_EINVAL ? WEIR_EINVAL : WEIR_ESYSTEM;
  }
  *ret_server = s;
  return WEIR_OK;
}

uint16_t weir_http_server_port(const struct weir_http_server *server)
{
  return server->port;
}

uint32_t weir_http_server_connections(const struct weir_http_server *server)
{
  return server->connection_count;
}

bool weir_http_server_spool_take(struct weir_http_server *server, uint64_t size)
{
  if (size > server->options.spool_bytes_max - server->spooled_bytes)
    return false;
  server->spooled_bytes += size;
  return true;
}

void weir_http_server_spool_give(struct weir_http_server *server, uint64_t size)
{
  assert(size <= server->spooled_bytes);
  server->spooled_bytes -= size;
}

/* Connections that the system has made and nobody has accepted yet: closing the listener would
 * reset them. */
static void accept_rest(struct weir_http_server *s)
{
  struct pollfd waiting = {.events = POLLIN};
  uv_os_fd_t fd;

  /* One that was handed over stays open elsewhere, with all that waits in it. */
  if (s->options.socket_fd != 0 || s->tcp.data != s || uv_fileno((uv_handle_t *)&s->tcp, &fd) != 0)
    return;
  waiting.fd = fd;
  while (s->connection_count < s->options.connections_max && poll(&waiting, 1, 0) == 1)
    if (!weir_http_exchange_adopt(s, accept(fd, NULL, NULL)))
      return;
}

void weir_http_server_close(struct weir_http_server *s, uint64_t limit_ms,
                            void (*on_closed)(void *context), void *context)
{
  if (s == NULL)
    return;
  assert(!s->is_closing);
  if (limit_ms > 0)
    accept_rest(s);
  s->is_closing = true;
  s->cut_ms = uv_now(s->loop) + limit_ms;
  s->idle_cut_ms = uv_now(s->loop) + s->options.linger_ms;
  s->on_closed = on_closed;
  s->closed_context = context;
  /* libuv removes the socket file when it closes the pipe. */
  close_handle(s, (uv_handle_t *)&s->tcp);
  close_handle(s, (uv_handle_t *)&s->pipe);
  if (limit_ms == 0)
    for (struct weir_http_exchange *x = s->connections; x != NULL; x = x->next)
      weir_http_exchange_cut(x);
  else if (s->options.linger_ms == 0)
    close_idle(s);
  if (s->connection_count == 0) {
    close_handle(s, (uv_handle_t *)&s->sweep);
    close_handle(s, (uv_handle_t *)&s->turn_end);
  }
}

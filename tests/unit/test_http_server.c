/* The server on real sockets: the loop runs in a thread of its own, the test is its client. The
 * handler does what the target's path says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <weir/http_server.h>

#define BIG (24u << 20) /* more than the sockets' buffers hold */

struct fixture {
  pthread_t thread;
  uv_loop_t loop;
  uv_async_t command; /* close the server, with |limit_ms| */
  uint64_t limit_ms;
  struct weir_http_server *server;
  struct weir_http_exchange *held; /* of /later, answered when the server is told to close */
  struct weir_http_server_options options;
  uint16_t port;
  sem_t arrived, full, closed;
  atomic_uint sent_count, unsent_count, full_count;
  size_t queued_most;
};

struct stream {
  size_t sent;
};

/* A body that comes in pieces. */
struct upload {
  size_t pieces, size;
};

/* --- the handler --------------------------------------------------------------------------- */

static void send_big(struct weir_http_exchange *x, struct fixture *f)
{
  static char piece[65536];
  struct stream *stream = weir_http_exchange_data(x);
  while (stream->sent < BIG) {
    enum weir_err err = weir_http_exchange_send(x, piece, sizeof piece);
    size_t queued = weir_http_exchange_queued(x);
    f->queued_most = queued > f->queued_most ? queued : f->queued_most;
    if (err == WEIR_EFULL) {
      f->full_count++;
      sem_post(&f->full);
      return;
    }
    stream->sent += sizeof piece;
  }
  weir_http_exchange_finish(x);
}

static void stream_three(struct weir_http_exchange *x)
{
  assert_int_equal(weir_http_exchange_start(x, 200, NULL, 0, WEIR_HTTP_SIZE_UNKNOWN), WEIR_OK);
  for (int i = 0; i < 3; i++)
    assert_int_equal(weir_http_exchange_send(x, "abc", 3), WEIR_OK);
  weir_http_exchange_finish(x);
}

static void respond(struct weir_http_exchange *x, const void *body, size_t size)
{
  struct weir_http_header header = {"content-type", "text/plain"};
  assert_int_equal(weir_http_exchange_respond(x, 200, &header, 1, body, size), WEIR_OK);
}

static void on_request(struct weir_http_exchange *x, void *context)
{
  struct fixture *f = context;
  const char *target = weir_http_exchange_request(x)->target;
  size_t size;
  const char *body = weir_http_exchange_body(x, &size);
  sem_post(&f->arrived);
  if (strcmp(target, "/echo") == 0) {
    respond(x, body, size);
  } else if (strcmp(target, "/index") == 0) {
    char text[24];
    respond(x, text,
            (size_t)snprintf(text, sizeof text, "%llu",
                             (unsigned long long)weir_http_exchange_index(x)));
  } else if (strcmp(target, "/stream") == 0) {
    stream_three(x);
  } else if (strcmp(target, "/big") == 0) {
    weir_http_exchange_set_data(x, calloc(1, sizeof(struct stream)));
    assert_int_equal(weir_http_exchange_start(x, 200, NULL, 0, BIG), WEIR_OK);
    send_big(x, f);
  } else if (strcmp(target, "/later") == 0) {
    f->held = x;
  } else if (strcmp(target, "/cut") == 0) {
    assert_int_equal(weir_http_exchange_start(x, 200, NULL, 0, WEIR_HTTP_SIZE_UNKNOWN), WEIR_OK);
    assert_int_equal(weir_http_exchange_send(x, "abc", 3), WEIR_OK);
    weir_http_exchange_abort(x);
  } /* /hold: never */
}

/* --- the handler of bodies that come in pieces --------------------------------------------- */

static enum weir_http_intake on_head(const struct weir_http_request *request,
                                     struct weir_http_refusal *ret_refusal, void *context)
{
  (void)context;
  if (strcmp(request->target, "/refused") == 0) {
    *ret_refusal = (struct weir_http_refusal){.status = 403, .body = "no", .size = 2};
    return WEIR_HTTP_REFUSED;
  }
  return strcmp(request->target, "/whole") == 0 ? WEIR_HTTP_WHOLE : WEIR_HTTP_STREAMED;
}

static void on_upload(struct weir_http_exchange *x, void *context)
{
  struct fixture *f = context;
  weir_http_exchange_set_data(x, calloc(1, sizeof(struct upload)));
  sem_post(&f->arrived);
  if (!weir_http_exchange_is_streamed(x))
    respond(x, "whole", 5);
  else if (strcmp(weir_http_exchange_request(x)->target, "/early") == 0)
    respond(x, "early", 5);
  else
    weir_http_exchange_body_resume(x);
}

/* Takes a piece a turn. */
static void on_piece(struct weir_http_exchange *x, const void *bytes, size_t size, void *context)
{
  struct upload *upload = weir_http_exchange_data(x);
  char text[64];
  (void)bytes;
  (void)context;
  upload->size += size;
  upload->pieces += size > 0;
  if (size > 0) {
    weir_http_exchange_body_pause(x);
    weir_http_exchange_body_resume(x);
  } else {
    respond(
        x, text,
        (size_t)snprintf(text, sizeof text, "%zu in many: %d.", upload->size, upload->pieces > 1));
  }
}

static void on_drain(struct weir_http_exchange *x, void *context)
{
  send_big(x, context);
}

static void on_close(struct weir_http_exchange *x, bool is_sent, void *context)
{
  struct fixture *f = context;
  if (is_sent)
    f->sent_count++;
  else
    f->unsent_count++;
  free(weir_http_exchange_data(x));
  sem_post(&f->closed);
}

/* --- the fixture --------------------------------------------------------------------------- */

static void on_command(uv_async_t *command)
{
  struct fixture *f = command->data;
  weir_http_server_close(f->server, f->limit_ms, NULL, NULL);
  if (f->held != NULL)
    respond(f->held, "late", 4);
  uv_close((uv_handle_t *)command, NULL);
}

static void *run(void *argument)
{
  struct fixture *f = argument;
  (void)uv_run(&f->loop, UV_RUN_DEFAULT);
  return NULL;
}

static void fixture_init(struct fixture *f)
{
  *f = (struct fixture){.options = WEIR_HTTP_SERVER_OPTIONS_DEFAULT};
  f->options.handler = (struct weir_http_handler){
      .context = f, .on_request = on_request, .on_drain = on_drain, .on_close = on_close};
}

static void fixture_start(struct fixture *f)
{
  char error[256];
  assert_int_equal(uv_loop_init(&f->loop), 0);
  assert_int_equal(uv_async_init(&f->loop, &f->command, on_command), 0);
  f->command.data = f;
  sem_init(&f->arrived, 0, 0);
  sem_init(&f->full, 0, 0);
  sem_init(&f->closed, 0, 0);
  if (weir_http_server_open(&f->loop, &f->options, &f->server, error, sizeof error) != WEIR_OK)
    fail_msg("%s", error);
  f->port = weir_http_server_port(f->server);
  assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
}

static void fixture_close(struct fixture *f, uint64_t limit_ms)
{
  f->limit_ms = limit_ms;
  assert_int_equal(uv_async_send(&f->command), 0);
}

static void fixture_join(struct fixture *f)
{
  assert_int_equal(pthread_join(f->thread, NULL), 0);
  assert_int_equal(uv_loop_close(&f->loop), 0); /* nothing was left open */
  sem_destroy(&f->arrived);
  sem_destroy(&f->full);
  sem_destroy(&f->closed);
}

static void fixture_stop(struct fixture *f)
{
  fixture_close(f, 0);
  fixture_join(f);
}

static void await(sem_t *event)
{
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += 20;
  assert_int_equal(sem_timedwait(event, &until), 0);
}

/* --- the client ---------------------------------------------------------------------------- */

static int client(uint16_t port)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  struct timeval limit = {.tv_sec = 20};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_true(fd >= 0);
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

static void say(int fd, const char *text)
{
  assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Reads until |text| stands at the end of what came, or the connection ends. */
static const char *hear_until(int fd, const char *text)
{
  static char heard[65536];
  size_t size = 0;
  heard[0] = '\0';
  while (text == NULL || size < strlen(text) || strcmp(heard + size - strlen(text), text) != 0) {
    ssize_t n = recv(fd, heard + size, sizeof heard - 1 - size, 0);
    if (n <= 0)
      break;
    size += (size_t)n;
    heard[size] = '\0';
  }
  return heard;
}

static void ask(int fd, const char *target)
{
  char text[256];
  (void)snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target);
  say(fd, text);
}

static void expect_end(int fd)
{
  char byte;
  ssize_t n = recv(fd, &byte, 1, 0);
  assert_true(n <= 0);
  close(fd);
}

/* --- tests --------------------------------------------------------------------------------- */

static void answers_many_requests_on_one_connection(void **state)
{
  (void)state;
  static struct fixture f;
  fixture_init(&f);
  fixture_start(&f);
  int fd = client(f.port);
  say(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
  assert_non_null(strstr(hear_until(fd, "hello"), "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
                                                  "Content-Length: 5\r\n\r\nhello"));
  ask(fd, "/stream");
  assert_non_null(strstr(hear_until(fd, "\r\n0\r\n\r\n"), "3\r\nabc\r\n3\r\nabc\r\n3\r\nabc\r\n"));
  ask(fd, "/index");
  hear_until(fd, "\r\n\r\n2");
  close(fd);
  fixture_stop(&f);
  assert_int_equal(f.sent_count, 3);
  assert_int_equal(f.unsent_count, 0);
}

static void answers_a_flood_of_pipelined_requests_in_order(void **state)
{
  (void)state;
  static struct fixture f;
  static char flood[64 * 1024];
  char last[32];
  fixture_init(&f);
  fixture_start(&f);
  int fd = client(f.port);
  size_t size = 0;
  for (int i = 0; i < 300; i++)
    size += (size_t)snprintf(flood + size, sizeof flood - size,
                             "GET /index HTTP/1.1\r\nHost: a\r\n\r\n");
  say(fd, flood);
  const char *heard = hear_until(fd, "\r\n\r\n299");
  for (int i = 0; i < 300; i++) {
    (void)snprintf(last, sizeof last, "\r\n\r\n%d", i);
    heard = strstr(heard, last);
    assert_non_null(heard);
  }
  close(fd);
  fixture_stop(&f);
}

static void tells_a_waiting_client_to_send_its_body(void **state)
{
  (void)state;
  static struct fixture f;
  fixture_init(&f);
  fixture_start(&f);
  int fd = client(f.port);
  say(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  assert_string_equal(hear_until(fd, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  say(fd, "ok");
  assert_non_null(strstr(hear_until(fd, "ok"), "200 OK"));
  close(fd);
  fixture_stop(&f);
}

static void refuses_and_closes(void **state)
{
  (void)state;
  static struct fixture f;
  fixture_init(&f);
  fixture_start(&f);
  int fd = client(f.port);
  say(fd, "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const char *heard = hear_until(fd, NULL);
  assert_non_null(strstr(heard, "HTTP/1.1 400 Bad Request\r\n"));
  assert_non_null(strstr(heard, "Host"));
  assert_null(strstr(heard, "200"));
  close(fd);
  fixture_stop(&f);
}

static void tells_the_handler_that_the_client_is_gone(void **state)
{
  (void)state;
  static struct fixture f;
  fixture_init(&f);
  fixture_start(&f);
  int fd = client(f.port);
  ask(fd, "/hold");
  await(&f.arrived);
  close(fd);
  await(&f.closed);
  assert_int_equal(f.unsent_count, 1);
  fixture_stop(&f);
}

static void a_cut_answer_is_not_mistaken_for_a_finished_one(void **state)
{
  (void)state;
  static struct fixture f;
  fixture_init(&f);
  fixture_start(&f);
  int fd = client(f.port);
  ask(fd, "/cut");
  const char *heard = hear_until(fd, NULL);
  assert_non_null(strstr(heard, "3\r\nabc\r\n"));
  assert_null(strstr(heard, "0\r\n\r\n"));
  await(&f.closed);
  assert_int_equal(f.unsent_count, 1);
  close(fd);
  fixture_stop(&f);
}

static void holds_a_bounded_queue_for_a_slow_reader(void **state)
{
  (void)state;
  static struct fixture f;
  static char sink[1 << 20];
  fixture_init(&f);
  fixture_start(&f);
  int fd = client(f.port);
  ask(fd, "/big");
  await(&f.full);
  size_t total = 0;
  ssize_t n;
  while (total < BIG && (n = recv(fd, sink, sizeof sink, 0)) > 0)
    total += (size_t)n;
  assert_true(total >= BIG);
  await(&f.closed);
  close(fd);
  fixture_stop(&f);
  assert_true(f.full_count > 0);
  assert_int_equal(f.sent_count, 1);
  assert_in_range(f.queued_most, WEIR_HTTP_QUEUE_MAX, WEIR_HTTP_QUEUE_MAX + 65536);
}

static void cuts_a_reader_that_stalls(void **state)
{
  (void)state;
  static struct fixture f;
  fixture_init(&f);
  f.options.stall_ms = 100;
  fixture_start(&f);
  int fd = client(f.port);
  ask(fd, "/big");
  await(&f.closed);
  assert_int_equal(f.unsent_count, 1);
  close(fd);
  fixture_stop(&f);
}

/* A body that goes into a file, and the next one of the same connection, which does not. */
static void keeps_large_bodies_in_files(void **state)
{
  static struct fixture f;
  static char body[30001], request[30200];
  (void)state;
  fixture_init(&f);
  f.options.spool_folder = "/tmp";
  f.options.spool_bytes = 1000;
  f.options.bodies_bytes_max = 10000; /* in memory it would not fit */
  fixture_start(&f);
  int fd = client(f.port);
  for (size_t i = 0; i < sizeof body - 1; i++)
    body[i] = (char)('a' + i * 7 % 26);
  (void)snprintf(request, sizeof request,
                 "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%s", sizeof body - 1,
                 body);
  for (int i = 0; i < 2; i++) {
    say(fd, request);
    assert_non_null(strstr(hear_until(fd, body), "200 OK"));
    say(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nsmall");
    assert_non_null(strstr(hear_until(fd, "small"), "200 OK"));
  }
  close(fd);
  fixture_stop(&f);
}

/* One body fits into the files, a second one beside it does not, and it does when that is gone. */
static void refuses_more_than_its_files_may_hold(void **state)
{
  static struct fixture f;
  static char body[6000];
  (void)state;
  fixture_init(&f);
  f.options.spool_folder = "/tmp";
  f.options.spool_bytes = 1000;
  f.options.spool_bytes_max = 10000;
  fixture_start(&f);
  int first = client(f.port), second = client(f.port);
  memset(body, 'x', sizeof body);
  say(first, "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 6000\r\n\r\n");
  assert_int_equal(send(first, body, sizeof body, MSG_NOSIGNAL), sizeof body);
  await(&f.arrived);
  say(second, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6000\r\n\r\n");
  assert_int_equal(send(second, body, sizeof body, MSG_NOSIGNAL), sizeof body);
  assert_non_null(strstr(hear_until(second, NULL), "503 Service Unavailable"));
  close(second);
  close(first);
  await(&f.closed);
  second = client(f.port);
  say(second, "POST /index HTTP/1.1\r\nHost: a\r\nContent-Length: 6000\r\n\r\n");
  assert_int_equal(send(second, body, sizeof body, MSG_NOSIGNAL), sizeof body);
  hear_until(second, "\r\n\r\n0");
  close(second);
  fixture_stop(&f);
}

static void fixture_start_streaming(struct fixture *f)
{
  fixture_init(f);
  f->options.handler.on_head = on_head;
  f->options.handler.on_request = on_upload;
  f->options.handler.on_body = on_piece;
  f->options.limits.body_bytes_max = 1000;
  f->options.body_ms = 50;
  fixture_start(f);
}

static void streams_bodies_of_any_size(void **state)
{
  static struct fixture f;
  static char body[60001];
  (void)state;
  fixture_start_streaming(&f);
  int fd = client(f.port);
  memset(body, 'x', sizeof body - 1);
  for (int i = 0; i < 2; i++) { /* the connection goes on */
    say(fd, "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
    say(fd, body);
    assert_non_null(strstr(hear_until(fd, "."), "60000 in many: 1."));
    say(fd, "POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            "3\r\nabc\r\n4\r\nabcd\r\n0\r\n\r\n");
    assert_non_null(strstr(hear_until(fd, "."), "7 in many: 1."));
    say(fd, "POST /whole HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    hear_until(fd, "whole");
  }
  say(fd, "POST /up HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  assert_string_equal(hear_until(fd, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  say(fd, "ab");
  hear_until(fd, "2 in many: 0.");
  /* What is not streamed keeps its bound, and is not asked for. */
  say(fd, "POST /whole HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
          "Content-Length: 1001\r\n\r\n");
  assert_non_null(strstr(hear_until(fd, NULL), "HTTP/1.1 413"));
  close(fd);
  fixture_stop(&f);
  assert_int_equal(f.sent_count, 7);
}

static void a_body_that_breaks_off_ends_its_exchange(void **state)
{
  static struct fixture f;
  (void)state;
  fixture_start_streaming(&f);
  int slow = client(f.port), flawed = client(f.port), gone = client(f.port);
  say(slow, "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na");
  say(flawed, "POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n");
  say(gone, "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na");
  await(&f.arrived);
  close(gone);
  assert_non_null(strstr(hear_until(slow, NULL), "HTTP/1.1 408"));
  assert_non_null(strstr(hear_until(flawed, NULL), "HTTP/1.1 400"));
  for (int i = 0; i < 3; i++)
    await(&f.closed);
  assert_int_equal(f.sent_count, 0);
  close(slow);
  close(flawed);
  fixture_stop(&f);
}

static void answers_before_a_body_is_there(void **state)
{
  static struct fixture f;
  (void)state;
  fixture_start_streaming(&f);
  int early = client(f.port), refused = client(f.port);
  say(early, "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na");
  const char *heard = hear_until(early, NULL);
  assert_non_null(strstr(heard, "Connection: close\r\n"));
  assert_non_null(strstr(heard, "early"));
  say(refused, "POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
  assert_non_null(strstr(hear_until(refused, NULL), "HTTP/1.1 403"));
  close(early);
  close(refused);
  fixture_stop(&f);
  assert_int_equal(f.sent_count, 1);
  assert_int_equal(f.unsent_count, 0);
}

static void cuts_clients_that_are_slow_with_their_requests(void **state)
{
  (void)state;
  static struct fixture f;
  fixture_init(&f);
  f.options.head_ms = f.options.body_ms = f.options.idle_ms = 50;
  fixture_start(&f);
  int idle = client(f.port), head = client(f.port), body = client(f.port);
  say(head, "GET / HTTP/1.1\r\nHo");
  say(body, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na");
  assert_string_equal(hear_until(idle, NULL), "");
  assert_non_null(strstr(hear_until(head, NULL), "408"));
  assert_non_null(strstr(hear_until(body, NULL), "408"));
  close(idle);
  close(head);
  close(body);
  fixture_stop(&f);
}

static void refuses_more_than_its_bounds(void **state)
{
  (void)state;
  static struct fixture f;
  fixture_init(&f);
  f.options.connections_max = 1;
  f.options.bodies_bytes_max = 8192;
  fixture_start(&f);
  int first = client(f.port);
  ask(first, "/index");
  hear_until(first, "\r\n\r\n0");
  expect_end(client(f.port));
  say(first, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n");
  char body[20000];
  memset(body, 'x', sizeof body);
  assert_int_equal(send(first, body, sizeof body, MSG_NOSIGNAL), sizeof body);
  assert_non_null(strstr(hear_until(first, NULL), "503 Service Unavailable"));
  close(first);
  fixture_stop(&f);
}

static void stops_gracefully(void **state)
{
  (void)state;
  static struct fixture f;
  fixture_init(&f);
  fixture_start(&f);
  int idle = client(f.port), busy = client(f.port);
  ask(idle, "/index");
  hear_until(idle, "\r\n\r\n0");
  await(&f.arrived);
  ask(busy, "/later");
  await(&f.arrived);
  fixture_close(&f, 20000);
  const char *heard = hear_until(busy, NULL);
  assert_non_null(strstr(heard, "Connection: close\r\n\r\nlate"));
  close(busy);
  expect_end(idle);
  fixture_join(&f);
  assert_int_equal(f.sent_count, 2);
}

static void cuts_what_does_not_finish_in_time(void **state)
{
  (void)state;
  static struct fixture f;
  fixture_init(&f);
  f.options.stall_ms = 40; /* makes the sweep frequent */
  fixture_start(&f);
  int fd = client(f.port);
  ask(fd, "/hold");
  await(&f.arrived);
  fixture_close(&f, 30);
  expect_end(fd);
  fixture_join(&f);
  assert_int_equal(f.unsent_count, 1);
}

static void listens_on_a_unix_socket_and_replaces_a_stale_one(void **state)
{
  (void)state;
  static struct fixture f;
  char directory[] = "/tmp/weir-http-XXXXXX", path[64];
  assert_non_null(mkdtemp(directory));
  (void)snprintf(path, sizeof path, "%s/http.sock", directory);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path, path, strlen(path) + 1);
  int stale = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(stale, (struct sockaddr *)&address, sizeof address), 0);
  close(stale);

  fixture_init(&f);
  f.options.host = NULL;
  f.options.unix_path = path;
  fixture_start(&f);
  struct stat file;
  assert_int_equal(stat(path, &file), 0);
  assert_int_equal(file.st_mode & 0777, 0600);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  ask(fd, "/index");
  hear_until(fd, "\r\n\r\n0");
  close(fd);
  fixture_stop(&f);
  assert_int_not_equal(stat(path, &file), 0);
  assert_int_equal(rmdir(directory), 0);
}

static void says_why_it_cannot_listen(void **state)
{
  (void)state;
  static struct fixture f;
  char error[256];
  uv_loop_t loop;
  struct weir_http_server *server = NULL;
  fixture_init(&f);
  fixture_start(&f);
  assert_int_equal(uv_loop_init(&loop), 0);
  struct weir_http_server_options options = f.options;
  options.port = f.port;
  assert_int_equal(weir_http_server_open(&loop, &options, &server, error, sizeof error),
                   WEIR_ESYSTEM);
  assert_non_null(strstr(error, "127.0.0.1"));
  assert_non_null(strstr(error, "in use"));
  options.host = "localhost";
  assert_int_equal(weir_http_server_open(&loop, &options, &server, error, sizeof error),
                   WEIR_EINVAL);
  assert_non_null(strstr(error, "numeric"));
  assert_null(server);
  (void)uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&loop), 0);
  fixture_stop(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(answers_many_requests_on_one_connection),
      cmocka_unit_test(answers_a_flood_of_pipelined_requests_in_order),
      cmocka_unit_test(tells_a_waiting_client_to_send_its_body),
      cmocka_unit_test(refuses_and_closes),
      cmocka_unit_test(tells_the_handler_that_the_client_is_gone),
      cmocka_unit_test(a_cut_answer_is_not_mistaken_for_a_finished_one),
      cmocka_unit_test(holds_a_bounded_queue_for_a_slow_reader),
      cmocka_unit_test(cuts_a_reader_that_stalls),
      cmocka_unit_test(keeps_large_bodies_in_files),
      cmocka_unit_test(refuses_more_than_its_files_may_hold),
      cmocka_unit_test(streams_bodies_of_any_size),
      cmocka_unit_test(a_body_that_breaks_off_ends_its_exchange),
      cmocka_unit_test(answers_before_a_body_is_there),
      cmocka_unit_test(cuts_clients_that_are_slow_with_their_requests),
      cmocka_unit_test(refuses_more_than_its_bounds),
      cmocka_unit_test(stops_gracefully),
      cmocka_unit_test(cuts_what_does_not_finish_in_time),
      cmocka_unit_test(listens_on_a_unix_socket_and_replaces_a_stale_one),
      cmocka_unit_test(says_why_it_cannot_listen),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

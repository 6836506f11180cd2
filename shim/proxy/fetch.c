#include "fetch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/err.h>
#include <weir/vocab.h>

#include <weir.h>

#include "curl_common.h"
#include "file.h"

#define CONNECT_MS_MAX 10000
#define IDLE_MAX       64   /* easy handles that are kept */
#define WATCH_BUCKETS  1024 /* descriptors are small numbers */

/* The headers of an answer, and where their texts are. */
struct head {
  struct weir_header lines[WEIR_FETCH_HEADERS_MAX];
  size_t count, size;
  char text[WEIR_FETCH_HEADERS_SIZE_MAX];
};

/* Owner: the fetcher, from start to the end or cancel. */
struct weir_fetch {
  struct weir_fetcher *fetcher;
  void *context;
  CURL *easy;
  struct curl_slist *lines; /* one block, of |lines_size| bytes: one line may hold a key */
  size_t lines_size;
  size_t body_size, given; /* what on_need gave of it */
  weir_tstamp expires_at, sent_at, deadline;
  uint32_t sendings, http;
  bool is_expired, is_written, is_head_told;
  bool is_paused, is_starved; /* on_data takes nothing now; on_need has nothing */
  struct head *head;
  char error[CURL_ERROR_SIZE];
};

struct weir_fetcher {
  uv_loop_t *loop;
  struct weir_fetch_handler handler;
  CURLM *multi;
  const char *ca_file; /* other authorities than the system's, by OpenSSL's own variable */
  uv_timer_t timer;
  struct watch *watches[WATCH_BUCKETS]; /* by socket */
  CURL *idle[IDLE_MAX];
  uint32_t idle_count;
  uint32_t fetches; /* under way */
};

/* A socket of libcurl's, until libuv has closed its handle. libcurl forgets the socket of a
 * connection that waits for the next transfer, but here it is known from its opening to its
 * closing, so that the system is not told twice a transfer. Of its other sockets (those of the
 * resolver) it tells when it forgets them, and not when it closes them. */
struct watch {
  uv_poll_t poll;
  struct weir_fetcher *fetcher;
  struct watch *next; /* in the fetcher's list of its bucket */
  curl_socket_t socket;
  bool is_connection;
  int events;   /* that libcurl wants to know of; 0: none at the moment */
  int watching; /* that libuv looks for */
};

/* ---- what libcurl tells of a transfer ---- */

static void tell_written(struct weir_fetch *f)
{
  if (f->is_written)
    return;
  f->is_written = true;
  f->fetcher->handler.on_written(f, f->context);
}

static int on_prereq(void *context, char *peer_ip, char *own_ip, int peer_port, int own_port)
{
  struct weir_fetch *f = context;
  const weir_tstamp now = weir_now_us();

  (void)peer_ip;
  (void)own_ip;
  (void)peer_port;
  (void)own_port;
  if (f->sendings++ > 0)
    return CURL_PREREQFUNC_ABORT;
  if (now >= f->expires_at) {
    f->is_expired = true;
    return CURL_PREREQFUNC_ABORT;
  }
  f->sent_at = now;
  return CURL_PREREQFUNC_OK;
}

static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
  struct weir_fetch *f = context;

  (void)down_total;
  (void)down;
  (void)up_total;
  if (!f->is_written && f->sent_at && (size_t)up >= f->body_size) {
    f->sent_at = weir_now_us();
    tell_written(f);
  }
  return 0;
}

static struct head *head_new(void)
{
  struct head *head = malloc(sizeof(*head)); /* not zeroed: most of it is never touched */

  if (head)
    head->count = head->size = 0;
  return head;
}

static void head_begin(struct weir_fetch *f, const char *line, size_t size)
{
  const char *status = memchr(line, ' ', size);

  f->http = 0;
  for (status = status ? status + 1 : line + size;
       status < line + size && *status >= '0' && *status <= '9' && f->http < 1000; status++)
    f->http = f->http * 10 + (uint32_t)(*status - '0');
  if (f->head)
    f->head->count = f->head->size = 0;
}

static void head_add(struct head *h, const char *line, size_t size)
{
  const char *colon = memchr(line, ':', size);
  char *name = h->text + h->size, *value;

  while (size > 0 && memchr(" \t\r\n", line[size - 1], 4))
    size--;
  if (!colon || h->count == WEIR_FETCH_HEADERS_MAX || size + 1 > sizeof(h->text) - h->size ||
      memchr(line, '\0', size))
    return;
  memcpy(name, line, size);
  name[size] = '\0';
  h->size += size + 1;
  value = name + (colon - line);
  *value++ = '\0';
  value += strspn(value, " \t");
  h->lines[h->count++] = (struct weir_header){name, value};
}

/* Tells libcurl which directions wait. */
static void pause_tell(struct weir_fetch *f)
{
  const int flags = (f->is_paused ? CURLPAUSE_RECV : 0) | (f->is_starved ? CURLPAUSE_SEND : 0);

  (void)curl_easy_pause(f->easy, flags);
}

void weir_fetch_more(struct weir_fetch *fetch)
{
  if (!fetch->is_starved)
    return;
  fetch->is_starved = false;
  pause_tell(fetch);
}

static size_t on_need(char *to, size_t one, size_t size, void *context)
{
  struct weir_fetch *f = context;
  bool is_over = false;
  const size_t got = f->fetcher->handler.on_need(f, to, size * one, &is_over, f->context);

  f->given += got;
  if (is_over)
    f->body_size = f->given;
  f->is_starved = got == 0 && !is_over;
  return f->is_starved ? CURL_READFUNC_PAUSE : got;
}

static size_t on_header(char *line, size_t one, size_t size, void *context)
{
  struct weir_fetch *f = context;

  tell_written(f); /* an answer may come before the end of a long request */
  if (f->is_head_told)
    return size * one; /* trailers: they do not matter, and are no headers */
  if (!f->head)
    f->head = head_new();
  if (!f->head)
    return 0;
  if (size > 5 && memcmp(line, "HTTP/", 5) == 0)
    head_begin(f, line, size);
  else if (size > 2)
    head_add(f->head, line, size);
  else if (f->http >= 200) {
    f->is_head_told = true;
    f->fetcher->handler.on_head(f, f->context);
  }
  return size * one;
}

static size_t on_body(char *bytes, size_t one, size_t size, void *context)
{
  struct weir_fetch *f = context;

  f->is_paused = !f->fetcher->handler.on_data(f, bytes, size * one, f->context);
  return f->is_paused ? CURL_WRITEFUNC_PAUSE : size * one;
}

/* ---- the loop ---- */

static void ends_tell(struct weir_fetcher *fetcher);

static void on_watch_closed(uv_handle_t *handle)
{
  free(handle->data);
}

static void act(struct weir_fetcher *fetcher, curl_socket_t socket, int events)
{
  int running;

  (void)curl_multi_socket_action(fetcher->multi, socket, events, &running);
  ends_tell(fetcher);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
  struct watch *watch = poll->data;
  int flags = status < 0 ? CURL_CSELECT_ERR : 0;

  if (status < 0)
    watch->watching = 0;    /* libuv has stopped it by itself */
  if (watch->events == 0) { /* of a connection that waits: libcurl will see when it takes it up */
    watch->watching = 0;
    uv_poll_stop(poll);
    return;
  }
  flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
  flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
  act(watch->fetcher, watch->socket, flags);
}

static struct watch **watch_find(struct weir_fetcher *fetcher, curl_socket_t socket)
{
  struct watch **at = &fetcher->watches[(unsigned)socket % WATCH_BUCKETS];

  while (*at && (*at)->socket != socket)
    at = &(*at)->next;
  return at;
}

/* NULL without memory. */
static struct watch *watch_of(struct weir_fetcher *fetcher, curl_socket_t socket)
{
  struct watch **at = watch_find(fetcher, socket), *watch = *at;

  if (watch)
    return watch;
  watch = calloc(1, sizeof(*watch));
  if (!watch || uv_poll_init_socket(fetcher->loop, &watch->poll, socket) != 0) {
    free(watch);
    return NULL;
  }
  watch->poll.data = watch;
  watch->socket = socket;
  watch->fetcher = fetcher;
  *at = watch;
  return watch;
}

static void watch_end(struct watch *watch)
{
  *watch_find(watch->fetcher, watch->socket) = watch->next;
  uv_poll_stop(&watch->poll);
  uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

static curl_socket_t on_socket_open(void *context, curlsocktype purpose,
                                    struct curl_sockaddr *address)
{
  const int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  struct watch *watch = fd >= 0 ? watch_of(context, fd) : NULL;

  (void)purpose;
  if (!watch && fd >= 0)
    close(fd);
  if (!watch)
    return CURL_SOCKET_BAD;
  watch->is_connection = true;
  return fd;
}

/* Before the system may give its number to another one, libuv has to forget it. */
static int on_socket_close(void *context, curl_socket_t socket)
{
  struct watch *watch = *watch_find(context, socket);

  if (watch)
    watch_end(watch);
  return close(socket);
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *known)
{
  struct watch *watch = watch_of(context, socket);

  (void)easy;
  (void)known;
  if (!watch)
    return -1;
  if (what == CURL_POLL_REMOVE && !watch->is_connection) {
    watch_end(watch);
    return 0;
  }
  watch->events = what == CURL_POLL_REMOVE ? 0
                                           : (what & CURL_POLL_IN ? UV_READABLE : 0) |
                                                 (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
  /* One that is looked at for reading stays so: the answer to the next request needs it. */
  if (watch->events == watch->watching || (watch->events == 0 && watch->watching == UV_READABLE))
    return 0;
  watch->watching = watch->events;
  if (watch->events == 0)
    return uv_poll_stop(&watch->poll);
  return uv_poll_start(&watch->poll, watch->events, on_poll) == 0 ? 0 : -1;
}

static void on_timer(uv_timer_t *timer)
{
  act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timeout(CURLM *multi, long timeout_ms, void *context)
{
  struct weir_fetcher *fetcher = context;

  (void)multi;
  if (timeout_ms < 0)
    uv_timer_stop(&fetcher->timer);
  else
    uv_timer_start(&fetcher->timer, on_timer, (uint64_t)timeout_ms, 0);
  return 0;
}

/* ---- one fetch ---- */

/* What is the same for all transfers of a handle, which is told once. */
static void options_init(struct weir_fetcher *fetcher, CURL *easy)
{
  weir_curl_common_set(easy);
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  if (fetcher->ca_file)
    curl_easy_setopt(easy, CURLOPT_CAINFO, fetcher->ca_file);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS_MAX);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket_open);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, fetcher);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_socket_close);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, fetcher);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prereq);
  curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_need);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
}

static CURL *handle_take(struct weir_fetcher *fetcher)
{
  CURL *easy;

  if (fetcher->idle_count > 0)
    return fetcher->idle[--fetcher->idle_count];
  easy = curl_easy_init();
  if (easy)
    options_init(fetcher, easy);
  return easy;
}

static void handle_give(struct weir_fetcher *fetcher, CURL *easy)
{
  if (fetcher->idle_count == IDLE_MAX) {
    curl_easy_cleanup(easy);
    return;
  }
  /* What is about to be freed. */
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
  fetcher->idle[fetcher->idle_count++] = easy;
}

static void fetch_free(struct weir_fetch *f)
{
  struct weir_fetcher *fetcher = f->fetcher;

  curl_multi_remove_handle(fetcher->multi, f->easy);
  handle_give(fetcher, f->easy);
  weir_file_free((char *)f->lines, f->lines_size);
  free(f->head);
  free(f);
  fetcher->fetches--;
}

static enum weir_fetch_end end_of(const struct weir_fetch *f, CURLcode code)
{
  if (code == CURLE_OK && f->is_head_told)
    return WEIR_FETCH_DONE;
  if (code == CURLE_OPERATION_TIMEDOUT && weir_now_us() >= f->deadline)
    return WEIR_FETCH_TIMED_OUT;
  return f->is_expired ? WEIR_FETCH_EXPIRED : WEIR_FETCH_FAILED;
}

static void ends_tell(struct weir_fetcher *fetcher)
{
  CURLMsg *message;
  int left;

  while ((message = curl_multi_info_read(fetcher->multi, &left))) {
    const CURLcode code = message->data.result;
    struct weir_fetch *f;
    char *private = NULL;

    if (message->msg != CURLMSG_DONE)
      continue;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
    f = (struct weir_fetch *)(void *)private;
    fetcher->handler.on_end(f, end_of(f, code),
                            f->sendings > 1 ? "the connection broke before the answer came"
                            : f->error[0]   ? f->error
                                            : curl_easy_strerror(code),
                            f->context);
    fetch_free(f);
  }
}

/* The request's header lines, as libcurl reads them: one block of memory. NULL without memory. */
static struct curl_slist *lines_make(const struct weir_fetch_request *request, size_t *ret_size)
{
  /* What libcurl would add by itself. */
  static char without[][sizeof("Content-Type:")] = {
      "Expect:", "Accept:", "User-Agent:", "Content-Type:"};
  const size_t own = sizeof(without) / sizeof(without[0]), count = own + request->header_count;
  size_t size = count * sizeof(struct curl_slist);
  struct curl_slist *lines;
  char *text;

  for (size_t i = 0; i < request->header_count; i++)
    size += strlen(request->headers[i].name) + strlen(request->headers[i].value) + 3;
  *ret_size = size;
  lines = malloc(size);
  if (!lines)
    return NULL;
  text = (char *)&lines[count];
  for (size_t i = 0; i < count; i++) {
    lines[i].next = i + 1 < count ? &lines[i + 1] : NULL;
    lines[i].data = i < own ? without[i] : text;
    if (i < own)
      continue;
    text = stpcpy(text, request->headers[i - own].name);
    /* libcurl takes "name:" for "leave it out", and "name;" for an empty value. */
    text = stpcpy(text, request->headers[i - own].value[0] != '\0' ? ": " : ";");
    text = stpcpy(text, request->headers[i - own].value) + 1;
  }
  return lines;
}

static void method_set(CURL *easy, const struct weir_fetch_request *request)
{
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL);
  if (request->has_body) {
    const bool is_open = request->is_streamed && request->body_size == SIZE_MAX;

    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     is_open ? (curl_off_t)-1 : (curl_off_t)request->body_size);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                     request->is_streamed     ? NULL
                     : request->body_size > 0 ? request->body
                                              : "");
    if (strcmp(request->method, "POST") != 0)
      curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
  } else if (strcmp(request->method, "HEAD") == 0) {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else {
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    if (strcmp(request->method, "GET") != 0)
      curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
  }
}

/* What is each transfer's own: every option here is set by every transfer. */
static bool options_set(struct weir_fetch *f, const struct weir_fetch_request *request)
{
  CURL *easy = f->easy;

  if (curl_easy_setopt(easy, CURLOPT_URL, request->url) != CURLE_OK)
    return false;
  method_set(easy, request);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, f->lines);
  /* Over TLS the handshake tells whether streams share a connection; without it nothing would, and
   * all would wait for the first one to end. */
  curl_easy_setopt(easy, CURLOPT_PIPEWAIT, strncmp(request->url, "https:", 6) == 0 ? 1L : 0L);
  /* Rounded up, so that it is not before |deadline|. */
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                   request->timeout_us ? (long)(request->timeout_us / WEIR_US_PER_MS + 1) : 0L);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)((request->idle_ms + 999) / 1000));
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, f);
  curl_easy_setopt(easy, CURLOPT_READDATA, f);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, f);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, f);
  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, f);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, f->error);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, f);
  return true;
}

struct weir_fetch *weir_fetch_start(struct weir_fetcher *fetcher,
                                    const struct weir_fetch_request *request, void *context)
{
  struct weir_fetch *f = calloc(1, sizeof(*f));

  if (!f)
    return NULL;
  f->fetcher = fetcher;
  f->context = context;
  f->body_size = request->has_body ? request->body_size : 0;
  f->expires_at = request->expires_at;
  f->deadline =
      request->timeout_us ? weir_time_add(weir_now_us(), request->timeout_us) : WEIR_NEVER;
  f->easy = handle_take(fetcher);
  f->lines = lines_make(request, &f->lines_size);
  if (f->easy && f->lines && options_set(f, request) &&
      curl_multi_add_handle(fetcher->multi, f->easy) == CURLM_OK) {
    fetcher->fetches++;
    return f;
  }
  if (f->easy)
    handle_give(fetcher, f->easy);
  weir_file_free((char *)f->lines, f->lines_size);
  free(f);
  return NULL;
}

void weir_fetch_cancel(struct weir_fetch *fetch)
{
  fetch_free(fetch);
}

void weir_fetch_resume(struct weir_fetch *fetch)
{
  if (!fetch->is_paused)
    return;
  fetch->is_paused = false;
  pause_tell(fetch);
}

bool weir_fetch_is_uploaded(const struct weir_fetch *fetch)
{
  curl_off_t up = 0;

  /* libcurl's progress function may not have been called since. */
  return fetch->sent_at &&
         curl_easy_getinfo(fetch->easy, CURLINFO_SIZE_UPLOAD_T, &up) == CURLE_OK &&
         (size_t)up >= fetch->body_size;
}

uint32_t weir_fetch_http(const struct weir_fetch *fetch)
{
  return fetch->http;
}

const struct weir_header *weir_fetch_headers(const struct weir_fetch *fetch, size_t *ret_count)
{
  *ret_count = fetch->head ? fetch->head->count : 0;
  return fetch->head ? fetch->head->lines : NULL;
}

void weir_fetch_forget(struct weir_fetch *fetch)
{
  free(fetch->head);
  fetch->head = NULL;
}

weir_tstamp weir_fetch_sent_us(const struct weir_fetch *fetch)
{
  return fetch->sent_at;
}

/* ---- the fetcher ---- */

struct weir_fetcher *weir_fetcher_open(uv_loop_t *loop, const struct weir_fetch_handler *handler)
{
  struct weir_fetcher *fetcher = calloc(1, sizeof(*fetcher));

  if (!fetcher)
    return NULL;
  fetcher->loop = loop;
  fetcher->handler = *handler;
  fetcher->ca_file = getenv("SSL_CERT_FILE");
  fetcher->multi = curl_multi_init();
  if (!fetcher->multi) {
    free(fetcher);
    return NULL;
  }
  (void)uv_timer_init(loop, &fetcher->timer);
  fetcher->timer.data = fetcher;
  curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETDATA, fetcher);
  curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
  curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERDATA, fetcher);
  curl_multi_setopt(fetcher->multi, CURLMOPT_MAXCONNECTS, 4096L);
  return fetcher;
}

static void on_fetcher_closed(uv_handle_t *handle)
{
  free(handle->data);
}

void weir_fetcher_close(struct weir_fetcher *fetcher)
{
  assert(fetcher->fetches == 0);
  curl_multi_cleanup(fetcher->multi); /* closes the watches, by on_socket */
  while (fetcher->idle_count > 0)
    curl_easy_cleanup(fetcher->idle[--fetcher->idle_count]);
  uv_close((uv_handle_t *)&fetcher->timer, on_fetcher_closed);
}

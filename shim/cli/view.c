#define _DEFAULT_SOURCE /* explicit_bzero */
#include "view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include <weir/codec.h>
#include <weir/key.h>

#include "cli.h"
#include "file.h"

#define BROKEN_MAX 3 /* no accident any more: its key is another one */

/* The rows of one view, as they come. */
struct table {
  struct weir_msg_row *rows;
  uint32_t room, answers; /* rows asked for, and received */
};

struct look {
  void *socket, *monitor;
  uint32_t broken; /* handshakes that the other side broke off */
  uint64_t deadline_us;
  struct weir_msg_row totals, budget; /* the first rows, which tell how many there are */
  bool has_totals, has_budget, has_state;
  struct table pools, budgets, tenants, slow, sessions;
  struct weir_msg_state state;
};

/* Sends SHOW for rows |from|..|until| of |view|, many in a frame. */
static enum weir_err show_send(struct look *look, enum weir_view view, uint32_t from,
                               uint32_t until)
{
  uint8_t frame[WEIR_FRAME_SIZE_MAX];
  size_t size = 0;

  for (uint32_t row = from; row < until; row++) {
    struct weir_msg msg = {.type = WEIR_MSG_SHOW, .show = {.view = view, .row = row}};
    enum weir_err err;

    /* The answers are larger than the questions: a frame of ours stays small. */
    if (row > from && (row - from) % 64 == 0) {
      if (zmq_send(look->socket, frame, size, 0) < 0)
        return WEIR_EUNREACHABLE;
      size = 0;
    }
    err = weir_codec_encode(&msg, frame, sizeof(frame), &size);
    if (err)
      return err;
  }
  return zmq_send(look->socket, frame, size, 0) < 0 ? WEIR_EUNREACHABLE : WEIR_OK;
}

static void row_take(struct look *look, const struct weir_msg_row *row)
{
  struct table *table = row->view == WEIR_VIEW_BUDGETS    ? &look->budgets
                        : row->view == WEIR_VIEW_TENANTS  ? &look->tenants
                        : row->view == WEIR_VIEW_SLOW     ? &look->slow
                        : row->view == WEIR_VIEW_SESSIONS ? &look->sessions
                                                          : &look->pools;

  if (row->view == WEIR_VIEW_TOTALS) {
    look->totals = *row;
    look->has_totals = true;
  } else if (row->view == WEIR_VIEW_BUDGETS && !look->has_budget) {
    look->budget = *row;
    look->has_budget = true;
  } else {
    table->answers++;
    /* A reload between the two questions may have taken some away. */
    if (row->row < row->rows && row->row < table->room)
      table->rows[row->row] = *row;
  }
}

/* What the end of a handshake says; without it a wrong key would look like silence. */
static enum weir_err link_check(struct look *look)
{
  uint8_t head[6], address[256];
  uint16_t event;
  uint32_t value;

  if (zmq_recv(look->monitor, head, sizeof(head), ZMQ_DONTWAIT) != (int)sizeof(head))
    return WEIR_OK;
  (void)!zmq_recv(look->monitor, address, sizeof(address), 0);
  memcpy(&event, head, sizeof(event));
  memcpy(&value, head + sizeof(event), sizeof(value));
  if (event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL && (value == EPIPE || value == ECONNRESET))
    look->broken++;
  if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH || event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL ||
      look->broken >= BROKEN_MAX)
    return WEIR_EKEY;
  return WEIR_OK;
}

/* Takes what one message tells. */
static enum weir_err msg_take(struct look *look, const struct weir_msg *msg)
{
  if (msg->type == WEIR_MSG_ROW)
    row_take(look, &msg->row);
  if (msg->type == WEIR_MSG_STATE)
    look->state = msg->state;
  look->has_state = look->has_state || msg->type == WEIR_MSG_STATE;
  if (msg->type != WEIR_MSG_REFUSE)
    return WEIR_OK;
  return msg->refuse.why == WEIR_REFUSAL_FORBIDDEN ? WEIR_EDENIED : WEIR_EVERSION;
}

/* Receives one frame and takes its messages. */
static enum weir_err frame_take(struct look *look)
{
  uint64_t now = weir_cli_now_us();
  zmq_pollitem_t items[] = {{.socket = look->socket, .events = ZMQ_POLLIN},
                            {.socket = look->monitor, .events = ZMQ_POLLIN}};
  uint8_t frame[WEIR_FRAME_SIZE_MAX];
  enum weir_err err = WEIR_OK;
  size_t offset = 0;
  int size;

  if (now >= look->deadline_us ||
      zmq_poll(items, 2, (long)((look->deadline_us - now) / 1000 + 1)) == 0)
    return WEIR_EUNREACHABLE;
  if (items[1].revents != 0)
    return link_check(look);
  size = zmq_recv(look->socket, frame, sizeof(frame), ZMQ_DONTWAIT);
  if (size < 0)
    return errno == EAGAIN || errno == EINTR ? WEIR_OK : WEIR_ESYSTEM;
  if ((size_t)size > sizeof(frame))
    return WEIR_ERANGE;
  while (!err && offset < (size_t)size) {
    struct weir_msg msg;

    err = weir_codec_decode(frame, (size_t)size, &offset, &msg);
    if (!err)
      err = msg_take(look, &msg);
  }
  return err;
}

/* Asks for |count| rows of |view|, and receives them into |table|, without gaps; |ret_count| gets
 * how many there are. */
static enum weir_err rows_get(struct look *look, enum weir_view view, struct table *table,
                              uint32_t count, uint32_t *ret_count)
{
  enum weir_err err;

  *ret_count = 0;
  if (count == 0)
    return WEIR_OK;
  if (count > WEIR_VIEW_POOLS_MAX)
    return WEIR_ERANGE;
  table->rows = calloc(count, sizeof(*table->rows));
  if (!table->rows)
    return WEIR_ENOMEM;
  table->room = count;
  err = show_send(look, view, 0, count);
  while (!err && table->answers < count)
    err = frame_take(look);
  for (uint32_t i = 0; i < count; i++)
    if (table->rows[i].pool[0] != '\0' || table->rows[i].instance[0] != '\0')
      table->rows[(*ret_count)++] = table->rows[i];
  return err;
}

/* Rows of which nobody knows how many there are before the first; a coordinator that does not know
 * the view would not answer. */
static enum weir_err more_get(struct look *look, enum weir_view view, struct table *table,
                              uint32_t most, uint32_t *ret_count)
{
  *ret_count = 0;
  if (look->totals.figures[WEIR_FIGURE_VIEWS] < view)
    return WEIR_OK;
  return rows_get(look, view, table, most, ret_count);
}

static enum weir_err look_run(struct look *look, uint32_t sessions_max,
                              struct weir_view_data *ret_data)
{
  enum weir_err err = show_send(look, WEIR_VIEW_TOTALS, 0, 1);

  if (!err)
    err = show_send(look, WEIR_VIEW_BUDGETS, 0, 1);
  while (!err && !(look->has_totals && look->has_budget))
    err = frame_take(look);
  if (!err)
    err = rows_get(look, WEIR_VIEW_POOLS, &look->pools, look->totals.pools, &ret_data->pools_count);
  if (!err)
    err = rows_get(look, WEIR_VIEW_BUDGETS, &look->budgets, look->budget.rows,
                   &ret_data->budgets_count);
  if (!err)
    err = more_get(look, WEIR_VIEW_TENANTS, &look->tenants, WEIR_VIEW_TENANTS_MAX,
                   &ret_data->tenants_count);
  if (!err)
    err = more_get(look, WEIR_VIEW_SLOW, &look->slow, WEIR_VIEW_SLOW_MAX, &ret_data->slow_count);
  if (!err)
    err = more_get(look, WEIR_VIEW_SESSIONS, &look->sessions,
                   look->totals.sessions < sessions_max ? look->totals.sessions : sessions_max,
                   &ret_data->sessions_count);
  ret_data->totals = look->totals;
  ret_data->pools = look->pools.rows;
  ret_data->budgets = look->budgets.rows;
  ret_data->tenants = look->tenants.rows;
  ret_data->slow = look->slow.rows;
  ret_data->sessions = look->sessions.rows;
  return err;
}

static enum weir_err steer_run(struct look *look, const char *pool, enum weir_steer steer)
{
  struct weir_msg msg = {.type = WEIR_MSG_STEER, .steer = {.steer = steer}};
  uint8_t frame[WEIR_MSG_SIZE_MAX];
  size_t size = 0;
  enum weir_err err;

  snprintf(msg.steer.pool, sizeof(msg.steer.pool), "%s", pool);
  err = weir_codec_encode(&msg, frame, sizeof(frame), &size);
  if (!err && zmq_send(look->socket, frame, size, 0) < 0)
    err = WEIR_EUNREACHABLE;
  while (!err && !look->has_state)
    err = frame_take(look);
  return err;
}

/* Gives the keys of the environment to |socket|. */
static enum weir_err keys_set(void *socket)
{
  const char *server = getenv("WEIR_SERVER_KEY"), *path = getenv("WEIR_KEY_FILE");
  char public[WEIR_KEY_SIZE], secret[WEIR_KEY_SIZE] = "";
  uint8_t decoded[WEIR_KEY_BYTES];
  char *bytes = NULL;
  size_t size = 0;
  bool is_set;

  if (!server || !path || !weir_key_decode(server, decoded) ||
      weir_file_read(path, WEIR_KEY_FILE_SIZE_MAX, NULL, &bytes, &size) != 0)
    return WEIR_ECONFIG;
  is_set = weir_key_file_parse(bytes, size, secret) == WEIR_OK &&
           zmq_curve_public(public, secret) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server, WEIR_KEY_SIZE) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public, WEIR_KEY_SIZE) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, WEIR_KEY_SIZE) == 0;
  weir_file_free(bytes, size);
  explicit_bzero(secret, sizeof(secret));
  return is_set ? WEIR_OK : WEIR_ECONFIG;
}

static enum weir_err socket_set(void *socket, const char *endpoint, uint64_t timeout_ms)
{
  int linger = 0, hwm = 0, timeout = (int)timeout_ms;
  int64_t size_max = WEIR_FRAME_SIZE_MAX;

  zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof(linger));
  zmq_setsockopt(socket, ZMQ_RCVHWM, &hwm, sizeof(hwm));
  zmq_setsockopt(socket, ZMQ_SNDTIMEO, &timeout, sizeof(timeout));
  zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size_max, sizeof(size_max));
  return strncmp(endpoint, "tcp://", 6) == 0 ? keys_set(socket) : WEIR_OK;
}

static void look_close(struct look *look, void *context)
{
  if (look->socket) {
    zmq_socket_monitor(look->socket, NULL, 0);
    zmq_close(look->socket);
  }
  if (look->monitor)
    zmq_close(look->monitor);
  zmq_ctx_term(context);
}

static enum weir_err look_open(struct look *look, const char *endpoint, uint64_t timeout_ms,
                               void **ret_context)
{
  void *context = zmq_ctx_new();
  enum weir_err err = WEIR_ESYSTEM;

  look->deadline_us = weir_cli_now_us() + timeout_ms * 1000;
  if (!context)
    return err;
  look->socket = zmq_socket(context, ZMQ_DEALER);
  look->monitor = zmq_socket(context, ZMQ_PAIR);
  if (look->socket && look->monitor &&
      zmq_socket_monitor(look->socket, "inproc://monitor",
                         ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                             ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL) == 0 &&
      zmq_connect(look->monitor, "inproc://monitor") == 0)
    err = socket_set(look->socket, endpoint, timeout_ms);
  if (!err && zmq_connect(look->socket, endpoint) != 0)
    err = WEIR_EINVAL;
  if (err)
    look_close(look, context);
  else
    *ret_context = context;
  return err;
}

enum weir_err weir_view_get(const char *endpoint, uint64_t timeout_ms, uint32_t sessions_max,
                            struct weir_view_data *ret_data)
{
  struct weir_view_data data = {0};
  struct look look = {0};
  void *context;
  enum weir_err err = look_open(&look, endpoint, timeout_ms, &context);

  if (err)
    return err;
  err = look_run(&look, sessions_max, &data);
  look_close(&look, context);
  if (err)
    weir_view_free(&data);
  else
    *ret_data = data;
  return err;
}

enum weir_err weir_view_steer(const char *endpoint, uint64_t timeout_ms, const char *pool,
                              enum weir_steer steer, struct weir_msg_state *ret_state)
{
  struct look look = {0};
  void *context;
  enum weir_err err = look_open(&look, endpoint, timeout_ms, &context);

  if (err)
    return err;
  err = steer_run(&look, pool, steer);
  look_close(&look, context);
  if (!err)
    *ret_state = look.state;
  return err;
}

/* What about the keys is wrong: keys_set does not tell. */
static int keys_tell(const struct weir_cli_command *command, const char *endpoint)
{
  const char *server = getenv("WEIR_SERVER_KEY"), *path = getenv("WEIR_KEY_FILE");
  uint8_t decoded[WEIR_KEY_BYTES];
  char *bytes = NULL;
  size_t size = 0;
  int error;

  if (!server || !path)
    return weir_cli_usage(command,
                          "%s wants keys: give --server-key (40 characters) and --key-file (of "
                          "'weir keys new'), or WEIR_SERVER_KEY and WEIR_KEY_FILE",
                          endpoint);
  if (!weir_key_decode(server, decoded))
    return weir_cli_usage(command, "the server key is no public key: copy the 40 characters that "
                                   "'weir keys new --coordinator' printed");
  error = weir_file_read(path, WEIR_KEY_FILE_SIZE_MAX, NULL, &bytes, &size);
  weir_file_free(bytes, size);
  return weir_cli_usage(command, "key file %s: %s", path,
                        error ? strerror(error)
                              : "holds no secret key; make one with 'weir keys new'");
}

int weir_view_failed(const struct weir_cli_command *command, const char *endpoint,
                     uint64_t timeout_ms, enum weir_err err)
{
  char text[WEIR_CLI_TEXT_SIZE];

  if (err == WEIR_EUNREACHABLE)
    weir_cli_error(command,
                   "no answer from the coordinator at %s within %s; check that weir-coordinator "
                   "runs, that its 'listen' names this endpoint, and that you may open the socket",
                   endpoint, weir_cli_span(timeout_ms * 1000, text));
  else if (err == WEIR_ECONFIG)
    return keys_tell(command, endpoint);
  else if (err == WEIR_EKEY)
    weir_cli_error(command,
                   "the coordinator at %s refused this key, or has another one than the server key "
                   "given; 'weir keys list' on its machine shows those that it knows",
                   endpoint);
  else if (err == WEIR_EINVAL)
    return weir_cli_usage(command, "'%s' is not an endpoint; write ipc:///path or tcp://host:port",
                          endpoint);
  else if (err == WEIR_EDENIED) {
    weir_cli_error(command, "this key has not the right to do that at %s; see 'weir help keys'",
                   endpoint);
    return WEIR_CLI_BAD;
  } else
    weir_cli_error(command, "the answer from %s cannot be used: %s", endpoint,
                   weir_err_text((int)err));
  return WEIR_CLI_UNREACHABLE;
}

const struct weir_msg_row *weir_view_pool(const struct weir_cli_command *command,
                                          const struct weir_view_data *data, const char *pool)
{
  const char *words[256], *nearest;
  size_t count = 0;

  for (uint32_t i = 0; i < data->pools_count; i++) {
    if (strcmp(pool, data->pools[i].pool) == 0)
      return &data->pools[i];
    if (count < sizeof(words) / sizeof(words[0]))
      words[count++] = data->pools[i].pool;
  }
  nearest = weir_cli_nearest(pool, words, count);
  weir_cli_error(command, "there is no pool '%s'%s%s%s", pool,
                 nearest ? "; did you mean '" : "; 'weir stats' lists them", nearest ? nearest : "",
                 nearest ? "'?" : "");
  return NULL;
}

void weir_view_stats(const struct weir_view_data *data, struct weir_stats *ret_stats)
{
  *ret_stats = (struct weir_stats){.totals = &data->totals,
                                   .pools = data->pools,
                                   .budgets = data->budgets,
                                   .tenants = data->tenants,
                                   .slow = data->slow,
                                   .sessions = data->sessions,
                                   .pools_count = data->pools_count,
                                   .budgets_count = data->budgets_count,
                                   .tenants_count = data->tenants_count,
                                   .slow_count = data->slow_count,
                                   .sessions_count = data->sessions_count};
}

bool weir_view_print(const struct weir_cli_command *command, const struct weir_stats *stats)
{
  struct weir_stats_out out = {0};

  weir_stats_json(&out, stats); /* how much it is */
  out = (struct weir_stats_out){.at = malloc(out.size), .capacity = out.size};
  if (!out.at) {
    weir_cli_error(command, "out of memory for the output");
    return false;
  }
  weir_stats_json(&out, stats);
  fwrite(out.at, 1, out.size, stdout);
  free(out.at);
  return true;
}

uint64_t weir_view_used_pm(const struct weir_msg_row_limit *limit)
{
  const uint64_t amount = weir_stats_amount(limit);

  if (amount == 0)
    return 1000;
  /* Without 128 bits: amounts may be as large as 2^62. */
  return limit->used <= UINT64_MAX / 1000 ? limit->used * 1000 / amount
                                          : limit->used / (amount / 1000 + 1);
}

const char *weir_view_limit_name(const struct weir_msg_row_limit *limit,
                                 char ret_text[WEIR_VIEW_LIMIT_SIZE])
{
  static const struct {
    uint64_t us;
    const char *name;
  } units[] = {{WEIR_US_PER_HOUR, "h"}, {WEIR_US_PER_MIN, "m"}, {WEIR_US_PER_S, "s"}};
  const char *dimension = weir_dimension_name(limit->dimension), *unit = "ms";
  uint64_t unit_us = WEIR_US_PER_MS;

  if (limit->window_us == 0 || limit->is_day) {
    snprintf(ret_text, WEIR_VIEW_LIMIT_SIZE, "%s%s", dimension, limit->is_day ? "/day" : "");
    return ret_text;
  }
  for (size_t i = 0; unit_us == WEIR_US_PER_MS && i < sizeof(units) / sizeof(units[0]); i++) {
    if (limit->window_us % units[i].us == 0) {
      unit_us = units[i].us;
      unit = units[i].name;
    }
  }
  snprintf(ret_text, WEIR_VIEW_LIMIT_SIZE, "%s/%" PRIu64 "%s", dimension,
           limit->window_us / unit_us, unit);
  return ret_text;
}

const char *weir_view_amount(const struct weir_msg_row_limit *limit, uint64_t value,
                             char ret_text[WEIR_CLI_TEXT_SIZE])
{
  size_t size;

  if (limit->dimension != WEIR_DIMENSION_SPEND)
    return weir_cli_grouped(value, ret_text);
  weir_cli_grouped(value / 1000000, ret_text);
  size = strlen(ret_text);
  snprintf(ret_text + size, WEIR_CLI_TEXT_SIZE - size, ".%06" PRIu64, value % 1000000);
  size += sizeof(".000000") - 1;
  for (int zeros = 0; zeros < 4 && ret_text[size - 1] == '0'; zeros++)
    ret_text[--size] = '\0';
  return ret_text;
}

void weir_view_free(struct weir_view_data *data)
{
  free(data->pools);
  free(data->budgets);
  free(data->tenants);
  free(data->slow);
  free(data->sessions);
  *data = (struct weir_view_data){0};
}

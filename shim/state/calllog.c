#include <weir/calllog.h>

#include <assert.h>
#include <string.h>

#include <weir/civil.h>
#include <weir/scrub.h>
#include <weir/time.h>
#include <weir/utf8.h>

#define MS_OF_DAY UINT64_C(86400000)

/* The shares of the line, in bytes as they are written; together with all that is fixed and the
 * longest numbers they fit (a unit test writes that line). */
#define ROUTE_MAX    80
#define PROVIDER_MAX 40
#define MODEL_MAX    80
#define NAME_MAX     40 /* pool, tenant */
#define TAG_MAX      128

struct line {
  char *bytes;
  size_t size;
};

static void put(struct line *l, const char *text, size_t size)
{
  assert(l->size + size < WEIR_CALLLOG_SIZE);
  memcpy(l->bytes + l->size, text, size);
  l->size += size;
}

static void put_key(struct line *l, const char *key)
{
  put(l, l->size > 1 ? ",\"" : "\"", l->size > 1 ? 2 : 1);
  put(l, key, strlen(key));
  put(l, "\":", 2);
}

static void put_digits(struct line *l, uint64_t value, size_t digits_min)
{
  char text[20];
  size_t at = sizeof(text);

  for (; value > 0 || sizeof(text) - at < digits_min; value /= 10)
    text[--at] = (char)('0' + value % 10);
  put(l, text + at, sizeof(text) - at);
}

static void put_number(struct line *l, const char *key, uint64_t value)
{
  put_key(l, key);
  put_digits(l, value, 1);
}

static void put_number_or_null(struct line *l, const char *key, bool is_known, uint64_t value)
{
  if (is_known) {
    put_number(l, key, value);
  } else {
    put_key(l, key);
    put(l, "null", 4);
  }
}

/* Writes what stands for the character at |at| of |left| bytes; returns its size there. */
static size_t escape(const char *at, size_t left, char ret_text[8], size_t *ret_size)
{
  static const char digits[] = "0123456789abcdef";
  const uint8_t c = (uint8_t)*at;
  const size_t size = weir_utf8_size(at, left);

  if (size == 0) {
    memcpy(ret_text, "\xef\xbf\xbd", *ret_size = 3);
    return 1;
  }
  if (c == '"' || c == '\\') {
    ret_text[0] = '\\';
    ret_text[1] = (char)c;
    *ret_size = 2;
  } else if (c < 0x20 || c == 0x7f) {
    memcpy(ret_text, "\\u00", 4);
    ret_text[4] = digits[c >> 4];
    ret_text[5] = digits[c & 0xf];
    *ret_size = 6;
  } else {
    memcpy(ret_text, at, *ret_size = size);
  }
  return size;
}

/* Writes |size| bytes of |text|, or as much as fits into |room| bytes of the line. */
static void put_text(struct line *l, const char *key, const char *text, size_t size, size_t room)
{
  char own[TAG_MAX + 1], written[8];
  size_t taken, written_size;

  put_key(l, key);
  if (size == 0) {
    put(l, "null", 4);
    return;
  }
  size = size < sizeof(own) - 1 ? size : sizeof(own) - 1;
  memcpy(own, text, size);
  own[size] = '\0';
  weir_scrub(own);
  size = strlen(own);
  put(l, "\"", 1);
  for (size_t at = 0; at < size; at += taken) {
    taken = escape(own + at, size - at, written, &written_size);
    if (written_size > room)
      break;
    room -= written_size;
    put(l, written, written_size);
  }
  put(l, "\"", 1);
}

static void put_name(struct line *l, const char *key, const char *name, size_t room)
{
  put_text(l, key, name, name ? strlen(name) : 0, room);
}

/* RFC 3339, UTC. */
static void put_time(struct line *l, uint64_t wall_ms)
{
  const uint64_t ms = wall_ms % MS_OF_DAY;
  char date[WEIR_CIVIL_DATE_SIZE];

  weir_civil_show(wall_ms / MS_OF_DAY, date);
  put_key(l, "time");
  put(l, "\"", 1);
  put(l, date, strlen(date));
  put(l, "T", 1);
  put_digits(l, ms / 3600000, 2);
  put(l, ":", 1);
  put_digits(l, ms / 60000 % 60, 2);
  put(l, ":", 1);
  put_digits(l, ms / 1000 % 60, 2);
  put(l, ".", 1);
  put_digits(l, ms % 1000, 3);
  put(l, "Z\"", 2);
}

static void put_cost(struct line *l, const struct weir_calllog *call)
{
  put_number_or_null(l, "cost", call->has_cost, call->cost_micro / 1000000);
  if (!call->has_cost)
    return;
  put(l, ".", 1);
  put_digits(l, call->cost_micro % 1000000, 6);
}

static const char *status_of(int err)
{
  switch (err) {
  case WEIR_OK:
    return "ok";
  case WEIR_EUPSTREAM:
  case WEIR_ENETWORK:
    return "failed";
  case WEIR_EDENIED:
    return "denied";
  case WEIR_ETIMEOUT:
    return "timeout";
  case WEIR_EEXPIRED:
    return "expired";
  case WEIR_EUNREACHABLE:
    return "unreachable";
  case WEIR_ECANCELLED:
  case WEIR_ECLOSED:
    return "cancelled";
  case WEIR_EFULL:
  case WEIR_ENOMEM:
  case WEIR_ESYSTEM:
    return "exhausted";
  default:
    return "invalid";
  }
}

static const char *error_of(const struct weir_calllog *call)
{
  if (call->err == WEIR_EDENIED && call->denial != 0)
    return weir_denial_name(call->denial);
  return call->err != WEIR_OK && call->outcome > WEIR_OUTCOME_OK ? weir_outcome_name(call->outcome)
                                                                 : NULL;
}

static void put_names(struct line *l, const struct weir_calllog *call)
{
  const char *slash = call->called ? strchr(call->called, '/') : NULL;

  put_name(l, "route", call->route, ROUTE_MAX);
  put_text(l, "provider", call->called, slash ? (size_t)(slash - call->called) : 0, PROVIDER_MAX);
  put_name(l, "model", slash ? slash + 1 : call->called, MODEL_MAX);
  put_name(l, "pool", call->pool, NAME_MAX);
  put_name(l, "class", weir_class_name(call->work_class), NAME_MAX);
  put_name(l, "tag", call->tag, TAG_MAX);
  put_name(l, "tenant", call->tenant, NAME_MAX);
  put_name(l, "status", status_of(call->err), NAME_MAX);
  put_name(l, "error", error_of(call), NAME_MAX);
}

static void put_numbers(struct line *l, const struct weir_calllog *call)
{
  const bool is_answered = call->http != 0;

  put_number_or_null(l, "http", is_answered, call->http);
  put_number(l, "attempts", call->attempts);
  put_number(l, "wait_ms", call->wait_us / WEIR_US_PER_MS);
  put_number(l, "queue_ms", call->queue_us / WEIR_US_PER_MS);
  put_number(l, "latency_ms", call->latency_us / WEIR_US_PER_MS);
  put_number_or_null(l, "first_byte_ms", is_answered, call->first_us / WEIR_US_PER_MS);
  put_number_or_null(l, "input_tokens", call->has_usage, call->input_tokens);
  put_number_or_null(l, "output_tokens", call->has_usage, call->output_tokens);
  put_number_or_null(l, "cached_tokens", call->has_usage, call->cached_tokens);
  put_cost(l, call);
  put_number_or_null(l, "lease", call->lease != 0, call->lease);
}

size_t weir_calllog_write(const struct weir_calllog *call, char ret_line[WEIR_CALLLOG_SIZE])
{
  struct line l = {.bytes = ret_line};

  put(&l, "{", 1);
  put_time(&l, call->wall_ms);
  put_names(&l, call);
  put_numbers(&l, call);
  put_key(&l, "degraded");
  put(&l, call->is_degraded ? "true}" : "false}", call->is_degraded ? 5 : 6);
  ret_line[l.size] = '\0';
  return l.size;
}

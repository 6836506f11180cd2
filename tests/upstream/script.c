#include "script.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/json.h>

void weir_up_settings_init(struct weir_up_settings *s)
{
  *s = (struct weir_up_settings){
      .method = WEIR_UP_FIXED,
      .minute_ms = 60000,
      .day_ms = UINT64_C(86400000),
      .day_reset_ms = UINT64_C(8) * 3600000, /* midnight Pacific, in winter */
      .sub_ms = 1000,
      .set_count = 1,
      .latency_min_ms = 20,
      .latency_max_ms = 20,
      .chunk_ms = 10,
      .chunk_tokens = 8,
      .output_min = 20,
      .output_max = 200,
      .context_max = 1048576,
      .seed = 1,
  };
}

/* --- values -------------------------------------------------------------------------------- */

/* Where a value is read: its key for messages, and the room for one. */
struct input {
  const char *key, *value;
  char *error;
  size_t error_size;
};

static bool refuse(const struct input *in, const char *expected)
{
  (void)snprintf(in->error, in->error_size, "%s: \"%s\" is not %s", in->key, in->value, expected);
  return false;
}

/* So that milliseconds still fit as microseconds, and a hundred thousand billion tokens suffice. */
#define AMOUNT_MAX UINT64_C(100000000000000)

/* "1000", "30k", "1M", "2.5M", below AMOUNT_MAX; |*ret_end| is what follows. */
static bool read_amount(const char *text, uint64_t *ret_value, const char **ret_end)
{
  uint64_t whole = 0, fraction = 0, scale = 1;
  const char *at = text;
  for (; *at >= '0' && *at <= '9'; at++) {
    if (whole >= AMOUNT_MAX)
      return false;
    whole = whole * 10 + (uint64_t)(*at - '0');
  }
  if (at == text)
    return false;
  if (at[0] == '.' && at[1] >= '0' && at[1] <= '9')
    for (at++; *at >= '0' && *at <= '9' && scale < 1000000; at++) {
      fraction = fraction * 10 + (uint64_t)(*at - '0');
      scale *= 10;
    }
  uint64_t unit = *at == 'k' ? 1000 : *at == 'M' ? 1000000 : 1;
  at += unit > 1;
  if (fraction * unit % scale != 0 || whole >= AMOUNT_MAX / unit)
    return false;
  *ret_value = whole * unit + fraction * unit / scale;
  *ret_end = at;
  return true;
}

static bool read_number(const struct input *in, uint64_t least, uint64_t *ret_value)
{
  const char *end;
  uint64_t value;
  if (!read_amount(in->value, &value, &end) || *end != '\0')
    return refuse(in, "a whole number below 10^14 (1000, 30k, 1M)");
  if (value < least)
    return refuse(in, "large enough: it must not be 0");
  *ret_value = value;
  return true;
}

static bool read_real(const struct input *in, double most, double *ret_value)
{
  char *end;
  errno = 0;
  double value = strtod(in->value, &end);
  if (errno != 0 || end == in->value || *end != '\0' || !(value >= 0) || value > most)
    return refuse(in, "a number in its range");
  *ret_value = value;
  return true;
}

static bool read_bool(const struct input *in, bool *ret_value)
{
  if (strcmp(in->value, "true") != 0 && strcmp(in->value, "false") != 0)
    return refuse(in, "true or false");
  *ret_value = in->value[0] == 't';
  return true;
}

/* "600" or "300..1500" */
static bool read_range(const struct input *in, uint64_t *ret_min, uint64_t *ret_max)
{
  const char *end;
  uint64_t min, max;
  if (!read_amount(in->value, &min, &end))
    return refuse(in, "a number or a range (300..1500)");
  max = min;
  if (strncmp(end, "..", 2) == 0 && !read_amount(end + 2, &max, &end))
    return refuse(in, "a number or a range (300..1500)");
  if (*end != '\0' || min > max)
    return refuse(in, "a number or a range (300..1500)");
  *ret_min = min;
  *ret_max = max;
  return true;
}

static bool copy_name(const struct input *in, const char *text, size_t size, char *ret_name,
                      size_t room)
{
  if (size == 0 || size >= room)
    return refuse(in, "a name of 1 to 127 characters");
  memcpy(ret_name, text, size);
  ret_name[size] = '\0';
  return true;
}

/* --- limits -------------------------------------------------------------------------------- */

static const char *const limit_names[] = {"rpm", "rpd", "tpm", "tpd", "itpm", "otpm", "ttpm"};

/* |value|: AMOUNT[:METHOD[:BURST]]. The same name again replaces. */
static bool set_limit(struct weir_up_limit_set *set, const char *name, size_t name_size,
                      const char *value, const struct input *in)
{
  struct weir_up_limit_spec spec = {0};
  const char *end;
  bool is_known = false;
  for (size_t i = 0; i < sizeof limit_names / sizeof limit_names[0]; i++)
    is_known = is_known || (strlen(limit_names[i]) == name_size &&
                            strncmp(limit_names[i], name, name_size) == 0);
  if (!is_known)
    return refuse(in, "a limit: use rpm, rpd, tpm, tpd, itpm, otpm or ttpm");
  memcpy(spec.name, name, name_size);
  if (!read_amount(value, &spec.amount, &end))
    return refuse(in, "a limit such as rpm=1000, tpm=1M:bucket or tpm=1M:bucket:50k");
  if (*end == ':') {
    char method[16] = "";
    size_t size = strcspn(end + 1, ":,");
    memcpy(method, end + 1, size < sizeof method - 1 ? size : sizeof method - 1);
    spec.method = weir_up_method_parse(method);
    if (spec.method == 0)
      return refuse(in, "a limit with a method: fixed, log, counter, bucket or sub1s");
    end += 1 + size;
  }
  if (*end == ':' && (!read_amount(end + 1, &spec.burst, &end) || spec.burst == 0))
    return refuse(in, "a limit with a burst of at least 1");
  if (*end != '\0' && *end != ',')
    return refuse(in, "a limit such as rpm=1000, tpm=1M:bucket or tpm=1M:bucket:50k");
  for (uint32_t i = 0; i < set->count; i++)
    if (strcmp(set->specs[i].name, spec.name) == 0) {
      set->specs[i] = spec;
      return true;
    }
  if (set->count == WEIR_UP_LIMITS_MAX)
    return refuse(in, "allowed: there are 8 limits already");
  set->specs[set->count++] = spec;
  return true;
}

/* "rpm=1000,tpm=1M:bucket" */
static bool set_limits(struct weir_up_limit_set *set, const char *text, const struct input *in)
{
  for (const char *at = text;; at++) {
    size_t size = strcspn(at, "=,");
    if (at[size] != '=')
      return refuse(in, "a limit such as rpm=1000");
    if (!set_limit(set, at, size, at + size + 1, in))
      return false;
    at += strcspn(at, ",");
    if (*at == '\0')
      return true;
  }
}

static struct weir_up_limit_set *model_set(struct weir_up_settings *s, const char *model,
                                           size_t size, const struct input *in)
{
  for (uint32_t i = 1; i < s->set_count; i++)
    if (strlen(s->sets[i].model) == size && strncmp(s->sets[i].model, model, size) == 0)
      return &s->sets[i];
  if (s->set_count == 1 + WEIR_UP_MODELS_MAX) {
    refuse(in, "allowed: there are 32 models already");
    return NULL;
  }
  struct weir_up_limit_set *set = &s->sets[s->set_count];
  *set = (struct weir_up_limit_set){0};
  if (!copy_name(in, model, size, set->model, sizeof set->model))
    return NULL;
  s->set_count++;
  return set;
}

uint32_t weir_up_settings_limits(const struct weir_up_settings *s, const char *model,
                                 enum weir_up_dimension tokens,
                                 struct weir_up_limit ret_limits[WEIR_UP_LIMITS_MAX])
{
  const struct weir_up_limit_set *set = &s->sets[0];
  for (uint32_t i = 1; i < s->set_count; i++)
    if (strcmp(s->sets[i].model, model) == 0)
      set = &s->sets[i];
  for (uint32_t i = 0; i < set->count; i++) {
    const struct weir_up_limit_spec *spec = &set->specs[i];
    char first = spec->name[0];
    bool is_day = spec->name[strlen(spec->name) - 1] == 'd';
    uint64_t window_us = (is_day ? s->day_ms : s->minute_ms) * 1000;
    ret_limits[i] = (struct weir_up_limit){
        .dimension = first == 'r'                      ? WEIR_UP_REQUESTS
                     : first == 'i'                    ? WEIR_UP_INPUT
                     : first == 'o'                    ? WEIR_UP_OUTPUT
                     : strcmp(spec->name, "ttpm") == 0 ? WEIR_UP_TOTAL
                                                       : tokens,
        /* Days turn at a known hour; only minutes are enforced in unknown ways. */
        .method = spec->method != 0 ? spec->method
                  : is_day          ? WEIR_UP_FIXED
                                    : s->method,
        .is_day = is_day,
        .amount = spec->amount,
        .window_us = window_us,
        .phase_us = (is_day ? s->day_reset_ms : s->phase_ms) * 1000 % window_us,
        .burst = spec->burst,
        .sub_us = s->sub_ms * 1000,
    };
  }
  return set->count;
}

bool weir_up_settings_knows(const struct weir_up_settings *s, const char *model)
{
  for (uint32_t i = 1; i < s->set_count; i++)
    if (strcmp(s->sets[i].model, model) == 0)
      return true;
  return !s->is_only_models;
}

/* --- faults -------------------------------------------------------------------------------- */

static const char *const fault_names[WEIR_UP_FAULT_MAX] = {"none",
#define X(name, text, what) text,
                                                           WEIR_UP_FAULT_LIST(X)
#undef X
};

const char *weir_up_fault_name(enum weir_up_fault_kind kind)
{
  return fault_names[kind];
}

static bool set_fault(struct weir_up_fault *f, const char *field, const struct input *in)
{
  uint64_t number;
  double real;
  if (strcmp(field, "kind") == 0) {
    for (int i = 1; i < WEIR_UP_FAULT_MAX; i++)
      if (strcmp(in->value, fault_names[i]) == 0)
        f->kind = (enum weir_up_fault_kind)i;
    return f->kind != WEIR_UP_FAULT_NONE || refuse(in, "a kind of fault: see --help");
  }
  if (strcmp(field, "next") == 0)
    return read_number(in, 1, &f->next);
  if (strcmp(field, "skip") == 0)
    return read_number(in, 0, &f->skip);
  if (strcmp(field, "charged") == 0)
    return read_bool(in, &f->is_charged);
  if (strcmp(field, "model") == 0)
    return copy_name(in, in->value, strlen(in->value), f->model, sizeof f->model);
  if (strcmp(field, "probability") == 0) {
    if (!read_real(in, 1, &real))
      return false;
    f->probability = (uint32_t)(real * 1e6 + 0.5);
    return true;
  }
  if (strcmp(field, "ms") == 0) {
    if (!read_number(in, 0, &number) || number > 3600000)
      return refuse(in, "a number of milliseconds up to an hour");
    f->ms = (uint32_t)number;
    return true;
  }
  (void)snprintf(in->error, in->error_size,
                 "faults: \"%s\" is not a field: use kind, next, skip, probability, model, ms or "
                 "charged",
                 field);
  return false;
}

static bool add_fault(struct weir_up_settings *s, const struct weir_up_fault *f,
                      const struct input *in)
{
  if (f->kind == WEIR_UP_FAULT_NONE || (f->next == 0 && f->probability == 0))
    return refuse(in, "complete: a fault needs kind, and next or probability");
  if (s->fault_count == WEIR_UP_FAULTS_MAX)
    return refuse(in, "allowed: there are 32 faults already");
  s->faults[s->fault_count++] = *f;
  return true;
}

/* "kind=error_503,probability=0.1" */
static bool read_fault(struct weir_up_settings *s, const struct input *in)
{
  struct weir_up_fault f = {0};
  char text[512];
  if (strlen(in->value) >= sizeof text)
    return refuse(in, "short enough");
  strcpy(text, in->value);
  for (char *rest = NULL, *part = strtok_r(text, ",", &rest); part != NULL;
       part = strtok_r(NULL, ",", &rest)) {
    char *equals = strchr(part, '=');
    struct input field = {in->key, equals != NULL ? equals + 1 : "", in->error, in->error_size};
    if (equals != NULL)
      *equals = '\0';
    if (!set_fault(&f, part, &field))
      return false;
  }
  return add_fault(s, &f, in);
}

const struct weir_up_fault *weir_up_settings_fault(struct weir_up_settings *s, const char *model,
                                                   bool is_reused, struct weir_rng *rng)
{
  for (uint32_t i = 0; i < s->fault_count; i++) {
    struct weir_up_fault *f = &s->faults[i];
    bool is_spent = f->next == 0 && f->probability == 0;
    if (is_spent || (f->model[0] != '\0' && strcmp(f->model, model) != 0) ||
        (f->kind == WEIR_UP_FAULT_CLOSE_UNANSWERED && !is_reused))
      continue;
    if (f->skip > 0) {
      f->skip--;
      continue;
    }
    if (f->next > 0) {
      f->next--;
      return f;
    }
    if (weir_rng_below(rng, 1000000) < f->probability)
      return f;
  }
  return NULL;
}

uint64_t weir_up_settings_latency_ms(const struct weir_up_settings *s, struct weir_rng *rng)
{
  if (s->latency_median_ms <= 0)
    return s->latency_min_ms + weir_rng_below(rng, s->latency_max_ms - s->latency_min_ms + 1);
  const double scale = 1.0 / 9007199254740992.0;               /* 2^-53 */
  double u = ((double)(weir_rng_next(rng) >> 11) + 1) * scale; /* in (0, 1] */
  double v = (double)(weir_rng_next(rng) >> 11) * scale;
  double normal = sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * v);
  double ms = s->latency_median_ms * exp(s->latency_sigma * normal);
  return ms < 3600000 ? (uint64_t)(ms + 0.5) : 3600000;
}

/* --- keys ---------------------------------------------------------------------------------- */

static bool read_key(struct weir_up_settings *s, const struct input *in)
{
  size_t size = strcspn(in->value, "=");
  const char *project = in->value[size] == '=' ? in->value + size + 1 : in->value;
  if (s->key_count == WEIR_UP_KEYS_MAX)
    return refuse(in, "allowed: there are 64 keys already");
  struct weir_up_key *k = &s->keys[s->key_count];
  if (!copy_name(in, in->value, size, k->key, sizeof k->key) ||
      !copy_name(in, project, strlen(project), k->project, sizeof k->project))
    return false;
  s->key_count++;
  return true;
}

static bool read_method(struct weir_up_settings *s, const struct input *in)
{
  enum weir_up_method method = weir_up_method_parse(in->value);
  if (method == 0)
    return refuse(in, "a method: use fixed, log, counter, bucket or sub1s");
  s->method = method;
  return true;
}

static bool read_model(struct weir_up_settings *s, const struct input *in)
{
  size_t size = strcspn(in->value, "=");
  struct weir_up_limit_set *set = model_set(s, in->value, size, in);
  return set != NULL && (in->value[size] == '\0' || set_limits(set, in->value + size + 1, in));
}

/* "08:00", hours and minutes of UTC */
static bool read_reset(struct weir_up_settings *s, const struct input *in)
{
  unsigned hours, minutes;
  char more;
  if (sscanf(in->value, "%2u:%2u%c", &hours, &minutes, &more) != 2 || hours > 23 || minutes > 59)
    return refuse(in, "a time of day in UTC such as 08:00");
  s->day_reset_ms = (uint64_t)(hours * 60 + minutes) * 60000;
  return true;
}

static bool read_tier(struct weir_up_settings *s, const struct input *in)
{
  s->is_free_tier = strcmp(in->value, "free") == 0;
  return s->is_free_tier || strcmp(in->value, "paid") == 0 || refuse(in, "free or paid");
}

static bool set_known(struct weir_up_settings *s, const char *key, const struct input *in)
{
  if (strcmp(key, "limit") == 0)
    return set_limits(&s->sets[0], in->value, in);
  if (strcmp(key, "model") == 0)
    return read_model(s, in);
  if (strcmp(key, "method") == 0)
    return read_method(s, in);
  if (strcmp(key, "key") == 0)
    return read_key(s, in);
  if (strcmp(key, "fault") == 0)
    return read_fault(s, in);
  if (strcmp(key, "tier") == 0)
    return read_tier(s, in);
  if (strcmp(key, "day_reset") == 0)
    return read_reset(s, in);
  if (strcmp(key, "only_models") == 0)
    return read_bool(in, &s->is_only_models);
  if (strcmp(key, "count_rejected") == 0)
    return read_bool(in, &s->is_rejected_counted);
  if (strcmp(key, "latency_ms") == 0) {
    s->latency_median_ms = 0;
    return read_range(in, &s->latency_min_ms, &s->latency_max_ms);
  }
  if (strcmp(key, "output_tokens") == 0)
    return read_range(in, &s->output_min, &s->output_max);
  if (strcmp(key, "latency_median_ms") == 0)
    return read_real(in, 3600000, &s->latency_median_ms);
  if (strcmp(key, "latency_sigma") == 0)
    return read_real(in, 5, &s->latency_sigma);
  const struct {
    const char *key;
    uint64_t least, *value;
  } numbers[] = {
      {"window_ms", 1, &s->minute_ms},
      {"day_ms", 1, &s->day_ms},
      {"sub_ms", 1, &s->sub_ms},
      {"phase_ms", 0, &s->phase_ms},
      {"chunk_ms", 0, &s->chunk_ms},
      {"chunk_tokens", 1, &s->chunk_tokens},
      {"context_tokens", 1, &s->context_max},
      {"seed", 0, &s->seed},
      {"log", 0, &s->log_entries},
  };
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    if (strcmp(key, numbers[i].key) == 0)
      return read_number(in, numbers[i].least, numbers[i].value);
  (void)snprintf(in->error, in->error_size, "%s: there is no such setting", in->key);
  return false;
}

bool weir_up_settings_set(struct weir_up_settings *s, const char *key, const char *value,
                          char *error, size_t error_size)
{
  static const char *const of_limits[] = {"limit",          "model",     "method",   "window_ms",
                                          "day_ms",         "day_reset", "phase_ms", "sub_ms",
                                          "count_rejected", NULL};
  struct input in = {key, value, error, error_size};
  char name[64];
  (void)snprintf(name, sizeof name, "%s", key);
  for (char *at = name; *at != '\0'; at++)
    *at = *at == '-' ? '_' : *at;
  for (size_t i = 0; of_limits[i] != NULL; i++)
    s->limits_version += strcmp(of_limits[i], name) == 0;
  return set_known(s, name, &in);
}

/* --- JSON ---------------------------------------------------------------------------------- */

static const char *value_text(const struct weir_json_token *token)
{
  return token->type == WEIR_JSON_TRUE    ? "true"
         : token->type == WEIR_JSON_FALSE ? "false"
                                          : token->text;
}

static bool apply_limit(struct weir_up_settings *s, const struct weir_json_token *token,
                        const struct input *in)
{
  /* "limits.rpm", or "models.NAME.rpm" where NAME may hold dots. */
  const char *name = strrchr(token->path, '.') + 1;
  struct weir_up_limit_set *set = &s->sets[0];
  if (token->path[0] == 'm') {
    const char *model = token->path + strlen("models.");
    if (name <= model)
      return refuse(in, "an object of limits");
    set = model_set(s, model, (size_t)(name - 1 - model), in);
  }
  s->limits_version++;
  return set != NULL && set_limit(set, name, strlen(name), in->value, in);
}

static bool apply_token(struct weir_up_settings *s, const struct weir_json_token *token,
                        struct weir_up_fault *fault, char *error, size_t error_size)
{
  struct input in = {token->path, token->text, error, error_size};
  const char *path = token->path;
  bool is_fault = strncmp(path, "faults[]", 8) == 0;
  switch (token->type) {
  case WEIR_JSON_OBJECT:
    if (is_fault)
      *fault = (struct weir_up_fault){0};
    if (strcmp(path, "limits") == 0)
      s->sets[0].count = 0;
    return true;
  case WEIR_JSON_OBJECT_END:
    in.value = "fault";
    return !is_fault || add_fault(s, fault, &in);
  case WEIR_JSON_ARRAY:
    if (strcmp(path, "faults") == 0)
      s->fault_count = 0;
    return true;
  case WEIR_JSON_ARRAY_END:
    return true;
  case WEIR_JSON_STRING:
  case WEIR_JSON_NUMBER:
  case WEIR_JSON_TRUE:
  case WEIR_JSON_FALSE:
    in.value = value_text(token);
    if (is_fault && path[8] == '.')
      return set_fault(fault, path + 9, &in);
    if (strncmp(path, "limits.", 7) == 0 || strncmp(path, "models.", 7) == 0)
      return apply_limit(s, token, &in);
    return weir_up_settings_set(s, path, in.value, error, error_size);
  case WEIR_JSON_NULL:
    break;
  }
  return refuse(&in, "a value that is known here");
}

bool weir_up_settings_apply(struct weir_up_settings *s, const char *json, size_t size, char *error,
                            size_t error_size)
{
  struct weir_json scanner;
  struct weir_json_token token;
  struct weir_up_fault fault = {0};
  struct weir_up_settings changed = *s;
  enum weir_json_status status;
  weir_json_init(&scanner);
  weir_json_feed(&scanner, json, size);
  while ((status = weir_json_next(&scanner, &token)) == WEIR_JSON_TOKEN)
    if (!apply_token(&changed, &token, &fault, error, error_size))
      return false;
  if (status == WEIR_JSON_BAD || weir_json_end(&scanner, &token) != WEIR_JSON_MORE) {
    (void)snprintf(error, error_size, "the document is not valid JSON");
    return false;
  }
  *s = changed;
  return true;
}

#include "paths.h"

#include <string.h>

/* A part of the target. */
struct part {
  const char *at;
  size_t size;
};

static bool is_begin(struct part p, const char *text)
{
  const size_t size = strlen(text);

  return p.size >= size && memcmp(p.at, text, size) == 0;
}

static bool is_end(struct part p, const char *text)
{
  const size_t size = strlen(text);

  return p.size >= size && memcmp(p.at + p.size - size, text, size) == 0;
}

static bool has(struct part p, const char *text)
{
  const size_t size = strlen(text);

  for (size_t i = 0; i + size <= p.size; i++)
    if (memcmp(p.at + i, text, size) == 0)
      return true;
  return false;
}

static bool is_same(struct part p, const char *text)
{
  return p.size == strlen(text) && memcmp(p.at, text, p.size) == 0;
}

/* ---- whose path it is ---- */

/* The colon of "models/x:generateContent"; NULL without. */
static const char *verb_of(struct part p)
{
  const char *verb = NULL;

  for (size_t i = 0; i < p.size; i++) {
    if (p.at[i] == '/')
      verb = NULL;
    else if (p.at[i] == ':')
      verb = p.at + i;
  }
  return verb;
}

/* 0: nobody's. */
static enum weir_provider_kind kind_of(struct part p, enum weir_provider_kind hint)
{
  static const char *const geminis[] = {"/v1beta/", "/v1alpha/", "/upload/v1beta/",
                                        "/download/v1beta/"};

  for (size_t i = 0; i < sizeof(geminis) / sizeof(geminis[0]); i++)
    if (is_begin(p, geminis[i]))
      return WEIR_PROVIDER_GEMINI;
  if (is_begin(p, "/v1/models/") && verb_of(p))
    return WEIR_PROVIDER_GEMINI;
  if (is_begin(p, "/v1/messages") || is_same(p, "/v1/complete"))
    return WEIR_PROVIDER_ANTHROPIC;
  if (hint && (is_same(p, "/v1/models") || is_begin(p, "/v1/models/") || is_begin(p, "/v1/files")))
    return hint;
  return is_begin(p, "/v1/") ? WEIR_PROVIDER_OPENAI : 0;
}

/* The provider that the first part of the path names. */
static bool mount_by_name(struct part *path, const struct weir_mount *mounts, size_t count,
                          size_t *ret_mount)
{
  const char *slash = memchr(path->at + 1, '/', path->size - 1);
  const struct part name = {path->at + 1, slash ? (size_t)(slash - path->at) - 1 : path->size - 1};

  for (size_t i = 0; i < count; i++) {
    if (!is_same(name, mounts[i].name))
      continue;
    path->at += name.size + 1;
    path->size -= name.size + 1;
    *ret_mount = i;
    return true;
  }
  return false;
}

static bool mount_find(struct part *path, const struct weir_mount *mounts, size_t count,
                       enum weir_provider_kind hint, size_t *ret_mount)
{
  const char *name;

  if (mount_by_name(path, mounts, count, ret_mount))
    return true;
  name = weir_provider_kind_name(kind_of(*path, hint)); /* "?": nobody has that name */
  for (size_t i = 0; i < count; i++) {
    if (strcmp(mounts[i].name, name) == 0) {
      *ret_mount = i;
      return true;
    }
  }
  return false;
}

/* ---- what it asks for ---- */

/* In whose protocol |p| of a provider of |kind| is. Chat completions are with all, and Anthropic's
 * messages with many that are compatible. */
static enum weir_protocol protocol_of(struct part p, enum weir_provider_kind kind)
{
  if (is_end(p, "/chat/completions"))
    return WEIR_PROTOCOL_OPENAI;
  if (kind == WEIR_PROVIDER_ANTHROPIC || is_end(p, "/v1/messages") ||
      is_end(p, "/v1/messages/count_tokens"))
    return WEIR_PROTOCOL_ANTHROPIC;
  if ((kind == WEIR_PROVIDER_GEMINI || kind == WEIR_PROVIDER_VERTEX) && !has(p, "/openai/"))
    return WEIR_PROTOCOL_GEMINI;
  return WEIR_PROTOCOL_OPENAI;
}

static void openai_read(struct part p, struct weir_path *r)
{
  if (is_end(p, "/completions")) { /* and /chat/completions */
    r->operation = WEIR_OPERATION_GENERATE;
    r->has_stream_options = true;
    r->is_chat = is_end(p, "/chat/completions");
  } else if (is_end(p, "/responses")) {
    r->operation = WEIR_OPERATION_GENERATE;
  } else if (is_end(p, "/embeddings")) {
    r->operation = WEIR_OPERATION_EMBED;
  } else if (is_end(p, "/responses/input_tokens")) {
    r->operation = WEIR_OPERATION_COUNT;
  }
}

static void anthropic_read(struct part p, struct weir_path *r)
{
  if (is_end(p, "/v1/messages"))
    r->operation = WEIR_OPERATION_GENERATE;
  else if (is_end(p, "/v1/messages/count_tokens"))
    r->operation = WEIR_OPERATION_COUNT;
}

/* "models/x" or "tunedModels/x" before |verb|. */
static void gemini_model_read(struct part p, const char *verb, size_t begin, struct weir_path *r)
{
  const char *at = verb;
  size_t size;

  while (at > p.at && at[-1] != '/')
    at--;
  size = (size_t)(verb - at);
  if (size == 0 || size > WEIR_PATH_MODEL_MAX || at == p.at)
    return;
  r->has_model = true;
  memcpy(r->model, at, size);
  r->model[size] = '\0';
  r->model_begin = begin + (size_t)(at - p.at);
  r->model_end = r->model_begin + size;
}

static void gemini_read(struct part p, bool is_post, struct weir_path *r)
{
  static const struct {
    const char *verb;
    enum weir_operation operation;
    bool is_stream;
  } verbs[] = {{":generateContent", WEIR_OPERATION_GENERATE, false},
               {":streamGenerateContent", WEIR_OPERATION_GENERATE, true},
               {":countTokens", WEIR_OPERATION_COUNT, false},
               {":embedContent", WEIR_OPERATION_EMBED, false},
               {":batchEmbedContents", WEIR_OPERATION_EMBED, false}};
  const char *verb = verb_of(p);

  if (is_post && is_end(p, "/interactions"))
    r->operation = WEIR_OPERATION_GENERATE;
  if (!is_post || !verb)
    return;
  gemini_model_read(p, verb, r->begin, r);
  for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
    const struct part word = {verb, (size_t)(p.at + p.size - verb)};

    if (is_same(word, verbs[i].verb) && r->has_model) {
      r->operation = verbs[i].operation;
      r->is_stream = verbs[i].is_stream;
    }
  }
}

static int digit_of(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

size_t weir_path_byte(const char *at, size_t size, char *ret_byte)
{
  const int high = size > 2 && at[0] == '%' ? digit_of(at[1]) : -1;
  const int low = high >= 0 ? digit_of(at[2]) : -1;

  *ret_byte = low < 0 ? at[0] : (char)(16 * high + low);
  return low < 0 ? 1 : 3;
}

/* The same within a path, where that which ends one, or means nothing in it, stays encoded. */
static size_t byte_read(const char *at, size_t size, char *ret_byte)
{
  const size_t taken = weir_path_byte(at, size, ret_byte);

  if (taken == 1 || (*ret_byte > ' ' && *ret_byte < 0x7f && !strchr("%?#", *ret_byte)))
    return taken;
  *ret_byte = at[0];
  return 1;
}

/* |encoded| as it is meant, in |ret_plain|. */
static struct part decode(struct part encoded, char ret_plain[WEIR_PATH_TARGET_MAX])
{
  struct part plain = {ret_plain, 0};

  for (size_t at = 0; at < encoded.size;)
    at += byte_read(encoded.at + at, encoded.size - at, &ret_plain[plain.size++]);
  return plain;
}

/* Where in |encoded| the byte |offset| of what it means begins. */
static size_t encoded_offset(struct part encoded, size_t offset)
{
  size_t at = 0;
  char byte;

  while (offset-- > 0)
    at += byte_read(encoded.at + at, encoded.size - at, &byte);
  return at;
}

bool weir_path_read(const char *method, const char *target, const struct weir_mount *mounts,
                    size_t mount_count, enum weir_provider_kind kind_hint,
                    struct weir_path *ret_path)
{
  const bool is_post = strcmp(method, "POST") == 0;
  const struct part encoded = {target, strcspn(target, "?")};
  struct weir_path r = {.operation = WEIR_OPERATION_OTHER};
  char plain[WEIR_PATH_TARGET_MAX];
  enum weir_provider_kind kind;
  struct part p;

  if (encoded.size == 0 || encoded.size > sizeof(plain) || target[0] != '/')
    return false;
  p = decode(encoded, plain);
  /* Dots would lead out of the provider's own paths. */
  if (has(p, "/../") || is_end(p, "/.."))
    return false;
  r.query = encoded.size;
  if (!mount_find(&p, mounts, mount_count, kind_hint, &r.mount))
    return false;
  r.begin = (size_t)(p.at - plain);
  kind = mounts[r.mount].kind;
  while (p.size > 0 && p.at[p.size - 1] == '/')
    p.size--;
  r.protocol = protocol_of(p, kind);
  if (r.protocol == WEIR_PROTOCOL_ANTHROPIC)
    anthropic_read(p, &r);
  else if (r.protocol == WEIR_PROTOCOL_GEMINI)
    gemini_read(p, is_post, &r);
  else
    openai_read(p, &r);
  r.is_batch = is_end(p, "/batches");
  if (!is_post) {
    r.operation = WEIR_OPERATION_OTHER;
    r.has_stream_options = r.is_chat = false;
  }
  r.begin = encoded_offset(encoded, r.begin);
  if (r.has_model) {
    r.model_begin = encoded_offset(encoded, r.model_begin);
    r.model_end = encoded_offset(encoded, r.model_end);
  }
  *ret_path = r;
  return r.begin == encoded.size || target[r.begin] == '/'; /* it goes behind a host's name */
}

/* ---- the target for upstream ---- */

/* The next parameter of a query, without its '&'; at.at is NULL when there is none. */
static struct part parameter_next(const char **at)
{
  struct part p = {NULL, 0};

  if (**at == '\0')
    return p;
  p = (struct part){*at, strcspn(*at, "&")};
  *at += p.size;
  *at += **at == '&';
  return p;
}

static bool is_key(struct part parameter)
{
  return is_begin(parameter, "key=");
}

const char *weir_path_key(const char *target, const struct weir_path *path, size_t *ret_size)
{
  const char *at = target + path->query;
  struct part p;

  at += *at == '?';
  while ((p = parameter_next(&at)).at) {
    if (is_key(p)) {
      *ret_size = p.size - 4;
      return p.at + 4;
    }
  }
  return NULL;
}

bool weir_path_is_spoken(enum weir_provider_kind kind, const struct weir_path *path)
{
  if (path->is_chat)
    return true;
  switch (path->protocol) {
  case WEIR_PROTOCOL_ANTHROPIC:
    return kind == WEIR_PROVIDER_ANTHROPIC;
  case WEIR_PROTOCOL_GEMINI:
    return kind == WEIR_PROVIDER_GEMINI || kind == WEIR_PROVIDER_VERTEX;
  case WEIR_PROTOCOL_OPENAI:
  case WEIR_PROTOCOL_MAX:
    break;
  }
  return kind == WEIR_PROVIDER_OPENAI || kind == WEIR_PROVIDER_COMPATIBLE ||
         kind == WEIR_PROVIDER_GEMINI;
}

static const char gemini_base[] = "/v1beta/openai/", openai_base[] = "/v1/";

/* The provider's own path up to where |p| goes on, for a provider of another kind. */
static bool base_move(struct weir_put *put, struct part *p, enum weir_provider_kind to)
{
  static const char *const bases[] = {gemini_base, openai_base};

  for (size_t i = 0; i < 2; i++) {
    if (!is_begin(*p, bases[i]))
      continue;
    p->at += strlen(bases[i]);
    p->size -= strlen(bases[i]);
    weir_put_text(put, to == WEIR_PROVIDER_GEMINI ? gemini_base : openai_base);
    return true;
  }
  return false;
}

static void query_put(struct weir_put *put, const char *query, bool is_key_dropped)
{
  bool is_first = true;
  struct part p;

  if (!is_key_dropped) {
    weir_put_text(put, query);
    return;
  }
  query += *query == '?';
  while ((p = parameter_next(&query)).at) {
    if (is_key(p))
      continue;
    weir_put_text(put, is_first ? "?" : "&");
    weir_put_bytes(put, p.at, p.size);
    is_first = false;
  }
}

bool weir_path_put(struct weir_put *put, const char *target, const struct weir_path *path,
                   const char *model, bool is_key_dropped, enum weir_provider_kind from,
                   enum weir_provider_kind to)
{
  struct part p = {target + path->begin, path->query - path->begin};

  if (from != to && !base_move(put, &p, to))
    return false;
  if (model && path->has_model) {
    weir_put_bytes(put, p.at, path->model_begin - (size_t)(p.at - target));
    weir_put_text(put, model);
    weir_put_bytes(put, target + path->model_end, path->query - path->model_end);
  } else {
    weir_put_bytes(put, p.at, p.size);
  }
  query_put(put, target + path->query, is_key_dropped);
  return true;
}

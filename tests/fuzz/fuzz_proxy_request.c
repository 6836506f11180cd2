/* Request lines and bodies, as they come: the path for upstream is a path, a changed body is still
 * one JSON object, with the model and the usage that were asked for. */
#include <assert.h>
#include <string.h>

#include "paths.h"
#include "splice.h"

#define INPUT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void path_check(const char *target)
{
  static const struct weir_mount mounts[] = {{"gemini", WEIR_PROVIDER_GEMINI},
                                             {"openai", WEIR_PROVIDER_OPENAI},
                                             {"anthropic", WEIR_PROVIDER_ANTHROPIC},
                                             {"groq", WEIR_PROVIDER_COMPATIBLE}};
  char text[INPUT_MAX + 64];
  struct weir_path path;
  struct weir_put put;
  size_t key_size = 0;
  const char *key;

  if (!weir_path_read("POST", target, mounts, 4, 0, &path))
    return;
  assert(path.mount < 4 && path.begin <= path.query && path.query <= strlen(target));
  if (path.has_model)
    assert(path.begin <= path.model_begin && path.model_begin < path.model_end &&
           path.model_end <= path.query);
  key = weir_path_key(target, &path, &key_size);
  if (key)
    assert(key > target + path.query && key + key_size <= target + strlen(target));
  for (int kind = 1; kind < WEIR_PROVIDER_MAX; kind++) {
    weir_put_init(&put, text, sizeof(text));
    if (!weir_path_put(&put, target, &path, "other", true, mounts[path.mount].kind,
                       (enum weir_provider_kind)kind))
      continue;
    assert(!put.is_cut && (put.size == 0 || text[0] == '/' || text[0] == '?'));
    assert(strstr(text, "?key=") == NULL || strchr(text, '?') != strstr(text, "?key="));
  }
}

static void body_check(const char *body, size_t size)
{
  static char changed[INPUT_MAX + 1024];
  struct weir_stream_options options;
  struct weir_request_facts facts;
  struct weir_splices splices;
  size_t changed_size;

  if (weir_request_scan(body, size, &facts) != WEIR_OK)
    return;
  weir_splices_init(&splices);
  weir_stream_options_read(body, size, &options);
  weir_splices_usage(&splices, &options);
  assert(weir_splices_model(&splices, body, size, &facts, "a/\"model\""));
  changed_size = weir_splices_size(&splices, size);
  assert(changed_size < sizeof(changed));
  weir_splices_apply(&splices, body, size, changed);
  assert(weir_request_scan(changed, changed_size, &facts) == WEIR_OK);
  assert(facts.has_model && strcmp(facts.model, "a/\"model\"") == 0);
  weir_stream_options_read(changed, changed_size, &options);
  assert(options.is_usage_asked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static char target[INPUT_MAX + 1];

  if (size > INPUT_MAX)
    return 0;
  memcpy(target, data, size);
  target[size] = '\0';
  path_check(target);
  body_check((const char *)data, size);
  return 0;
}

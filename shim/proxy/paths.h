/* paths.h - what a request line asks for: whose protocol, which operation, which model.
 *
 * One proxy serves several providers. A target that begins with the name of one ("/groq/v1/...")
 * is for that one, and what follows the name is the provider's own path. Without a name the path
 * itself tells: Anthropic's and Gemini's are their own, the rest of /v1/ is OpenAI's. What is not
 * known here is an operation like any other, OTHER, and passes through.
 */
#ifndef WEIR_PROXY_PATHS_H
#define WEIR_PROXY_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/provider.h>

#include "put.h"

enum weir_protocol {
  WEIR_PROTOCOL_OPENAI = 1, /* and whoever speaks it */
  WEIR_PROTOCOL_ANTHROPIC,
  WEIR_PROTOCOL_GEMINI,
  WEIR_PROTOCOL_MAX
};

enum weir_operation {
  WEIR_OPERATION_GENERATE = 1,
  WEIR_OPERATION_EMBED,
  WEIR_OPERATION_COUNT, /* of tokens */
  WEIR_OPERATION_OTHER,
  WEIR_OPERATION_MAX
};

/* A provider as paths know it. */
struct weir_mount {
  const char *name; /* the first part of a path; that of the coordinator's models */
  enum weir_provider_kind kind;
};

#define WEIR_PATH_MODEL_MAX  127
#define WEIR_PATH_TARGET_MAX 8192 /* of the path; what is longer is nobody's */

struct weir_path {
  size_t mount; /* index of the provider */
  enum weir_protocol protocol;
  enum weir_operation operation;
  bool is_chat;            /* a chat completion in OpenAI's protocol, which every provider takes */
  bool has_stream_options; /* the operation knows OpenAI's "stream_options" */
  bool is_batch;           /* makes a batch, whose models are not asked for */
  bool is_stream;          /* the path says so; else the body may */
  size_t begin;            /* of the provider's own path within the target */
  size_t query;            /* of '?' within the target, or its end */
  /* Gemini's model, within the target; else the body has it. |model| is percent-decoded. */
  bool has_model;
  size_t model_begin, model_end;
  char model[WEIR_PATH_MODEL_MAX + 1];
};

/* weir_path_read reads |method| and |target| (a request line's) for the |mount_count| providers of
 * |mounts|. |kind_hint| decides where the path alone does not (the list of models, "/v1/models"): 0
 * is OpenAI. What is percent-encoded is read as what it means, and slashes at the end are passed
 * over. False when the target is no path or no provider is there for it. */
bool weir_path_read(const char *method, const char *target, const struct weir_mount *mounts,
                    size_t mount_count, enum weir_provider_kind kind_hint,
                    struct weir_path *ret_path);

/* weir_path_is_spoken tells whether a provider of |kind| answers what |path| asks for. All take
 * chat completions in OpenAI's protocol, and Gemini more of it. */
bool weir_path_is_spoken(enum weir_provider_kind kind, const struct weir_path *path);

/* weir_path_put writes the target for upstream: the provider's own path of |target|, with |model|
 * in place of the path's (NULL: as it is), and the query, without its parameter "key" where
 * |is_key_dropped|. From a provider of kind |from| to one of kind |to|: OpenAI's protocol is at
 * another place of Gemini's. False when the path has no counterpart there. */
bool weir_path_put(struct weir_put *put, const char *target, const struct weir_path *path,
                   const char *model, bool is_key_dropped, enum weir_provider_kind from,
                   enum weir_provider_kind to);

/* weir_path_byte reads the byte at |at|, of |size| that are left, one at least; where it is
 * percent-encoded, what is meant. Returns how many bytes it takes. */
size_t weir_path_byte(const char *at, size_t size, char *ret_byte);

/* weir_path_key returns the value of the query's parameter "key" as it is written, and its size;
 * NULL without. */
const char *weir_path_key(const char *target, const struct weir_path *path, size_t *ret_size);

#endif

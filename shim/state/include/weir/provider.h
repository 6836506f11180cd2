/* provider.h - what differs between LLM providers, as one table.
 *
 * A provider is one file in shim/state (gemini.c, openai.c, ...) that fills a struct
 * weir_provider_rules, and one line in WEIR_PROVIDER_LIST. docs/PROVIDERS.md has the facts.
 */
#ifndef WEIR_PROVIDER_H
#define WEIR_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(name, value, text, symbol of its rules) */
#define WEIR_PROVIDER_LIST(X)                                                                      \
  X(GEMINI, 1, "gemini", weir_rules_gemini)                                                        \
  X(VERTEX, 2, "vertex", weir_rules_vertex)                                                        \
  X(OPENAI, 3, "openai", weir_rules_openai)                                                        \
  X(ANTHROPIC, 4, "anthropic", weir_rules_anthropic)                                               \
  X(COMPATIBLE, 5, "compatible", weir_rules_compatible) /* speaks OpenAI's protocol */

#define X(name, value, text, symbol) WEIR_PROVIDER_##name = (value),
enum weir_provider_kind { WEIR_PROVIDER_LIST(X) WEIR_PROVIDER_MAX };
#undef X

/* Families of tokenizers with their own weights in estimate.c. */
enum weir_tokenizer {
  WEIR_TOKENIZER_O200K = 1,
  WEIR_TOKENIZER_GEMMA,
  WEIR_TOKENIZER_CLAUDE,
  WEIR_TOKENIZER_MAX
};

struct weir_facts;
struct weir_verdict;

struct weir_provider_rules {
  const char *base_url;     /* scheme and host, no slash at the end; NULL: has to be configured */
  const char *key_header;   /* the header that carries the key: "x-goog-api-key" */
  const char *key_prefix;   /* stands before the key in it: "Bearer ", or "" */
  const char *key_envs[2];  /* environment variables that hold a key, the first set one counts;
                               NULL where there is none */
  const char *fixed_header; /* a line that every request needs, or NULL */
  bool is_model_in_path;    /* else it is the body's value "model" */
  const char *path;         /* of a generation; "{model}" is replaced */
  const char *stream_path;  /* the same for a streamed answer */
  const char *openai_path;  /* of chat completions in OpenAI's protocol */
  const char *openai_root;  /* how the base URL ends, where openai_path takes the place of that;
                               NULL: openai_path follows the base URL */
  const char *openai_model; /* stands before a model without a slash there, or NULL */
  enum weir_tokenizer tokenizer;
  bool are_failures_charged; /* a rejected request counts in the request limit */
  bool is_cache_free;        /* cached input does not count in the input limit */

  /* classify decides |verdict|'s outcome and limit; everything else is common to all providers
   * (see classify.h). It leaves outcome 0 where the HTTP status tells all. */
  void (*classify)(const struct weir_facts *facts, struct weir_verdict *verdict);
};

/* weir_provider_kind_name returns the configuration word of |kind|, "?" outside the list. Static
 * storage. */
const char *weir_provider_kind_name(enum weir_provider_kind kind);

/* weir_provider_kind_parse returns the kind that |text| names, or 0. */
enum weir_provider_kind weir_provider_kind_parse(const char *text);

/* weir_provider_rules_of returns the rules of |kind|, never NULL: a number outside the list has
 * those of WEIR_PROVIDER_COMPATIBLE. Static storage. */
const struct weir_provider_rules *weir_provider_rules_of(enum weir_provider_kind kind);

/* weir_provider_openai_url writes the URL of chat completions in OpenAI's protocol at a provider
 * whose base URL is |base_url|. False, writing nothing, when it does not fit into |size| bytes or
 * |base_url| does not end as |kind| needs it to. */
bool weir_provider_openai_url(enum weir_provider_kind kind, const char *base_url, char *ret_url,
                              size_t size);

/* weir_provider_openai_model writes what |model| is called there. False when it does not fit. */
bool weir_provider_openai_model(enum weir_provider_kind kind, const char *model, char *ret_model,
                                size_t size);

/* weir_provider_path writes the path (and query) of a generation call with |model| to |ret_path|,
 * NUL-terminated. Gemini's "models/x" and "tunedModels/x" keep their own collection. Bytes
 * that may not stand in a path are percent-encoded. False, writing nothing, when it does not fit
 * into |size| bytes, or when |model| is empty or holds "..". */
bool weir_provider_path(enum weir_provider_kind kind, const char *model, bool is_stream,
                        char *ret_path, size_t size);

#endif

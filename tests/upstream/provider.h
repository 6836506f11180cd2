/* provider.h - one provider's personality: its paths, bodies, headers and events.
 *
 * The server decides what happens to a call; a provider only says it in its own words.
 */
#ifndef WEIR_UP_PROVIDER_H
#define WEIR_UP_PROVIDER_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/http.h>

#include "buffer.h"
#include "limits.h"
#include "request.h"

enum weir_up_operation {
  WEIR_UP_GENERATE = 1,
  WEIR_UP_STREAM,
  WEIR_UP_COUNT_TOKENS,
  WEIR_UP_EMBED,
  WEIR_UP_EMBED_MANY, /* Gemini; the other's embed takes one or many */
  WEIR_UP_LIST_MODELS
};

/* Answers other than success. Not each provider has each: then the nearest. */
enum weir_up_error {
  WEIR_UP_ERROR_BAD_REQUEST = 1, /* the body is not JSON, or lacks what is required */
  WEIR_UP_ERROR_NO_KEY,
  WEIR_UP_ERROR_BAD_KEY,
  WEIR_UP_ERROR_LEAKED_KEY,
  WEIR_UP_ERROR_NO_MODEL, /* unknown model */
  WEIR_UP_ERROR_NO_PATH,
  WEIR_UP_ERROR_CONTEXT, /* input longer than the model's context */
  WEIR_UP_ERROR_BILLING,
  WEIR_UP_ERROR_CAPACITY, /* a 429 that names no quota */
  WEIR_UP_ERROR_LIMIT_ZERO,
  WEIR_UP_ERROR_DAY, /* a daily limit with a hint of seconds */
  WEIR_UP_ERROR_RAMP,
  WEIR_UP_ERROR_INTERNAL,
  WEIR_UP_ERROR_OVERLOADED,     /* 503 */
  WEIR_UP_ERROR_OVERLOADED_529, /* 529 where the provider has it */
  WEIR_UP_ERROR_DEADLINE        /* 504 */
};

#define WEIR_UP_HEADERS_MAX 16

struct weir_up_answer {
  uint32_t status;
  struct weir_http_header headers[WEIR_UP_HEADERS_MAX];
  char values[WEIR_UP_HEADERS_MAX][64];
  uint32_t header_count;
  struct weir_up_buffer body;
};

/* One call as the provider sees it. */
struct weir_up_call {
  enum weir_up_operation operation;
  char version[16];   /* Gemini: of the path, "v1beta" */
  bool is_compatible; /* in OpenAI's words: Gemini's errors stand in an array, Anthropic's in
                         OpenAI's envelope */
  bool is_responses;  /* OpenAI: the Responses API */
  struct weir_up_request request;
  const char *project;
  bool is_free_tier;
  uint64_t id;            /* unique in the process: makes the answer's ids */
  uint64_t output_tokens; /* that the answer has, or will have when a stream ends */
  uint64_t sent_tokens;   /* stream: so far */
  bool is_cut;            /* output ended by max_tokens */
  bool is_blocked;        /* blocked prompt */
  uint64_t minute_us;     /* length of the provider's minute */
  uint64_t now_us;
  uint64_t context_max;
  struct weir_up_meter *meter; /* NULL before the call has one */
  uint32_t events;             /* OpenAI's responses: events written so far, */
  struct weir_up_buffer text;  /* and the text in them */
};

struct weir_up_provider {
  const char *name;

  /* route tells whether |target| is of this provider; fills operation, version, model and
   * is_compatible. A path of the provider without such an operation: operation 0. */
  bool (*route)(const char *method, const char *target, struct weir_up_call *call);

  /* key returns the API key of |request|, "" when there is none; it may point into |request| or
   * into |buffer| (256 bytes). */
  const char *(*key)(const struct weir_http_request *request, char *buffer);

  /* check returns 0 or the error that the request's fields deserve. */
  enum weir_up_error (*check)(const struct weir_up_call *call);

  /* cost says what the call is charged when it arrives. */
  struct weir_up_cost (*cost)(const struct weir_up_call *call);

  /* token_dimension is what this provider's "TPM" counts. */
  enum weir_up_dimension token_dimension;

  /* error and quota write a whole answer; |rejected| is the set of limits that had no room. */
  void (*error)(const struct weir_up_call *call, enum weir_up_error error,
                struct weir_up_answer *answer);
  void (*quota)(const struct weir_up_call *call, const struct weir_up_cost *cost, uint32_t rejected,
                struct weir_up_answer *answer);

  /* whole writes the answer of a call that is no stream; |text| is its output. */
  void (*whole)(const struct weir_up_call *call, const char *text, struct weir_up_answer *answer);

  /* headers adds the headers of any answer (rate limits, ids). */
  void (*headers)(const struct weir_up_call *call, struct weir_up_answer *answer);

  /* begin, piece, end and fail write the events of a stream: before the first piece, one piece of
   * |text|, after the last, and an error in the middle. */
  void (*begin)(struct weir_up_call *call, struct weir_up_buffer *out);
  void (*piece)(struct weir_up_call *call, const char *text, bool is_last,
                struct weir_up_buffer *out);
  void (*end)(struct weir_up_call *call, struct weir_up_buffer *out);
  void (*fail)(struct weir_up_call *call, struct weir_up_buffer *out);
};

/* weir_up_compatible is Gemini behind OpenAI's paths, below /v1beta/openai/; weir_up_claude is
 * Anthropic at OpenAI's own path, which is taken for models called "claude...". */
extern const struct weir_up_provider weir_up_gemini, weir_up_openai, weir_up_anthropic,
    weir_up_compatible, weir_up_claude;

/* Gemini's, shared with weir_up_compatible. */
struct weir_up_cost weir_up_gemini_cost(const struct weir_up_call *call);
void weir_up_gemini_error(const struct weir_up_call *call, enum weir_up_error error,
                          struct weir_up_answer *answer);
void weir_up_gemini_quota(const struct weir_up_call *call, const struct weir_up_cost *cost,
                          uint32_t rejected, struct weir_up_answer *answer);

/* Anthropic's, shared with weir_up_claude. */
struct weir_up_cost weir_up_anthropic_cost(const struct weir_up_call *call);
void weir_up_anthropic_error(const struct weir_up_call *call, enum weir_up_error error,
                             struct weir_up_answer *answer);
void weir_up_anthropic_quota(const struct weir_up_call *call, const struct weir_up_cost *cost,
                             uint32_t rejected, struct weir_up_answer *answer);
void weir_up_anthropic_headers(const struct weir_up_call *call, struct weir_up_answer *answer);

/* weir_up_bearer returns the key of "Authorization: Bearer KEY", "" without one. */
const char *weir_up_bearer(const struct weir_http_request *request);

/* weir_up_first_limit returns the first limit of |dimension| per minute, or -1. */
int weir_up_first_limit(const struct weir_up_meter *m, enum weir_up_dimension dimension);

/* weir_up_answer_header adds a header; |name| is kept, the value is printf's. */
void weir_up_answer_header(struct weir_up_answer *answer, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif

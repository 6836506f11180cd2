/* batch_target.c - which provider and model a line of a batch is for. */
#include <stdio.h>
#include <string.h>

#include <weir/msg.h>

#include "batch_work.h"

static enum weir_provider_kind kind_of(const struct weir_batch_target *target,
                                       const struct weir_batch_request *request)
{
  if (target->kind != 0)
    return target->kind;
  switch (request->format) {
  case WEIR_BATCH_GEMINI:
    return WEIR_PROVIDER_GEMINI;
  case WEIR_BATCH_ANTHROPIC:
    return WEIR_PROVIDER_ANTHROPIC;
  case WEIR_BATCH_OPENAI:
    break;
  }
  return WEIR_PROVIDER_OPENAI;
}

static bool is_google(enum weir_provider_kind kind)
{
  return kind == WEIR_PROVIDER_GEMINI || kind == WEIR_PROVIDER_VERTEX;
}

/* As the coordinator's protocol has names. */
static bool is_printable(const char *name)
{
  while (*name >= 0x20 && *name <= 0x7e)
    name++;
  return *name == '\0';
}

bool weir_batch_target_check(const void *context, const struct weir_batch_request *request,
                             char ret_reason[WEIR_BATCH_REASON_MAX])
{
  const struct weir_batch_target *target = context;
  enum weir_provider_kind kind = kind_of(target, request);
  const char *reason = NULL;
  char model[WEIR_NAME_SIZE];

  if (request->format == WEIR_BATCH_GEMINI && !is_google(kind))
    reason = "Gemini's format (\"key\", \"request\") is for a gemini provider; see --provider";
  else if (request->format == WEIR_BATCH_ANTHROPIC && kind != WEIR_PROVIDER_ANTHROPIC)
    reason = "Anthropic's format (\"params\") is for an anthropic provider; see --provider";
  else if (is_google(kind) && strncmp(request->url, "/v1/", 4) == 0)
    reason = "this \"url\" is OpenAI's; a gemini provider needs {\"key\", \"request\"} lines";
  else if (!target->route && !target->model && request->model[0] == '\0')
    reason = "no model; add \"model\" to the request or --model to the command";
  else if (!weir_batch_target_model(target, request, model))
    reason = "\"provider/model\" is longer than 63 bytes";
  else if (!is_printable(model))
    reason = "\"model\" must be printable ASCII; it holds something else, maybe a special hyphen";
  if (reason)
    snprintf(ret_reason, WEIR_BATCH_REASON_MAX, "%s", reason);
  return !reason;
}

bool weir_batch_target_model(const struct weir_batch_target *target,
                             const struct weir_batch_request *request,
                             char ret_model[WEIR_NAME_SIZE])
{
  enum weir_provider_kind kind = kind_of(target, request);
  const char *model = request->model[0] != '\0' ? request->model : target->model;
  const char *provider = target->provider ? target->provider : weir_provider_kind_name(kind);
  int size;

  if (target->route) {
    size = snprintf(ret_model, WEIR_NAME_SIZE, "%s", target->route);
  } else {
    /* Google's own name for it: "models/gemini-2.5-flash". */
    if (is_google(kind) && strncmp(model, "models/", 7) == 0)
      model += 7;
    size = snprintf(ret_model, WEIR_NAME_SIZE, "%s/%s", provider, model);
  }
  return size > 0 && size < WEIR_NAME_SIZE;
}

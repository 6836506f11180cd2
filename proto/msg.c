#include <weir/msg.h>

/* Words stand in the tables, not behind pointers, so that the tables are plain read-only data. */
#define WORD_SIZE 16

#define X(name, value, text, direction) [value] = text,
static const char messages[][WORD_SIZE] = {[0] = "?", WEIR_MSG_LIST(X)};
#undef X
#define X(name, value, text) [value] = text,
static const char refusals[][WORD_SIZE] = {[0] = "?", WEIR_REFUSAL_LIST(X)};
static const char views[][WORD_SIZE] = {[0] = "?", WEIR_VIEW_LIST(X)};
#undef X

const char *weir_msg_name(enum weir_msg_type type)
{
  return messages[(uint32_t)type < WEIR_MSG_MAX ? type : 0];
}

const char *weir_refusal_name(enum weir_refusal refusal)
{
  return refusals[(uint32_t)refusal < WEIR_REFUSAL_MAX ? refusal : 0];
}

const char *weir_view_name(enum weir_view view)
{
  return views[(uint32_t)view < WEIR_VIEW_MAX ? view : 0];
}

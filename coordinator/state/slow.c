#include <weir/slow.h>

static weir_duration total_of(const struct weir_slow_call *call)
{
  return call->waited_us + call->took_us;
}

bool weir_slow_is_one(const struct weir_slow *s, weir_duration total_us, weir_tstamp now)
{
  return s->count < WEIR_SLOW_CALLS_MAX || now >= s->old_at ||
         total_us > total_of(&s->calls[s->count - 1]);
}

uint32_t weir_slow_forget(struct weir_slow *s, weir_tstamp now)
{
  const uint32_t count = s->count;

  if (count == 0 || now < s->old_at)
    return count;
  s->count = 0;
  s->old_at = WEIR_NEVER;
  for (uint32_t i = 0; i < count; i++) {
    const weir_tstamp old_at = weir_time_add(s->calls[i].ended_at, WEIR_SLOW_LAST_US);

    if (now >= old_at)
      continue;
    s->old_at = old_at < s->old_at ? old_at : s->old_at;
    s->calls[s->count++] = s->calls[i];
  }
  return s->count;
}

void weir_slow_note(struct weir_slow *s, const struct weir_slow_call *call)
{
  const weir_tstamp old_at = weir_time_add(call->ended_at, WEIR_SLOW_LAST_US);
  uint32_t at = weir_slow_forget(s, call->ended_at);

  if (at == WEIR_SLOW_CALLS_MAX && total_of(call) <= total_of(&s->calls[at - 1]))
    return;
  if (at == WEIR_SLOW_CALLS_MAX)
    at--;
  else
    s->count++;
  for (; at > 0 && total_of(&s->calls[at - 1]) < total_of(call); at--)
    s->calls[at] = s->calls[at - 1];
  s->calls[at] = *call;
  if (s->count == 1 || old_at < s->old_at)
    s->old_at = old_at;
}

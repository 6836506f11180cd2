/* tell.c - who hears of breakers and of days that are used up. Changes are numbered, and each
 * session knows up to which it was told, so what is to be sent follows from two numbers, and a
 * session that lags hears of the latest state only. Pools are listed by their last change: the end
 * of the list is what anybody lacks. */
#include "machine.h"

#include <assert.h>
#include <string.h>

/* Of one step: half of an update, so that grants are not kept waiting, and a bounded search. */
#define SENDS_MAX  (WEIR_COORD_SENDS_MAX / 2)
#define LOOKED_MAX 1024

void weir_tell_forget(struct weir_coord *c, struct weir_pool *pool)
{
  struct weir_list *list = &c->changed;
  const struct weir_link link = pool->in_changed;

  if (pool->changed == 0)
    return;
  if (link.prev == WEIR_NONE)
    list->first = link.next;
  else
    c->pools[link.prev].in_changed.next = link.next;
  if (link.next == WEIR_NONE)
    list->last = link.prev;
  else
    c->pools[link.next].in_changed.prev = link.prev;
  list->count--;
  pool->changed = 0;
}

static void tell_all(struct weir_coord *c, weir_tstamp now)
{
  if (c->tell_left == 0)
    c->tell_at = now;
  c->tell_left = c->bounds.sessions_max;
}

void weir_tell_change(struct weir_coord *c, struct weir_pool *pool, weir_tstamp now)
{
  struct weir_list *list = &c->changed;

  weir_tell_forget(c, pool);
  weir_list_append(list, list->count ? &c->pools[list->last].in_changed : NULL, &pool->in_changed,
                   (uint32_t)(pool - c->pools));
  pool->changed = ++c->changes;
  tell_all(c, now);
}

/* The pool that changed first of those that changed after |told|, or WEIR_NONE. */
static uint32_t first_after(const struct weir_coord *c, uint64_t told)
{
  uint32_t first = WEIR_NONE, i = c->changed.count ? c->changed.last : WEIR_NONE;

  while (i != WEIR_NONE && c->pools[i].changed > told) {
    first = i;
    i = c->pools[i].in_changed.prev;
  }
  return first;
}

/* A session that begins need not hear of what goes through. */
static bool is_news(const struct weir_session *s, const struct weir_pool *pool)
{
  return pool->state == WEIR_POOL_OPEN &&
         (pool->changed > s->welcomed || pool->breaker.state != WEIR_BREAKER_CLOSED ||
          pool->used_up_until > 0);
}

/* Tells |s| what it lacks in up to |*room| messages; false when that was not enough. */
static bool tell(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s,
                 uint32_t *room)
{
  for (uint32_t i = first_after(c, s->told); i != WEIR_NONE; i = c->pools[i].in_changed.next) {
    const struct weir_pool *pool = &c->pools[i];

    if (is_news(s, pool)) {
      if (*room == 0 || weir_turn_is_full(turn))
        return false;
      weir_breakers_state(pool, turn->now, &weir_session_send(turn, s, WEIR_MSG_STATE)->state);
      --*room;
    }
    s->told = pool->changed;
  }
  return true;
}

void weir_tell_welcome(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s)
{
  uint32_t room = WEIR_COORD_SENDS_MAX;

  s->told = 0;
  s->welcomed = c->changes;
  if (!tell(c, turn, s, &room))
    tell_all(c, turn->now);
}

void weir_tell_sessions(struct weir_coord *c, struct weir_turn *turn)
{
  uint32_t room = SENDS_MAX;

  for (uint32_t looked = 0; c->tell_left > 0 && looked < LOOKED_MAX; looked++) {
    struct weir_session *s = &c->sessions[c->tell_next];

    if (s->state == WEIR_SESSION_OPEN && !tell(c, turn, s, &room))
      break;
    c->tell_next = (c->tell_next + 1) % c->bounds.sessions_max;
    c->tell_left--;
  }
  if (c->tell_left == 0)
    c->tell_at = WEIR_NEVER;
}

bool weir_coord_change(const struct weir_coord *c, weir_tstamp now, uint64_t *cursor,
                       struct weir_coord_change *ret_change)
{
  const uint64_t told = *cursor;

  for (uint32_t i = first_after(c, told); i != WEIR_NONE; i = c->pools[i].in_changed.next) {
    const struct weir_pool *pool = &c->pools[i];

    *cursor = pool->changed;
    if (pool->state != WEIR_POOL_OPEN)
      continue;
    ret_change->is_breaker = pool->breaker_changed > told;
    ret_change->is_used_up = pool->day_changed > told && pool->used_up_until > 0;
    if (!ret_change->is_breaker && !ret_change->is_used_up)
      continue;
    weir_breakers_state(pool, now, &ret_change->state);
    return true;
  }
  return false;
}

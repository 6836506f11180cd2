/* callers.c - what calls of each pool, and of each tenant in it, use of what is estimated for them:
 * shared by all instances, so that a new one need not learn it again. A tenant that was not heard
 * of for longest makes room for another. */
#include "machine.h"

#include <assert.h>
#include <string.h>

static uint64_t key_of(uint32_t pool, const char *tenant)
{
  return weir_table_key(tenant, pool);
}

static struct weir_link *link_at(struct weir_coord *c, uint32_t index)
{
  return &c->callers[index].link;
}

static void unlink_caller(struct weir_coord *c, uint32_t index)
{
  const struct weir_link *link = link_at(c, index);
  struct weir_list *list = &c->callers_heard;

  if (link->prev == WEIR_NONE)
    list->first = link->next;
  else
    link_at(c, link->prev)->next = link->next;
  if (link->next == WEIR_NONE)
    list->last = link->prev;
  else
    link_at(c, link->next)->prev = link->prev;
  list->count--;
}

/* Heard of last: at the end. */
static void link_caller(struct weir_coord *c, uint32_t index)
{
  struct weir_list *list = &c->callers_heard;

  weir_list_append(list, list->count ? link_at(c, list->last) : NULL, link_at(c, index), index);
}

static const struct weir_caller *caller_find(const struct weir_coord *c, uint32_t pool,
                                             const char *tenant)
{
  uint32_t index;

  if (!weir_table_find(&c->by_caller, key_of(pool, tenant), &index))
    return NULL;
  return c->callers[index].pool == pool && strcmp(c->callers[index].name, tenant) == 0
             ? &c->callers[index]
             : NULL;
}

/* The record of |tenant|, heard of last; two names of one hash take turns in one record. */
static struct weir_caller *caller_open(struct weir_coord *c, uint32_t pool, const char *tenant)
{
  const uint64_t key = key_of(pool, tenant);
  const bool is_known = caller_find(c, pool, tenant) != NULL;
  struct weir_caller *caller;
  enum weir_err err;
  uint32_t index;

  if (weir_table_find(&c->by_caller, key, &index)) {
    unlink_caller(c, index);
  } else if (c->callers_heard.count < c->bounds.tenants_max) {
    index = c->callers_heard.count;
  } else {
    index = c->callers_heard.first;
    unlink_caller(c, index);
    weir_table_remove(&c->by_caller, key_of(c->callers[index].pool, c->callers[index].name));
  }
  caller = &c->callers[index];
  link_caller(c, index);
  err = weir_table_put(&c->by_caller, key, index);
  assert(err == WEIR_OK);
  (void)err;
  if (!is_known) {
    memset(&caller->ratio, 0, sizeof(caller->ratio));
    caller->pool = pool;
    memcpy(caller->name, tenant, strlen(tenant) + 1);
  }
  return caller;
}

void weir_callers_hear(struct weir_coord *c, const struct weir_held *lease,
                       const struct weir_msg_settle *settle)
{
  const char *tenant = c->fair.records[lease->tenant].name;

  if (!settle->has_usage || settle->estimated_tokens == 0)
    return;
  weir_ratio_learn(&c->pools[lease->pool].ratio, settle->estimated_tokens, settle->input_tokens);
  if (c->bounds.tenants_max > 0)
    weir_ratio_learn(&caller_open(c, lease->pool, tenant)->ratio, settle->estimated_tokens,
                     settle->input_tokens);
}

const struct weir_ratio *weir_caller_ratio(const struct weir_coord *c,
                                           const struct weir_held *lease)
{
  const struct weir_ratio *of_pool = &c->pools[lease->pool].ratio;
  const struct weir_caller *caller;

  if (weir_ratio_pm(of_pool) == 0) /* then nothing is known of any of its tenants */
    return of_pool;
  caller = caller_find(c, lease->pool, c->fair.records[lease->tenant].name);
  return caller && weir_ratio_pm(&caller->ratio) > 0 ? &caller->ratio : of_pool;
}

void weir_callers_forget(struct weir_coord *c, uint32_t pool)
{
  for (uint32_t i = 0; i < c->callers_heard.count; i++) {
    if (c->callers[i].pool == pool)
      memset(&c->callers[i].ratio, 0, sizeof(c->callers[i].ratio));
  }
}

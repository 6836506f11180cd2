/* budgets.c - limits over several pools (a project), or of one tenant, and who waits for them.
 *
 * A pool whose head is blocked by a shared budget joins the budget's line, and nobody behind it
 * takes from that budget before it: so a large ask of one pool is not starved by small ones of
 * another. */
#include "machine.h"

#include <assert.h>
#include <string.h>

/* Of a call where only the day is limited, which says little about how fast calls may come. */
#define SUSTAINED_MAX_US WEIR_US_PER_S

/* ---- configuration ---- */

uint32_t weir_budget_named(const struct weir_coord *c, const char *name)
{
  for (uint32_t i = 0; i < c->bounds.budgets_max; i++) {
    if (c->budgets[i].state != WEIR_POOL_FREE && strcmp(c->budgets[i].config.name, name) == 0)
      return i;
  }
  return WEIR_NONE;
}

static bool is_wanted(const struct weir_coord_config *config, const struct weir_budget *budget)
{
  for (uint32_t i = 0; i < config->budgets_count; i++) {
    if (strcmp(config->budgets[i].name, budget->config.name) == 0)
      return true;
  }
  return false;
}

static bool is_held(const struct weir_coord *c, uint32_t index)
{
  const struct weir_budget *budget = &c->budgets[index];

  return budget->leases_count > 0 || (budget->state == WEIR_POOL_REMOVED &&
                                      !weir_keep_has_left(c, weir_keep_index_of_budget(c, index)));
}

/* As with pools. */
bool weir_budgets_fit(const struct weir_coord *c, const struct weir_coord_config *config)
{
  uint32_t kept = 0;

  for (uint32_t i = 0; i < c->bounds.budgets_max; i++) {
    const bool is_leaving = c->is_durable && c->budgets[i].state == WEIR_POOL_OPEN;

    kept += (is_leaving || is_held(c, i)) && !is_wanted(config, &c->budgets[i]);
  }
  return config->budgets_count <= c->bounds.budgets_max &&
         kept <= c->bounds.budgets_max - config->budgets_count;
}

/* Any pool's calls may spend a tenant's budget. */
static weir_duration hold_of(const struct weir_coord_config *config)
{
  weir_duration hold = 0;

  for (uint32_t i = 0; i < config->pools_count; i++) {
    const weir_duration of_pool = config->pools[i].ttl_us + config->pools[i].jitter_us;

    hold = of_pool > hold ? of_pool : hold;
  }
  return hold;
}

static struct weir_budget *budget_place(struct weir_coord *c)
{
  struct weir_budget *place = NULL;

  for (uint32_t i = 0; i < c->bounds.budgets_max; i++) {
    if (c->budgets[i].state == WEIR_POOL_FREE)
      return &c->budgets[i];
    if (!place && c->budgets[i].state == WEIR_POOL_REMOVED && !is_held(c, i))
      place = &c->budgets[i];
  }
  assert(place); /* weir_budgets_fit counted */
  return place;
}

static void budget_new(struct weir_coord *c, const struct weir_ledger_config *ledger,
                       const struct weir_budget_config *config, const struct weir_instant *now)
{
  struct weir_budget *budget = budget_place(c);
  uint64_t *slots = weir_slots_of(c->slots, WEIR_LEDGER_SLOTS,
                                  c->bounds.pools_max + (size_t)(budget - c->budgets));

  memset(budget, 0, sizeof(*budget));
  budget->config = *config;
  budget->state = WEIR_POOL_OPEN;
  budget->line = (struct weir_list){WEIR_NONE, WEIR_NONE, 0};
  weir_today_begin(&budget->today, now->at);
  weir_ledger_init(&budget->ledger, slots, ledger, now);
  /* As with pools: it may be an old budget under a new name. */
  if (c->is_running)
    weir_ledger_assume_spent(&budget->ledger, weir_started_until(now->at));
}

void weir_budgets_configure(struct weir_coord *c, const struct weir_coord_config *config,
                            const struct weir_instant *now)
{
  struct weir_ledger_config ledger = {.hold_us = hold_of(config)};

  for (uint32_t i = 0; i < c->bounds.budgets_max; i++) {
    if (c->budgets[i].state != WEIR_POOL_OPEN || is_wanted(config, &c->budgets[i]))
      continue;
    c->budgets[i].state = WEIR_POOL_REMOVED;
    weir_keep_leave(c, weir_keep_index_of_budget(c, i));
  }
  /* Those that are known come first: a new one must not take the place of one that returns. */
  for (int pass = 0; pass < 2; pass++) {
    for (uint32_t i = 0; i < config->budgets_count; i++) {
      const struct weir_budget_config *wanted = &config->budgets[i];
      const uint32_t known = weir_budget_named(c, wanted->name);

      ledger.limits_count = wanted->limits_count;
      ledger.limits = wanted->limits;
      ledger.rules = &wanted->rules;
      if (pass == 0 && known != WEIR_NONE) {
        weir_ledger_configure(&c->budgets[known].ledger, &ledger, now);
        c->budgets[known].config = *wanted;
        c->budgets[known].state = WEIR_POOL_OPEN;
      } else if (pass == 1 && known == WEIR_NONE) {
        budget_new(c, &ledger, wanted, now);
      }
    }
  }
}

/* ---- books ---- */

static void books_add(struct weir_coord *c, struct weir_books *books, uint32_t budget)
{
  books->budgets[books->count] = budget;
  books->ledgers[books->count++] = &c->budgets[budget].ledger;
}

void weir_books_open(struct weir_coord *c, struct weir_pool *pool, uint32_t own,
                     struct weir_books *books)
{
  books->count = 1;
  books->ledgers[0] = &pool->ledger;
  books->budgets[0] = WEIR_NONE;
  for (uint32_t k = 0; k < pool->config.budgets_count; k++)
    books_add(c, books, pool->config.budgets[k]);
  books->shared = books->count;
  if (own != WEIR_NONE)
    books_add(c, books, own);
}

void weir_books_of_lease(struct weir_coord *c, const struct weir_held *lease,
                         struct weir_books *books)
{
  books->count = 1;
  books->ledgers[0] = &c->pools[lease->pool].ledger;
  books->budgets[0] = WEIR_NONE;
  for (uint32_t k = 1; k < lease->books_count; k++)
    books_add(c, books, lease->budgets[k]);
  books->shared = lease->books_shared;
}

weir_duration weir_books_pace_us(const struct weir_books *books, const struct weir_cost *cost)
{
  weir_duration longest = 0;

  for (uint32_t i = 0; i < books->shared; i++) {
    const weir_duration pace = weir_ledger_pace_us(books->ledgers[i], cost);

    longest = pace > longest ? pace : longest;
  }
  return longest;
}

weir_duration weir_books_sustained_us(const struct weir_books *books, const struct weir_cost *cost)
{
  weir_duration longest = 0;

  for (uint32_t i = 0; i < books->shared; i++) {
    const weir_duration pace = weir_ledger_sustained_us(books->ledgers[i], cost);

    longest = pace > longest ? pace : longest;
  }
  if (longest > 0)
    return longest;
  longest = weir_books_pace_us(books, cost);
  return longest < SUSTAINED_MAX_US ? longest : SUSTAINED_MAX_US;
}

weir_duration weir_books_widen_us(const struct weir_books *books)
{
  weir_duration widest = 0;

  for (uint32_t i = 0; i < books->count; i++) {
    if (books->ledgers[i]->widen_us > widest)
      widest = books->ledgers[i]->widen_us;
  }
  return widest;
}

/* ---- lines ---- */

static uint32_t tenants_begin(const struct weir_coord *c)
{
  return c->bounds.pools_max * WEIR_POOL_BUDGETS;
}

uint32_t weir_member_of_pool(const struct weir_coord *c, const struct weir_pool *pool, uint32_t k)
{
  return (uint32_t)(pool - c->pools) * WEIR_POOL_BUDGETS + k;
}

uint32_t weir_member_of_tenant(const struct weir_coord *c, uint32_t tenant)
{
  return tenants_begin(c) + tenant;
}

static struct weir_place *place_of(const struct weir_coord *c, uint32_t member)
{
  if (member >= tenants_begin(c))
    return &c->tenants[member - tenants_begin(c)].place;
  return &c->pools[member / WEIR_POOL_BUDGETS].places[member % WEIR_POOL_BUDGETS];
}

static uint64_t *ticket_of(const struct weir_coord *c, uint32_t member)
{
  if (member >= tenants_begin(c))
    return &c->tenants[member - tenants_begin(c)].ticket;
  return &c->pools[member / WEIR_POOL_BUDGETS].ticket;
}

bool weir_line_is_clear(const struct weir_coord *c, uint32_t budget, uint64_t ticket)
{
  const struct weir_list *line = &c->budgets[budget].line;

  return line->count == 0 || (ticket > 0 && *ticket_of(c, line->first) >= ticket);
}

void weir_line_look(struct weir_coord *c, uint32_t budget, weir_tstamp now)
{
  const struct weir_list *line = &c->budgets[budget].line;

  if (line->count == 0)
    return;
  if (line->first >= tenants_begin(c))
    weir_timer_set(&c->tenant_timers, &c->tenants[line->first - tenants_begin(c)].timer, now);
  else
    weir_timer_set(&c->pool_timers, &c->pools[line->first / WEIR_POOL_BUDGETS].timer, now);
}

void weir_line_join(struct weir_coord *c, uint32_t budget, uint32_t member)
{
  struct weir_list *line = &c->budgets[budget].line;
  struct weir_place *place = place_of(c, member);
  uint32_t before = line->last, after = WEIR_NONE;

  if (place->budget != WEIR_NONE)
    return;
  if (*ticket_of(c, member) == 0)
    *ticket_of(c, member) = c->ticket_next++;
  if (line->count == 0)
    before = WEIR_NONE;
  /* Almost always the last: only who comes back with an old ticket goes further. */
  while (before != WEIR_NONE && *ticket_of(c, before) > *ticket_of(c, member)) {
    after = before;
    before = place_of(c, before)->link.prev;
  }
  place->budget = budget;
  place->link = (struct weir_link){.next = after, .prev = before};
  if (before == WEIR_NONE)
    line->first = member;
  else
    place_of(c, before)->link.next = member;
  if (after == WEIR_NONE)
    line->last = member;
  else
    place_of(c, after)->link.prev = member;
  line->count++;
}

void weir_line_leave(struct weir_coord *c, uint32_t member, weir_tstamp now)
{
  struct weir_place *place = place_of(c, member);
  const uint32_t budget = place->budget;
  struct weir_list *line;
  bool was_first;

  if (budget == WEIR_NONE)
    return;
  line = &c->budgets[budget].line;
  was_first = line->first == member;
  if (was_first)
    line->first = place->link.next;
  else
    place_of(c, place->link.prev)->link.next = place->link.next;
  if (place->link.next == WEIR_NONE)
    line->last = place->link.prev;
  else
    place_of(c, place->link.next)->link.prev = place->link.prev;
  line->count--;
  place->budget = WEIR_NONE;
  if (was_first)
    weir_line_look(c, budget, now);
}

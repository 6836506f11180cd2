#include "machine.h"

#include <assert.h>

struct weir_msg *weir_turn_send(struct weir_turn *turn, uint64_t route, enum weir_msg_type type)
{
  struct weir_coord_send *send = &turn->update->sends[turn->update->count++];

  assert(turn->update->count <= WEIR_COORD_SENDS_MAX);
  send->route = route;
  send->msg.type = type;
  send->msg.session = 0;
  send->msg.mark = 0;
  return &send->msg;
}

/* Leaves room for the direct answers of one event. */
bool weir_turn_is_full(const struct weir_turn *turn)
{
  return turn->update->count >= WEIR_COORD_SENDS_MAX - 4;
}

/* Numbers grow by one an ask, so 32 bits tell all that can be open at the same time. */
uint64_t weir_call_key(uint32_t session, uint64_t seq)
{
  return (uint64_t)session << 32 | (seq & UINT32_MAX);
}

void weir_list_append(struct weir_list *list, struct weir_link *link_of_last,
                      struct weir_link *link, uint32_t index)
{
  link->next = WEIR_NONE;
  link->prev = list->count ? list->last : WEIR_NONE;
  if (list->count)
    link_of_last->next = index;
  else
    list->first = index;
  list->last = index;
  list->count++;
}

/* Every heap has room for all of its owners. */
void weir_timer_set(struct weir_pq *q, struct weir_pq_node *node, weir_tstamp at)
{
  enum weir_err err = weir_pq_set(q, node, at);

  assert(err == WEIR_OK);
  (void)err;
}

void weir_cost_add(struct weir_cost *sum, const struct weir_cost *cost)
{
  sum->requests += cost->requests;
  sum->input_tokens += cost->input_tokens;
  sum->output_tokens += cost->output_tokens;
  sum->spend += cost->spend;
}

void weir_cost_sub(struct weir_cost *sum, const struct weir_cost *cost)
{
  sum->requests -= cost->requests;
  sum->input_tokens -= cost->input_tokens;
  sum->output_tokens -= cost->output_tokens;
  sum->spend -= cost->spend;
}

uint64_t weir_price_of(const struct weir_pool_config *config, const struct weir_cost *cost)
{
  const weir_wide price = weir_wide_mul(cost->input_tokens, config->price_input) +
                          weir_wide_mul(cost->output_tokens, config->price_output);

  if (price == 0)
    return 0;
  return weir_wide_clamp((price + 999999) / 1000000, WEIR_AMOUNT_MAX);
}

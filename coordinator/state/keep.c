/* keep.c - what outlives this life: records, and who waits for them. */
#include "machine.h"

uint32_t weir_coord_keep(struct weir_coord *c, weir_tstamp now, struct weir_record *ret_records,
                         uint32_t max, uint64_t *ret_generation)
{
  (void)c, (void)now, (void)ret_records, (void)max, (void)ret_generation;
  return 0;
}

weir_tstamp weir_coord_keep_due(const struct weir_coord *c)
{
  (void)c;
  return WEIR_NEVER;
}

void weir_keep_answer(struct weir_coord *c, struct weir_turn *turn, uint64_t generation,
                      bool is_durable)
{
  (void)c, (void)turn, (void)generation, (void)is_durable;
}

#include "heritage.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "life.h"

#define LAST_GENERATIONS_MAX 64 /* of the end; what is not written stands as an upper bound */

/* ---- state file ---- */

static enum weir_err state_open(struct weir_heritage *h, const char *path, bool is_forced,
                                struct weir_coord_start *ret_start, char *ret_error)
{
  enum weir_err err = weir_epoch_open(&h->epoch, path, is_forced, ret_error);
  if (err != WEIR_OK)
    return err;
  ret_start->epoch = h->epoch.former.epoch + 1;
  ret_start->has_past = h->epoch.has_past;
  h->name = !h->epoch.has_past ? "none" : h->epoch.former.is_clean ? "clean" : "unclean";
  err = weir_keeper_start(&h->keeper, &h->epoch, ret_start->epoch, ret_error);
  if (err != WEIR_OK)
    weir_epoch_close(&h->epoch);
  return err;
}

static enum weir_err state_close(struct weir_heritage *h, weir_tstamp until, char *ret_error)
{
  weir_keeper_stop(&h->keeper);
  enum weir_err err = weir_epoch_write(&h->epoch, h->keeper.epoch, until, true, ret_error);
  weir_epoch_close(&h->epoch);
  return err;
}

/* ---- store ---- */

/* Whatever happens from here on, this life has begun: its epoch is durable. A mark of lost records
 * stays until an end in order, which writes all of them anew. */
static enum weir_err store_begin(struct weir_heritage *h, struct weir_coord_start *ret_start,
                                 char *ret_error)
{
  uint32_t count = 0;
  weir_life_boot(h->meta.boot);
  enum weir_err err = weir_store_read(h->store, &h->records, &count, ret_error);
  if (err == WEIR_OK)
    err = weir_store_commit(h->store, &h->meta, NULL, 0, ret_error);
  if (err != WEIR_OK)
    return err;
  ret_start->epoch = h->meta.epoch;
  ret_start->is_durable = true;
  ret_start->is_same_boot = h->meta.boot[0] != '\0' && strcmp(h->meta.boot, h->former.boot) == 0;
  ret_start->is_spent = h->former.is_spent;
  ret_start->records = h->records;
  ret_start->records_count = count;
  return weir_recorder_start(&h->recorder, h->store, ret_error);
}

static enum weir_err store_open(struct weir_heritage *h, const char *path, bool is_forced,
                                struct weir_coord_start *ret_start, char *ret_error)
{
  bool is_new = false;
  enum weir_err err = weir_store_open(path, is_forced ? WEIR_STORE_FORCE : WEIR_STORE_SERVE,
                                      &h->store, &is_new, ret_error);
  if (err == WEIR_OK && is_forced)
    err = weir_store_assume_spent(h->store, ret_error);
  if (err == WEIR_OK) {
    h->former = *weir_store_meta(h->store);
    h->meta = (struct weir_store_meta){
        .epoch = h->former.epoch + 1, .granted_until = WEIR_NEVER, .is_spent = h->former.is_spent};
    ret_start->has_past = !is_new || h->former.is_spent;
    h->name = !ret_start->has_past ? "none"
              : h->former.is_spent ? "spent"
              : h->former.is_clean ? "clean"
                                   : "unclean";
    err = store_begin(h, ret_start, ret_error);
  }
  if (err != WEIR_OK) {
    weir_heritage_forget(h);
    weir_store_close(h->store);
    h->store = NULL;
  }
  return err;
}

/* Records state instants, so what is due later is written then, not as if it were later. */
static weir_tstamp wait_until(weir_tstamp due)
{
  const struct timespec until = {.tv_sec = (time_t)(due / WEIR_US_PER_S),
                                 .tv_nsec = (long)(due % WEIR_US_PER_S * 1000)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
    ;
  return weir_clock_now();
}

/* What is due is written once more, with the settlements since. Under a mark of lost records, what
 * is due later as well: |ret_is_whole| tells that no old record is left. */
static enum weir_err last_records(struct weir_heritage *h, struct weir_coord *coord,
                                  bool *ret_is_whole, char *ret_error)
{
  static struct weir_coord_update update; /* large; nobody is left to send it to */
  struct weir_recorder *r = &h->recorder;
  uint64_t generation = 0;
  bool is_durable = false;
  weir_tstamp now = weir_clock_now();
  enum weir_err err = WEIR_OK;
  if (weir_recorder_take(r, &generation, &is_durable, ret_error))
    err = weir_coord_step(
        coord,
        &(struct weir_coord_event){.type = is_durable ? WEIR_COORD_DURABLE : WEIR_COORD_UNKEPT,
                                   .now = now,
                                   .generation = generation},
        &update);
  for (int i = 0; i < LAST_GENERATIONS_MAX && err == WEIR_OK; i++) {
    const weir_tstamp due = weir_coord_keep_due(coord);
    if (due > now && (due == WEIR_NEVER || !h->meta.is_spent))
      break;
    if (due > now)
      now = wait_until(due);
    uint32_t count =
        weir_coord_keep(coord, now, r->records, WEIR_RECORDER_RECORDS_MAX, &generation);
    if (count == 0)
      continue;
    err = weir_store_commit(h->store, NULL, r->records, count, ret_error);
    if (err == WEIR_OK)
      err = weir_coord_step(coord,
                            &(struct weir_coord_event){
                                .type = WEIR_COORD_DURABLE, .now = now, .generation = generation},
                            &update);
  }
  *ret_is_whole = err == WEIR_OK && weir_coord_keep_due(coord) == WEIR_NEVER;
  return err;
}

static enum weir_err store_close(struct weir_heritage *h, struct weir_coord *coord,
                                 weir_tstamp until, char *ret_error)
{
  bool is_whole = false;
  enum weir_err err = WEIR_OK;
  weir_recorder_stop(&h->recorder);
  if (coord != NULL)
    err = last_records(h, coord, &is_whole, ret_error);
  if (err == WEIR_OK) {
    h->meta.granted_until = until;
    h->meta.is_clean = true;
    h->meta.is_spent = h->meta.is_spent && !is_whole;
    err = weir_store_commit(h->store, &h->meta, NULL, 0, ret_error);
  }
  weir_recorder_free(&h->recorder);
  weir_store_close(h->store);
  h->store = NULL;
  return err;
}

/* ---- both ---- */

enum weir_err weir_heritage_open(struct weir_heritage *h, const struct weir_conf *conf,
                                 bool is_forced, struct weir_coord_start *ret_start,
                                 char *ret_error)
{
  *h = (struct weir_heritage){.epoch = {.lock_fd = -1}};
  return conf->store[0] != '\0' ? store_open(h, conf->store, is_forced, ret_start, ret_error)
                                : state_open(h, conf->state, is_forced, ret_start, ret_error);
}

/* As weir_epoch_past_us. */
static weir_duration store_past_us(const struct weir_heritage *h, weir_tstamp now)
{
  if (h->meta.boot[0] == '\0' || strcmp(h->meta.boot, h->former.boot) != 0 || h->former.is_spent)
    return 0;
  return weir_time_sub(now, h->former.granted_until);
}

void weir_heritage_begin(struct weir_heritage *h, struct weir_coord_start *start, weir_tstamp now)
{
  if (!start->has_past)
    return;
  start->past_us = h->store != NULL ? store_past_us(h, now) : weir_epoch_past_us(&h->epoch, now);
  h->former_until = weir_time_sub(now, start->past_us);
}

enum weir_err weir_heritage_go_on(struct weir_heritage *h, const struct weir_coord_start *start,
                                  struct weir_coord *coord, char *ret_error)
{
  if (h->store == NULL)
    return WEIR_OK;
  uint32_t count = weir_coord_disown(coord, h->records, start->records_count);
  return count > 0 ? weir_store_commit(h->store, NULL, h->records, count, ret_error) : WEIR_OK;
}

void weir_heritage_forget(struct weir_heritage *h)
{
  free(h->records);
  h->records = NULL;
}

struct weir_keeper *weir_heritage_keeper(struct weir_heritage *h)
{
  return h->store == NULL ? &h->keeper : NULL;
}

struct weir_recorder *weir_heritage_recorder(struct weir_heritage *h)
{
  return h->store != NULL ? &h->recorder : NULL;
}

enum weir_err weir_heritage_close(struct weir_heritage *h, struct weir_coord *coord,
                                  char *ret_error)
{
  weir_tstamp until = h->former_until;
  if (coord != NULL && weir_coord_grant_max(coord) > until)
    until = weir_coord_grant_max(coord);
  weir_heritage_forget(h);
  return h->store != NULL ? store_close(h, coord, until, ret_error)
                          : state_close(h, until, ret_error);
}

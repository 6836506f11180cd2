#include <weir/alerts.h>

#include <assert.h>
#include <string.h>

#include <weir/hash.h>
#include <weir/wide.h>

/* A condition and what was told of it. */
struct condition {
  bool is_true, is_told;
  weir_tstamp since; /* that it has been so */
};

/* Usage of a long window, a while ago: the older of two samples is at least half as old as the pace
 * is taken over. */
struct pace {
  weir_tstamp at[2];
  uint64_t used[2];
};

/* A limit is known by its dimension and window, which no other of its owner has: reloads move it.
 */
struct limit_watch {
  enum weir_dimension dimension;
  weir_duration window_us;
  struct condition near, early, foreign;
  struct pace pace;
};

struct watch {
  uint64_t key;
  bool is_seen;
  uint64_t rejected; /* that were counted so far */
  weir_tstamp rejected_at;
  uint32_t limits_count;
  struct limit_watch limits[WEIR_LIMITS_MAX]; /* in the order of the last row */
  struct condition breaker, is_rejected, drift;
};

struct weir_alerts {
  struct weir_alerts_config config;
  uint32_t count, owners_max;
  struct weir_table by_owner;
  struct watch *watches;
};

/* What one look at a row collects. */
struct look {
  const struct weir_msg_row *row;
  weir_tstamp now;
  uint32_t count;
  struct weir_alert *alerts;
};

const char *weir_alert_name(enum weir_alert_kind kind)
{
  static const char *const names[] = {
#define X(name, value, text) [value] = text,
      WEIR_ALERT_LIST(X)
#undef X
  };

  return kind >= WEIR_ALERT_NEAR_LIMIT && kind < WEIR_ALERT_KIND_MAX ? names[kind] : "?";
}

/* ---- storage ---- */

static size_t aligned(size_t size)
{
  return (size + 15) & ~(size_t)15;
}

size_t weir_alerts_size(uint32_t owners_max)
{
  return aligned(sizeof(struct weir_alerts)) + aligned(weir_table_size(owners_max)) +
         owners_max * sizeof(struct watch);
}

struct weir_alerts *weir_alerts_init(void *storage, uint32_t owners_max,
                                     const struct weir_alerts_config *config)
{
  struct weir_alerts *a = storage;
  uint8_t *rest = (uint8_t *)storage + aligned(sizeof(*a));

  memset(a, 0, sizeof(*a));
  a->config = *config;
  a->owners_max = owners_max;
  weir_table_init(&a->by_owner, rest, owners_max);
  a->watches = (struct watch *)(void *)(rest + aligned(weir_table_size(owners_max)));
  return a;
}

void weir_alerts_configure(struct weir_alerts *a, const struct weir_alerts_config *config)
{
  a->config = *config;
}

static struct watch *watch_of(struct weir_alerts *a, const struct weir_msg_row *row)
{
  const uint64_t key = weir_hash_text(row->pool, row->view); /* budgets may be called as pools */
  uint32_t place = a->count;
  struct watch *w;

  if (weir_table_find(&a->by_owner, key, &place))
    return &a->watches[place];
  if (weir_table_put(&a->by_owner, key, place) != WEIR_OK)
    return NULL;
  a->count++;
  w = &a->watches[place];
  memset(w, 0, sizeof(*w));
  w->key = key;
  w->rejected = row->rejected_429 - row->figures[WEIR_FIGURE_REJECTED_FOREIGN];
  return w;
}

void weir_alerts_sweep(struct weir_alerts *a)
{
  uint32_t i = 0;

  while (i < a->count) {
    struct watch *w = &a->watches[i];

    if (w->is_seen) {
      w->is_seen = false;
      i++;
      continue;
    }
    (void)weir_table_remove(&a->by_owner, w->key);
    a->count--;
    if (i < a->count) {
      enum weir_err err;

      *w = a->watches[a->count];
      err = weir_table_put(&a->by_owner, w->key, i); /* it is there: gets another place */
      assert(err == WEIR_OK);
      (void)err;
    }
  }
}

/* ---- conditions ---- */

/* Tells an alert when |is_true| has changed and stayed so for |for_us|. */
static void hold(struct look *look, struct condition *c, bool is_true, weir_duration for_us,
                 const struct weir_alert *alert)
{
  if (c->is_true != is_true || c->since == 0) {
    c->is_true = is_true;
    c->since = look->now;
  }
  if (c->is_true == c->is_told || weir_time_sub(look->now, c->since) < for_us)
    return;
  assert(look->count < WEIR_ALERT_ROW_MAX);
  c->is_told = c->is_true;
  look->alerts[look->count] = *alert;
  look->alerts[look->count].has_begun = c->is_true;
  look->count++;
}

static struct weir_alert alert_of(const struct look *look, enum weir_alert_kind kind)
{
  struct weir_alert alert = {.kind = kind};

  memcpy(alert.owner, look->row->pool, sizeof(alert.owner));
  return alert;
}

static uint64_t kept_of(const struct weir_msg_row_limit *limit)
{
  return limit->effective > 0 ? limit->effective : limit->amount;
}

/* Whether less is kept than upstream, and a ramp, leave. */
static bool is_foreign(const struct weir_msg_row_limit *limit)
{
  const uint64_t kept = kept_of(limit);

  return kept < limit->amount && (limit->stated == 0 || kept < limit->stated) &&
         (limit->ramp == 0 || kept < limit->ramp);
}

static bool is_near(const struct weir_alerts *a, const struct look *look,
                    const struct weir_msg_row_limit *limit)
{
  if (a->config.near_pm == 0 ||
      limit->used < weir_wide_scale(kept_of(limit), a->config.near_pm, 1000, UINT64_MAX))
    return false;
  /* A full minute is what the quota is for, unless somebody urgent waits for it. */
  return limit->window_us > WEIR_ALERT_LONG_US || look->row->queued[WEIR_CLASS_ONLINE] > 0;
}

/* How long until |limit| is used up at its pace; WEIR_DURATION_MAX when it is not known to grow. */
static weir_duration used_up_in(struct pace *p, const struct weir_msg_row_limit *limit,
                                weir_tstamp now)
{
  uint64_t grown;

  if (p->at[1] == 0 || weir_time_sub(now, p->at[1]) >= WEIR_ALERT_PACE_US / 2) {
    p->at[0] = p->at[1];
    p->used[0] = p->used[1];
    p->at[1] = now;
    p->used[1] = limit->used;
  }
  if (p->at[0] == 0 || limit->used <= p->used[0] || now <= p->at[0])
    return WEIR_DURATION_MAX;
  if (limit->used >= kept_of(limit))
    return 0;
  grown = limit->used - p->used[0];
  return weir_wide_scale(kept_of(limit) - limit->used, weir_time_sub(now, p->at[0]), grown,
                         WEIR_DURATION_MAX);
}

/* What is known of |limit|, or nothing. */
static struct limit_watch known_of(const struct limit_watch *limits, uint32_t count,
                                   const struct weir_msg_row_limit *limit)
{
  for (uint32_t i = 0; i < count; i++) {
    if (limits[i].dimension == limit->dimension && limits[i].window_us == limit->window_us)
      return limits[i];
  }
  return (struct limit_watch){.dimension = limit->dimension, .window_us = limit->window_us};
}

/* Brings what is known of limits into the order of |row|; those that are not there are forgotten.
 */
static void follow(struct watch *w, const struct weir_msg_row *row)
{
  struct limit_watch was[WEIR_LIMITS_MAX];
  const uint32_t count = w->limits_count;

  memcpy(was, w->limits, sizeof(was));
  w->limits_count = row->limits_count;
  for (uint32_t i = 0; i < row->limits_count; i++)
    w->limits[i] = known_of(was, count, &row->limits[i]);
}

static void look_at_limit(const struct weir_alerts *a, struct look *look, struct limit_watch *w,
                          const struct weir_msg_row_limit *limit)
{
  const bool is_long = limit->window_us > WEIR_ALERT_LONG_US;
  struct weir_alert alert = alert_of(look, WEIR_ALERT_NEAR_LIMIT);

  alert.is_limit = true;
  alert.dimension = limit->dimension;
  alert.window_us = limit->window_us;
  alert.is_day = limit->is_day;
  alert.used = limit->used;
  alert.kept = kept_of(limit);
  hold(look, &w->near, is_near(a, look, limit), a->config.for_us, &alert);
  alert.kind = WEIR_ALERT_FOREIGN;
  hold(look, &w->foreign, is_foreign(limit), 0, &alert);
  alert.kind = WEIR_ALERT_DAY_ENDS_EARLY;
  alert.in_us = is_long ? used_up_in(&w->pace, limit, look->now) : WEIR_DURATION_MAX;
  hold(look, &w->early, limit->half_us > 0 && alert.in_us < limit->half_us, a->config.for_us,
       &alert);
}

/* An alert of a rejection begins with it, and ends when there was none for a while. */
static void look_at_rejections(struct look *look, struct watch *w)
{
  const uint64_t foreign = look->row->figures[WEIR_FIGURE_REJECTED_FOREIGN];
  const uint64_t own = look->row->rejected_429 > foreign ? look->row->rejected_429 - foreign : 0;
  struct weir_alert alert = alert_of(look, WEIR_ALERT_REJECTED);

  if (own > w->rejected)
    w->rejected_at = look->now;
  w->rejected = own;
  alert.used = own;
  hold(look, &w->is_rejected,
       w->rejected_at != 0 && weir_time_sub(look->now, w->rejected_at) < WEIR_ALERT_QUIET_US, 0,
       &alert);
}

static void look_at_drift(const struct weir_alerts *a, struct look *look, struct watch *w)
{
  const uint64_t ratio = look->row->figures[WEIR_FIGURE_RATIO_PM];
  const uint64_t off = ratio > 1000 ? ratio - 1000 : 1000 - ratio;
  struct weir_alert alert = alert_of(look, WEIR_ALERT_DRIFT);

  alert.ratio_pm = (uint32_t)ratio;
  hold(look, &w->drift, a->config.drift_pm > 0 && ratio > 0 && off > a->config.drift_pm,
       a->config.for_us, &alert);
}

uint32_t weir_alerts_row(struct weir_alerts *a, const struct weir_msg_row *row, weir_tstamp now,
                         struct weir_alert *ret_alerts)
{
  struct look look = {.row = row, .now = now, .alerts = ret_alerts};
  struct watch *w = watch_of(a, row);
  const bool is_open = row->breaker == WEIR_BREAKER_OPEN || row->breaker == WEIR_BREAKER_HALF_OPEN;
  struct weir_alert alert;

  if (w == NULL)
    return 0;
  w->is_seen = true;
  follow(w, row);
  for (uint32_t i = 0; i < row->limits_count; i++)
    look_at_limit(a, &look, &w->limits[i], &row->limits[i]);
  alert = alert_of(&look, WEIR_ALERT_BREAKER_OPEN);
  hold(&look, &w->breaker, is_open, 0, &alert);
  look_at_rejections(&look, w);
  look_at_drift(a, &look, w);
  return look.count;
}

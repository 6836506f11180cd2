#include <weir/fair.h>

#include <assert.h>
#include <string.h>

#include <weir/line.h>

#define SCALE_BITS WEIR_FAIR_SCALE_BITS

/* ---- pairing heaps of records: a root has no |prev|; the first child's |prev| is its parent ----
 */

static bool is_before(const struct weir_fair_record *a, const struct weir_fair_record *b)
{
  return a->time < b->time || (a->time == b->time && a->order < b->order);
}

/* Joins two heaps, either of which may be none, and returns the root. */
static uint32_t meld(struct weir_fair *f, uint32_t a, uint32_t b)
{
  struct weir_fair_record *root, *under;
  uint32_t kept;

  if (a == WEIR_FAIR_NONE || b == WEIR_FAIR_NONE)
    return a == WEIR_FAIR_NONE ? b : a;
  if (is_before(&f->records[b], &f->records[a])) {
    kept = a;
    a = b;
    b = kept;
  }
  root = &f->records[a];
  under = &f->records[b];
  under->prev = a;
  under->next = root->child;
  if (root->child != WEIR_FAIR_NONE)
    f->records[root->child].prev = b;
  root->child = b;
  root->next = root->prev = WEIR_FAIR_NONE;
  return a;
}

/* Makes one heap of the siblings from |first| on: in pairs from the left, then from the right. */
static uint32_t meld_siblings(struct weir_fair *f, uint32_t first)
{
  uint32_t pairs = WEIR_FAIR_NONE, root = WEIR_FAIR_NONE;

  while (first != WEIR_FAIR_NONE) {
    uint32_t a = first, b = f->records[a].next, pair;

    first = b == WEIR_FAIR_NONE ? WEIR_FAIR_NONE : f->records[b].next;
    f->records[a].next = f->records[a].prev = WEIR_FAIR_NONE;
    if (b != WEIR_FAIR_NONE)
      f->records[b].next = f->records[b].prev = WEIR_FAIR_NONE;
    pair = meld(f, a, b);
    f->records[pair].next = pairs;
    pairs = pair;
  }
  while (pairs != WEIR_FAIR_NONE) {
    uint32_t next = f->records[pairs].next;

    f->records[pairs].next = WEIR_FAIR_NONE;
    root = meld(f, root, pairs);
    pairs = next;
  }
  return root;
}

static void heap_add(struct weir_fair *f, uint32_t *root, uint32_t record)
{
  struct weir_fair_record *r = &f->records[record];

  r->child = r->next = r->prev = WEIR_FAIR_NONE;
  *root = meld(f, *root, record);
}

static void heap_remove(struct weir_fair *f, uint32_t *root, uint32_t record)
{
  struct weir_fair_record *r = &f->records[record];
  uint32_t children = meld_siblings(f, r->child);

  if (*root == record) {
    *root = children;
  } else {
    if (f->records[r->prev].child == record)
      f->records[r->prev].child = r->next;
    else
      f->records[r->prev].next = r->next;
    if (r->next != WEIR_FAIR_NONE)
      f->records[r->next].prev = r->prev;
    *root = meld(f, *root, children);
  }
  r->child = r->next = r->prev = WEIR_FAIR_NONE;
}

/* ---- free records ---- */

/* Who left last is the last whose place is taken. */
static void free_append(struct weir_fair *f, uint32_t record)
{
  struct weir_fair_record *r = &f->records[record];

  r->next = WEIR_FAIR_NONE;
  r->prev = f->free_last;
  if (f->free_last == WEIR_FAIR_NONE)
    f->free = record;
  else
    f->records[f->free_last].next = record;
  f->free_last = record;
}

static void free_remove(struct weir_fair *f, uint32_t record)
{
  struct weir_fair_record *r = &f->records[record];

  if (r->prev == WEIR_FAIR_NONE)
    f->free = r->next;
  else
    f->records[r->prev].next = r->next;
  if (r->next == WEIR_FAIR_NONE)
    f->free_last = r->prev;
  else
    f->records[r->next].prev = r->prev;
  r->next = r->prev = WEIR_FAIR_NONE;
}

/* ---- storage ---- */

static size_t rounded(size_t size)
{
  return (size + WEIR_LINE_SIZE - 1) / WEIR_LINE_SIZE * WEIR_LINE_SIZE;
}

size_t weir_fair_size(uint32_t classes, uint32_t tenants)
{
  return rounded(((size_t)classes + tenants) * sizeof(struct weir_fair_record)) +
         rounded(classes * sizeof(struct weir_fair_class)) + weir_table_size(tenants);
}

void weir_fair_init(struct weir_fair *f, void *storage, uint32_t classes, uint32_t tenants)
{
  uint8_t *at = storage;

  memset(f, 0, sizeof(*f));
  f->classes_count = classes;
  f->records_count = classes + tenants;
  f->records = (struct weir_fair_record *)(void *)at;
  at += rounded(f->records_count * sizeof(struct weir_fair_record));
  f->classes = (struct weir_fair_class *)(void *)at;
  at += rounded(classes * sizeof(struct weir_fair_class));
  weir_table_init(&f->by_name, at, tenants);
  memset(f->records, 0, f->records_count * sizeof(*f->records));
  memset(f->classes, 0, classes * sizeof(*f->classes));
  for (uint32_t i = 0; i < f->records_count; i++) {
    struct weir_fair_record *r = &f->records[i];

    r->child = r->next = r->prev = WEIR_FAIR_NONE;
    r->weight = 1;
    if (i < classes) {
      f->classes[i].ready = f->classes[i].idle = WEIR_FAIR_NONE;
      r->class = i;
      r->state = WEIR_FAIR_HELD;
      r->refs = 1; /* for ever */
    }
  }
  f->free = f->free_last = WEIR_FAIR_NONE;
  for (uint32_t i = classes; i < f->records_count; i++)
    free_append(f, i);
}

/* ---- records ---- */

static bool is_named(const struct weir_fair_record *r, uint32_t class, const char *name)
{
  return r->class == class && strcmp(r->name, name) == 0;
}

/* Takes the free |record| for another name than it has. */
static void record_clear(struct weir_fair *f, uint32_t record)
{
  struct weir_fair_record *r = &f->records[record];

  if (r->name[0] != '\0')
    weir_table_remove(&f->by_name, weir_table_key(r->name, r->class));
  memset(r, 0, sizeof(*r));
  r->child = r->next = r->prev = WEIR_FAIR_NONE;
  r->weight = 1;
}

uint32_t weir_fair_open(struct weir_fair *f, uint32_t class, const char *name)
{
  /* Two names with the same key are as good as a full table for the later one. */
  const uint64_t key = weir_table_key(name, class);
  struct weir_fair_record *r;
  uint32_t record;

  assert(class < f->classes_count);
  if (name[0] == '\0')
    return class;
  if (!weir_table_find(&f->by_name, key, &record))
    record = f->free;
  if (record == WEIR_FAIR_NONE)
    return WEIR_FAIR_NONE;
  r = &f->records[record];
  r->was_known = is_named(r, class, name);
  if (r->state != WEIR_FAIR_FREE)
    return r->was_known ? record : WEIR_FAIR_NONE;
  free_remove(f, record);
  if (!r->was_known) {
    record_clear(f, record);
    (void)!weir_table_put(&f->by_name, key, record); /* which has room for each record */
    r->class = class;
    strncpy(r->name, name, sizeof(r->name) - 1);
  }
  r->weight = 1;
  r->time = 0; /* lifted when it begins to wait */
  r->state = WEIR_FAIR_HELD;
  return record;
}

static void record_free(struct weir_fair *f, uint32_t record)
{
  struct weir_fair_record *r = &f->records[record];

  r->state = WEIR_FAIR_FREE;
  free_append(f, record);
}

/* Frees who is no longer ahead; where nobody is ready, nobody is. */
static void class_advance(struct weir_fair *f, struct weir_fair_class *class)
{
  if (class->ready == WEIR_FAIR_NONE)
    class->time = class->time_max;
  while (class->idle != WEIR_FAIR_NONE && f->records[class->idle].time <= class->time) {
    uint32_t record = class->idle;

    heap_remove(f, &class->idle, record);
    record_free(f, record);
  }
}

void weir_fair_weigh(struct weir_fair *f, uint32_t record, uint32_t weight)
{
  struct weir_fair_record *r = &f->records[record];

  assert(weight > 0);
  if (r->state == WEIR_FAIR_READY)
    f->classes[r->class].weights += (uint64_t)weight - r->weight;
  r->weight = weight;
}

void weir_fair_hold(struct weir_fair *f, uint32_t record)
{
  struct weir_fair_record *r = &f->records[record];

  assert(r->state != WEIR_FAIR_FREE);
  if (r->state == WEIR_FAIR_IDLE) {
    heap_remove(f, &f->classes[r->class].idle, record);
    r->state = WEIR_FAIR_HELD;
  }
  r->refs++;
}

void weir_fair_drop(struct weir_fair *f, uint32_t record)
{
  struct weir_fair_record *r = &f->records[record];
  struct weir_fair_class *class = &f->classes[r->class];

  assert(r->refs > 0);
  if (--r->refs > 0)
    return;
  assert(r->state == WEIR_FAIR_HELD);
  r->state = WEIR_FAIR_IDLE;
  heap_add(f, &class->idle, record);
  class_advance(f, class);
}

void weir_fair_ready(struct weir_fair *f, uint32_t record)
{
  struct weir_fair_record *r = &f->records[record];
  struct weir_fair_class *class = &f->classes[r->class];

  if (r->state == WEIR_FAIR_READY)
    return;
  assert(r->state == WEIR_FAIR_HELD && r->refs > 0);
  if (r->time < class->time)
    r->time = class->time;
  r->order = f->order_next++;
  r->state = WEIR_FAIR_READY;
  class->weights += r->weight;
  heap_add(f, &class->ready, record);
}

void weir_fair_rest(struct weir_fair *f, uint32_t record)
{
  struct weir_fair_record *r = &f->records[record];
  struct weir_fair_class *class = &f->classes[r->class];

  if (r->state != WEIR_FAIR_READY)
    return;
  heap_remove(f, &class->ready, record);
  r->state = WEIR_FAIR_HELD;
  class->weights -= r->weight;
  class_advance(f, class);
}

uint32_t weir_fair_first(const struct weir_fair *f, uint32_t class)
{
  return f->classes[class].ready;
}

static uint64_t share_of(const struct weir_fair_record *r, weir_duration pace_us)
{
  return (pace_us << SCALE_BITS) / r->weight;
}

/* Gives |record| another time, and its place after that. */
static void move(struct weir_fair *f, uint32_t record, uint64_t time)
{
  struct weir_fair_record *r = &f->records[record];
  struct weir_fair_class *class = &f->classes[r->class];

  if (r->state == WEIR_FAIR_READY)
    heap_remove(f, &class->ready, record);
  r->time = time;
  if (time > class->time_max)
    class->time_max = time;
  if (r->state == WEIR_FAIR_READY) {
    r->order = f->order_next++;
    heap_add(f, &class->ready, record);
  }
  class_advance(f, class);
}

uint64_t weir_fair_charge(struct weir_fair *f, uint32_t record, weir_duration pace_us)
{
  struct weir_fair_record *r = &f->records[record];
  struct weir_fair_class *class = &f->classes[r->class];
  const uint64_t share = share_of(r, pace_us);

  assert(r->state == WEIR_FAIR_READY);
  if (r->time > class->time)
    class->time = r->time;
  move(f, record, weir_time_add(r->time, share));
  return share;
}

uint64_t weir_fair_correct(struct weir_fair *f, uint32_t record, uint64_t charged,
                           weir_duration pace_us)
{
  struct weir_fair_record *r = &f->records[record];
  const uint64_t share = share_of(r, pace_us);

  assert(r->refs > 0);
  if (share > charged)
    move(f, record, weir_time_add(r->time, share - charged));
  else if (share < charged)
    move(f, record, weir_time_sub(r->time, charged - share));
  return share;
}

uint64_t weir_fair_weights(const struct weir_fair *f, uint32_t class)
{
  return f->classes[class].weights;
}

/* ---- check ---- */

static void check_heap(const struct weir_fair *f, uint32_t record)
{
  const struct weir_fair_record *r = &f->records[record];
  const struct weir_fair_class *class = &f->classes[r->class];

  if (r->prev == WEIR_FAIR_NONE)
    assert(r->next == WEIR_FAIR_NONE &&
           record == (r->state == WEIR_FAIR_READY ? class->ready : class->idle));
  else if (f->records[r->prev].child == record)
    assert(!is_before(r, &f->records[r->prev]));
  else
    assert(f->records[r->prev].next == record);
}

static void check_record(const struct weir_fair *f, uint32_t record)
{
  const struct weir_fair_record *r = &f->records[record];
  const struct weir_fair_class *class = &f->classes[r->class];
  uint32_t found;

  assert(r->weight > 0 && r->class < f->classes_count);
  assert((r->state == WEIR_FAIR_IDLE) == (r->refs == 0));
  assert(r->state != WEIR_FAIR_IDLE || r->time > class->time);
  assert(r->time <= class->time_max);
  if (record >= f->classes_count)
    assert(weir_table_find(&f->by_name, weir_table_key(r->name, r->class), &found) &&
           found == record);
  if (r->state != WEIR_FAIR_HELD)
    check_heap(f, record);
}

void weir_fair_check(const struct weir_fair *f)
{
  uint32_t used = 0, freed = 0, named = 0, found;

  for (uint32_t k = 0; k < f->classes_count; k++) {
    const struct weir_fair_class *class = &f->classes[k];

    assert(class->time <= class->time_max);
    assert((class->ready == WEIR_FAIR_NONE) == (class->weights == 0));
    assert(class->ready != WEIR_FAIR_NONE || class->time == class->time_max);
  }
  for (uint32_t i = 0; i < f->records_count; i++) {
    if (f->records[i].state == WEIR_FAIR_FREE)
      continue;
    check_record(f, i);
    used += i >= f->classes_count;
  }
  for (uint32_t i = f->free; i != WEIR_FAIR_NONE; i = f->records[i].next) {
    const struct weir_fair_record *r = &f->records[i];

    assert(r->state == WEIR_FAIR_FREE && r->refs == 0);
    assert(r->next == WEIR_FAIR_NONE ? f->free_last == i : f->records[r->next].prev == i);
    assert(r->name[0] == '\0' ||
           (weir_table_find(&f->by_name, weir_table_key(r->name, r->class), &found) && found == i));
    named += r->name[0] != '\0';
    freed++;
  }
  assert(used + named == f->by_name.count);
  assert(used + freed == f->records_count - f->classes_count);
}

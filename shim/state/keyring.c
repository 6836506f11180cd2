#include <weir/keyring.h>

#include <assert.h>
#include <string.h>

/* ---- whose turn ---- */

void weir_keyring_init(struct weir_keyring *ring, uint32_t count)
{
  assert(count <= WEIR_KEYS_MAX);
  memset(ring, 0, sizeof(*ring));
  ring->count = count;
}

static bool rests(const struct weir_keyring *ring, uint32_t number, weir_tstamp now)
{
  return ring->rests_until[number] > now;
}

uint32_t weir_keyring_take(struct weir_keyring *ring, weir_tstamp now)
{
  uint32_t taken = ring->next % ring->count;

  for (uint32_t i = 0; i < ring->count; i++) {
    const uint32_t number = (ring->next + i) % ring->count;

    if (!rests(ring, number, now)) {
      taken = number;
      break;
    }
    if (ring->rests_until[number] < ring->rests_until[taken])
      taken = number;
  }
  ring->next = (taken + 1) % ring->count;
  return taken;
}

void weir_keyring_reject(struct weir_keyring *ring, uint32_t number, weir_tstamp now)
{
  assert(number < ring->count);
  ring->rests_until[number] = weir_time_add(now, WEIR_KEY_REST_US);
}

bool weir_keyring_is_again(const struct weir_keyring *ring, enum weir_outcome outcome,
                           uint32_t attempt, uint32_t retries_max, weir_tstamp now)
{
  if (outcome != WEIR_OUTCOME_AUTH || attempt > retries_max)
    return false;
  for (uint32_t i = 0; i < ring->count; i++) {
    if (!rests(ring, i, now))
      return true;
  }
  return false;
}

/* ---- where keys are ---- */

static bool is_blank(char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void trim(const char **text, size_t *size)
{
  while (*size > 0 && is_blank(**text)) {
    (*text)++;
    (*size)--;
  }
  while (*size > 0 && is_blank((*text)[*size - 1]))
    (*size)--;
}

/* The names that shells know. What else stands behind "env:" may well be the key itself. */
static bool is_variable(const char *name, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    const bool is_digit = name[i] >= '0' && name[i] <= '9';

    if (!(name[i] >= 'A' && name[i] <= 'Z') && !(name[i] >= 'a' && name[i] <= 'z') &&
        name[i] != '_' && !(is_digit && i > 0))
      return false;
  }
  return size > 0;
}

int weir_keyref_next(const char **at, struct weir_keyref *ret_ref)
{
  const char *text = *at;
  size_t size = strcspn(text, ",");

  if (*text == '\0')
    return 0;
  *at += size + (text[size] == ',');
  trim(&text, &size);
  ret_ref->is_file = size > 6 && strncmp(text, "file:/", 6) == 0;
  if (!ret_ref->is_file &&
      (size <= 4 || strncmp(text, "env:", 4) != 0 || !is_variable(text + 4, size - 4)))
    return -1;
  ret_ref->name = text + (ret_ref->is_file ? 5 : 4);
  ret_ref->size = size - (ret_ref->is_file ? 5 : 4);
  return 1;
}

void weir_key_scan_init(struct weir_key_scan *scan, const char *text, size_t size)
{
  *scan = (struct weir_key_scan){.at = text, .end = text + size};
}

bool weir_key_scan_next(struct weir_key_scan *scan)
{
  scan->size = 0;
  while (scan->size == 0 && !scan->fault) {
    const char *end;

    if (scan->at == scan->end)
      return false;
    end = memchr(scan->at, '\n', (size_t)(scan->end - scan->at));
    scan->line++;
    scan->key = scan->at;
    scan->size = (size_t)((end ? end : scan->end) - scan->at);
    scan->at = end ? end + 1 : scan->end;
    trim(&scan->key, &scan->size);
    if (scan->size > WEIR_KEY_SIZE_MAX)
      scan->fault = "is longer than 8,192 bytes";
    /* A key goes into a header line: what would break out of it is no key. */
    for (size_t i = 0; i < scan->size && !scan->fault; i++) {
      if (scan->key[i] <= 0x20 || scan->key[i] > 0x7e)
        scan->fault = "holds a space, or a byte that is not printable ASCII";
    }
  }
  return !scan->fault;
}

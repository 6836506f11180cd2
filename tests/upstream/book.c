#include "book.h"

#include <stdlib.h>
#include <string.h>

static void renew_meter(struct weir_up_account *a, const struct weir_up_settings *s,
                        uint64_t now_us)
{
  struct weir_up_limit limits[WEIR_UP_LIMITS_MAX];
  uint32_t count = weir_up_settings_limits(s, a->model, a->tokens, limits);
  weir_up_meter_free(a->meter);
  a->meter = weir_up_meter_new(limits, count, s->is_rejected_counted, now_us);
  if (a->meter == NULL)
    abort();
  a->limits_version = s->limits_version;
  memset(a->rejected_by, 0, sizeof a->rejected_by);
}

struct weir_up_account *weir_up_book_account(struct weir_up_book *b,
                                             const struct weir_up_settings *s, const char *project,
                                             const char *model, const char *provider,
                                             enum weir_up_dimension tokens, uint64_t now_us)
{
  struct weir_up_account *a = NULL;
  for (uint32_t i = 0; i < b->count && a == NULL; i++)
    if (strcmp(b->accounts[i]->model, model) == 0 && strcmp(b->accounts[i]->project, project) == 0)
      a = b->accounts[i];
  if (a == NULL) {
    if (b->count == WEIR_UP_ACCOUNTS_MAX || (a = calloc(1, sizeof *a)) == NULL)
      return NULL;
    strncpy(a->project, project, WEIR_UP_NAME_MAX);
    strncpy(a->model, model, WEIR_UP_MODEL_MAX);
    a->provider = provider;
    a->tokens = tokens;
    a->reset_us = now_us;
    b->accounts[b->count++] = a;
  }
  if (a->meter == NULL || a->limits_version != s->limits_version)
    renew_meter(a, s, now_us);
  return a;
}

void weir_up_book_record(struct weir_up_book *b, const struct weir_up_settings *s,
                         const struct weir_up_account *a, const struct weir_up_record *record)
{
  if (s->log_entries == 0)
    return;
  if (b->record_capacity != s->log_entries) {
    free(b->records);
    b->records = calloc(s->log_entries, sizeof *b->records);
    if (b->records == NULL)
      abort();
    b->record_capacity = s->log_entries;
    b->record_count = 0;
  }
  uint32_t account = 0;
  while (b->accounts[account] != a)
    account++;
  struct weir_up_record *kept = &b->records[b->record_count++ % b->record_capacity];
  *kept = *record;
  kept->account = account;
}

/* --- JSON ---------------------------------------------------------------------------------- */

typedef unsigned long long ull;

static void show_limit(struct weir_up_account *a, uint32_t i, uint64_t now_us,
                       struct weir_up_buffer *out)
{
  const struct weir_up_limit *limit = weir_up_meter_limit(a->meter, i);
  uint64_t peak = weir_up_meter_peak(a->meter, i);
  weir_up_add(out,
              "{\"dimension\":\"%s\",\"window_ms\":%llu,\"amount\":%llu,\"method\":\"%s\","
              "\"rejected\":%llu,\"used\":%llu,\"peak\":%llu,\"peak_share\":",
              weir_up_dimension_name(limit->dimension), (ull)(limit->window_us / 1000),
              (ull)limit->amount, weir_up_method_name(limit->method), (ull)a->rejected_by[i],
              (ull)weir_up_meter_used(a->meter, i, now_us), (ull)peak);
  if (limit->amount == 0)
    weir_up_add(out, "null}");
  else
    weir_up_add(out, "%.6f}", (double)peak / (double)limit->amount);
}

static void show_account(struct weir_up_account *a, uint64_t now_us, struct weir_up_buffer *out)
{
  weir_up_add(out, "{\"project\":");
  weir_up_add_json(out, a->project);
  weir_up_add(out, ",\"model\":");
  weir_up_add_json(out, a->model);
  weir_up_add(out,
              ",\"provider\":\"%s\",\"since_ms\":%llu,\"arrivals\":%llu,\"admitted\":%llu,"
              "\"rejected\":%llu,\"faults\":%llu,\"refused\":%llu,\"completed\":%llu,"
              "\"cancelled\":%llu,\"input_tokens\":%llu,\"output_tokens\":%llu,\"limits\":[",
              a->provider, (ull)(a->reset_us / 1000), (ull)a->arrivals, (ull)a->admitted,
              (ull)a->rejected, (ull)a->faulted, (ull)a->refused, (ull)a->completed,
              (ull)a->cancelled, (ull)a->input_tokens, (ull)a->output_tokens);
  for (uint32_t i = 0; i < weir_up_meter_count(a->meter); i++) {
    weir_up_add(out, i > 0 ? "," : "");
    show_limit(a, i, now_us, out);
  }
  weir_up_add(out, "]}");
}

void weir_up_book_show(struct weir_up_book *b, const struct weir_up_settings *s, uint64_t now_us,
                       struct weir_up_buffer *out)
{
  uint64_t arrivals = 0, admitted = 0, rejected = 0, faulted = 0;
  for (uint32_t i = 0; i < b->count; i++) {
    const struct weir_up_account *a = b->accounts[i];
    arrivals += a->arrivals;
    admitted += a->admitted;
    rejected += a->rejected;
    faulted += a->faulted;
  }
  weir_up_add(out,
              "{\"now_ms\":%llu,\"totals\":{\"arrivals\":%llu,\"admitted\":%llu,\"rejected\":%llu,"
              "\"faults\":%llu},\"faults\":{",
              (ull)(now_us / 1000), (ull)arrivals, (ull)admitted, (ull)rejected, (ull)faulted);
  bool is_first = true;
  for (int kind = 1; kind < WEIR_UP_FAULT_MAX; kind++)
    if (b->faults[kind] > 0) {
      weir_up_add(out, "%s\"%s\":%llu", is_first ? "" : ",",
                  weir_up_fault_name((enum weir_up_fault_kind)kind), (ull)b->faults[kind]);
      is_first = false;
    }
  weir_up_add(out, "},\"accounts\":[");
  for (uint32_t i = 0; i < b->count; i++) {
    struct weir_up_account *a = b->accounts[i];
    if (a->limits_version != s->limits_version)
      renew_meter(a, s, now_us);
    weir_up_add(out, i > 0 ? "," : "");
    show_account(a, now_us, out);
  }
  weir_up_add(out, "]}\n");
}

void weir_up_book_show_log(const struct weir_up_book *b, struct weir_up_buffer *out)
{
  uint64_t first = b->record_count > b->record_capacity ? b->record_count - b->record_capacity : 0;
  weir_up_add(out, "{\"dropped\":%llu,\"calls\":[", (ull)first);
  for (uint64_t i = first; i < b->record_count; i++) {
    const struct weir_up_record *r = &b->records[i % b->record_capacity];
    weir_up_add(out, "%s\n{\"t_ms\":%llu.%03llu,\"admitted\":%s,\"tokens\":%llu,\"model\":",
                i > first ? "," : "", (ull)(r->at_us / 1000), (ull)(r->at_us % 1000),
                r->is_admitted ? "true" : "false", (ull)r->tokens);
    weir_up_add_json(out, b->accounts[r->account]->model);
    if (r->fault != WEIR_UP_FAULT_NONE)
      weir_up_add(out, ",\"fault\":\"%s\"", weir_up_fault_name(r->fault));
    weir_up_add(out, "}");
  }
  weir_up_add(out, "]}\n");
}

void weir_up_book_reset(struct weir_up_book *b)
{
  for (uint32_t i = 0; i < b->count; i++) {
    weir_up_meter_free(b->accounts[i]->meter);
    free(b->accounts[i]);
  }
  free(b->records);
  *b = (struct weir_up_book){0};
}

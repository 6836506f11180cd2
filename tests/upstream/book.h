/* book.h - what the simulated provider has seen: meters and counters per project and model. */
#ifndef WEIR_UP_BOOK_H
#define WEIR_UP_BOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "limits.h"
#include "script.h"

#define WEIR_UP_ACCOUNTS_MAX 1024

struct weir_up_account {
  char project[WEIR_UP_NAME_MAX + 1], model[WEIR_UP_MODEL_MAX + 1];
  const char *provider;
  enum weir_up_dimension tokens; /* what its TPM counts */
  struct weir_up_meter *meter;
  uint64_t limits_version;
  uint64_t arrivals; /* = admitted + rejected + faulted + refused */
  uint64_t admitted, rejected, faulted;
  uint64_t refused;              /* bad requests, too long for the context */
  uint64_t completed, cancelled; /* of the admitted: answered; the client went first */
  uint64_t input_tokens, output_tokens;
  uint64_t rejected_by[WEIR_UP_LIMITS_MAX];
  uint64_t reset_us; /* when the counters began */
};

struct weir_up_book {
  struct weir_up_account *accounts[WEIR_UP_ACCOUNTS_MAX];
  uint32_t count;
  uint64_t faults[WEIR_UP_FAULT_MAX];
  /* The last calls, when settings.log_entries > 0. */
  struct weir_up_record {
    uint64_t at_us, tokens;
    uint32_t account;
    bool is_admitted;
    enum weir_up_fault_kind fault; /* that answered in place of the meters; NONE: they judged it */
  } * records;
  uint64_t record_count, record_capacity;
};

/* weir_up_book_account finds or makes the account, with a meter of the limits that hold now; NULL
 * when the book is full. New limits start unused. */
struct weir_up_account *weir_up_book_account(struct weir_up_book *b,
                                             const struct weir_up_settings *s, const char *project,
                                             const char *model, const char *provider,
                                             enum weir_up_dimension tokens, uint64_t now_us);

/* weir_up_book_record adds |record| of a call of |a| to the log of calls, if |settings| asks for
 * one; its |account| is filled in. */
void weir_up_book_record(struct weir_up_book *b, const struct weir_up_settings *s,
                         const struct weir_up_account *a, const struct weir_up_record *record);

/* weir_up_book_show writes the counters as JSON, weir_up_book_show_log the log of calls. */
void weir_up_book_show(struct weir_up_book *b, const struct weir_up_settings *s, uint64_t now_us,
                       struct weir_up_buffer *out);
void weir_up_book_show_log(const struct weir_up_book *b, struct weir_up_buffer *out);

/* weir_up_book_reset forgets everything; pointers to accounts are no longer valid. */
void weir_up_book_reset(struct weir_up_book *b);

#endif

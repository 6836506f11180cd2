/* call.h - one request, as its three files share it: call.c (from the request to the lease, and the
 * end), call_send.c (what goes to the provider), call_answer.c (what comes back).
 */
#ifndef WEIR_PROXY_CALL_H
#define WEIR_PROXY_CALL_H

#include <weir/calllog.h>
#include <weir/classify.h>
#include <weir/headroom.h>
#include <weir/msg.h>
#include <weir/request.h>
#include <weir/retry.h>
#include <weir/spool.h>
#include <weir/usage.h>

#include "filter.h"
#include "proxy.h"
#include "upload.h"

enum call_state { CALL_WAITING = 1, CALL_FETCHING, CALL_PAUSING, CALL_ENDED };

struct weir_proxy_call {
  struct weir_proxy *p;
  struct weir_http_exchange *x;
  enum call_state state;
  struct weir_path path;
  struct weir_wishes wishes;
  bool is_key_ours;           /* a provider's key of ours goes along */
  bool has_facts;             /* the body is a JSON object */
  struct weir_upload *upload; /* a body that passes as it comes; NULL: it is there */
  struct weir_request_facts facts;

  /* What is asked for. */
  char model[2 * WEIR_WISH_SIZE + 1]; /* of the ask; "": no lease */
  bool is_bare_tried;                 /* the model's name without its provider's */
  uint64_t estimated, input_tokens, output_tokens;
  weir_tstamp deadline;
  uint64_t acquire; /* while WAITING */
  uint64_t wait_us; /* for leases and between attempts */
  uint32_t attempts, expiries;
  struct weir_retry_track track;
  uint32_t failed_http; /* what the last attempt failed with, if a new one gets no lease; 0: none */
  char failed_text[96];

  /* The attempt at hand. */
  bool has_lease;
  struct weir_lease lease;
  const struct weir_proxy_provider *provider;
  struct weir_keyfile_key key; /* that went along; its text is gone */
  struct weir_fetch *fetch;
  char *body; /* the changed one; NULL: the client's */
  size_t body_size;
  struct weir_spool spool;       /* what |body| is in, if it is too large for memory */
  struct weir_usage_scan *scan;  /* NULL: the answer is not read */
  struct weir_filter *filter;    /* NULL: the answer passes as it is */
  struct weir_headroom headroom; /* what the answer's headers said */
  bool is_usage_ours;            /* we asked for the usage, not the client */
  bool is_input_told;

  bool is_passing;   /* the answer's head went to the client */
  bool is_forgotten; /* the request's body was freed */
  bool is_unheaded;  /* the answer's head cannot be passed on */
  char *kept;        /* the body of an answer that was not passed on yet */
  size_t kept_size, kept_capacity;
  struct weir_verdict verdict;

  struct weir_calllog log; /* what its line will say; names are filled in at the end */

  uv_timer_t timer; /* while PAUSING */
  weir_tstamp pause_from;
};

/* weir_call_refuse and weir_call_refuse_text answer with an error of the proxy's own; the text's is
 * final. The call may be gone then. */
void weir_call_refuse(struct weir_proxy_call *c, const struct weir_rejection *rejection);
void weir_call_refuse_text(struct weir_proxy_call *c, uint32_t status, const char *text);

/* weir_call_ask asks for a lease for the next attempt. */
void weir_call_ask(struct weir_proxy_call *c);

/* weir_call_send begins an attempt: with the lease at hand, or with none. */
void weir_call_send(struct weir_proxy_call *c);

/* weir_call_need is the fetch handler's on_need. */
size_t weir_call_need(struct weir_fetch *fetch, char *to, size_t size, bool *ret_is_over,
                      void *context);

/* weir_call_settle tells the coordinator, if there is a lease; NULL: it was not used. */
void weir_call_settle(struct weir_proxy_call *c, const struct weir_settlement *settlement);

/* weir_call_settle_cut settles an attempt under way that ends without a whole answer. */
void weir_call_settle_cut(struct weir_proxy_call *c, enum weir_outcome outcome);

/* weir_call_body_free frees the changed body. */
void weir_call_body_free(struct weir_proxy_call *c);

/* weir_call_forget frees what belongs to one attempt. */
void weir_call_forget(struct weir_proxy_call *c);

/* weir_call_log_answer notes what became of the attempt at hand; weir_call_log_write writes the
 * line of the call, where there is a call log. */
void weir_call_log_answer(struct weir_proxy_call *c, int err, enum weir_outcome outcome);
void weir_call_log_write(struct weir_proxy_call *c);

/* weir_call_price finds out what the attempt at hand cost, if its answer told all of it: in
 * |log.has_cost| and |log.cost_micro|. */
void weir_call_price(struct weir_proxy_call *c);

/* weir_call_retry begins what follows |failure|, if anything does: false then. */
bool weir_call_retry(struct weir_proxy_call *c, const struct weir_retry_failure *failure);

#endif

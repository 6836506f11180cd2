/* samples.h - the messages of a lease's life as a busy shim sends them. */
#ifndef WEIR_BENCH_SAMPLES_H
#define WEIR_BENCH_SAMPLES_H

#include <string.h>

#include <weir/msg.h>

#define BENCH_POOL  "gemini-flash"
#define BENCH_MODEL "gemini/gemini-2.5-flash"

/* bench_sample_ask asks for one call. |seq| also numbers the message. */
static inline struct weir_msg bench_sample_ask(uint64_t seq)
{
  struct weir_msg msg = {
      .type = WEIR_MSG_ASK, .session = UINT64_C(0x9e3779b97f4a7c15), .mark = 2 * seq + 1};

  memcpy(msg.ask.model, BENCH_MODEL, sizeof(BENCH_MODEL));
  msg.ask.seq = seq;
  msg.ask.class = WEIR_CLASS_ONLINE;
  msg.ask.requests = 1;
  msg.ask.input_tokens = 3200;
  msg.ask.output_tokens = 1024;
  msg.ask.deadline_us = 30 * WEIR_US_PER_S;
  return msg;
}

/* bench_sample_settle tells of a call that went well. */
static inline struct weir_msg bench_sample_settle(uint64_t seq)
{
  struct weir_msg msg = {
      .type = WEIR_MSG_SETTLE, .session = UINT64_C(0x9e3779b97f4a7c15), .mark = 2 * seq};

  msg.settle.seq = seq;
  msg.settle.is_sent = msg.settle.is_final = msg.settle.has_usage = true;
  msg.settle.sent_ago_us = 612345;
  msg.settle.outcome = WEIR_OUTCOME_OK;
  msg.settle.http = 200;
  msg.settle.input_tokens = 3105;
  msg.settle.output_tokens = 412;
  msg.settle.latency_us = 612000;
  return msg;
}

/* bench_sample_grant is the answer to bench_sample_ask. */
static inline struct weir_msg bench_sample_grant(uint64_t seq)
{
  struct weir_msg msg = {
      .type = WEIR_MSG_GRANT, .session = UINT64_C(0x9e3779b97f4a7c15), .mark = 2 * seq + 1};

  msg.grant.seq = seq;
  msg.grant.ttl_us = 2 * WEIR_US_PER_S;
  memcpy(msg.grant.pool, BENCH_POOL, sizeof(BENCH_POOL));
  memcpy(msg.grant.model, BENCH_MODEL, sizeof(BENCH_MODEL));
  return msg;
}

#endif

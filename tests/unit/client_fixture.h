/* client_fixture.h - a client machine on a virtual clock, and the coordinator's words to it. */
#ifndef WEIR_TESTS_CLIENT_FIXTURE_H
#define WEIR_TESTS_CLIENT_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include <weir/client.h>

#define MS     WEIR_US_PER_MS
#define SECOND WEIR_US_PER_S

#define HEARTBEAT SECOND
#define TTL       (2 * SECOND)
#define TOKEN     UINT64_C(0x5e5510)

struct fixture {
  void *storage;
  struct weir_client *client;
  struct weir_client_update update; /* of the last step */
  weir_tstamp now;
  uint64_t token; /* of the session that the coordinator believes in */
  uint64_t mark;  /* last received by the coordinator */
  struct weir_msg sent[8192];
  uint32_t sent_count;
  struct weir_client_result results[8192];
  uint32_t results_count;
};

static inline enum weir_err fixture_step(struct fixture *f, struct weir_client_event *event)
{
  enum weir_err err;

  event->now = f->now;
  f->update.messages_max = WEIR_CLIENT_MESSAGES_MAX;
  err = weir_client_step(f->client, event, &f->update);
  weir_client_check(f->client);
  for (uint32_t i = 0; i < f->update.messages_count && f->sent_count < 8192; i++)
    f->sent[f->sent_count++] = f->update.messages[i];
  for (uint32_t i = 0; i < f->update.results_count && f->results_count < 8192; i++)
    f->results[f->results_count++] = f->update.results[i];
  return err;
}

/* Steps until nothing is due at this instant. */
static inline void fixture_settle_down(struct fixture *f)
{
  do {
    struct weir_client_event event = {.type = WEIR_CLIENT_TIMEOUT};

    if (fixture_step(f, &event) != WEIR_OK)
      abort();
  } while (f->update.wake <= f->now);
}

/* Lets the time pass to |at|, stopping wherever the machine wants to. */
static inline void fixture_run_to(struct fixture *f, weir_tstamp at)
{
  weir_tstamp wake;

  while ((wake = weir_client_wake(f->client)) <= at) {
    if (wake > f->now)
      f->now = wake;
    fixture_settle_down(f);
  }
  f->now = at;
}

static inline void fixture_link(struct fixture *f, bool is_up)
{
  struct weir_client_event event = {.type = WEIR_CLIENT_LINK, .is_up = is_up};

  if (fixture_step(f, &event) != WEIR_OK)
    abort();
}

/* The last message of |type| that was sent, or NULL. */
static inline const struct weir_msg *fixture_last(const struct fixture *f, enum weir_msg_type type)
{
  for (uint32_t i = f->sent_count; i > 0; i--) {
    if (f->sent[i - 1].type == type)
      return &f->sent[i - 1];
  }
  return NULL;
}

static inline uint32_t fixture_count(const struct fixture *f, enum weir_msg_type type)
{
  uint32_t count = 0;

  for (uint32_t i = 0; i < f->sent_count; i++)
    count += f->sent[i].type == type;
  return count;
}

/* The coordinator has received everything that was sent so far. */
static inline void fixture_hear(struct fixture *f)
{
  if (f->sent_count > 0)
    f->mark = f->sent[f->sent_count - 1].mark;
}

static inline void fixture_receive(struct fixture *f, struct weir_msg *msg)
{
  struct weir_client_event event = {.type = WEIR_CLIENT_RECEIVED, .msg = msg};

  if (fixture_step(f, &event) != WEIR_OK)
    abort();
}

static inline struct weir_msg fixture_say(const struct fixture *f, enum weir_msg_type type)
{
  struct weir_msg msg;

  memset(&msg, 0, sizeof(msg));
  msg.type = type;
  msg.session = f->token;
  msg.mark = f->mark;
  return msg;
}

/* Answers the HELLO that was sent last. */
static inline void fixture_welcome(struct fixture *f, uint64_t token, uint32_t asks_max)
{
  struct weir_msg msg;

  f->token = token;
  fixture_hear(f);
  msg = fixture_say(f, WEIR_MSG_WELCOME);
  msg.welcome = (struct weir_msg_welcome){.epoch = 7,
                                          .version = WEIR_PROTOCOL_VERSION,
                                          .heartbeat_us = HEARTBEAT,
                                          .session_ttl_us = 3 * SECOND,
                                          .asks_max = asks_max};
  fixture_receive(f, &msg);
}

static inline void fixture_refuse(struct fixture *f, uint64_t token, enum weir_refusal why)
{
  struct weir_msg msg = fixture_say(f, WEIR_MSG_REFUSE);

  msg.session = token;
  msg.refuse.why = why;
  fixture_receive(f, &msg);
}

static inline void fixture_grant_after(struct fixture *f, uint64_t seq, weir_duration start_in,
                                       weir_duration since)
{
  struct weir_msg msg = fixture_say(f, WEIR_MSG_GRANT);

  msg.grant = (struct weir_msg_grant){.seq = seq,
                                      .start_in_us = start_in,
                                      .ttl_us = TTL,
                                      .since_us = since,
                                      .pool = "flash",
                                      .model = "gemini/flash"};
  fixture_receive(f, &msg);
}

static inline void fixture_grant(struct fixture *f, uint64_t seq)
{
  fixture_hear(f);
  fixture_grant_after(f, seq, 0, 0);
}

static inline void fixture_queued(struct fixture *f, uint64_t seq)
{
  struct weir_msg msg;

  fixture_hear(f);
  msg = fixture_say(f, WEIR_MSG_QUEUED);
  msg.queued = (struct weir_msg_queued){.seq = seq, .eta_us = SECOND, .ahead = 1};
  fixture_receive(f, &msg);
}

static inline void fixture_deny(struct fixture *f, uint64_t seq, enum weir_denial why)
{
  struct weir_msg msg;

  fixture_hear(f);
  msg = fixture_say(f, WEIR_MSG_DENY);
  msg.deny = (struct weir_msg_deny){.seq = seq, .why = why, .retry_in_us = 5 * SECOND};
  fixture_receive(f, &msg);
}

static inline enum weir_err fixture_ask_as(struct fixture *f, uint64_t cookie,
                                           enum weir_class class, weir_duration wait)
{
  struct weir_client_ask ask = {
      .msg = {.model = "gemini/flash", .class = class, .requests = 1, .input_tokens = 100},
      .wait_us = wait};
  struct weir_client_event event = {
      .type = WEIR_CLIENT_ASK, .cookie = cookie, .context = cookie + 1000000, .ask = &ask};

  return fixture_step(f, &event);
}

static inline void fixture_ask(struct fixture *f, uint64_t cookie, weir_duration wait)
{
  if (fixture_ask_as(f, cookie, WEIR_CLASS_ONLINE, wait) != WEIR_OK)
    abort();
}

static inline enum weir_err fixture_cancel(struct fixture *f, uint64_t cookie)
{
  struct weir_client_event event = {.type = WEIR_CLIENT_CANCEL, .cookie = cookie};

  return fixture_step(f, &event);
}

static inline enum weir_err fixture_settle(struct fixture *f, uint64_t cookie, bool is_final)
{
  struct weir_client_settle settle = {
      .msg = {.is_sent = true, .is_final = is_final, .outcome = WEIR_OUTCOME_OK},
      .sent_at = f->now};
  struct weir_client_event event = {
      .type = WEIR_CLIENT_SETTLE, .cookie = cookie, .settle = &settle};

  return fixture_step(f, &event);
}

static inline struct weir_client_status fixture_status(const struct fixture *f)
{
  struct weir_client_status status;

  weir_client_show(f->client, &status);
  return status;
}

static inline struct fixture *fixture_make(const struct weir_client_config *config)
{
  struct fixture *f = calloc(1, sizeof(*f));

  if (!f)
    abort();
  f->now = 1000 * SECOND;
  f->storage = malloc(weir_client_size(config));
  if (!f->storage)
    abort();
  memset(f->storage, 0xa5, weir_client_size(config)); /* nothing may rely on zeros */
  f->client = weir_client_init(f->storage, config);
  return f;
}

static inline struct fixture *fixture_new(uint32_t calls_max, uint32_t settlements_max,
                                          uint64_t seed)
{
  const struct weir_client_config config = {.calls_max = calls_max,
                                            .settlements_max = settlements_max,
                                            .instance = {1, 2, 3},
                                            .seed = seed,
                                            .name = "test"};

  return fixture_make(&config);
}

/* In session, with room for |asks_max| asks at the coordinator. */
static inline struct fixture *fixture_open(uint32_t asks_max)
{
  struct fixture *f = fixture_new(4096, 64, 42);

  fixture_link(f, true);
  fixture_welcome(f, TOKEN, asks_max);
  return f;
}

static inline void fixture_free(struct fixture *f)
{
  weir_client_check(f->client);
  free(f->storage);
  free(f);
}

#endif

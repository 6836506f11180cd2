/* Any conversation, any bytes for its numbers: the client machine keeps its invariants, never hands
 * out a lease that has ended, gives every call exactly one result, and stays within its bounds. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <weir/client.h>

#define CALLS_MAX       24
#define SETTLEMENTS_MAX 8
#define WALLET_MAX      3
#define COOKIES_MAX     4096

struct input {
  const uint8_t *at, *end;
};

struct world {
  struct input in;
  struct weir_client *client;
  weir_tstamp now;
  uint64_t token, mark, seq, cookie;
  uint8_t results[COOKIES_MAX]; /* of each cookie: whether it has its result */
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static uint8_t take(struct input *in)
{
  return in->at < in->end ? *in->at++ : 0;
}

/* Small numbers mostly, and now and then the largest. */
static uint64_t take_number(struct input *in)
{
  const uint8_t byte = take(in);

  return byte == 0xff ? WEIR_DURATION_MAX : (uint64_t)byte * byte * byte;
}

static void require(int is_true)
{
  if (!is_true)
    abort();
}

static void step(struct world *w, struct weir_client_event *event)
{
  static struct weir_client_update update;
  const uint8_t room = take(&w->in);

  event->now = w->now;
  update.messages_max = room < WEIR_CLIENT_MESSAGES_MAX ? room : WEIR_CLIENT_MESSAGES_MAX;
  (void)!weir_client_step(w->client, event, &update);
  weir_client_check(w->client);
  require(update.messages_count <= update.messages_max);
  require(update.wake == weir_client_wake(w->client));
  for (uint32_t i = 0; i < update.messages_count; i++) {
    w->mark = update.messages[i].mark;
    if (update.messages[i].type == WEIR_MSG_ASK)
      w->seq = update.messages[i].ask.seq;
  }
  for (uint32_t i = 0; i < update.results_count; i++) {
    const struct weir_client_result *result = &update.results[i];

    require(result->cookie > 0 && result->cookie <= w->cookie && !w->results[result->cookie]);
    w->results[result->cookie] = 1;
    require(result->type != WEIR_CLIENT_GRANTED || result->expires_at > w->now);
  }
}

static void receive(struct world *w)
{
  struct weir_msg msg;
  struct weir_client_event event = {.type = WEIR_CLIENT_RECEIVED, .msg = &msg};
  const uint64_t seq = w->seq - take(&w->in) % 16;

  memset(&msg, 0, sizeof(msg));
  msg.type = (enum weir_msg_type)(1 + take(&w->in) % (WEIR_MSG_MAX - 1));
  msg.session = take(&w->in) % 4 ? w->token : take(&w->in);
  msg.mark = w->mark - take(&w->in) % 32;
  switch ((int)msg.type) {
  case WEIR_MSG_WELCOME:
    msg.session = w->token = 1 + take(&w->in);
    msg.welcome.heartbeat_us = 1000 + take_number(&w->in);
    msg.welcome.session_ttl_us = msg.welcome.heartbeat_us + 1 + take_number(&w->in);
    msg.welcome.asks_max = 1 + take(&w->in);
    break;
  case WEIR_MSG_REFUSE:
    msg.refuse.why = (enum weir_refusal)(1 + take(&w->in) % (WEIR_REFUSAL_MAX - 1));
    msg.refuse.retry_in_us = take_number(&w->in);
    break;
  case WEIR_MSG_GRANT:
    msg.grant.seq = seq;
    msg.grant.start_in_us = take_number(&w->in);
    msg.grant.since_us = take_number(&w->in);
    msg.grant.ttl_us = take_number(&w->in);
    msg.grant.choice = take(&w->in) % (WEIR_CHOICES_MAX + 1);
    msg.grant.pool[0] = (char)('a' + take(&w->in) % 4);
    break;
  case WEIR_MSG_STATE:
    /* More pools than are remembered. */
    msg.state.pool[0] = (char)('a' + take(&w->in) % 40);
    msg.state.breaker = (enum weir_breaker_state)(take(&w->in) % WEIR_BREAKER_MAX);
    break;
  case WEIR_MSG_QUEUED:
    msg.queued.seq = seq;
    break;
  case WEIR_MSG_DENY:
    msg.deny.seq = seq;
    msg.deny.why = (enum weir_denial)(1 + take(&w->in) % (WEIR_DENIAL_MAX - 1));
    break;
  default:
    break;
  }
  step(w, &event);
}

static void ask(struct world *w)
{
  struct weir_client_ask ask = {.msg = {.model = "m", .requests = 1}};
  struct weir_client_event event = {.type = WEIR_CLIENT_ASK, .ask = &ask};
  struct weir_client_status status;

  weir_client_show(w->client, &status);
  if (w->cookie + 1 == COOKIES_MAX || status.calls == CALLS_MAX)
    return;
  ask.msg.class = take(&w->in) % 2 ? WEIR_CLASS_ONLINE : WEIR_CLASS_BATCH;
  ask.wait_us = take_number(&w->in);
  ask.is_immediate = take(&w->in) % 8 == 0;
  ask.msg.model[0] = (char)('a' + take(&w->in) % 20); /* more than there are wallets */
  ask.msg.input_tokens = take(&w->in);
  if (take(&w->in) % 8 == 0) {
    ask.msg.attempts = take(&w->in) % 2;
    ask.msg.avoid = take(&w->in);
    ask.msg.prefer[0] = take(&w->in) % 2 ? 'm' : '\0';
  }
  event.cookie = ++w->cookie;
  step(w, &event);
}

static void settle(struct world *w)
{
  struct weir_client_settle settle = {.msg = {.outcome = WEIR_OUTCOME_OK}};
  struct weir_client_event event = {.type = WEIR_CLIENT_SETTLE, .settle = &settle};

  settle.msg.is_sent = take(&w->in) % 2;
  settle.msg.is_final = take(&w->in) % 2;
  if (take(&w->in) % 8 == 0)
    settle.msg.outcome = WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS;
  settle.sent_at = w->now;
  event.cookie = w->cookie - take(&w->in) % 8;
  step(w, &event);
}

static void act(struct world *w)
{
  struct weir_client_event event = {.type = WEIR_CLIENT_TIMEOUT};

  switch (take(&w->in) % 8) {
  case 0:
  case 1:
    ask(w);
    return;
  case 2:
    settle(w);
    return;
  case 3:
  case 4:
    receive(w);
    return;
  case 5:
    event.type = WEIR_CLIENT_LINK;
    event.is_up = take(&w->in) % 4 != 0;
    break;
  case 6:
    event.type = take(&w->in) % 4 ? WEIR_CLIENT_CANCEL : WEIR_CLIENT_UNSENT;
    event.cookie = w->cookie - take(&w->in) % 8;
    break;
  default:
    w->now += take_number(&w->in);
  }
  step(w, &event);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
  static const struct weir_client_config config = {.calls_max = CALLS_MAX,
                                                   .settlements_max = SETTLEMENTS_MAX,
                                                   .wallet_max = WALLET_MAX,
                                                   .seed = 1,
                                                   .name = "fuzz"};
  static void *storage;
  struct weir_client_event close = {.type = WEIR_CLIENT_CLOSE};
  struct world w;

  if (!storage)
    storage = malloc(weir_client_size(&config));
  require(storage != NULL);
  memset(&w, 0, sizeof(w));
  w.in.at = bytes;
  w.in.end = bytes + size;
  w.now = 1000 * WEIR_US_PER_S;
  w.client = weir_client_init(storage, &config);
  while (w.in.at < w.in.end)
    act(&w);
  step(&w, &close);
  return 0;
}

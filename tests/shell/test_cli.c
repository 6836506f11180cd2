/* The program `weir` as people and scripts meet it: help, exit codes, stats of a live coordinator.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"
#include "fake_coordinator.h"
#include "run.h"

static struct run run; /* large; each test is done with it before the next */
static struct daemon coordinator;

/* Runs `weir` and returns its exit code. */
#define WEIR(...) (run_start(&run, "WEIR_BIN", __VA_ARGS__, NULL), run_end(&run))

#define assert_holds(text, part)                                                                   \
  do {                                                                                             \
    if (!strstr(text, part))                                                                       \
      fail_msg("no '%s' in:\n%s", part, text);                                                     \
  } while (0)

static void assert_one_json(void)
{
  size_t count;

  if (!run_is_json(run.out, &count) || count != 1)
    fail_msg("not one JSON value: %s", run.out);
}

static int set_up(void **state)
{
  (void)state;
  daemon_init(&coordinator);
  daemon_configure(&coordinator, "providers: {gemini: {kind: gemini}}\n"
                                 "pools:\n"
                                 "  - name: p\n    provider: gemini\n    models: [m]\n"
                                 "    limits: {rpm: 10, tpm: 1M}\n"
                                 "  - name: second\n    provider: gemini\n    models: [m2]\n"
                                 "    limits: {rpm: 7}\n");
  daemon_start(&coordinator);
  return setenv("WEIR_COORDINATOR", coordinator.endpoint, 1);
}

static int tear_down(void **state)
{
  (void)state;
  daemon_fini(&coordinator);
  return 0;
}

static void explains_itself(void **state)
{
  static const char *const names[] = {"stats",    "explain",  "top",   "breaker",  "batch",
                                      "classify", "estimate", "check", "simulate", "store"};

  (void)state;
  assert_int_equal(WEIR("help"), 0);
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    assert_holds(run.out, names[i]);
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    char usage[64];

    snprintf(usage, sizeof(usage), "usage: weir %s", names[i]);
    assert_int_equal(WEIR("help", names[i]), 0);
    assert_holds(run.out, usage);
    assert_holds(run.out, "--json");
    assert_int_equal(WEIR(names[i], "--help"), 0);
    assert_holds(run.out, usage);
  }
  assert_int_equal(WEIR("help", "help"), 0);
  assert_int_equal(WEIR("help", "--help"), 0);
  assert_int_equal(WEIR("help", "stats"), 0);
  assert_holds(run.out, "[--timeout DURATION]");
  assert_int_equal(WEIR("--version"), 0);
  assert_holds(run.out, "weir 0.");
}

/* Reads a file of the source tree. */
static const char *source_read(const char *name)
{
  static char text[1 << 16];
  char path[512];
  FILE *file;

  snprintf(path, sizeof(path), "%s/%s", getenv("WEIR_SOURCE_DIR"), name);
  file = fopen(path, "r");
  assert_non_null(file);
  text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
  fclose(file);
  return text;
}

static void documents_every_option_it_has(void **state)
{
  static const char *const names[] = {"stats",    "explain", "top",      "breaker", "batch",
                                      "estimate", "check",   "simulate", "prices",  "store"};
  static const char *const documents[] = {"docs/CLI.md", "docs/man/weir.1.scd"};

  (void)state;
  for (size_t d = 0; d < 2; d++)
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
      const char *text = source_read(documents[d]), *at;
      int count = 0;

      assert_int_equal(WEIR("help", names[i]), 0);
      at = strstr(run.out, "\nOptions:\n");
      while (at && (at = strstr(at, " --")) != NULL) {
        char option[64];

        snprintf(option, sizeof(option), "%.*s", (int)strcspn(at + 1, " \n"), at + 1);
        if (!strstr(text, option))
          fail_msg("%s does not tell of %s of weir %s", documents[d], option, names[i]);
        at += 3;
        count++;
      }
      assert_true(count > 0);
    }
}

static void refuses_what_it_does_not_know(void **state)
{
  (void)state;
  assert_int_equal(WEIR("stat"), 2);
  assert_holds(run.err, "did you mean 'stats'?");
  assert_int_equal(WEIR("stats", "--jsno"), 2);
  assert_holds(run.err, "did you mean '--json'?");
  assert_int_equal(WEIR("stats", "now"), 2);
  assert_int_equal(WEIR("stats", "--timeout", "soon"), 2);
  assert_int_equal(WEIR("stats", "--coordinator", "nowhere"), 2);
  assert_int_equal(WEIR("breaker"), 2);
  assert_int_equal(WEIR("breaker", "p", "opne"), 2);
  assert_holds(run.err, "did you mean 'open'?");
  assert_int_equal(WEIR("breaker", "p", "open", "now"), 2);
  assert_int_equal(WEIR("breaker", "a-pool-with-a-name-of-32-letters"), 2);
  assert_int_equal(WEIR("check"), 2);
  assert_int_equal(WEIR("estimate"), 2);
  assert_int_equal(WEIR("batch", "in.jsonl"), 2);
  assert_int_equal(WEIR("batch", "in.jsonl", "-o", "out.jsonl", "--parallel", "513"), 2);
  assert_int_equal(
      WEIR("batch", "in.jsonl", "-o", "out.jsonl", "--tenant", "a-tenant-of-32-printable-letters"),
      2);
  assert_holds(run.err, "--tenant: a name has 1 to 31 characters, this one has 32");
  assert_int_equal(WEIR("batch", "in.jsonl", "-o", "out.jsonl", "--tenant", "caf\xc3\xa9"), 2);
  assert_holds(run.err, "printable ASCII");
  assert_string_equal(run.out, "");
}

static void notices_an_output_that_cannot_be_written(void **state)
{
  (void)state;
  /* The shell opens the full device; the program is named by the environment. */
  setenv("SHELL_BIN", "/bin/sh", 1);
  run_start(&run, "SHELL_BIN", "-c", "\"$WEIR_BIN\" help >/dev/full", NULL);
  assert_int_equal(run_end(&run), 1);
  assert_holds(run.err, "cannot write the output");
}

static void checks_files_and_points_at_each_error(void **state)
{
  char good[512], bad[128];
  FILE *file;

  (void)state;
  snprintf(good, sizeof(good), "%s/docs/examples/weir.yaml", getenv("WEIR_SOURCE_DIR"));
  snprintf(bad, sizeof(bad), "%s/other.state", coordinator.folder);
  file = fopen(bad, "w");
  assert_non_null(file);
  fputs("pools:\n  - name: p\n    provider: nobody\n    models: [m]\n    limits: {rmp: 1}\n", file);
  assert_int_equal(fclose(file), 0);

  assert_int_equal(WEIR("check", good), 0);
  assert_holds(run.out, "ok: 3 providers, 3 pools, 10 names, 3 routes, 3 budgets, 2 tenants\n");
  assert_holds(run.out, "\npool gpt: bucket; budget project; requests 500/1m; ");
  assert_holds(run.out, "\nbudget acme: window; spend 12.5/day UTC\n");
  assert_holds(run.out, "\ntenant acme: weight 3; budget acme\n");
  assert_holds(run.out, "\nroute thrifty: cheapest, patience 250ms; gemini/gemini-2.5-flash; "
                        "openai/gpt-5.6-luna; online timeout 20s; batch timeout 5m\n");
  assert_int_equal(WEIR("check", good, bad), 1);
  assert_holds(run.err, "other.state:5:14: ");
  assert_holds(run.err, "rpm");
  assert_int_equal(WEIR("check", "--json", good, bad), 1);
  assert_one_json();
  assert_holds(run.out, "\"ok\":false,\"issues\":[{\"severity\":\"error\",\"line\":");
  assert_holds(run.out, "\"pools\":[{\"name\":\"gemini-flash\",\"profile\":\"window\",\"budgets\":"
                        "[\"project\"],\"limits\":[\"requests 1000/1m\",");
  assert_holds(run.out,
               "{\"name\":\"project\",\"profile\":\"window\",\"limits\":[\"spend 250/31d\"]}");
  assert_holds(run.out, "\"tenants\":2");
  assert_holds(run.out, "{\"name\":\"fast\",\"models\":[\"gemini/gemini-2.5-flash\","
                        "\"openai/gpt-5.6-luna\"]}");
  assert_int_equal(WEIR("check", "/nonexistent"), 1);
  assert_holds(run.err, "/nonexistent");
}

static void estimates_a_text(void **state)
{
  (void)state;
  setenv("SHELL_BIN", "/bin/sh", 1);
  run_start(&run, "SHELL_BIN", "-c",
            "printf 'The quick brown fox jumps over the lazy dog.' | "
            "\"$WEIR_BIN\" estimate --model gemini-2.5-flash",
            NULL);
  assert_int_equal(run_end(&run), 0);
  assert_one_json();
  assert_holds(run.out, "{\"tokens\":");
  assert_holds(run.out, ",\"high\":");
  assert_int_equal(WEIR("estimate", "--model", "m", "/nonexistent"), 1);
}

static void classifies_an_error(void **state)
{
  (void)state;
  setenv("SHELL_BIN", "/bin/sh", 1);
  run_start(&run, "SHELL_BIN", "-c",
            "printf '{\"provider\":\"openai\",\"http\":503,\"headers\":{},\"body\":\"\"}\\n' | "
            "\"$WEIR_BIN\" classify",
            NULL);
  assert_int_equal(run_end(&run), 0);
  assert_one_json();
  assert_holds(run.out, "\"retryable\":true");
}

static void shows_what_the_coordinator_holds(void **state)
{
  struct client client;
  struct weir_msg msg;

  (void)state;
  client_init(&client, &coordinator, 1);
  client_hello(&client);
  for (uint64_t seq = 1; seq <= 3; seq++) {
    client_ask(&client, seq, 1000000);
    client_receive(&client, &msg);
    assert_int_equal(msg.type, WEIR_MSG_GRANT);
  }
  assert_int_equal(WEIR("stats", "--json"), 0);
  assert_one_json();
  assert_holds(run.out, "\"sessions\":1,");
  assert_holds(run.out,
               "{\"name\":\"p\",\"limits\":[{\"dimension\":\"requests\",\"window_s\":60.000,"
               "\"amount\":10,\"used\":3,\"free\":7,\"effective\":10,\"shadow\":false,"
               "\"leased\":3,\"why\":[],\"closed_s\":0.000,\"half_s\":");
  assert_holds(run.out, "\"amount\":1000000,\"used\":30,\"free\":999970,\"effective\":1000000,"
                        "\"shadow\":false,\"leased\":30,");
  assert_holds(run.out, "\"queued\":{\"online\":0,\"batch\":0},\"leases\":3,\"grants\":3,"
                        "\"rejected_429\":0,\"frozen_s\":0.000,\"profile\":");
  assert_holds(run.out, "\"head\":null,");
  assert_holds(run.out, "\"tenants\":[{\"pool\":\"p\",\"tenant\":\"\",\"class\":\"online\","
                        "\"waiting\":0,\"leases\":3,\"weight\":1,\"share_pm\":");
  assert_holds(run.out, "{\"name\":\"second\",");
  assert_holds(run.out, "\"totals\":{\"asks\":3,");

  assert_int_equal(WEIR("stats"), 0);
  assert_holds(run.out, "POOL");
  assert_holds(run.out, "30.0 %");
  assert_holds(run.out, "1,000,000");
  assert_holds(run.out, "3 grants");
  assert_int_equal(WEIR("stats", "--pool", "second", "--json"), 0);
  assert_null(strstr(run.out, "\"name\":\"p\""));
  assert_int_equal(WEIR("stats", "--pool", "secnd"), 1);
  assert_holds(run.err, "did you mean 'second'?");
  client_fini(&client);
}

static void ask_of(struct client *c, uint64_t seq, const char *model, const char *tenant,
                   uint64_t tokens, enum weir_msg_type expected)
{
  struct weir_msg msg = {.type = WEIR_MSG_ASK};

  msg.ask.seq = seq;
  snprintf(msg.ask.model, sizeof(msg.ask.model), "%s", model);
  snprintf(msg.ask.tenant, sizeof(msg.ask.tenant), "%s", tenant);
  msg.ask.class = WEIR_CLASS_ONLINE;
  msg.ask.requests = 1;
  msg.ask.input_tokens = tokens;
  msg.ask.deadline_us = 10 * WEIR_US_PER_MIN;
  client_send(c, &msg);
  client_receive(c, &msg);
  assert_int_equal(msg.type, expected);
}

static void ask_as(struct client *c, uint64_t seq, const char *tenant, uint64_t tokens,
                   enum weir_msg_type expected)
{
  ask_of(c, seq, "p", tenant, tokens, expected);
}

/* A coordinator of its own: what others used of its window would be in the way. */
static void explains_that_tokens_bind_and_who_uses_them(void **state)
{
  static struct daemon own;
  struct client client;

  (void)state;
  daemon_init(&own);
  daemon_configure(&own, "session_ttl: 10m\n" /* the client is silent while programs run */
                         "providers: {gemini: {kind: gemini}}\n"
                         "pools:\n"
                         "  - name: p\n    provider: gemini\n    models: [m]\n"
                         "    limits: {rpm: 20, tpm: 1M}\n    without_coordinator: open\n");
  daemon_start(&own);
  client_init(&client, &own, 1);
  client_hello(&client);
  ask_as(&client, 1, "chat", 100, WEIR_MSG_GRANT);
  for (uint64_t seq = 2; seq <= 4; seq++)
    ask_as(&client, seq, "reports", 250000, WEIR_MSG_GRANT);
  ask_as(&client, 5, "chat", 260000, WEIR_MSG_QUEUED);

  assert_int_equal(WEIR("explain", "p", "--coordinator", own.endpoint), 0);
  assert_holds(run.out, "1 asks wait for p (1 online, 0 batch)");
  assert_holds(run.out,
               "the next one waits for input_tokens/1m of p: it needs 260,000, and 249,900 "
               "of 1,000,000 are free");
  assert_holds(run.out, "requests/1m: 20.0 % used");
  assert_holds(run.out, "tenant reports (online): 93 % of what was used");
  assert_holds(run.out, "input_tokens/1m is short, and tenant reports uses most of it");
  assert_holds(run.out, "requests are at 20.0 %");
  assert_holds(run.out, "while the coordinator is away calls go WITHOUT LIMIT");

  assert_int_equal(WEIR("explain", "p", "--json", "--coordinator", own.endpoint), 0);
  assert_one_json();
  assert_holds(run.out, "{\"pool\":\"p\",\"waiting\":1,\"binding\":{\"by\":\"p\","
                        "\"budget\":false,\"dimension\":\"input_tokens\",\"window_s\":60.000,");
  assert_holds(run.out, "\"heaviest\":\"reports\"");

  assert_int_equal(WEIR("stats", "--coordinator", own.endpoint, "--sessions"), 0);
  assert_holds(run.out, "p waits for input_tokens/1m of p");
  assert_holds(run.out, "INSTANCE");
  assert_int_equal(WEIR("stats", "--coordinator", own.endpoint, "--sessions", "--json"), 0);
  assert_holds(run.out, "\"waiting\":1,\"leases\":4,\"silent_s\":");

  assert_int_equal(WEIR("top", "--coordinator", own.endpoint), 0);
  assert_holds(run.out, "p                  75.0 input_tokens/1m");
  assert_null(strchr(run.out, '\033'));
  client_fini(&client);
  daemon_fini(&own);
}

static void settle_after(struct client *c, uint64_t seq, weir_duration latency_us)
{
  struct weir_msg msg = {.type = WEIR_MSG_SETTLE};

  msg.settle = (struct weir_msg_settle){.seq = seq,
                                        .is_sent = true,
                                        .is_final = true,
                                        .has_usage = true,
                                        .outcome = WEIR_OUTCOME_OK,
                                        .http = 200,
                                        .input_tokens = 90,
                                        .output_tokens = 11,
                                        .latency_us = latency_us};
  client_send(c, &msg);
  client_ping(c);
}

static void lists_the_slowest_calls(void **state)
{
  static struct daemon own;
  struct client client;

  (void)state;
  daemon_init(&own);
  daemon_configure(&own, "session_ttl: 10m\n"
                         "providers: {gemini: {kind: gemini}}\n"
                         "pools:\n"
                         "  - name: p\n    provider: gemini\n    models: [m]\n"
                         "    limits: {rpm: 20}\n");
  daemon_start(&own);
  client_init(&client, &own, 1);
  client_hello(&client);
  assert_int_equal(WEIR("stats", "--coordinator", own.endpoint, "--slow"), 0);
  assert_holds(run.out, "SLOW CALLS OF");
  for (uint64_t seq = 1; seq <= 2; seq++) {
    ask_as(&client, seq, "chat", 100, WEIR_MSG_GRANT);
    settle_after(&client, seq, seq * 1500 * WEIR_US_PER_MS);
  }
  assert_int_equal(WEIR("stats", "--coordinator", own.endpoint), 0);
  assert_null(strstr(run.out, "SLOW"));
  assert_int_equal(WEIR("stats", "--coordinator", own.endpoint, "--slow"), 0);
  assert_holds(run.out, "         3s        90        11   200  ok\n");
  assert_true(strstr(run.out, "  3s ") < strstr(run.out, "1.5s"));
  assert_int_equal(WEIR("stats", "--coordinator", own.endpoint, "--json"), 0);
  assert_one_json();
  assert_holds(run.out, "\"slow\":[{\"pool\":\"p\",\"instance\":\"");
  assert_holds(run.out, "\"took_s\":3.000,\"input_tokens\":90,\"output_tokens\":11,"
                        "\"outcome\":\"ok\",\"http\":200},{");
  client_fini(&client);
  daemon_fini(&own);
}

/* The budget has the pool's name, and most of it is spent by another pool: the tenants of this one,
 * and what its provider would give, have nothing to do with it. */
static void explains_that_a_shared_budget_binds(void **state)
{
  static struct daemon own;
  struct client client;

  (void)state;
  daemon_init(&own);
  daemon_configure(&own, "session_ttl: 10m\n"
                         "providers: {gemini: {kind: gemini}}\n"
                         "budgets:\n  p: {limits: {rpm: 4, tpm: 2M}}\n"
                         "pools:\n"
                         "  - name: p\n    provider: gemini\n    models: [m]\n    budgets: p\n"
                         "    limits: {rpm: 20, tpm: 1M}\n"
                         "  - name: q\n    provider: gemini\n    models: [o]\n    budgets: p\n"
                         "    limits: {rpm: 20, tpm: 1M}\n");
  daemon_start(&own);
  client_init(&client, &own, 1);
  client_hello(&client);
  ask_as(&client, 1, "reports", 600000, WEIR_MSG_GRANT);
  for (uint64_t seq = 2; seq <= 4; seq++)
    ask_of(&client, seq, "q", "chat", 100, WEIR_MSG_GRANT);
  ask_as(&client, 5, "reports", 100, WEIR_MSG_QUEUED);

  assert_int_equal(WEIR("explain", "p", "--coordinator", own.endpoint), 0);
  assert_holds(run.out, "the next one waits for requests/1m of budget p: it needs 1, and 0 of 4");
  assert_holds(run.out, "\nrequests/1m: 5.0 % used (1, of them 1 by leases that are out)");
  assert_holds(run.out, "\nrequests/1m of budget p: 100.0 % used (4, of them 4 by leases");
  assert_holds(run.out, "requests/1m of budget p is short, which is no limit of the pool: raise");
  assert_null(strstr(run.out, "more of it from the provider"));
  assert_null(strstr(run.out, "tenant reports uses most of it"));

  assert_int_equal(WEIR("explain", "p", "--json", "--coordinator", own.endpoint), 0);
  assert_one_json();
  assert_holds(run.out, "\"binding\":{\"by\":\"p\",\"budget\":true,\"dimension\":\"requests\",");
  assert_int_equal(WEIR("stats", "--coordinator", own.endpoint), 0);
  assert_holds(run.out, "p waits for requests/1m of budget p,");
  client_fini(&client);
  daemon_fini(&own);
}

static void explains_nothing_of_pools_that_are_not_there(void **state)
{
  (void)state;
  assert_int_equal(WEIR("explain"), 2);
  assert_int_equal(WEIR("explain", "secnd"), 1);
  assert_holds(run.err, "did you mean 'second'?");
  assert_int_equal(WEIR("explain", "second"), 0);
  assert_holds(run.out, "nobody waits for second now");
  assert_int_equal(WEIR("top", "--sort", "size"), 2);
}

static struct fake_coordinator fake; /* too large for a stack */

/* Shows what the tests' own coordinator has no reason to say. */
static void fake_fill(void)
{
  fake_init(&fake, FAKE_SILENT);
  pthread_mutex_lock(&fake.lock);
  fake.answer = FAKE_GRANT;
  fake.totals = (struct weir_msg_row){
      .pools = 1, .counters = {[WEIR_COUNTER_FALLBACKS] = 1, [WEIR_COUNTER_CUTS] = 2}};
  fake.pool = (struct weir_msg_row){
      .pool = "p",
      .profile = WEIR_PROFILE_UNIVERSAL,
      .breaker = WEIR_BREAKER_OPEN,
      .open_us = 4200 * WEIR_US_PER_MS,
      .probes = 2,
      .retries = 7,
      .counters = {[WEIR_OUTCOME_OK] = 90, [WEIR_OUTCOME_NETWORK] = 11},
      .latency_p50_us = 1250 * WEIR_US_PER_MS,
      .latency_p95_us = 4321 * WEIR_US_PER_MS,
      .latency_p99_us = 9 * WEIR_US_PER_S,
      .islands = 4,
      .island_calls = 17,
      .without = WEIR_WITHOUT_CLOSED,
      .limits_count = 4,
      .limits = {{WEIR_DIMENSION_REQUESTS, WEIR_US_PER_MIN, 1000, 350, 700, false},
                 {WEIR_DIMENSION_INPUT_TOKENS, WEIR_US_PER_MIN, 1000000, 2000000, 1000000, true},
                 {WEIR_DIMENSION_SPEND, 10 * WEIR_US_PER_MIN, 10000000, 0, 0, false},
                 {WEIR_DIMENSION_IN_FLIGHT, 0, 8, 3, 8, false}}};
  fake.budget =
      (struct weir_msg_row){.pool = "project",
                            .profile = WEIR_PROFILE_PACED,
                            .leases = 3,
                            .limits_count = 1,
                            .limits = {{WEIR_DIMENSION_REQUESTS, WEIR_US_PER_MIN, 50, 5, 50, 0}}};
  pthread_mutex_unlock(&fake.lock);
}

static void shows_profiles_cuts_shadows_and_limits_without_a_window(void **state)
{
  (void)state;
  fake_fill();
  assert_int_equal(WEIR("stats", "--coordinator", fake.endpoint), 0);
  assert_holds(run.out, "  PROFILE  FROZEN    BREAKER\n");
  assert_holds(run.out, " 4.3s  universal");
  assert_holds(run.out, "requests/1m ");
  assert_holds(run.out, "700/1,000   50.0 %");
  assert_holds(run.out, "input_tokens/1m shadow ");
  assert_holds(run.out, "spend/10m ");
  assert_holds(run.out, "  10.00  "); /* as it is configured */
  assert_holds(run.out, "in_flight ");
  assert_holds(run.out, "1 fallbacks, 2 cuts");
  assert_holds(run.out, "  open 4.2s\n");
  assert_holds(run.out, "\nbudget project  requests/1m ");
  assert_int_equal(WEIR("stats", "--coordinator", fake.endpoint, "--pool", "p"), 0);
  assert_null(strstr(run.out, "budget project"));
  pthread_mutex_lock(&fake.lock);
  fake.pool.open_us = WEIR_DURATION_MAX;
  pthread_mutex_unlock(&fake.lock);
  assert_int_equal(WEIR("stats", "--coordinator", fake.endpoint), 0);
  assert_holds(run.out, "  open held\n");
  fake_fini(&fake);
}

static void tells_what_today_cost_and_of_how_much(void **state)
{
  (void)state;
  fake_fill();
  assert_int_equal(WEIR("stats", "--coordinator", fake.endpoint), 0);
  assert_null(strstr(run.out, "today"));
  pthread_mutex_lock(&fake.lock);
  fake.pool.figures[WEIR_FIGURE_TODAY_SPEND] = 1234567;
  fake.pool.figures[WEIR_FIGURE_TODAY_DAY] = WEIR_ROW_DAY_UTC;
  fake.pool.figures[WEIR_FIGURE_TODAY_US] = 2 * WEIR_US_PER_HOUR;
  fake.pool.figures[WEIR_FIGURE_TODAY_LEFT_US] = WEIR_US_PER_HOUR;
  pthread_mutex_unlock(&fake.lock);
  assert_int_equal(WEIR("stats", "--coordinator", fake.endpoint), 0);
  assert_holds(run.out, "p cost 1.23 today (the day of UTC, counted for 2h00m, 1h00m left)\n");
  pthread_mutex_lock(&fake.lock);
  fake.pool.limits[2].window_us = 25 * WEIR_US_PER_HOUR;
  fake.pool.figures[WEIR_FIGURE_TODAY_DAY] = WEIR_ROW_DAY_LIMIT;
  pthread_mutex_unlock(&fake.lock);
  assert_int_equal(WEIR("stats", "--coordinator", fake.endpoint), 0);
  assert_holds(run.out, "p cost 1.23 of 10.00 today (the day of its limit, counted for");
  fake_fini(&fake);
}

/* In the largest unit that divides its window, or by the day. Half of what a limit may have is a
 * little less, as numbers of 64 bits have it. */
static void names_a_limit_alike_wherever_it_is_shown(void **state)
{
  static const struct {
    uint64_t window_us;
    const char *name;
    bool is_day;
  } windows[] = {{250 * WEIR_US_PER_MS, "requests/250ms", false},
                 {2500 * WEIR_US_PER_MS, "requests/2500ms", false},
                 {90 * WEIR_US_PER_S, "requests/90s", false},
                 {90 * WEIR_US_PER_MIN, "requests/90m", false},
                 {25 * WEIR_US_PER_HOUR, "requests/25h", false},
                 {25 * WEIR_US_PER_HOUR, "requests/day", true}};

  (void)state;
  fake_fill();
  for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
    pthread_mutex_lock(&fake.lock);
    fake.pool.limits_count = 1;
    fake.pool.limits[0] = (struct weir_msg_row_limit){.dimension = WEIR_DIMENSION_REQUESTS,
                                                      .window_us = windows[i].window_us,
                                                      .is_day = windows[i].is_day,
                                                      .amount = UINT64_C(1) << 62,
                                                      .used = UINT64_C(1) << 61};
    pthread_mutex_unlock(&fake.lock);
    assert_int_equal(WEIR("stats", "--coordinator", fake.endpoint), 0);
    assert_holds(run.out, windows[i].name);
    assert_holds(run.out, " 49.9 %");
    assert_int_equal(WEIR("top", "--coordinator", fake.endpoint), 0);
    assert_holds(run.out, windows[i].name);
    assert_holds(run.out, " 49.9 ");
    assert_int_equal(WEIR("explain", "p", "--coordinator", fake.endpoint), 0);
    assert_holds(run.out, windows[i].name);
    assert_holds(run.out, ": 49.9 % used");
  }
  fake_fini(&fake);
}

static void explains_cuts_breakers_and_freezes(void **state)
{
  (void)state;
  fake_fill();
  pthread_mutex_lock(&fake.lock);
  fake.pool.frozen_us = 3 * WEIR_US_PER_S;
  fake.pool.limits[2].stated = 5000000;
  fake.pool.limits[2].ramp = 4075000;
  fake.pool.limits[3].closed_us = WEIR_US_PER_MIN;
  pthread_mutex_unlock(&fake.lock);
  assert_int_equal(WEIR("explain", "p", "--coordinator", fake.endpoint), 0);
  assert_holds(run.out, "frozen for 3s:");
  assert_holds(run.out, "the breaker is open for 4.2s yet");
  assert_holds(run.out, "requests/1m: cut to 700 of 1,000");
  assert_holds(run.out, "spend/10m: the provider stated 5.00 where 10.00 is configured");
  assert_holds(run.out, "spend/10m: use may have grown to 4.075 of 10.00, because");
  assert_holds(run.out, "in_flight: closed for");
  assert_holds(run.out, "find who spends the provider's quota beside weir");
  assert_holds(run.out, "'weir breaker p' steers it");
  fake_fini(&fake);
}

static void tells_machines_of_profiles_cuts_and_shadows(void **state)
{
  (void)state;
  fake_fill();
  assert_int_equal(WEIR("stats", "--coordinator", fake.endpoint, "--json"), 0);
  assert_one_json();
  assert_holds(run.out,
               "\"amount\":1000,\"used\":350,\"free\":350,\"effective\":700,\"shadow\":false,"
               "\"leased\":0,\"why\":[\"foreign\"],");
  assert_holds(run.out, "\"used\":2000000,\"free\":0,\"effective\":1000000,\"shadow\":true,");
  assert_holds(run.out,
               "\"dimension\":\"spend\",\"window_s\":600.000,\"amount\":10000000,\"used\":0,"
               "\"free\":10000000,\"effective\":10000000,");
  assert_holds(run.out, "\"dimension\":\"in_flight\",\"window_s\":0.000,\"amount\":8,");
  assert_holds(run.out, "\"profile\":\"universal\",\"breaker\":\"open\",\"open_s\":4.200,"
                        "\"probes\":2,\"retries\":7,\"outcomes\":{\"ok\":90,");
  assert_holds(run.out, "\"network\":11},\"latency_p50_s\":1.250,\"latency_p95_s\":4.321,"
                        "\"latency_p99_s\":9.000,\"islands\":4,\"island_calls\":17,"
                        "\"without_coordinator\":\"closed\",\"oldest_s\":{");
  assert_holds(run.out, "\"overshoot\":0}],\"budgets\":[{\"name\":\"project\",\"limits\":[{");
  assert_holds(
      run.out,
      "}],\"leases\":3,\"profile\":\"paced\",\"cost_today\":null,\"overshoot\":0}],\"tenants\":[],"
      "\"slow\":[],\"instances\":[],\"totals\":");
  assert_holds(run.out, "\"fallbacks\":1,\"cuts\":2,");
  fake_fini(&fake);
}

static void shows_and_steers_a_breaker(void **state)
{
  (void)state;
  assert_int_equal(WEIR("breaker", "second"), 0);
  assert_string_equal(run.out, "second: closed\n");
  assert_int_equal(WEIR("breaker", "second", "open"), 0);
  assert_string_equal(run.out, "second: open, held by an operator\n");
  daemon_wait_log(&coordinator, "event=breaker pool=second state=open by=operator");
  assert_int_equal(WEIR("breaker", "second", "--json"), 0);
  assert_string_equal(run.out, "{\"pool\":\"second\",\"breaker\":\"open\",\"held\":true,"
                               "\"open_s\":null,\"probes\":0,\"retries\":0}\n");
  assert_int_equal(WEIR("breaker", "second", "auto", "--json"), 0);
  assert_string_equal(run.out, "{\"pool\":\"second\",\"breaker\":\"half_open\",\"held\":false,"
                               "\"open_s\":0.000}\n");
  assert_int_equal(WEIR("breaker", "second"), 0);
  assert_string_equal(run.out, "second: half_open, 0 probes out or well\n");
  assert_int_equal(WEIR("breaker", "second", "force"), 0);
  assert_string_equal(run.out, "second: closed, held by an operator\n");
  assert_int_equal(WEIR("breaker", "second", "close"), 0);
  assert_string_equal(run.out, "second: closed\n");
  assert_int_equal(WEIR("breaker", "secnd", "open"), 1);
  assert_holds(run.err, "there is no pool 'secnd'; did you mean 'second'?");
  assert_int_equal(
      WEIR("breaker", "p", "--coordinator", "ipc:///tmp/weir-nobody.sock", "--timeout", "100ms"),
      3);
  assert_int_equal(WEIR("breaker", "p", "open", "--coordinator", "ipc:///tmp/weir-nobody.sock",
                        "--timeout", "100ms"),
                   3);
}

static void watches_until_it_is_interrupted(void **state)
{
  size_t count;

  (void)state;
  run_start(&run, "WEIR_BIN", "stats", "--json", "--watch", "50ms", NULL);
  run_wait_lines(&run, 3);
  run_kill(&run, SIGINT);
  assert_int_equal(run_end(&run), 128 + SIGINT);
  assert_true(run_is_json(run.out, &count));
  assert_true(count >= 3);
}

static void tells_why_a_watch_cannot_be_written(void **state)
{
  (void)state;
  setenv("SHELL_BIN", "/bin/sh", 1);
  run_start(&run, "SHELL_BIN", "-c", "\"$WEIR_BIN\" stats --watch 50ms >/dev/full", NULL);
  assert_int_equal(run_end(&run), 1);
  assert_holds(run.err, "cannot write the output: No space left on device");
  /* A reader that has seen enough is no fault. */
  run_start(&run, "SHELL_BIN", "-c", "\"$WEIR_BIN\" stats --watch 50ms | read line", NULL);
  assert_int_equal(run_end(&run), 0);
  assert_string_equal(run.err, "");
}

static void says_when_there_is_no_coordinator(void **state)
{
  (void)state;
  assert_int_equal(
      WEIR("stats", "--coordinator", "ipc:///tmp/weir-nobody.sock", "--timeout", "100ms"), 3);
  assert_holds(run.err, "no answer from the coordinator at ipc:///tmp/weir-nobody.sock");
  assert_string_equal(run.out, "");
}

/* Writes |text| to the daemon's folder, under a name that its teardown removes. */
static void scenario_write(char ret_path[128], const char *text, int size)
{
  FILE *file;

  snprintf(ret_path, 128, "%s/other.state", coordinator.folder);
  file = fopen(ret_path, "w");
  assert_non_null(file);
  fprintf(file, "%.*s", size, text);
  assert_int_equal(fclose(file), 0);
}

static void simulates_the_example_of_its_document(void **state)
{
  const char *example = strstr(source_read("docs/SIMULATE.md"), "```yaml\n"), *end;
  char path[128], other[1024];
  size_t count;

  (void)state;
  assert_non_null(example);
  example += strlen("```yaml\n");
  end = strstr(example, "```");
  assert_non_null(end);
  scenario_write(path, example, (int)(end - example));

  assert_int_equal(WEIR("simulate", path), 0);
  assert_holds(run.out, "4 runs; weir is told of 24 ms");
  assert_holds(run.out, "backlog, limits small (requests bind), 50 instances");
  assert_holds(run.out, "weir-window    log            0   0.0%");
  assert_holds(run.out, "virtual hours per minute");
  assert_holds(run.out, "all is as the scenario expects");
  assert_int_equal(WEIR("simulate", "--json", "--seed", "1", path), 0);
  assert_true(run_is_json(run.out, &count));
  assert_int_equal(count, 4);
  assert_true(strlen(run.out) > sizeof(other));
  memcpy(other, run.out, sizeof(other));
  assert_int_equal(WEIR("simulate", "--json", path), 0); /* 1 is the default */
  assert_memory_equal(run.out, other, sizeof(other));
  assert_int_equal(WEIR("simulate", "--json", "--seed=2", path), 0);
  assert_memory_not_equal(run.out, other, sizeof(other));
}

static void says_what_is_wrong_with_a_scenario_and_with_what_came_of_it(void **state)
{
  static const char wrong[] = "schemes: [naive]\nlimits: [{name: r, rpm: 10x}]\n"
                              "workloads: [{name: w, calls: 10}]\n";
  static const char broken[] = "schemes: [naive]\nlimits: [{name: r, rpm: 60}]\n"
                               "workloads: [{name: w, calls: 100}]\n"
                               "expect:\n  - {failed: 0}\n";
  char path[128];

  (void)state;
  scenario_write(path, wrong, (int)sizeof(wrong) - 1);
  assert_int_equal(WEIR("simulate", path), 1);
  assert_holds(run.err, "other.state:2:25: rpm: '10x' is not a valid amount; write ");
  assert_string_equal(run.out, "");
  scenario_write(path, broken, (int)sizeof(broken) - 1);
  assert_int_equal(WEIR("simulate", path), 1);
  assert_holds(run.err, "other.state:5: not as expected: naive on log, 100 instances, w, ");
  assert_int_equal(WEIR("simulate", "/nonexistent"), 1);
  assert_holds(run.err, "/nonexistent: cannot be opened");
  assert_int_equal(WEIR("simulate"), 2);
  assert_int_equal(WEIR("simulate", path, path), 2);
  assert_int_equal(WEIR("simulate", "--seed", "x", path), 2);
}

static void shows_prices_of_a_day_and_those_of_a_file_in_their_place(void **state)
{
  static const char file[] = "{\"models\":[{\"provider\":\"mine\",\"model\":\"gpt-5\","
                             "\"price_usd_per_1m\":{\"input\":0.000001}}]}";
  char path[128];

  (void)state;
  assert_int_equal(WEIR("prices"), 0);
  assert_holds(run.out, "\n  above 200,000 input tokens ");
  assert_int_equal(WEIR("prices", "--model", "gemini-3.8-flash", "--date", "2026-12-31", "--json"),
                   0);
  assert_one_json();
  assert_holds(run.out, "{\"date\":\"2026-12-31\",\"prices\":[{\"provider\":\"gemini\",\"model\":"
                        "\"gemini-3.8-flash\",\"from\":null,\"input\":0.75,\"cached_input\":0.075,"
                        "\"cache_write\":null,\"output\":3.75,\"long\":null}]}");
  assert_int_equal(WEIR("prices", "--model", "gemini/gemini-3.8-flash", "--date=2027-01-01"), 0);
  assert_holds(run.out, "        1.5       0.15          -        7.5\n");
  assert_int_equal(WEIR("prices", "-m", "gemini-2.5-pro", "--json"), 0);
  assert_holds(run.out, "\"long\":{\"above\":200000,\"input\":2.5,");
  scenario_write(path, file, (int)sizeof(file) - 1);
  assert_int_equal(WEIR("prices", "--prices", path, "-m", "gpt-5-2026-08-07"), 0);
  assert_holds(run.out, "openai/gpt-5 ");
  assert_holds(run.out, "  0.000001          -");
}

static void tells_what_is_wrong_with_prices(void **state)
{
  static const char file[] = "{\"models\":\n  7}";
  char path[128];

  (void)state;
  scenario_write(path, file, (int)sizeof(file) - 1);
  assert_int_equal(WEIR("prices", "--prices", path), 1);
  assert_holds(run.err, ":2:3: \"models\" is an array");
  assert_string_equal(run.out, "");
  assert_int_equal(WEIR("prices", "--prices", "/nowhere"), 1);
  assert_holds(run.err, "/nowhere cannot be read: No such file");
  assert_int_equal(WEIR("prices", "--model", "nobody-knows-it"), 1);
  assert_holds(run.err, "no price of 'nobody-knows-it' is known");
  assert_int_equal(WEIR("prices", "--date", "2026-02-30"), 2);
  assert_int_equal(WEIR("prices", "gpt-5"), 2);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(explains_itself),
      cmocka_unit_test(documents_every_option_it_has),
      cmocka_unit_test(refuses_what_it_does_not_know),
      cmocka_unit_test(notices_an_output_that_cannot_be_written),
      cmocka_unit_test(checks_files_and_points_at_each_error),
      cmocka_unit_test(estimates_a_text),
      cmocka_unit_test(classifies_an_error),
      cmocka_unit_test(shows_what_the_coordinator_holds),
      cmocka_unit_test(shows_profiles_cuts_shadows_and_limits_without_a_window),
      cmocka_unit_test(tells_machines_of_profiles_cuts_and_shadows),
      cmocka_unit_test(explains_that_tokens_bind_and_who_uses_them),
      cmocka_unit_test(explains_that_a_shared_budget_binds),
      cmocka_unit_test(lists_the_slowest_calls),
      cmocka_unit_test(explains_nothing_of_pools_that_are_not_there),
      cmocka_unit_test(tells_what_today_cost_and_of_how_much),
      cmocka_unit_test(names_a_limit_alike_wherever_it_is_shown),
      cmocka_unit_test(explains_cuts_breakers_and_freezes),
      cmocka_unit_test(shows_and_steers_a_breaker),
      cmocka_unit_test(watches_until_it_is_interrupted),
      cmocka_unit_test(tells_why_a_watch_cannot_be_written),
      cmocka_unit_test(says_when_there_is_no_coordinator),
      cmocka_unit_test(simulates_the_example_of_its_document),
      cmocka_unit_test(says_what_is_wrong_with_a_scenario_and_with_what_came_of_it),
      cmocka_unit_test(shows_prices_of_a_day_and_those_of_a_file_in_their_place),
      cmocka_unit_test(tells_what_is_wrong_with_prices),
  };

  return cmocka_run_group_tests_name("cli", tests, set_up, tear_down);
}

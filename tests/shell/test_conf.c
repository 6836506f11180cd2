/* The configuration file: what good ones give, and every message of bad ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/conf.h>

#include "conf_fixture.h"
#include <weir/conf_value.h>

static void reads_amounts_durations_and_percentages_exactly(void **state)
{
  (void)state;
  static const struct {
    enum weir_conf_type type;
    const char *text;
    uint64_t value;
  } good[] = {{WEIR_CONF_AMOUNT, "0", 0},
              {WEIR_CONF_AMOUNT, "1000", 1000},
              {WEIR_CONF_AMOUNT, "1_000_000", 1000000},
              {WEIR_CONF_AMOUNT, "10k", 10000},
              {WEIR_CONF_AMOUNT, "1M", 1000000},
              {WEIR_CONF_AMOUNT, "2.5M", 2500000},
              {WEIR_CONF_AMOUNT, "0.001k", 1},
              {WEIR_CONF_AMOUNT, "1.50k", 1500},
              {WEIR_CONF_DURATION, "250ms", 250000},
              {WEIR_CONF_DURATION, "0.5ms", 500},
              {WEIR_CONF_DURATION, "2s", 2000000},
              {WEIR_CONF_DURATION, "1.5m", 90000000},
              {WEIR_CONF_DURATION, "1h", 3600000000},
              {WEIR_CONF_DURATION, "31d", 2678400000000},
              {WEIR_CONF_PERCENT, "10%", 100},
              {WEIR_CONF_PERCENT, "12.5%", 125},
              {WEIR_CONF_MONEY, "25", 25000000},
              {WEIR_CONF_MONEY, "12.50", 12500000},
              {WEIR_CONF_MONEY, "0.000001", 1},
              {WEIR_CONF_MONEY, "1.0000000", 1000000},
              {WEIR_CONF_MONEY, "281474976.710656", 281474976710656}};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    uint64_t value = 1;
    if (!weir_conf_value_parse(good[i].type, good[i].text, &value) || value != good[i].value)
      fail_msg("%s gives %llu", good[i].text, (unsigned long long)value);
  }
  static const struct {
    enum weir_conf_type type;
    const char *text;
  } bad[] = {{WEIR_CONF_AMOUNT, ""},
             {WEIR_CONF_AMOUNT, "-1"},
             {WEIR_CONF_AMOUNT, "+1"},
             {WEIR_CONF_AMOUNT, "1,000"},
             {WEIR_CONF_AMOUNT, "_1"},
             {WEIR_CONF_AMOUNT, "1_"},
             {WEIR_CONF_AMOUNT, "1__0"},
             {WEIR_CONF_AMOUNT, "1m"},
             {WEIR_CONF_AMOUNT, "1 k"},
             {WEIR_CONF_AMOUNT, "0x10"},
             {WEIR_CONF_AMOUNT, "1e3"},
             {WEIR_CONF_AMOUNT, "2.5"},
             {WEIR_CONF_AMOUNT, "2.0005k"},
             {WEIR_CONF_AMOUNT, "9223372036854775808"},
             {WEIR_CONF_AMOUNT, ".5k"},
             {WEIR_CONF_AMOUNT, "99999999999G"},
             {WEIR_CONF_AMOUNT, "1.k"},
             {WEIR_CONF_AMOUNT, "1.00000000000000000000000000k"},
             {WEIR_CONF_DURATION, "5"},
             {WEIR_CONF_DURATION, "5us"},
             {WEIR_CONF_DURATION, "0.0005ms"},
             {WEIR_CONF_PERCENT, "10"},
             {WEIR_CONF_PERCENT, "0.05%"},
             {WEIR_CONF_MONEY, "0.0000001"},
             {WEIR_CONF_MONEY, "$1"},
             {WEIR_CONF_MONEY, "1k"},
             {WEIR_CONF_MONEY, ""}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    uint64_t value = 4711;
    if (weir_conf_value_parse(bad[i].type, bad[i].text, &value) || value != 4711)
      fail_msg("'%s' was taken for %llu", bad[i].text, (unsigned long long)value);
  }
}

static void counts_the_letters_of_a_typing_error(void **state)
{
  (void)state;
  assert_int_equal(weir_conf_distance("tpm", "tpm"), 0);
  assert_int_equal(weir_conf_distance("tmp", "tpm"), 1);
  assert_int_equal(weir_conf_distance("rpmm", "rpm"), 1);
  assert_int_equal(weir_conf_distance("limit", "limits"), 1);
  assert_int_equal(weir_conf_distance("", "abc"), 3);
  assert_int_equal(weir_conf_distance("kitten", "sitting"), 3);
}

static void gives_defaults_to_what_is_not_said(void **state)
{
  (void)state;
  struct weir_conf *conf = parse(GOOD);
  assert_int_equal(conf->listen_count, 1);
  assert_string_equal(conf->listen[0], "ipc:///run/weir/weir.sock");
  assert_string_equal(conf->state, "/var/lib/weir/weir.state");
  assert_int_equal(conf->log_level, WEIR_LOG_INFO);
  assert_int_equal(conf->log_format, WEIR_LOG_LOGFMT);
  assert_int_equal(conf->coord.heartbeat_us, 1000000);
  assert_int_equal(conf->coord.session_ttl_us, 3000000);
  assert_int_equal(conf->coord.asks_max, 512);
  assert_int_equal(conf->bounds.pools_max, 256);
  assert_int_equal(conf->bounds.sessions_max, 4096);
  assert_int_equal(conf->bounds.asks_max, 65536);
  assert_int_equal(conf->bounds.leases_max, 131072);
  assert_int_equal(conf->bounds.budgets_max, 256);
  assert_int_equal(conf->bounds.tenants_max, 4096);
  assert_int_equal(conf->coord.budgets_count, 0);
  assert_int_equal(conf->coord.tenants_count, 0);
  assert_int_equal(conf->zones_count, 0);
  assert_int_equal(conf->pools[0].ttl_us, 2000000);
  assert_int_equal(conf->pools[0].jitter_us, 100000);
  assert_int_equal(conf->pools[0].batch_floor_pm, 100);
  weir_conf_free(conf);
}

static void has_no_state_file_beside_a_store(void **state)
{
  (void)state;
  struct weir_conf *conf = parse(GOOD);
  assert_string_equal(conf->store, "");
  weir_conf_free(conf);
  conf = parse(GOOD "store: sqlite:/srv/weir.db\n");
  assert_string_equal(conf->store, "/srv/weir.db");
  assert_string_equal(conf->state, "");
  weir_conf_free(conf);
}

static void names_pools_models_and_routes(void **state)
{
  (void)state;
  struct weir_conf *conf = parse("providers: {g: {kind: gemini}, o: {kind: openai}}\n"
                                 "pools:\n"
                                 "- {name: flash, provider: g, models: [a, b], limits: {rpm: 1}}\n"
                                 "- {name: mini, provider: o, models: c/d, limits: {rpm: 1}}\n"
                                 "routes: {fast: [o/none, o/c/d, g/a], slow: g/b}\n");
  static const struct {
    const char *name, *model;
    uint32_t pool;
  } expected[] = {{"flash", "g/a", 0},  {"g/a", "g/a", 0},     {"g/b", "g/b", 0},
                  {"mini", "o/c/d", 1}, {"o/c/d", "o/c/d", 1}, {"fast", "o/c/d", 1},
                  {"slow", "g/b", 0}};
  assert_int_equal(conf->coord.names_count, sizeof expected / sizeof expected[0]);
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    assert_string_equal(conf->coord.names[i].name, expected[i].name);
    assert_string_equal(conf->coord.names[i].model, expected[i].model);
    assert_int_equal(conf->coord.names[i].pool, expected[i].pool);
  }
  assert_int_equal(issues.count, 1); /* the warning of o/none */
  assert_true(issues.items[0].is_warning);
  weir_conf_free(conf);
}

static void a_route_has_all_its_models_in_order(void **state)
{
  (void)state;
  struct weir_conf *conf =
      parse(PROVIDER "pools:\n"
                     "- {name: p, provider: g, models: m, limits: {rpm: 1}}\n"
                     "- {name: q, provider: g, models: [k, o], limits: {rpm: 1}}\n"
                     "routes:\n"
                     "  short: [g/o, g/gone, g/m]\n"
                     "  one: g/k\n"
                     "  long: {models: [g/m, g/k], policy: cheapest, patience: 2s,\n"
                     "         timeout: {online: 10s, batch: 5m}}\n");
  const struct weir_route_config *routes = conf->coord.routes;
  assert_int_equal(conf->coord.routes_count, 3);
  assert_string_equal(conf->names[routes[0].name].name, "short");
  assert_string_equal(conf->names[routes[0].name].model, "g/o");
  assert_int_equal(routes[0].choices_count, 2);
  assert_string_equal(conf->names[routes[0].choices[0]].name, "g/o");
  assert_string_equal(conf->names[routes[0].choices[1]].name, "g/m");
  assert_int_equal(routes[0].policy, WEIR_ROUTE_ORDER);
  assert_int_equal(routes[0].patience_us, 250000);
  assert_int_equal(routes[0].timeout_us[WEIR_CLASS_ONLINE], 0);
  assert_int_equal(routes[1].choices_count, 1);
  assert_int_equal(routes[2].policy, WEIR_ROUTE_CHEAPEST);
  assert_int_equal(routes[2].patience_us, 2000000);
  assert_int_equal(routes[2].timeout_us[WEIR_CLASS_ONLINE], 10000000);
  assert_int_equal(routes[2].timeout_us[WEIR_CLASS_BATCH], 300000000);
  weir_conf_free(conf);
}

static void a_route_of_too_many_models_is_an_error(void **state)
{
  (void)state;
  char text[512] = GOOD "routes: {r: [";
  for (int i = 0; i <= WEIR_CHOICES_MAX; i++)
    strcat(text, "g/m, ");
  strcat(text, "]}\n");
  struct weir_conf *conf = NULL;
  assert_int_equal(weir_conf_parse(text, strlen(text), &conf, &issues), WEIR_ECONFIG);
  assert_string_equal(issues.items[0].text, "a route has at most 16 models; remove some");
}

static void counts_tokens_as_the_provider_does(void **state)
{
  (void)state;
  static const struct {
    const char *kind;
    enum weir_dimension dimension;
    weir_duration day_us;
  } kinds[] = {
      {"gemini", WEIR_DIMENSION_INPUT_TOKENS, WEIR_DAY_WINDOW_US},
      {"vertex", WEIR_DIMENSION_INPUT_TOKENS, WEIR_DAY_WINDOW_US},
      {"openai", WEIR_DIMENSION_TOTAL_TOKENS, 24 * WEIR_US_PER_HOUR},
      {"compatible", WEIR_DIMENSION_TOTAL_TOKENS, WEIR_DAY_WINDOW_US},
  };
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    char text[300];
    snprintf(text, sizeof text,
             "providers: {g: {kind: %s}}\npools: [{name: p, provider: g, models: m, limits: {rpm: "
             "3, tpm: 4, rpd: 5, tpd: 6}}]\n",
             kinds[i].kind);
    struct weir_conf *conf = parse(text);
    const struct weir_limit_config *limits = conf->pools[0].limits;
    assert_int_equal(conf->pools[0].limits_count, 4);
    assert_int_equal(limits[0].dimension, WEIR_DIMENSION_REQUESTS);
    assert_int_equal(limits[0].window_us, WEIR_US_PER_MIN);
    assert_int_equal(limits[0].amount, 3);
    assert_int_equal(limits[1].dimension, kinds[i].dimension);
    assert_int_equal(limits[2].window_us, kinds[i].day_us);
    assert_int_equal(limits[3].dimension, kinds[i].dimension);
    assert_int_equal(limits[3].window_us, kinds[i].day_us);
    weir_conf_free(conf);
  }
}

static void takes_limits_of_any_window(void **state)
{
  (void)state;
  struct weir_conf *conf =
      parse(PROVIDER "pools: [{name: p, provider: g, models: m, limits: [{dimension: requests, "
                     "window: 1s, amount: 7}, {dimension: output_tokens, window: 10m, amount: "
                     "2.5M}]}]\n");
  assert_int_equal(conf->pools[0].limits_count, 2);
  assert_int_equal(conf->pools[0].limits[0].window_us, WEIR_US_PER_S);
  assert_int_equal(conf->pools[0].limits[0].amount, 7);
  assert_int_equal(conf->pools[0].limits[1].dimension, WEIR_DIMENSION_OUTPUT_TOKENS);
  assert_int_equal(conf->pools[0].limits[1].window_us, 10 * WEIR_US_PER_MIN);
  assert_int_equal(conf->pools[0].limits[1].amount, 2500000);
  weir_conf_free(conf);
}

static const struct bad_file bad_files[] = {
    {"", "f:1:1: the file is empty; begin with providers and pools, see weir-coordinator --help\n"},
    {"- a\n", "f:1:1: the file must be a map; write keys and values, 'key: value'\n"},
    {"log: {}\n",
     "f:1:1: 'providers' is missing; add it: the providers, by a name of your choice\n"
     "f:1:1: 'pools' is missing; add it: the quotas: one element for each project and model\n"},
    {GOOD "pols: 1\n", "f:3:1: unknown key 'pols'; did you mean 'pools'?\n"},
    {GOOD "zzzzz: 1\n", "f:3:1: unknown key 'zzzzz'; known here: listen, key, peers, admin, "
                        "admin_token, plain_rights, "
                        "peer_limits, store, state, "
                        "log, alerts, heartbeat, session_ttl, asks_per_session, bounds, providers, "
                        "budgets, tenants, pools, routes\n"},
    {GOOD "log: {level: info, level: warn}\n",
     "f:3:20: 'level' stands here twice, first in line 3; remove one\n"},
    {GOOD POOL, "f:3:1: 'pools' stands here twice, first in line 2; remove one\n"},
    {GOOD "log: {level: inf}\n", "f:3:14: level: unknown word 'inf'; did you mean 'info'?\n"},
    {GOOD "log: {format: cbor}\n",
     "f:3:15: format: unknown word 'cbor'; write one of logfmt|json\n"},
    {PROVIDER "pools: [{name: p, provider: g, models: m, limits: {rpm: 1}, fall_back: \"true\"}]\n",
     "f:2:72: fall_back: 'true' is not a valid boolean; write true or false\n"},
    {GOOD "state: off\n",
     "f:3:8: state: YAML reads off as a boolean or null, not as text; write \"off\" with quotes\n"},
    {GOOD "store: /var/lib/weir/weir.db\n",
     "f:3:8: store: /var/lib/weir/weir.db is no store; write sqlite:/var/lib/weir/weir.db\n"},
    {GOOD "store: sqlite:weir.db\n",
     "f:3:8: store: sqlite:weir.db is no store; write sqlite:/var/lib/weir/weir.db\n"},
    {GOOD "store: sqlite:/a\nstate: /b\n",
     "f:4:8: state and store are both given; remove state, the store remembers more\n"},
    {GOOD "state:\n", "f:3:7: state has no value; write one or remove the key\n"},
    {GOOD "state: [a]\n",
     "f:3:8: state must be a single value, not a map or a list; write 'state: value'\n"},
    {GOOD "state: \"a\\0b\"\n", "f:3:8: state holds a NUL byte; remove it\n"},
    {GOOD "heartbeat: 5\n", "f:3:12: heartbeat: '5' is not a valid duration; write a number with "
                            "its unit such as 250ms, 2s, 1m, 1h or 1d\n"},
    {GOOD "heartbeat: 1ms\n", "f:3:12: heartbeat: 1ms is out of range; allowed is 100ms..1m\n"},
    {GOOD "session_ttl: 1s\n", "f:3:14: session_ttl is not above heartbeat, so every session would "
                               "end; make it about three times as long\n"},
    {GOOD "asks_per_session: 1024\n",
     "f:3:19: asks_per_session: 1024 is out of range; allowed is 1..1023\n"},
    {GOOD "bounds: {leases: 1,5}\n",
     "f:3:20: unknown key '5'; known here: pools, sessions, asks, leases, budgets, tenants\n"},
    {GOOD "listen: ipc://w.sock\n", "f:3:9: listen: ipc://w.sock is not an absolute path; write "
                                    "ipc:///run/weir/weir.sock\n"},
    {GOOD
     "listen: ipc:///"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaa\n",
     "f:3:9: listen: the path is 108 bytes long, the system allows 107; choose a shorter one\n"},
    {GOOD "listen: http://127.0.0.1:1\n",
     "f:3:9: listen: http://127.0.0.1:1 is no endpoint; write ipc:///path or "
     "tcp://address:port\n"},
    {GOOD "listen: tcp://127.0.0.1:7447\n",
     "f:3:9: listen: TCP needs keys; add key: FILE (made by 'weir keys new --coordinator') and "
     "peers: FILE (see 'weir help keys'), or use ipc:///path\n"},
    {GOOD "admin: 127.0.0.1:7448\n",
     "f:3:8: admin: '127.0.0.1:7448' is no address; write http://127.0.0.1:7448\n"},
    {GOOD "admin: http://localhost:7448\n",
     "f:3:8: admin: 'http://localhost:7448' is no address; write http://127.0.0.1:7448\n"},
    {GOOD "admin: http://127.0.0.1:74480\n",
     "f:3:8: admin: 'http://127.0.0.1:74480' is no address; write http://127.0.0.1:7448\n"},
    {GOOD "admin: http://10.0.0.1:7448\n",
     "f:3:8: admin: others than this machine reach 10.0.0.1, so it needs admin_token: FILE; or use "
     "http://127.0.0.1:7448\n"},
    {GOOD "admin: 'http://[::]:7448'\n",
     "f:3:8: admin: others than this machine reach ::, so it needs admin_token: FILE; or use "
     "http://127.0.0.1:7448\n"},
    {GOOD "key: /k\nlisten: [\"tcp://*:7447\"]\n",
     "f:4:10: listen: TCP needs keys; add key: FILE (made by 'weir keys new --coordinator') and "
     "peers: FILE (see 'weir help keys'), or use ipc:///path\n"},
    {GOOD "key: /k\npeers: /p\nlisten: tcp://127.0.0.1\n",
     "f:5:9: listen: tcp://127.0.0.1 has no valid port; write tcp://127.0.0.1:7447\n"},
    {GOOD "key: /k\npeers: /p\nlisten: tcp://127.0.0.1:65536\n",
     "f:5:9: listen: tcp://127.0.0.1:65536 has no valid port; write tcp://127.0.0.1:7447\n"},
    {GOOD "insecure: true\n",
     "f:3:1: unknown key 'insecure'; known here: listen, key, peers, admin, admin_token, "
     "plain_rights, peer_limits, store, state, log, alerts, heartbeat, session_ttl, "
     "asks_per_session, bounds, providers, budgets, tenants, pools, "
     "routes\n"},
    {GOOD "plain_rights: [ask, root]\n",
     "f:3:21: plain_rights: unknown word 'root'; write some of ask, show, admin\n"},
    {GOOD "peer_limits: {burst: 2m}\n",
     "f:3:22: burst: 2m is out of range; allowed is 100ms..1m\n"},
    {GOOD "alerts: {webhook: \"https:///hooks\"}\n",
     "f:3:19: alerts.webhook: 'https:///hooks' is no URL; write https://host/path\n"},
    {GOOD "alerts: {webhook: \"https://host/a b\"}\n",
     "f:3:19: alerts.webhook: 'https://host/a b' is no URL; write https://host/path\n"},
    {GOOD "listen: []\n", "f:3:9: listen has 0 endpoints; give 1 to 8 of them\n"},
    {GOOD "listen: [ipc:///a, ipc:///b, ipc:///a]\n",
     "f:3:30: listen: ipc:///a stands here twice; remove one\n"},
    {"providers: {g: {kind: gemni}}\n" POOL,
     "f:1:23: kind: unknown word 'gemni'; did you mean 'gemini'?\n"},
    {"providers: {g: {}}\n" POOL,
     "f:1:16: 'kind' is missing; add it: whose rules it follows: "
     "decides what tpm counts, what a day is, and defaults of its pools\n"},
    {"providers: {g: {kind: gemini}, \"g g\": {kind: gemini}}\n" POOL,
     "f:1:32: the provider's name 'g g' has a character that is not allowed; use letters, digits "
     "and ._-\n"},
    {"providers: {g: {kind: gemini, day_reset: \"Mars/Base 1\"}}\n" POOL,
     "f:1:42: the time zone 'Mars/Base 1' has a character that is not allowed; use letters, digits "
     "and /_+-\n"},
    {PROVIDER "pools: {}\n", "f:2:8: pools must be a list; begin each pool with '- name: ...'\n"},
    {PROVIDER "pools: []\n", "f:2:8: pools is empty; there must be at least one\n"},
    {PROVIDER "bounds: {pools: 1}\npools:\n- {name: p, provider: g, models: m, limits: {rpm: "
              "1}}\n- {name: q, provider: g, models: n, limits: {rpm: 1}}\n",
     "f:5:3: there are 2 pools, bounds.pools allows 1; raise it or remove pools\n"},
    {PROVIDER "pools:\n- {name: p}\n",
     "f:3:3: 'provider' is missing; add it: a name of providers\n"
     "f:3:3: 'models' is missing; add it: models that share this quota; the pool's own name means "
     "the first\n"
     "f:3:3: 'limits' is missing; add it: what the provider allows: short keys, or a list for "
     "other windows\n"},
    {PROVIDER "pools:\n- {name: p, provider: h, models: m, limits: {rpm: 1}}\n",
     "f:3:23: unknown provider 'h'; add it under providers: h: {kind: ...}\n"},
    {PROVIDER "pools:\n- {name: p, provider: g, models: [], limits: {rpm: 1}}\n",
     "f:3:34: models is empty; name at least one model of the provider\n"},
    {PROVIDER "pools:\n- {name: p, provider: g, models: [m, no], limits: {rpm: 1}}\n",
     "f:3:38: models: YAML reads no as a boolean or null, not as text; write \"no\" with quotes\n"},
    {PROVIDER "pools:\n- {name: p, provider: g, models: m, limits: {rpm: 1}}\n- {name: p, "
              "provider: g, models: n, limits: {rpm: 1}}\n",
     "f:4:10: the name 'p' is taken by line 3; every pool, model and route needs a name of its "
     "own\n"
     "f:4:34: models: YAML reads n as a boolean or null, not as text; write \"n\" with quotes\n"},
    {PROVIDER "pools:\n- {name: p, provider: g, models: m, limits: {rpm: 1}}\n- {name: q, "
              "provider: g, models: m, limits: {rpm: 1}}\n",
     "f:4:34: the name 'g/m' is taken by line 3; every pool, model and route needs a name of its "
     "own\n"},
    {PROVIDER "pools:\n- {name: a_name_of_more_than_31_characters, provider: g, models: m, limits: "
              "{rpm: 1}}\n",
     "f:3:10: name is 33 bytes long; at most 31 are allowed, shorten it\n"},
    {PROVIDER "pools:\n- {name: p, provider: g, models: "
              "m234567890123456789012345678901234567890123456789012345678901_, limits: {rpm: "
              "1}}\n",
     "f:3:34: 'g/m234567890123456789012345678901234567890123456789012345678901_' is 64 bytes long; "
     "provider/model may have 63, shorten the provider's name\n"},
    {PROVIDER "pools:\n- {name: p, provider: g, models: m, limits: {tmp: 1}}\n",
     "f:3:46: unknown key 'tmp'; did you mean 'tpm'?\n"},
    {PROVIDER "pools:\n- {name: p, provider: g, models: m, limits: {}}\n",
     "f:3:45: limits is empty; write at least one, such as {rpm: 1000}\n"},
    {PROVIDER "pools:\n- {name: p, provider: g, models: m, limits: {rpm: 0}}\n",
     "f:3:51: rpm: 0 is out of range; allowed is 1..281474976710656\n"},
    {PROVIDER "pools:\n- {name: p, provider: g, models: m, limits: {rpm: 1.5}}\n",
     "f:3:51: rpm: '1.5' is not a valid amount; write a whole number such as 1000, 1_000, 10k or "
     "2.5M\n"},
    {PROVIDER "pools:\n- {name: p, provider: g, models: m, limits: {tpm: 1, itpm: 2}}\n",
     "f:3:60: input_tokens are limited twice over the same window; keep the smaller amount\n"},
    {"providers: {a: {kind: anthropic}}\npools:\n- {name: p, provider: a, models: m, limits: {tpm: "
     "1}}\n",
     "f:3:51: tpm: anthropic limits input and output tokens apart; write itpm and otpm\n"},
    {PROVIDER "pools:\n- {name: p, provider: g, models: m, limits: [{dimension: request, window: "
              "1m, amount: 1}]}\n",
     "f:3:58: dimension: unknown word 'request'; did you mean 'requests'?\n"},
    {PROVIDER "pools:\n- {name: p, provider: g, models: m, limits: [{dimension: requests, window: "
              "33d, amount: 1}]}\n",
     "f:3:76: window: 33d is out of range; allowed is 1s..775h\n"},
    {PROVIDER "pools:\n- {name: p, provider: g, models: m, limits: [{window: 1m}]}\n",
     "f:3:46: 'dimension' is missing; add it: what is counted\n"
     "f:3:46: 'amount' is missing; add it: how much is allowed in every such window; money for "
     "spend\n"},
    {BAD_POOL(", lease_ttl: 10s"),
     "f:3:66: lease_ttl and jitter are more than 10s together; shorten one\n"},
    {BAD_POOL(", classes: {batch: {floor: 95%}}"),
     "f:3:80: floor: 95% is out of range; allowed is 0%..90%\n"},
    {BAD_POOL(", classes: {batch: {floor: 40%}, online: {floor: 70%}}"),
     "f:3:64: the floors of online and batch (default 10%) are more than 100% together; lower "
     "one\n"},
    {BAD_POOL(", classes: {bulk: {floor: 40%}}"),
     "f:3:65: unknown key 'bulk'; known here: online, batch\n"},
    {GOOD "routes: {fast: m}\n", "f:3:16: 'm' is no provider/model; write both\n"},
    {GOOD "routes: {fast: []}\n",
     "f:3:10: the route 'fast' leads to no pool; name a provider/model of a pool\n"},
    {GOOD "routes: {fast: [g/n]}\n",
     "f:3:10: the route 'fast' leads to no pool; name a provider/model of a pool\n"
     "f:3:17: warning: 'g/n' has no pool and is passed over; add it to the models of a pool, or "
     "remove it\n"},
    {GOOD "routes: {fast: [h/n, g/m]}\n",
     "f:3:17: warning: 'h/n' names an unknown provider and is passed over; add the provider and a "
     "pool for it, or remove it\n"},
    {PROVIDER "pools: [{name: p, provider: g, models: [flash-2.5], limits: {rpm: 10}}]\n"
              "routes: {fast: [g/flsh-2.5, g/flash-2.5]}\n",
     "f:3:17: warning: 'g/flsh-2.5' has no pool and is passed over; did you mean "
     "'g/flash-2.5'?\n"},
    {GOOD "routes: {fast: [g/n, g/m, g/m]}\n",
     "f:3:17: warning: 'g/n' has no pool and is passed over; add it to the models of a pool, or "
     "remove it\n"
     "f:3:27: 'g/m' stands in this route twice; remove one\n"},
    {GOOD "routes: {fast: {model: g/m}}\n",
     "f:3:16: 'models' is missing; add it: provider/model, or a list of them, best first\n"
     "f:3:17: unknown key 'model'; did you mean 'models'?\n"},
    {GOOD "routes: {fast: {models: g/m, policy: fasted}}\n",
     "f:3:38: policy: unknown word 'fasted'; did you mean 'fastest'?\n"},
    {GOOD "routes: {fast: {models: g/m, timeout: {onlien: 1s, batch: 25h}}}\n",
     "f:3:40: unknown key 'onlien'; did you mean 'online'?\n"
     "f:3:59: batch: 25h is out of range; allowed is 1ms..24h\n"},
    {GOOD "routes: {fast: {models: g/m, timeout: 10s}}\n",
     "f:3:39: routes.*.timeout must be a map; write keys and values, 'key: value'\n"},
    {GOOD "routes: {fast: {models: {}}}\n",
     "f:3:25: models must be a single value, not a map or a list; write 'models: value'\n"},
    {GOOD "routes: {p: g/m}\n", "f:3:10: the name 'p' is taken by line 2; every pool, model and "
                                "route needs a name of its own\n"},
    {GOOD "log:\n\tlevel: info\n",
     "f:4:1: a tab stands in the indentation, which YAML forbids; use spaces\n"},
    {GOOD "log: {level: info\n",
     "f:4:1: this is not valid YAML (while parsing a flow mapping: did not find expected ',' or "
     "'}'); check indentation, brackets and quotes here and in the line before\n"},
    {GOOD "---\nlog: {}\n", "f:3:1: a second document begins; keep one and remove this '---'\n"},
    {GOOD "log: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n",
     "f:3:37: lists and maps are nested deeper than 32; no key needs that\n"},
    {GOOD "\xff\n", "f: byte 95: invalid leading UTF-8 octet; save the file as UTF-8 text\n"},
    {GOOD "z\\e[31m: 1\n",
     "f:3:1: unknown key 'z\\e[31m'; known here: listen, key, peers, admin, admin_token, "
     "plain_rights, peer_limits, store, state, log, alerts, heartbeat, session_ttl, "
     "asks_per_session, bounds, providers, budgets, tenants, pools, "
     "routes\n"},
    {GOOD "? \"z\\e[31m\"\n: 1\n",
     "f:3:3: unknown key 'z?[31m'; known here: listen, key, peers, admin, admin_token, "
     "plain_rights, peer_limits, store, state, log, alerts, heartbeat, session_ttl, "
     "asks_per_session, bounds, providers, budgets, tenants, pools, "
     "routes\n"},
};

static void says_where_what_and_how_to_fix_it(void **state)
{
  (void)state;
  check_bad(bad_files, sizeof bad_files / sizeof bad_files[0]);
}

static void reports_all_errors_of_a_file_in_its_order(void **state)
{
  (void)state;
  static char lines[WEIR_CONF_ISSUES_MAX * WEIR_CONF_LINE_SIZE];
  const char *text = "heartbeat: x\nlog: {level: y}\nproviders: {g: {kind: z}}\nstat: a\n" POOL;
  issues_of(text, strlen(text), lines, sizeof lines);
  assert_int_equal(issues.errors, 4);
  for (uint32_t i = 0; i < 4; i++)
    assert_int_equal(issues.items[i].line, i + 1);
}

static void counts_issues_beyond_its_list(void **state)
{
  (void)state;
  static char text[20000], lines[WEIR_CONF_ISSUES_MAX * WEIR_CONF_LINE_SIZE];
  size_t size = (size_t)snprintf(text, sizeof text, GOOD);
  for (int i = 0; i < 500; i++)
    size += (size_t)snprintf(text + size, sizeof text - size, "unknown%d: 1\n", i);
  issues_of(text, size, lines, sizeof lines);
  assert_int_equal(issues.errors, 500);
  assert_int_equal(issues.count, WEIR_CONF_ISSUES_MAX);
  assert_int_equal(issues.dropped, 500 - WEIR_CONF_ISSUES_MAX);
}

static void refuses_a_file_that_is_too_large(void **state)
{
  (void)state;
  static char text[WEIR_CONF_FILE_SIZE_MAX + 1], lines[1000];
  memset(text, '#', sizeof text);
  issues_of(text, sizeof text, lines, sizeof lines);
  assert_string_equal(lines, "f: the file is larger than 262144 bytes; split the pools over "
                             "several coordinators\n");
}

static void reads_aliases_that_lead_to_themselves(void **state)
{
  (void)state;
  static char lines[WEIR_CONF_ISSUES_MAX * WEIR_CONF_LINE_SIZE];
  const char *text = "providers: &p {g: *p}\npools: &q [*q]\nroutes: &r {a: *r}\n";
  issues_of(text, strlen(text), lines, sizeof lines);
  assert_true(issues.errors > 0);
}

static char *read_file(const char *name)
{
  char path[1000];
  snprintf(path, sizeof path, "%s/%s", getenv("WEIR_SOURCE_DIR"), name);
  FILE *file = fopen(path, "rb");
  if (file == NULL)
    fail_msg("%s cannot be opened", path);
  char *text = calloc(1, 1 << 20);
  assert_non_null(text);
  assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
  fclose(file);
  return text;
}

static void accepts_the_example_of_the_docs(void **state)
{
  (void)state;
  char *text = read_file("docs/examples/weir.yaml");
  struct weir_conf *conf = parse(text);
  assert_int_equal(issues.count, 0);
  assert_int_equal(conf->coord.pools_count, 3);
  weir_conf_free(conf);
  free(text);
}

/* And the page about routes shows what is in it, and what `weir check` says of it. */
static void accepts_the_example_of_routes(void **state)
{
  (void)state;
  char *text = read_file("docs/examples/routes.yaml"), *page = read_file("docs/ROUTES.md");
  struct weir_conf *conf = parse(text);
  const char *routes = strstr(text, "routes:\n");
  char shown[4096] = {0};
  assert_int_equal(issues.count, 0);
  assert_int_equal(conf->coord.routes_count, 4);
  assert_non_null(routes);
  assert_non_null(strstr(page, routes));
  FILE *file = fmemopen(shown, sizeof shown - 1, "w");
  assert_non_null(file);
  weir_conf_show(conf, file);
  fclose(file);
  assert_non_null(strstr(shown, "route only"));
  assert_non_null(strstr(page, strstr(shown, "route only")));
  weir_conf_free(conf);
  free(page);
  free(text);
}

/* Every row of the table stands in the docs as it is: "| `path` | type | fallback | range |". */
static void documents_every_key_as_the_table_says(void **state)
{
  (void)state;
  char *text = read_file("docs/CONFIGURATION.md");
  size_t count = 0, missing = 0;
  const struct weir_conf_key *keys = weir_conf_keys(&count);
  assert_true(count > 30);
  for (size_t i = 0; i < count; i++) {
    const struct weir_conf_key *key = &keys[i];
    char range[128], row[600];
    size_t size = 0;
    for (const char *at = key->range; *at != '\0'; at++) {
      if (*at == '|')
        size += (size_t)snprintf(range + size, sizeof range - size, ", ");
      else
        range[size++] = *at;
    }
    range[size] = '\0';
    snprintf(row, sizeof row, "| `%s` | %s | %s%s%s | %s | %s |", key->path,
             weir_conf_type_name(key->type), key->fallback != NULL && key->fallback[0] ? "`" : "",
             key->fallback == NULL ? "required" : key->fallback,
             key->fallback != NULL && key->fallback[0] ? "`" : "", range, key->help);
    if (strstr(text, row) == NULL) {
      print_error("docs/CONFIGURATION.md lacks this row:\n%s\n", row);
      missing++;
    }
  }
  free(text);
  assert_int_equal(missing, 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_amounts_durations_and_percentages_exactly),
      cmocka_unit_test(counts_the_letters_of_a_typing_error),
      cmocka_unit_test(gives_defaults_to_what_is_not_said),
      cmocka_unit_test(has_no_state_file_beside_a_store),
      cmocka_unit_test(names_pools_models_and_routes),
      cmocka_unit_test(a_route_has_all_its_models_in_order),
      cmocka_unit_test(a_route_of_too_many_models_is_an_error),
      cmocka_unit_test(counts_tokens_as_the_provider_does),
      cmocka_unit_test(takes_limits_of_any_window),
      cmocka_unit_test(says_where_what_and_how_to_fix_it),
      cmocka_unit_test(reports_all_errors_of_a_file_in_its_order),
      cmocka_unit_test(counts_issues_beyond_its_list),
      cmocka_unit_test(refuses_a_file_that_is_too_large),
      cmocka_unit_test(reads_aliases_that_lead_to_themselves),
      cmocka_unit_test(accepts_the_example_of_the_docs),
      cmocka_unit_test(accepts_the_example_of_routes),
      cmocka_unit_test(documents_every_key_as_the_table_says),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

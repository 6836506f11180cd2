/* The table of all keys of the configuration file: the one place to add one. */
#include <weir/conf.h>

#include <assert.h>

static const struct weir_conf_key keys[] = {
    {"listen", WEIR_CONF_TEXTS, "ipc:///run/weir/weir.sock", "",
     "where instances connect: ipc:///path, or tcp://address:port together with key and peers"},
    {"key", WEIR_CONF_TEXT, "", "",
     "file with the coordinator's secret key (weir keys new --coordinator); TCP needs it"},
    {"peers", WEIR_CONF_TEXT, "", "",
     "list of the keys that may connect by TCP (weir keys); read again when it changes"},
    {"plain_rights", WEIR_CONF_TEXTS, "", "",
     "what instances without a key, those on ipc, may do: ask, show, admin; without it all three"},
    {"peer_limits", WEIR_CONF_MAP, "", "",
     "what one key may send, or one connection without a key; the rest is dropped"},
    {"peer_limits.messages", WEIR_CONF_AMOUNT, "20k", "1..1G", "frames a second"},
    {"peer_limits.bytes", WEIR_CONF_AMOUNT, "8M", "16384..1G", "bytes a second"},
    {"peer_limits.burst", WEIR_CONF_DURATION, "2s", "100ms..1m",
     "so much of both may be sent at once after a pause"},
    {"peer_limits.sessions", WEIR_CONF_AMOUNT, "64", "1..65536", "open sessions of one key"},
    {"state", WEIR_CONF_TEXT, "/var/lib/weir/weir.state", "",
     "file that remembers between runs what may already be spent"},
    {"log", WEIR_CONF_MAP, "", "", "what is written to standard error"},
    {"log.level", WEIR_CONF_WORD, "info", "error|warn|info|debug", "least urgent line written"},
    {"log.format", WEIR_CONF_WORD, "logfmt", "logfmt|json", "form of a line"},
    {"heartbeat", WEIR_CONF_DURATION, "1s", "100ms..1m",
     "longest silence of a live instance; it pings when it has nothing to say"},
    {"session_ttl", WEIR_CONF_DURATION, "3s", "300ms..10m",
     "silence after which an instance counts as gone; above heartbeat"},
    {"asks_per_session", WEIR_CONF_AMOUNT, "512", "1..1023",
     "asks that one instance may have waiting"},
    {"bounds", WEIR_CONF_MAP, "", "", "sizes of all tables; memory is taken once, at the start"},
    {"bounds.pools", WEIR_CONF_AMOUNT, "256", "1..1024", "pools, those of a later reload included"},
    {"bounds.sessions", WEIR_CONF_AMOUNT, "4096", "1..65536", "instances"},
    {"bounds.asks", WEIR_CONF_AMOUNT, "65536", "1..1048576", "waiting asks of all instances"},
    {"bounds.leases", WEIR_CONF_AMOUNT, "131072", "1..1048576", "leases granted and not settled"},
    {"bounds.budgets", WEIR_CONF_AMOUNT, "256", "1..4096",
     "shared budgets and those of tenants, those of a later reload included"},
    {"bounds.tenants", WEIR_CONF_AMOUNT, "4096", "16..1048576",
     "tenants, those that are not configured included"},
    {"providers", WEIR_CONF_MAP, NULL, "", "the providers, by a name of your choice"},
    {"providers.*", WEIR_CONF_MAP, NULL, "", "one provider"},
    {"providers.*.kind", WEIR_CONF_WORD, NULL, "gemini|openai|anthropic|vertex|compatible",
     "whose rules it follows: decides what tpm counts, what a day is, and defaults of its pools"},
    {"providers.*.day_reset", WEIR_CONF_TEXT, "", "",
     "time zone of its day, such as America/Los_Angeles; without it a day is what its kind says"},
    {"budgets", WEIR_CONF_MAP, "", "", "limits that several pools share, by a name of your choice"},
    {"budgets.*", WEIR_CONF_MAP, "", "", "one budget; pools name it in their budgets"},
    {"budgets.*.limits", WEIR_CONF_MAP, NULL, "",
     "what all these pools may use together, written as pools[].limits; tpm counts all tokens"},
    {"budgets.*.profile", WEIR_CONF_WORD, "window", "window|bucket|paced|universal",
     "how strictly it is kept, as in pools[].profile"},
    {"budgets.*.day_reset", WEIR_CONF_TEXT, "UTC", "", "time zone of its day"},
    {"tenants", WEIR_CONF_MAP, "", "", "on whose behalf instances ask, by the name they give"},
    {"tenants.*", WEIR_CONF_MAP, "", "", "one tenant, in every pool"},
    {"tenants.*.weight", WEIR_CONF_AMOUNT, "1", "1..1000",
     "its share beside other tenants that wait in the same class"},
    {"tenants.*.limits", WEIR_CONF_MAP, "", "",
     "what it may use of all pools together, written as pools[].limits; tpm counts all tokens"},
    {"tenants.*.day_reset", WEIR_CONF_TEXT, "UTC", "", "time zone of its day"},
    {"pools", WEIR_CONF_LIST, NULL, "", "the quotas: one element for each project and model"},
    {"pools[].name", WEIR_CONF_TEXT, NULL, "", "unique name, up to 31 bytes"},
    {"pools[].provider", WEIR_CONF_TEXT, NULL, "", "a name of providers"},
    {"pools[].models", WEIR_CONF_TEXTS, NULL, "",
     "models that share this quota; the pool's own name means the first"},
    {"pools[].limits", WEIR_CONF_MAP, NULL, "",
     "what the provider allows: short keys, or a list for other windows"},
    {"pools[].limits.rpm", WEIR_CONF_AMOUNT, "", "1..281474976710656", "requests in a minute"},
    {"pools[].limits.tpm", WEIR_CONF_AMOUNT, "", "1..281474976710656",
     "tokens in a minute: input tokens of gemini and vertex, all tokens of openai and compatible"},
    {"pools[].limits.itpm", WEIR_CONF_AMOUNT, "", "1..281474976710656", "input tokens in a minute"},
    {"pools[].limits.otpm", WEIR_CONF_AMOUNT, "", "1..281474976710656",
     "output tokens in a minute"},
    {"pools[].limits.rpd", WEIR_CONF_AMOUNT, "", "1..281474976710656", "requests in a day"},
    {"pools[].limits.tpd", WEIR_CONF_AMOUNT, "", "1..281474976710656",
     "tokens in a day, counted as tpm"},
    {"pools[].limits.in_flight", WEIR_CONF_AMOUNT, "", "1..281474976710656",
     "calls under way at the same time"},
    {"pools[].limits.spend_day", WEIR_CONF_MONEY, "", "0.000001..281474976",
     "money in a day, in the currency of price"},
    {"pools[].limits.spend_month", WEIR_CONF_MONEY, "", "0.000001..281474976",
     "money in any 31 days, in the currency of price"},
    {"pools[].limits[].dimension", WEIR_CONF_WORD, NULL,
     "requests|input_tokens|output_tokens|total_tokens|spend|in_flight", "what is counted"},
    {"pools[].limits[].window", WEIR_CONF_DURATION, "", "1s..775h",
     "the time in which it is counted, or the word day; required, but for in_flight, which has "
     "none"},
    {"pools[].limits[].amount", WEIR_CONF_AMOUNT, NULL, "1..281474976710656",
     "how much is allowed in every such window; money for spend"},
    {"pools[].limits[].burst", WEIR_CONF_AMOUNT, "", "1..281474976710656",
     "how much the provider's bucket holds, at most amount; without it a twentieth of amount"},
    {"pools[].limits[].mode", WEIR_CONF_WORD, "enforce", "enforce|shadow",
     "shadow counts and shows the limit, but does not keep it"},
    {"pools[].profile", WEIR_CONF_WORD, "", "window|bucket|paced|universal",
     "how strictly the limits are kept, least first; without it by the provider's kind"},
    {"pools[].fall_back", WEIR_CONF_BOOL, "true", "true|false",
     "whether a rejection that the books cannot explain makes the pool universal"},
    {"pools[].sub_window", WEIR_CONF_DURATION, "1s", "100ms..10s",
     "the shorter window over which paced and universal spread requests"},
    {"pools[].estimate_error", WEIR_CONF_PERCENT, "10%", "0%..100%",
     "how far estimates of tokens are usually off, until that is known from calls"},
    {"pools[].charge", WEIR_CONF_WORD, "", "estimate|actual",
     "which tokens the provider counts; without it estimate for openai and compatible, else "
     "actual"},
    {"pools[].price", WEIR_CONF_MAP, "", "", "price of a million tokens, for limits of spend"},
    {"pools[].price.input", WEIR_CONF_MONEY, NULL, "0..1000000", "of input tokens"},
    {"pools[].price.output", WEIR_CONF_MONEY, NULL, "0..1000000", "of output tokens"},
    {"pools[].budgets", WEIR_CONF_TEXTS, "", "",
     "names of budgets that the pool's calls use as well, 2 at most"},
    {"pools[].tenants", WEIR_CONF_MAP, "", "",
     "tenants in this pool; an entry here goes before that in tenants"},
    {"pools[].tenants.*", WEIR_CONF_MAP, "", "", "one tenant in this pool"},
    {"pools[].tenants.*.weight", WEIR_CONF_AMOUNT, "", "1..1000",
     "its share in this pool; without it that of tenants, else 1"},
    {"pools[].tenants.*.limits", WEIR_CONF_MAP, "", "",
     "what it may use of this pool, written as pools[].limits, in place of limits in tenants"},
    {"pools[].lease_ttl", WEIR_CONF_DURATION, "2s", "10ms..10s",
     "a granted call must be on its way within this; with jitter at most 10s"},
    {"pools[].jitter", WEIR_CONF_DURATION, "100ms", "0ms..5s",
     "how much the time from an instance to the provider's counter varies"},
    {"pools[].breaker", WEIR_CONF_MAP, "", "",
     "when calls are held back because the provider fails (BREAKER.md)"},
    {"pools[].breaker.enabled", WEIR_CONF_BOOL, "true", "true|false",
     "false: it never opens by itself"},
    {"pools[].breaker.failures", WEIR_CONF_PERCENT, "50%", "1%..100%",
     "share of the calls of the window that fail before it opens"},
    {"pools[].breaker.min_calls", WEIR_CONF_AMOUNT, "20", "1..1000000",
     "calls that must have ended in the window before it opens"},
    {"pools[].breaker.window", WEIR_CONF_DURATION, "10s", "1s..10m",
     "the time in which ends of calls are counted"},
    {"pools[].breaker.open", WEIR_CONF_DURATION, "5s", "100ms..1h",
     "how long nothing starts; doubles each time that the probes fail"},
    {"pools[].breaker.open_max", WEIR_CONF_DURATION, "2m", "100ms..1d",
     "how long nothing starts at most; at least open"},
    {"pools[].breaker.probes", WEIR_CONF_AMOUNT, "3", "1..16",
     "calls of the whole fleet that try the provider before others start"},
    {"pools[].breaker.probe_timeout", WEIR_CONF_DURATION, "30s", "100ms..10m",
     "a probe of which nothing was heard for so long has failed"},
    {"pools[].breaker.ramp", WEIR_CONF_DURATION, "10s", "1s..1h",
     "time from the first calls after the probes to the whole quota"},
    {"pools[].ramp", WEIR_CONF_MAP, "", "",
     "how fast use may grow after the provider said that it grew too fast (LEDGER.md)"},
    {"pools[].ramp.growth", WEIR_CONF_PERCENT, "", "0%..900%",
     "growth in a period, of what was in use; 0%: calls only wait; without it by the provider's "
     "kind"},
    {"pools[].ramp.per", WEIR_CONF_DURATION, "", "1s..1h",
     "the period; without it by the provider's kind"},
    {"pools[].retries", WEIR_CONF_PERCENT, "10%", "0%..100%",
     "new attempts that the fleet may make, as a share of first ones; 0%: none"},
    {"pools[].classes", WEIR_CONF_MAP, "", "", "shares of the classes of work"},
    {"pools[].classes.online", WEIR_CONF_MAP, "", "", "work that somebody waits for; goes first"},
    {"pools[].classes.online.floor", WEIR_CONF_PERCENT, "0%", "0%..100%",
     "share that online needs; it goes first anyway, so this only checks that the floors fit"},
    {"pools[].classes.batch", WEIR_CONF_MAP, "", "", "work that can wait"},
    {"pools[].classes.batch.floor", WEIR_CONF_PERCENT, "10%", "0%..90%",
     "share that batch gets even while online work waits"},
    {"routes", WEIR_CONF_MAP, "", "", "names for models, so that callers need not change"},
    {"routes.*", WEIR_CONF_TEXTS, "", "",
     "provider/model, or a list of up to 16 of them, best first; or a map of what follows"},
    {"routes.*.models", WEIR_CONF_TEXTS, NULL, "", "provider/model, or a list of them, best first"},
    {"routes.*.policy", WEIR_CONF_WORD, "order", "order|fastest|cheapest",
     "which of the models that can start soon is taken: the first, the one whose calls took least "
     "lately, the one with the lowest price"},
    {"routes.*.patience", WEIR_CONF_DURATION, "250ms", "0ms..1h",
     "how soon is soon: a model is waited for that long before one that policy likes less is "
     "taken"},
    {"routes.*.timeout", WEIR_CONF_MAP, "", "", "how long a call may take, by class of work"},
    {"routes.*.timeout.online", WEIR_CONF_DURATION, "", "1ms..24h",
     "of online work; without it the instance decides"},
    {"routes.*.timeout.batch", WEIR_CONF_DURATION, "", "1ms..24h",
     "of batch work; without it the instance decides"},
};

const struct weir_conf_key *weir_conf_keys(size_t *ret_count)
{
  *ret_count = sizeof keys / sizeof keys[0];
  return keys;
}

const char *weir_conf_type_name(enum weir_conf_type type)
{
  switch (type) {
  case WEIR_CONF_AMOUNT:
    return "amount";
  case WEIR_CONF_DURATION:
    return "duration";
  case WEIR_CONF_PERCENT:
    return "percentage";
  case WEIR_CONF_MONEY:
    return "sum of money";
  case WEIR_CONF_BOOL:
    return "boolean";
  case WEIR_CONF_WORD:
    return "word";
  case WEIR_CONF_TEXT:
    return "text";
  case WEIR_CONF_TEXTS:
    return "text or list of texts";
  case WEIR_CONF_MAP:
    return "map";
  case WEIR_CONF_LIST:
    return "list";
  }
  assert(false);
  return "?";
}

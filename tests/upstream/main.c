/* weir-upstream: a simulated LLM provider that enforces its limits and misbehaves on request. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve.h"

static const char help[] =
    "usage: weir-upstream [options]\n"
    "\n"
    "A simulated provider: the Gemini, OpenAI and Anthropic APIs by path, with limits enforced "
    "per\n"
    "project (API key) and model. Prints \"listening on http://HOST:PORT\" when it is ready.\n"
    "\n"
    "  --listen HOST:PORT         default 127.0.0.1:0, any free port\n"
    "  --port-file FILE           writes the port there when ready\n"
    "limits (amounts may end in k or M):\n"
    "  --limit NAME=N[:METHOD[:BURST]]   rpm, rpd; tpm, tpd (what the provider counts: Gemini and\n"
    "                             Anthropic input, OpenAI max(max_tokens, estimate)); itpm input,\n"
    "                             otpm output, ttpm total tokens. Repeatable, or joined by commas\n"
    "  --model NAME[=LIMITS]      a model with its own limits; repeatable\n"
    "  --only-models              models not named so are unknown (404)\n"
    "  --method METHOD            of limits per minute that name none: fixed (default), log,\n"
    "                             counter, bucket, sub1s\n"
    "  --window-ms N              length of a \"minute\" (60000)\n"
    "  --phase-ms N               where minutes begin (0: at multiples of the window)\n"
    "  --sub-ms N                 sub-window of sub1s (1000)\n"
    "  --day-ms N                 length of a \"day\" (86400000)\n"
    "  --day-reset HH:MM          when days begin, UTC (08:00)\n"
    "  --count-rejected           rejected calls use up request limits, too\n"
    "  --tier free|paid           in whose words Gemini rejects (paid)\n"
    "  --key KEY[=PROJECT]        a valid key; without any, each key is valid and its own project\n"
    "answers:\n"
    "  --latency-ms N | N..M      to the answer, or to a stream's first byte (20)\n"
    "  --latency-median-ms N      lognormal instead, with\n"
    "  --latency-sigma S          the standard deviation of its logarithm\n"
    "  --chunk-ms N               between two events of a stream (10)\n"
    "  --chunk-tokens N           tokens per event (8, at most 256)\n"
    "  --output-tokens N | N..M   tokens of an answer, up to the request's maximum (20..200)\n"
    "  --context-tokens N         longest input (1048576)\n"
    "  --seed N                   of latency, output and faults (1)\n"
    "  --log N                    keep the last N calls for GET /_admin/log (0)\n"
    "  --fault kind=K,next=N | kind=K,probability=P[,model=M][,skip=N][,ms=N][,charged=true]\n"
    "                             kinds:\n"
#define X(name, text, what) "                               " text ": " what "\n"
    WEIR_UP_FAULT_LIST(X)
#undef X
        "\n"
        "While it runs: GET /_admin/counters, GET /_admin/log, POST /_admin/reset, and POST\n"
        "/_admin/script with the same settings as JSON, underscores for dashes:\n"
        "  {\"method\": \"log\", \"limits\": {\"rpm\": 60, \"tpm\": \"1M:bucket\"},\n"
        "   \"models\": {\"gemini-2.5-pro\": {\"rpm\": 5}}, \"latency_ms\": \"300..1500\",\n"
        "   \"faults\": [{\"kind\": \"overloaded_503\", \"next\": 3}]}\n"
        "New limits start unused. \"limits\" and \"faults\" replace the lists that were there.\n"
        "\n"
        "examples:\n"
        "  weir-upstream --limit rpm=1000,tpm=1M,rpd=10000 --latency-ms 300..1500\n"
        "  weir-upstream --listen 127.0.0.1:8089 --limit rpm=60:sub1s --limit tpm=200k:bucket:20k\n"
        "  weir-upstream --limit rpm=100 --window-ms 2000 --fault "
        "kind=error_500,probability=0.01\n";

struct options {
  char host[64];
  uint16_t port;
  const char *port_file;
};

static bool read_listen(const char *text, struct options *o)
{
  const char *colon = strrchr(text, ':');
  char *end = NULL;
  unsigned long port = colon != NULL ? strtoul(colon + 1, &end, 10) : 0;
  if (colon == NULL || end == colon + 1 || *end != '\0' || port > 65535 ||
      (size_t)(colon - text) >= sizeof o->host)
    return false;
  memcpy(o->host, text, (size_t)(colon - text));
  o->host[colon - text] = '\0';
  o->port = (uint16_t)port;
  return true;
}

static int usage_error(const char *what, const char *why)
{
  (void)fprintf(stderr, "weir-upstream: %s%s%s (see --help)\n", what, why[0] != '\0' ? ": " : "",
                why);
  return 2;
}

/* Returns 0 to go on, 2 after a usage error. */
static int read_options(int argc, char **argv, struct options *o, struct weir_up_settings *s)
{
  char error[512];
  for (int i = 1; i < argc; i++) {
    const char *name = argv[i];
    if (strncmp(name, "--", 2) != 0)
      return usage_error(name, "options begin with --");
    bool is_flag = strcmp(name, "--only-models") == 0 || strcmp(name, "--count-rejected") == 0;
    const char *value = is_flag ? "true" : i + 1 < argc ? argv[++i] : NULL;
    if (value == NULL)
      return usage_error(name, "a value is missing");
    if (strcmp(name, "--listen") == 0) {
      if (!read_listen(value, o))
        return usage_error(value, "--listen takes HOST:PORT, such as 127.0.0.1:8089");
    } else if (strcmp(name, "--port-file") == 0) {
      o->port_file = value;
    } else if (!weir_up_settings_set(s, name + 2, value, error, sizeof error)) {
      return usage_error(error, "");
    }
  }
  return 0;
}

static bool tell_port(const struct options *o, uint16_t port)
{
  if (o->port_file != NULL) {
    FILE *file = fopen(o->port_file, "w");
    if (file == NULL || fprintf(file, "%u\n", port) < 0 || fclose(file) != 0) {
      perror(o->port_file);
      return false;
    }
  }
  (void)printf("listening on http://%s:%u\n", o->host, port);
  (void)fflush(stdout);
  return true;
}

static void on_signal(uv_signal_t *signal, int number)
{
  struct weir_up_server *server = signal->data;
  (void)number;
  weir_up_serve_close(server);
  uv_signal_t *both = server->loop->data;
  uv_close((uv_handle_t *)&both[0], NULL);
  uv_close((uv_handle_t *)&both[1], NULL);
}

static int run(struct weir_up_server *server, const struct options *o)
{
  uv_loop_t loop;
  uv_signal_t signals[2];
  char error[256];
  if (uv_loop_init(&loop) != 0)
    return 1;
  loop.data = signals;
  if (weir_up_serve_open(server, &loop, o->host, o->port, error, sizeof error) != WEIR_OK) {
    (void)fprintf(stderr, "weir-upstream: %s\n", error);
    return 1;
  }
  for (int i = 0; i < 2; i++) {
    (void)uv_signal_init(&loop, &signals[i]);
    signals[i].data = server;
    (void)uv_signal_start(&signals[i], on_signal, i == 0 ? SIGTERM : SIGINT);
  }
  (void)signal(SIGPIPE, SIG_IGN);
  if (!tell_port(o, weir_http_server_port(server->http)))
    return 1;
  (void)uv_run(&loop, UV_RUN_DEFAULT);
  (void)uv_loop_close(&loop);
  weir_up_serve_fini(server);
  return 0;
}

int main(int argc, char **argv)
{
  static struct weir_up_server server;
  struct options options = {.host = "127.0.0.1"};
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      (void)fputs(help, stdout);
      return 0;
    }
  weir_up_settings_init(&server.settings);
  int status = read_options(argc, argv, &options, &server.settings);
  return status != 0 ? status : run(&server, &options);
}

/* weir-proxy: reads its settings from a file and the environment, then serves until SIGTERM or
 * SIGINT. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "proxy.h"

#define EXIT_USAGE 2

static void help_print(void)
{
  puts("weir-proxy: the providers' own HTTP APIs, with the quota of weir behind them\n"
       "\n"
       "  --config FILE, -c FILE\n"
       "              read settings from a file in YAML; those of the environment override it\n"
       "  --check     check the settings, show what they mean, and exit: 0 when they are valid,\n"
       "              1 when not\n"
       "  --version   print the version\n"
       "  --help      print this\n"
       "\n"
       "Settings, in the file and in the environment (defaults):\n");
  weir_proxy_config_help(stdout);
  puts("\n"
       "Signals: SIGTERM and SIGINT stop listening and let open answers end; the second one stops\n"
       "at once. Exit: 0 fine, 1 could not start or the settings are not valid, 2 usage.\n"
       "\n"
       "An SDK needs another base URL and nothing else:\n"
       "  OPENAI_BASE_URL=http://127.0.0.1:8787/v1 python program.py");
}

/* Returns -1 to go on, or the exit code. */
static int options_read(int argc, char **argv, bool *ret_is_check, const char **ret_path)
{
  static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                        {"check", no_argument, NULL, 'k'},
                                        {"version", no_argument, NULL, 'v'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};
  int letter;

  while ((letter = getopt_long(argc, argv, "c:kvh", longs, NULL)) != -1) {
    switch (letter) {
    case 'c':
      *ret_path = optarg;
      break;
    case 'k':
      *ret_is_check = true;
      break;
    case 'v':
      puts("weir-proxy " WEIR_VERSION);
      return EXIT_SUCCESS;
    case 'h':
      help_print();
      return EXIT_SUCCESS;
    default:
      fputs("weir-proxy: see --help\n", stderr);
      return EXIT_USAGE;
    }
  }
  if (optind == argc)
    return -1;
  fprintf(stderr, "weir-proxy: unexpected argument '%s'; see --help\n", argv[optind]);
  return EXIT_USAGE;
}

/* Two descriptors for each call under way, and some. */
static void descriptors_raise(void)
{
  struct rlimit limit;

  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void on_signal(uv_signal_t *handle, int number)
{
  struct weir_proxy *p = handle->data;

  if (p->is_draining)
    _Exit(128 + number);
  fprintf(stderr, "weir-proxy: draining, %llu calls are open\n", (unsigned long long)p->calls_open);
  weir_proxy_drain(p);
}

static int serve(const struct weir_proxy_config *config)
{
  static struct weir_proxy proxy; /* too large for a stack */
  static const int numbers[2] = {SIGTERM, SIGINT};
  uv_loop_t loop;
  uv_signal_t signals[2];
  char error[256];

  if (uv_loop_init(&loop) != 0)
    return EXIT_FAILURE;
  if (!weir_proxy_open(&proxy, &loop, config, error, sizeof(error))) {
    fprintf(stderr, "weir-proxy: %s\n", error);
    return EXIT_FAILURE;
  }
  for (int i = 0; i < 2; i++) {
    (void)uv_signal_init(&loop, &signals[i]);
    signals[i].data = &proxy;
    (void)uv_signal_start(&signals[i], on_signal, numbers[i]);
    uv_unref((uv_handle_t *)&signals[i]); /* the loop ends when the proxy has */
  }
  if (config->socket_fd)
    printf("listening on the socket that was handed over\n");
  else if (config->host[0] != '\0')
    printf("listening on http://%s%s%s:%u\n", strchr(config->host, ':') ? "[" : "", config->host,
           strchr(config->host, ':') ? "]" : "", weir_proxy_port(&proxy));
  if (config->unix_path && !config->socket_fd)
    printf("listening on unix:%s\n", config->unix_path);
  (void)fflush(stdout);
  (void)uv_run(&loop, UV_RUN_DEFAULT);
  weir_proxy_fini(&proxy);
  for (int i = 0; i < 2; i++)
    uv_close((uv_handle_t *)&signals[i], NULL);
  (void)uv_run(&loop, UV_RUN_DEFAULT);
  (void)uv_loop_close(&loop);
  return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
  static struct weir_proxy_config config;
  const char *path = NULL;
  bool is_check = false;
  int status = options_read(argc, argv, &is_check, &path);

  if (status >= 0)
    return status;
  if (weir_proxy_config_read(&config, path, stderr) > 0) {
    weir_proxy_config_fini(&config);
    return EXIT_FAILURE;
  }
  if (is_check) {
    weir_proxy_config_show(&config, stdout);
    weir_proxy_config_fini(&config);
    return EXIT_SUCCESS;
  }
  (void)signal(SIGPIPE, SIG_IGN);
  descriptors_raise();
  (void)curl_global_init(CURL_GLOBAL_DEFAULT);
  status = serve(&config);
  curl_global_cleanup();
  weir_proxy_config_fini(&config);
  return status;
}

/* The paths that only a test asks for: counters, log, script, limits, reset. */
#include <stdio.h>
#include <string.h>

#include "serve.h"

static void reply_error(struct weir_http_exchange *x, uint32_t status, const char *text)
{
  struct weir_up_buffer out = {0};
  weir_up_add(&out, "{\"error\":");
  weir_up_add_json(&out, text);
  weir_up_add(&out, "}\n");
  weir_up_reply(x, status, out.text, out.size);
  weir_up_buffer_free(&out);
}

static void reply_ok(struct weir_http_exchange *x)
{
  weir_up_reply(x, 200, "{\"ok\":true}\n", 12);
}

static void show(struct weir_up_server *server, struct weir_http_exchange *x, bool is_log)
{
  struct weir_up_buffer out = {0};
  if (is_log)
    weir_up_book_show_log(&server->book, &out);
  else
    weir_up_book_show(&server->book, &server->settings, weir_up_now_us(server), &out);
  weir_up_reply(x, 200, out.text, out.size);
  weir_up_buffer_free(&out);
}

static void apply(struct weir_up_server *server, struct weir_http_exchange *x)
{
  char error[512];
  size_t size;
  const char *body = weir_http_exchange_body(x, &size);
  uint64_t seed = server->settings.seed;
  if (!weir_up_settings_apply(&server->settings, body, size, error, sizeof error)) {
    reply_error(x, 400, error);
    return;
  }
  if (server->settings.seed != seed)
    weir_rng_init(&server->rng, server->settings.seed);
  reply_ok(x);
}

static void reset(struct weir_up_server *server, struct weir_http_exchange *x)
{
  weir_up_book_reset(&server->book);
  server->book_epoch++;
  reply_ok(x);
}

void weir_up_admin(struct weir_up_server *server, struct weir_http_exchange *x)
{
  const struct weir_http_request *request = weir_http_exchange_request(x);
  const char *what = request->target + strlen("/_admin/");
  bool is_get = strcmp(request->method, "GET") == 0, is_post = strcmp(request->method, "POST") == 0;
  if (is_get && strcmp(what, "counters") == 0)
    show(server, x, false);
  else if (is_get && strcmp(what, "log") == 0)
    show(server, x, true);
  else if (is_post && (strcmp(what, "script") == 0 || strcmp(what, "limits") == 0))
    apply(server, x);
  else if (is_post && strcmp(what, "reset") == 0)
    reset(server, x);
  else
    reply_error(x, 404,
                "use GET /_admin/counters, GET /_admin/log, POST /_admin/script, POST "
                "/_admin/limits or POST /_admin/reset");
}

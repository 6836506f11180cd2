/* `weir keys`, and the commands that show keys to a coordinator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "daemon.h"
#include "run.h"

struct place {
  char folder[64], peers[96], key[96], other[96];
  struct run run;
};

static int setup(void **state)
{
  struct place *p = calloc(1, sizeof *p);
  if (p == NULL)
    return -1;
  snprintf(p->folder, sizeof p->folder, "/tmp/weir-test-XXXXXX");
  if (mkdtemp(p->folder) == NULL)
    return -1;
  snprintf(p->peers, sizeof p->peers, "%s/peers", p->folder);
  snprintf(p->key, sizeof p->key, "%s/a.key", p->folder);
  snprintf(p->other, sizeof p->other, "%s/b.key", p->folder);
  *state = p;
  return 0;
}

static int teardown(void **state)
{
  struct place *p = *state;
  char lock[112];
  snprintf(lock, sizeof lock, "%s.lock", p->peers);
  unlink(lock);
  unlink(p->peers);
  unlink(p->key);
  unlink(p->other);
  rmdir(p->folder);
  free(p);
  return 0;
}

static void read_text(const char *path, char *ret_text, size_t size)
{
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  ret_text[fread(ret_text, 1, size - 1, file)] = '\0';
  fclose(file);
}

static void new_writes_a_pair_that_only_its_owner_may_read(void **state)
{
  struct place *p = *state;
  struct stat status;
  char text[1024], public[WEIR_KEY_SIZE], secret[WEIR_KEY_SIZE];
  run_start(&p->run, "WEIR_BIN", "keys", "new", "a", "--out", p->key, NULL);
  assert_int_equal(run_end(&p->run), 0);
  assert_int_equal(stat(p->key, &status), 0);
  assert_int_equal(status.st_mode & 07777, 0600);
  read_text(p->key, text, sizeof text);
  assert_int_equal(weir_key_file_parse(text, strlen(text), secret), WEIR_OK);
  assert_int_equal(zmq_curve_public(public, secret), 0);
  snprintf(text, sizeof text, "a %s rights=ask,show\n", public);
  assert_string_equal(p->run.out, text);
  assert_null(strstr(p->run.out, secret));
}

static void new_never_overwrites_a_key(void **state)
{
  struct place *p = *state;
  char before[1024], after[1024];
  run_start(&p->run, "WEIR_BIN", "keys", "new", "a", "--out", p->key, NULL);
  assert_int_equal(run_end(&p->run), 0);
  read_text(p->key, before, sizeof before);
  run_start(&p->run, "WEIR_BIN", "keys", "new", "a", "--out", p->key, NULL);
  assert_int_equal(run_end(&p->run), 1);
  assert_non_null(strstr(p->run.err, "keys are never overwritten"));
  read_text(p->key, after, sizeof after);
  assert_string_equal(before, after);
}

static void the_list_is_changed_line_by_line(void **state)
{
  struct place *p = *state;
  char text[1024];
  FILE *file = fopen(p->peers, "w");
  assert_non_null(file);
  fputs("# ours\nab rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", file); /* no newline at the end */
  fclose(file);
  chmod(p->peers, 0640);
  run_start(&p->run, "WEIR_BIN", "keys", "new", "a", "--out", p->key, "--peers", p->peers,
            "--tenant", "shop", "--rights", "ask,admin", "--sessions", "3", NULL);
  assert_int_equal(run_end(&p->run), 0);
  run_start(&p->run, "WEIR_BIN", "keys", "list", "--peers", p->peers, NULL);
  assert_int_equal(run_end(&p->run), 0);
  assert_non_null(strstr(p->run.out, " tenant=shop rights=ask,admin sessions=3\nab rq:rM>}U"));
  run_start(&p->run, "WEIR_BIN", "keys", "list", "--peers", p->peers, "--json", NULL);
  assert_int_equal(run_end(&p->run), 0);
  size_t count = 0;
  assert_true(run_is_json(p->run.out, &count) && count == 1);
  run_start(&p->run, "WEIR_BIN", "keys", "revoke", "a", "--peers", p->peers, NULL);
  assert_int_equal(run_end(&p->run), 0);
  read_text(p->peers, text, sizeof text);
  assert_string_equal(text, "# ours\nab rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\n");
  struct stat status;
  assert_int_equal(stat(p->peers, &status), 0);
  assert_int_equal(status.st_mode & 07777, 0640);
}

static void a_name_that_is_taken_makes_no_key(void **state)
{
  struct place *p = *state;
  run_start(&p->run, "WEIR_BIN", "keys", "new", "a", "--out", p->key, "--peers", p->peers, NULL);
  assert_int_equal(run_end(&p->run), 0);
  run_start(&p->run, "WEIR_BIN", "keys", "new", "a", "--out", p->other, "--peers", p->peers, NULL);
  assert_int_equal(run_end(&p->run), 1);
  assert_non_null(strstr(p->run.err, "the name 'a' stands twice"));
  assert_int_equal(access(p->other, F_OK), -1);
  run_start(&p->run, "WEIR_BIN", "keys", "revoke", "b", "--peers", p->peers, NULL);
  assert_int_equal(run_end(&p->run), 1);
  assert_non_null(strstr(p->run.err, "has no key named 'b'"));
}

static void wrong_words_are_told_with_what_to_write(void **state)
{
  struct place *p = *state;
  static const struct {
    const char *words[4], *text;
  } lines[] = {
      {{"nwe", NULL}, "did you mean 'new'?"},
      {{"new", NULL}, "which name?"},
      {{"revoke", NULL}, "which name?"},
      {{"new", "two words", NULL}, "'two words' is no name"},
      {{"new", "#a", NULL}, "'#a' is no name"},
      {{"new", "a/b", NULL}, "add --out FILE"},
      {{"new", "a", "--rights=root", NULL}, "write some of ask,show,admin"},
      {{"new", "a", "--tenant=", NULL}, "1 to 31 characters"},
      {{"list", "a", NULL}, "one word too many"},
  };
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    run_start(&p->run, "WEIR_BIN", "keys", lines[i].words[0], lines[i].words[1],
              lines[i].words[1] ? lines[i].words[2] : NULL, NULL);
    assert_int_equal(run_end(&p->run), 2);
    if (strstr(p->run.err, lines[i].text) == NULL)
      fail_msg("%zu: %s", i, p->run.err);
  }
}

/* ---- with a coordinator ---- */

static void commands_show_their_keys(void **state)
{
  struct place *p = *state;
  struct daemon *d = calloc(1, sizeof *d);
  struct daemon_key stranger;
  FILE *file;
  assert_non_null(d);
  daemon_init(d);
  daemon_secure(d);
  daemon_configure(d, "providers: {g: {kind: gemini}}\n"
                      "pools: [{name: p, provider: g, models: m, limits: {rpm: 10}}]\n");
  daemon_start(d);
  daemon_key_new(&stranger);
  daemon_key_write(&d->known, p->key);
  daemon_key_write(&stranger, p->other);
  run_start(&p->run, "WEIR_BIN", "stats", "--coordinator", d->endpoint, "--server-key",
            d->server_key, "--key-file", p->key, NULL);
  assert_int_equal(run_end(&p->run), 0);
  assert_non_null(strstr(p->run.out, "requests/1m"));
  run_start(&p->run, "WEIR_BIN", "stats", "--coordinator", d->endpoint, "--server-key",
            d->server_key, "--key-file", p->other, NULL);
  assert_int_equal(run_end(&p->run), 3);
  assert_non_null(strstr(p->run.err, "refused this key"));
  run_start(&p->run, "WEIR_BIN", "stats", "--coordinator", d->endpoint, "--server-key",
            stranger.public, "--key-file", p->key, NULL);
  assert_int_equal(run_end(&p->run), 3);
  assert_non_null(strstr(p->run.err, "has another one than the server key"));
  run_start(&p->run, "WEIR_BIN", "stats", "--coordinator", d->endpoint, NULL);
  assert_int_equal(run_end(&p->run), 2);
  assert_non_null(strstr(p->run.err, "wants keys"));
  run_start(&p->run, "WEIR_BIN", "stats", "--coordinator", d->endpoint, "--server-key", "short",
            "--key-file", p->key, NULL);
  assert_int_equal(run_end(&p->run), 2);
  assert_non_null(strstr(p->run.err, "the server key is no public key"));
  run_start(&p->run, "WEIR_BIN", "stats", "--coordinator", d->endpoint, "--server-key",
            d->server_key, "--key-file", "/nowhere/key", NULL);
  assert_int_equal(run_end(&p->run), 2);
  assert_non_null(strstr(p->run.err, "/nowhere/key: No such file"));
  file = fopen(p->other, "w");
  assert_non_null(file);
  fputs("nothing\n", file);
  fclose(file);
  run_start(&p->run, "WEIR_BIN", "stats", "--coordinator", d->endpoint, "--server-key",
            d->server_key, "--key-file", p->other, NULL);
  assert_int_equal(run_end(&p->run), 2);
  assert_non_null(strstr(p->run.err, "holds no secret key"));
  run_start(&p->run, "WEIR_BIN", "breaker", "p", "open", "--coordinator", d->endpoint,
            "--server-key", d->server_key, "--key-file", p->key, NULL);
  assert_int_equal(run_end(&p->run), 1);
  assert_non_null(strstr(p->run.err, "has not the right"));
  daemon_fini(d);
  free(d);
}

int main(void)
{
  unsetenv("WEIR_SERVER_KEY");
  unsetenv("WEIR_KEY_FILE");
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(new_writes_a_pair_that_only_its_owner_may_read),
      TEST(new_never_overwrites_a_key),
      TEST(the_list_is_changed_line_by_line),
      TEST(a_name_that_is_taken_makes_no_key),
      TEST(wrong_words_are_told_with_what_to_write),
      TEST(commands_show_their_keys),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

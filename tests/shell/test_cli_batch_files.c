/* The index of a batch's input and the file of its results, on real files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batch_file.h"
#include "batch_index.h"
#include "batch_output.h"

struct files {
  char folder[64], input[128], output[96];
  int input_fd;
  struct weir_batch_index index;
  struct weir_batch_output results;
  char fault[WEIR_BATCH_FAULT_MAX];
};

static bool accept(const void *context, const struct weir_batch_request *request, char *ret_reason)
{
  (void)context;
  if (strcmp(request->model, "refused") != 0)
    return true;
  snprintf(ret_reason, WEIR_BATCH_REASON_MAX, "this model is refused");
  return false;
}

static void file_write(const char *path, const char *text)
{
  FILE *file = fopen(path, "w");

  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
}

static char *file_read(const char *path)
{
  static char text[4096];
  FILE *file = fopen(path, "r");

  assert_non_null(file);
  text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
  fclose(file);
  return text;
}

static int set_up(void **state)
{
  struct files *f = calloc(1, sizeof(*f));

  if (!f)
    return -1;
  snprintf(f->folder, sizeof(f->folder), "/tmp/weir-test-XXXXXX");
  if (!mkdtemp(f->folder))
    return -1;
  snprintf(f->input, sizeof(f->input), "%s/in.jsonl", f->folder);
  snprintf(f->output, sizeof(f->output), "%s/out.jsonl", f->folder);
  f->input_fd = f->results.fd = -1;
  *state = f;
  return 0;
}

static void files_close(struct files *f)
{
  weir_batch_index_fini(&f->index);
  assert_true(weir_batch_output_close(&f->results, f->fault));
  if (f->input_fd >= 0)
    close(f->input_fd);
  f->input_fd = -1;
}

static int tear_down(void **state)
{
  struct files *f = *state;

  files_close(f);
  unlink(f->input);
  unlink(f->output);
  rmdir(f->folder);
  free(f);
  return 0;
}

static void index_read(struct files *f, const char *input)
{
  if (input)
    file_write(f->input, input);
  f->input_fd = open(f->input, O_RDONLY);
  assert_true(f->input_fd >= 0);
  weir_batch_index_init(&f->index, f->input_fd, accept, NULL);
  assert_int_equal(weir_batch_index_read(&f->index), WEIR_OK);
}

#define LINE(id) "{\"custom_id\":\"" id "\",\"body\":{}}\n"
#define DONE(id) "{\"custom_id\":\"" id "\",\"response\":{\"body\":{}},\"error\":null}\n"
#define LOST(id)                                                                                   \
  "{\"custom_id\":\"" id                                                                           \
  "\",\"response\":null,\"error\":{\"code\":\"network\",\"retryable\":true}}\n"

static bool resume(struct files *f, const char *input, const char *output)
{
  index_read(f, input);
  if (output)
    file_write(f->output, output);
  return weir_batch_output_open(&f->results, f->output, f->input_fd, f->fault) &&
         weir_batch_output_resume(&f->results, &f->index, f->fault);
}

static void tells_every_bad_line_and_why(void **state)
{
  static const struct {
    uint32_t line;
    const char *reason;
  } bad[] = {{3, "ends too early"}, {5, "line 1 already"}, {6, "model is refused"}};
  struct files *f = *state;
  char reason[WEIR_BATCH_REASON_MAX];

  index_read(f, LINE("a") "\n{\n" LINE("b")
                    LINE("a") "{\"custom_id\":\"c\",\"body\":{\"model\":\"refused\"}}\n" LINE("d"));
  assert_int_equal(f->index.count, 6);
  assert_int_equal(f->index.bad_count, 3);
  for (size_t i = 0; i < 3; i++) {
    const struct weir_batch_entry *entry = weir_batch_index_line(&f->index, bad[i].line);

    assert_non_null(entry);
    assert_int_equal(entry->state, WEIR_BATCH_BAD);
    weir_batch_index_reason(&f->index, entry, reason);
    if (!strstr(reason, bad[i].reason))
      fail_msg("line %u: %s", bad[i].line, reason);
  }
  assert_null(weir_batch_index_line(&f->index, 2)); /* blank */
  assert_int_equal(weir_batch_index_find(&f->index, "a")->line, 1);
  assert_null(weir_batch_index_find(&f->index, "c"));
}

static void finds_each_of_many_ids(void **state)
{
  struct files *f = *state;
  FILE *file = fopen(f->input, "w");
  char id[32];

  assert_non_null(file);
  for (int i = 0; i < 5000; i++)
    fprintf(file, "{\"custom_id\":\"id-%d\",\"body\":{}}\n", i);
  assert_int_equal(fclose(file), 0);
  index_read(f, NULL);
  assert_int_equal(f->index.count, 5000);
  assert_int_equal(f->index.bad_count, 0);
  for (int i = 0; i < 5000; i += 7) {
    snprintf(id, sizeof(id), "id-%d", i);
    assert_int_equal(weir_batch_index_find(&f->index, id)->line, i + 1);
  }
  assert_null(weir_batch_index_find(&f->index, "id-5000"));
}

static void tells_ids_apart_whose_hashes_agree(void **state)
{
  struct files *f = *state;
  struct weir_batch_entry *a;

  index_read(f, LINE("a") LINE("b"));
  /* As if "b" had the hash of "a": it has to be found, and not to be taken for it. */
  a = weir_batch_index_find(&f->index, "a");
  f->index.entries[1].hash = a->hash;
  memset(f->index.slots, 0, f->index.slots_count * sizeof(*f->index.slots));
  f->index.slots[a->hash & (f->index.slots_count - 1)] = 2;
  f->index.slots[(a->hash + 1) & (f->index.slots_count - 1)] = 1;
  assert_ptr_equal(weir_batch_index_find(&f->index, "a"), &f->index.entries[0]);
}

static void reads_lines_longer_than_any_buffer(void **state)
{
  struct files *f = *state;
  FILE *file = fopen(f->input, "w");
  const size_t big = (size_t)3 << 20;

  assert_non_null(file);
  fputs(LINE("a") "{\"custom_id\":\"b\",\"body\":{\"text\":\"", file);
  for (size_t i = 0; i < big; i++)
    fputc('x', file);
  fputs("\"}}\n" LINE("c") "{\"custom_id\":\"d\",\"body\":{}}", file);
  assert_int_equal(fclose(file), 0);
  index_read(f, NULL);
  assert_int_equal(f->index.count, 4);
  assert_int_equal(f->index.bad_count, 0);
  assert_true(f->index.entries[1].size > big);
  assert_int_equal(weir_batch_index_find(&f->index, "d")->line, 4);
}

static void passes_over_a_line_beyond_the_bound(void **state)
{
  struct files *f = *state;
  int fd = open(f->input, O_WRONLY | O_CREAT, 0600);
  const char tail[] = "\n{\"custom_id\":\"z\",\"body\":{}}\n";
  char reason[WEIR_BATCH_REASON_MAX];

  assert_true(fd >= 0);
  /* A hole: 65 MiB of NULs that take no space on the disk. */
  assert_true(weir_batch_store(fd, (uint64_t)65 << 20, tail, sizeof(tail) - 1));
  close(fd);
  index_read(f, NULL);
  assert_int_equal(f->index.count, 2);
  assert_int_equal(f->index.bad_count, 1);
  weir_batch_index_reason(&f->index, &f->index.entries[0], reason);
  assert_non_null(strstr(reason, "longer than 64 MiB"));
  assert_int_equal(weir_batch_index_find(&f->index, "z")->line, 2);
}

static void resumes_a_result_larger_than_any_request(void **state)
{
  struct files *f = *state;
  FILE *file = fopen(f->output, "w");
  char space[4096];

  assert_non_null(file);
  memset(space, ' ', sizeof(space));
  fputs("{\"custom_id\":\"a\",\"response\":{\"body\":", file);
  for (size_t i = 0; i < (WEIR_BATCH_LINE_MAX >> 12) + 1; i++)
    fwrite(space, 1, sizeof(space), file);
  fputs("{}},\"error\":null}\n" DONE("b"), file);
  assert_int_equal(fclose(file), 0);
  if (!resume(f, LINE("a") LINE("b"), NULL))
    fail_msg("%s", f->fault);
  assert_int_equal(f->index.entries[0].state, WEIR_BATCH_OK);
  assert_int_equal(f->index.entries[1].state, WEIR_BATCH_OK);
}

static void resumes_what_is_finished(void **state)
{
  struct files *f = *state;

  assert_true(resume(f, LINE("a") LINE("b") LINE("c"), DONE("c") LOST("a")));
  assert_int_equal(f->index.entries[0].state, WEIR_BATCH_RETRYABLE);
  assert_int_equal(f->index.entries[1].state, WEIR_BATCH_PENDING);
  assert_int_equal(f->index.entries[2].state, WEIR_BATCH_OK);
}

static void cuts_off_a_torn_line_at_every_byte(void **state)
{
  struct files *f = *state;
  const char whole[] = DONE("a"), torn[] = DONE("b");
  char text[256];

  for (size_t size = 0; size < sizeof(torn) - 1; size++) {
    bool is_whole = size == sizeof(torn) - 2; /* but for the newline */

    snprintf(text, sizeof(text), "%s%.*s", whole, (int)size, torn);
    if (!resume(f, LINE("a") LINE("b"), text))
      fail_msg("%zu: %s", size, f->fault);
    assert_int_equal(f->index.entries[0].state, WEIR_BATCH_OK);
    assert_int_equal(f->index.entries[1].state, is_whole ? WEIR_BATCH_OK : WEIR_BATCH_PENDING);
    files_close(f);
    assert_string_equal(file_read(f->output), is_whole ? DONE("a") DONE("b") : DONE("a"));
  }
}

static void refuses_an_output_that_is_not_its_own(void **state)
{
  static const char *const cases[][2] = {
      {DONE("x"), ":1: a result that belongs to another input"},
      {DONE("a") DONE("a"), ":2: a second result"},
      {DONE("a") "hello\n" DONE("b"), ":2: no result"},
      {LINE("a"), ":1: no result"},
      {"notes", ":1: no result"}, /* without a newline, but no torn result either */
  };
  struct files *f = *state;

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    assert_false(resume(f, LINE("a") LINE("b"), cases[i][0]));
    if (!strstr(f->fault, cases[i][1]))
      fail_msg("%s", f->fault);
    files_close(f);
    assert_string_equal(file_read(f->output), cases[i][0]); /* untouched */
  }
}

static void refuses_the_input_as_output_and_a_second_run(void **state)
{
  struct files *f = *state;
  struct weir_batch_output other;

  assert_true(resume(f, LINE("a"), NULL));
  assert_false(weir_batch_output_open(&other, f->output, f->input_fd, f->fault));
  assert_non_null(strstr(f->fault, "another run"));
  assert_true(weir_batch_output_close(&other, f->fault));
  assert_false(weir_batch_output_open(&other, f->input, f->input_fd, f->fault));
  assert_non_null(strstr(f->fault, "the input itself"));
  assert_true(weir_batch_output_close(&other, f->fault));
}

static void refuses_an_input_that_the_ordered_output_would_overwrite(void **state)
{
  struct files *f = *state;

  snprintf(f->input, sizeof(f->input), "%s.part", f->output);
  assert_false(resume(f, LINE("a"), NULL));
  assert_non_null(strstr(f->fault, "is the input itself"));
  assert_string_equal(file_read(f->input), LINE("a"));
}

static void puts_results_in_the_order_of_the_input(void **state)
{
  struct files *f = *state;

  assert_true(resume(f, LINE("a") LINE("b") LINE("c"), DONE("c") LOST("a")));
  assert_true(
      weir_batch_output_append(&f->results, &f->index.entries[1], DONE("b"), strlen(DONE("b"))));
  assert_true(weir_batch_output_rewrite(&f->results, &f->index, false, f->fault));
  assert_string_equal(file_read(f->output), LOST("a") DONE("b") DONE("c"));
  /* What follows is appended to the new file. */
  assert_true(f->results.size == strlen(LOST("a") DONE("b") DONE("c")));
}

static void puts_the_file_in_order_that_a_link_leads_to(void **state)
{
  struct files *f = *state;
  char real[128];
  struct stat link;

  snprintf(real, sizeof(real), "%s/real.jsonl", f->folder);
  file_write(real, DONE("b") DONE("a"));
  assert_int_equal(symlink("real.jsonl", f->output), 0);
  assert_true(resume(f, LINE("a") LINE("b"), NULL));
  assert_true(weir_batch_output_rewrite(&f->results, &f->index, false, f->fault));
  assert_string_equal(file_read(real), DONE("a") DONE("b"));
  assert_int_equal(lstat(f->output, &link), 0);
  assert_true(S_ISLNK(link.st_mode));
  unlink(real);
}

static void drops_what_is_to_be_sent_again(void **state)
{
  struct files *f = *state;

  assert_true(resume(f, LINE("a") LINE("b") LINE("c"), LOST("b") DONE("a") LOST("c")));
  assert_true(weir_batch_output_rewrite(&f->results, &f->index, true, f->fault));
  assert_string_equal(file_read(f->output), DONE("a"));
  assert_int_equal(f->index.entries[1].state, WEIR_BATCH_PENDING);
  assert_int_equal(f->index.entries[2].state, WEIR_BATCH_PENDING);
  assert_true(
      weir_batch_output_append(&f->results, &f->index.entries[2], DONE("c"), strlen(DONE("c"))));
  assert_string_equal(file_read(f->output), DONE("a") DONE("c"));
}

#define BAD(number)                                                                                \
  "{\"id\":\"line-" number                                                                         \
  "\",\"custom_id\":null,\"response\":null,\"error\":{\"code\":\"bad_line\"}}\n"

static void drops_what_was_wrong_with_lines_that_are_mended(void **state)
{
  struct files *f = *state;

  /* The second line was mended, and one behind them taken out. */
  assert_true(resume(f, LINE("a") LINE("b"), DONE("a") BAD("2") BAD("9")));
  assert_int_equal(f->index.entries[1].state, WEIR_BATCH_PENDING);
  assert_true(weir_batch_output_rewrite(&f->results, &f->index, false, f->fault));
  assert_string_equal(file_read(f->output), DONE("a"));
  assert_true(
      weir_batch_output_append(&f->results, &f->index.entries[1], DONE("b"), strlen(DONE("b"))));
  assert_string_equal(file_read(f->output), DONE("a") DONE("b"));
}

static void leaves_a_file_alone_that_is_in_order(void **state)
{
  struct files *f = *state;
  struct stat before, after;

  assert_true(resume(f, LINE("a") LINE("b"), DONE("a") DONE("b")));
  assert_int_equal(stat(f->output, &before), 0);
  assert_true(weir_batch_output_rewrite(&f->results, &f->index, true, f->fault));
  assert_int_equal(stat(f->output, &after), 0);
  assert_true(before.st_ino == after.st_ino);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(tells_every_bad_line_and_why),
      TEST(finds_each_of_many_ids),
      TEST(tells_ids_apart_whose_hashes_agree),
      TEST(reads_lines_longer_than_any_buffer),
      TEST(passes_over_a_line_beyond_the_bound),
      TEST(resumes_a_result_larger_than_any_request),
      TEST(resumes_what_is_finished),
      TEST(cuts_off_a_torn_line_at_every_byte),
      TEST(refuses_an_output_that_is_not_its_own),
      TEST(refuses_the_input_as_output_and_a_second_run),
      TEST(refuses_an_input_that_the_ordered_output_would_overwrite),
      TEST(puts_results_in_the_order_of_the_input),
      TEST(puts_the_file_in_order_that_a_link_leads_to),
      TEST(drops_what_is_to_be_sent_again),
      TEST(drops_what_was_wrong_with_lines_that_are_mended),
      TEST(leaves_a_file_alone_that_is_in_order),
  };

  return cmocka_run_group_tests_name("batch_files", tests, NULL, NULL);
}

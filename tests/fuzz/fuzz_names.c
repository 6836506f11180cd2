/* Texts of keys and lists of places are read within their bounds; scrubbed text never grows and is
 * scrubbed for good; a line of the call log is JSON whatever the names are. */
#include <assert.h>
#include <string.h>

#include <weir/calllog.h>
#include <weir/json.h>
#include <weir/keyring.h>
#include <weir/scrub.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_keys(const char *text, size_t size)
{
  struct weir_key_scan scan;
  struct weir_keyref ref;
  const char *at = text;

  weir_key_scan_init(&scan, text, size);
  while (weir_key_scan_next(&scan)) {
    assert(scan.key >= text && scan.size > 0 && scan.key + scan.size <= text + size);
    assert(scan.size <= WEIR_KEY_SIZE_MAX && scan.key[0] > ' ' && scan.key[scan.size - 1] > ' ');
  }
  while (weir_keyref_next(&at, &ref) > 0)
    assert(ref.name > text && ref.size > 0 && ref.name + ref.size <= at);
}

static void scrub(const char *text)
{
  static char once[4096], twice[4096];

  strcpy(once, text);
  weir_scrub(once);
  assert(strlen(once) <= strlen(text));
  strcpy(twice, once);
  weir_scrub(twice);
  assert(strcmp(once, twice) == 0);
}

static void write_line(const char *text)
{
  static struct weir_json json;
  const struct weir_calllog call = {.route = text,
                                    .called = text,
                                    .pool = text,
                                    .tag = text,
                                    .tenant = text,
                                    .work_class = WEIR_CLASS_ONLINE};
  char line[WEIR_CALLLOG_SIZE];
  struct weir_json_token token = {0};
  enum weir_json_status status;
  const size_t size = weir_calllog_write(&call, line);

  assert(size == strlen(line));
  weir_json_init(&json);
  weir_json_feed(&json, line, size);
  while ((status = weir_json_next(&json, &token)) == WEIR_JSON_TOKEN) {
  }
  assert(status == WEIR_JSON_MORE && weir_json_end(&json, &token) == WEIR_JSON_MORE);
  assert(token.type == WEIR_JSON_OBJECT_END && token.depth == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static char text[4096];

  if (size >= sizeof(text))
    return 0;
  memcpy(text, data, size);
  text[size] = '\0';
  read_keys(text, size);
  scrub(text);
  write_line(text);
  return 0;
}

/* Any bytes as a list of keys, and as the file of a secret one: what is taken has to come out again
 * as it went in. */
#include <assert.h>
#include <string.h>

#include <weir/peers.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct weir_peer *peer)
{
  struct weir_peer again;
  char line[WEIR_PEER_LINE_SIZE], why[WEIR_CONF_ISSUE_SIZE];

  weir_peer_format(peer, line);
  assert(weir_peer_parse(line, &again, why, sizeof why));
  assert(memcmp(&again, peer, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static struct weir_conf_issues issues;
  struct weir_peers *peers = NULL;
  char secret[WEIR_KEY_SIZE];
  uint8_t bytes[WEIR_KEY_BYTES];

  if (weir_key_file_parse((const char *)data, size, secret) == WEIR_OK)
    assert(weir_key_decode(secret, bytes));
  if (weir_peers_parse((const char *)data, size, &peers, &issues) != WEIR_OK) {
    assert(issues.errors > 0);
    return 0;
  }
  for (uint32_t i = 0; i < peers->count; i++) {
    check_again(&peers->items[i]);
    assert(weir_peers_find(peers, peers->items[i].key) == &peers->items[i]);
  }
  weir_peers_free(peers);
  return 0;
}

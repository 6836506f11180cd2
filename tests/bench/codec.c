/* codec.c - bytes in and out: the messages of a lease's life. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include <weir/codec.h>

#include "samples.h"

#define REPEATS   2000
#define BATCHES   200
#define BATCHES_Q 30

static double encode_ns(const struct weir_msg *msg)
{
  uint8_t bytes[WEIR_MSG_SIZE_MAX];
  uint64_t begin = bench_now_ns();

  for (int i = 0; i < REPEATS; i++) {
    size_t size = 0;

    if (weir_codec_encode(msg, bytes, sizeof(bytes), &size) != WEIR_OK)
      abort();
  }
  return (double)(bench_now_ns() - begin) / REPEATS;
}

static double decode_ns(const uint8_t *bytes, size_t size)
{
  struct weir_msg msg;
  uint64_t begin = bench_now_ns();

  for (int i = 0; i < REPEATS; i++) {
    size_t offset = 0;

    if (weir_codec_decode(bytes, size, &offset, &msg) != WEIR_OK)
      abort();
  }
  return (double)(bench_now_ns() - begin) / REPEATS;
}

static void measure(struct bench *bench, const struct weir_msg *msg)
{
  const size_t batches = bench->is_quick ? BATCHES_Q : BATCHES;
  double encodes[BATCHES], decodes[BATCHES], encode, decode;
  uint8_t bytes[WEIR_MSG_SIZE_MAX];
  size_t size = 0;
  char name[64];

  if (weir_codec_encode(msg, bytes, sizeof(bytes), &size) != WEIR_OK)
    abort();
  for (size_t i = 0; i < batches; i++) {
    encodes[i] = encode_ns(msg);
    decodes[i] = decode_ns(bytes, size);
  }
  encode = bench_median(encodes, batches);
  decode = bench_median(decodes, batches);
  printf("  %-7s %4zu bytes   encode %5.0f ns   decode %5.0f ns\n", weir_msg_name(msg->type), size,
         encode, decode);
  snprintf(name, sizeof(name), "codec_encode_ns_%s", weir_msg_name(msg->type));
  bench_json(bench, name, encode);
  snprintf(name, sizeof(name), "codec_decode_ns_%s", weir_msg_name(msg->type));
  bench_json(bench, name, decode);
}

void bench_codec(struct bench *bench)
{
  const struct weir_msg ask = bench_sample_ask(1000000), grant = bench_sample_grant(1000000),
                        settle = bench_sample_settle(1000000);

  printf("codec, median of %d batches of %d:\n", bench->is_quick ? BATCHES_Q : BATCHES, REPEATS);
  measure(bench, &ask);
  measure(bench, &grant);
  measure(bench, &settle);
  printf("\n");
}

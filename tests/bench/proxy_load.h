/* proxy_load.h - the two ends of bench_proxy: an upstream that answers as fast as it can, and
 * clients that measure what comes back.
 *
 * The request's model says what it answers: a small JSON document at once (BENCH_JSON), or a stream
 * of server-sent events whose text is the time of their sending (BENCH_STREAM), or such a stream of
 * which only the first event comes (BENCH_IDLE).
 */
#ifndef WEIR_BENCH_PROXY_LOAD_H
#define WEIR_BENCH_PROXY_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_JSON   "bench-json"
#define BENCH_STREAM "bench-stream"
#define BENCH_IDLE   "bench-idle"

#define BENCH_EVENT_MS 100 /* between two events of one stream */

struct load;

/* load_open connects |count| clients to |port| of this machine. NULL after a message. The caller
 * ends it with load_close. */
struct load *load_open(uint16_t port, size_t count);
void load_close(struct load *load);

/* load_calls makes JSON calls for |ns| nanoseconds, each client one after the other, and writes the
 * nanoseconds that each took to |samples|, of |capacity|; how many in |*ret_count|. False after
 * a message. */
bool load_calls(struct load *load, uint64_t ns, uint32_t *samples, size_t capacity,
                size_t *ret_count);

/* load_streams begins a stream of |model| with each client, and returns when all have had their
 * first event. False after a message. */
bool load_streams(struct load *load, const char *model);

/* load_events takes in the events of the streams for |ns| nanoseconds, and writes the nanoseconds
 * that each was on its way to |samples|. False after a message. */
bool load_events(struct load *load, uint64_t ns, uint32_t *samples, size_t capacity,
                 size_t *ret_count);

#endif

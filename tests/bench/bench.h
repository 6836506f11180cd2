/* bench.h - what weir-bench measures, and how it tells.
 *
 * Nothing here passes or fails by time: figures are for people to compare, on one machine, between
 * commits.
 */
#ifndef WEIR_BENCH_H
#define WEIR_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct bench {
  bool is_quick;
  const char *programs; /* folder of weir-bench and weir-coordinator */
  FILE *json;           /* NULL: not asked for */
  bool is_json_begun;
};

/* bench_now_ns returns nanoseconds on CLOCK_MONOTONIC. */
uint64_t bench_now_ns(void);

/* bench_median sorts |values| and returns the middle one; bench_percentile the one of nearest rank
 * |percent| of sorted ones. Precondition: |count| > 0. */
double bench_median(double *values, size_t count);
uint32_t bench_percentile(uint32_t *sorted, size_t count, unsigned percent);

/* bench_sort_u32 sorts |values|. */
void bench_sort_u32(uint32_t *values, size_t count);

/* bench_json adds one figure to the JSON, if there is one: "name": value. */
void bench_json(struct bench *bench, const char *name, double value);

/* bench_step measures weir_coord_step on a virtual clock: acquire and settle. */
void bench_step(struct bench *bench);

/* bench_step_pools returns the median nanoseconds of a grant and its settlement with |pools_count|
 * pools. */
double bench_step_pools(struct bench *bench, uint32_t pools_count);

/* bench_scale measures how that grows with pools and waiters, and the memory of each. */
void bench_scale(struct bench *bench);

/* bench_show measures what a scrape of the admin port costs. */
void bench_show(struct bench *bench);

/* bench_codec measures encoding and decoding of single messages. */
void bench_codec(struct bench *bench);

/* bench_estimate measures token estimates of texts and bodies, in MB/s and as a share of the speed
 * of a bare scan. */
void bench_estimate(struct bench *bench);

/* bench_store measures durable commits of the store, in a file in the working directory. False
 * after a message on standard error. */
bool bench_store(struct bench *bench);

/* bench_trip measures the lease round trip over ipc between processes, beside a bare libzmq echo.
 * False after a message on standard error. */
bool bench_trip(struct bench *bench);

/* bench_echo is the echo's server: it answers each frame with a frame of the size of a GRANT, until
 * it is killed. Returns an exit status. */
int bench_echo(const char *endpoint);

/* bench_proxy measures weir-proxy beside nginx's proxy_pass and no proxy. False after a message. */
bool bench_proxy(struct bench *bench);

/* bench_proxy_upstream is what they all lead to, until it is killed; it prints where it listens.
 * Returns an exit status. */
int bench_proxy_upstream(void);

#endif

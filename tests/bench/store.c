/* store.c - what durability costs: commits of the coordinator's store, its size, and a start on it.
 * The file stands in the working directory: its disk is what is measured. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/store.h>

#define RECORDS   4096 /* of 1,000 pools: three limits each, and what was learned */
#define COMMITS   300
#define COMMITS_Q 10

static char folder[64], path[96];

static void fill(struct weir_record *records)
{
  memset(records, 0, RECORDS * sizeof(*records));
  for (uint32_t i = 0; i < RECORDS; i++) {
    records[i].kind = i % 4 == 3 ? WEIR_RECORD_LEARNED : WEIR_RECORD_LIMIT;
    snprintf(records[i].owner, sizeof(records[i].owner), "pool pool-%04u", (unsigned)(i / 4));
    records[i].item = UINT64_C(0x9e3779b97f4a7c15) * (i % 4 + 1);
    records[i].count = i % 4 == 3 ? 26 : 137; /* as many as a full window has */
    for (uint32_t k = 0; k < records[i].count; k++)
      records[i].numbers[k] = i * 1000 + k;
  }
}

static struct weir_store *store_open(void)
{
  static char error[WEIR_STORE_ERROR_SIZE];
  struct weir_store *store = NULL;

  if (weir_store_open(path, WEIR_STORE_SERVE, &store, NULL, error) != WEIR_OK)
    fprintf(stderr, "weir-bench: %s\n", error);
  return store;
}

static bool commits(struct bench *bench, struct weir_store *store, struct weir_record *records,
                    uint32_t of)
{
  static char error[WEIR_STORE_ERROR_SIZE];
  const size_t count = bench->is_quick || of > 64 ? COMMITS_Q : COMMITS;
  uint32_t took[COMMITS], at = 0;
  char name[64];

  for (size_t i = 0; i < count; i++) {
    if (at + of > RECORDS)
      at = 0;
    for (uint32_t k = 0; k < of; k++)
      records[at + k].at++;
    uint64_t begin = bench_now_ns();
    if (weir_store_commit(store, NULL, &records[at], of, error) != WEIR_OK) {
      fprintf(stderr, "weir-bench: %s\n", error);
      return false;
    }
    took[i] = (uint32_t)((bench_now_ns() - begin) / 1000);
    at += of;
  }
  bench_sort_u32(took, count);
  printf("  %4u records a commit   p50 %6u us   p99 %6u us   %8.0f records/s\n", (unsigned)of,
         (unsigned)bench_percentile(took, count, 50), (unsigned)bench_percentile(took, count, 99),
         of * 1e6 / bench_percentile(took, count, 50));
  snprintf(name, sizeof(name), "store.commit_%u.p50_us", (unsigned)of);
  bench_json(bench, name, bench_percentile(took, count, 50));
  return true;
}

static bool start(struct bench *bench)
{
  static char error[WEIR_STORE_ERROR_SIZE];
  struct weir_record *read = NULL;
  struct stat info = {0};
  uint32_t count = 0;
  uint64_t begin = bench_now_ns();
  struct weir_store *store = store_open();

  if (!store || weir_store_read(store, &read, &count, error) != WEIR_OK)
    return false;
  double took_ms = (double)(bench_now_ns() - begin) / 1e6;
  stat(path, &info);
  printf("  opened, checked and read in %.1f ms: %u records, %.1f MB\n", took_ms, (unsigned)count,
         (double)info.st_size / 1e6);
  bench_json(bench, "store.open_ms", took_ms);
  bench_json(bench, "store.bytes", (double)info.st_size);
  free(read);
  weir_store_close(store);
  return true;
}

static bool measure(struct bench *bench, struct weir_record *records)
{
  static char error[WEIR_STORE_ERROR_SIZE];
  struct weir_store *store = store_open();
  bool is_good = store != NULL;

  fill(records);
  is_good = is_good && weir_store_commit(store, NULL, records, RECORDS, error) == WEIR_OK;
  for (uint32_t of = 1; is_good && of <= RECORDS; of *= 16)
    is_good = commits(bench, store, records, of);
  weir_store_close(store);
  return is_good && start(bench);
}

bool bench_store(struct bench *bench)
{
  static const char *const ends[] = {"", "-wal", "-journal", ".lock", ".new"};
  struct weir_record *records = malloc(RECORDS * sizeof(*records));
  char name[128];
  bool is_good;

  snprintf(folder, sizeof(folder), "weir-bench-XXXXXX");
  if (!records || !mkdtemp(folder)) {
    perror("weir-bench: store: the working directory");
    free(records);
    return false;
  }
  snprintf(path, sizeof(path), "%s/db", folder);
  printf("store: durable commits of records, in the working directory\n");
  is_good = measure(bench, records);
  free(records);
  for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
    snprintf(name, sizeof(name), "%s%s", path, ends[i]);
    unlink(name);
  }
  rmdir(folder);
  return is_good;
}

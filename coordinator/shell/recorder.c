#include "recorder.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void *run(void *arg)
{
  struct weir_recorder *r = arg;
  pthread_mutex_lock(&r->mutex);
  for (;;) {
    while (!r->is_given && !r->is_stopping)
      pthread_cond_wait(&r->cond, &r->mutex);
    if (!r->is_given)
      break;
    uint32_t count = r->count;
    pthread_mutex_unlock(&r->mutex);
    char error[WEIR_STORE_ERROR_SIZE] = "";
    enum weir_err err = weir_store_commit(r->store, NULL, r->records, count, error);
    pthread_mutex_lock(&r->mutex);
    r->is_given = false;
    r->is_answered = true;
    r->is_durable = err == WEIR_OK;
    memcpy(r->error, error, sizeof error);
    uint64_t one = 1;
    ssize_t size = write(r->event_fd, &one, sizeof one);
    (void)size; /* fails only when the counter is full, and then it is readable */
  }
  pthread_mutex_unlock(&r->mutex);
  return NULL;
}

enum weir_err weir_recorder_start(struct weir_recorder *r, struct weir_store *store,
                                  char *ret_error)
{
  *r = (struct weir_recorder){.store = store, .is_idle = true};
  r->records = calloc(WEIR_RECORDER_RECORDS_MAX, sizeof *r->records);
  if (r->records == NULL) {
    snprintf(ret_error, WEIR_STORE_ERROR_SIZE, "out of memory");
    return WEIR_ENOMEM;
  }
  r->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  pthread_mutex_init(&r->mutex, NULL);
  pthread_cond_init(&r->cond, NULL);
  if (r->event_fd >= 0 && pthread_create(&r->thread, NULL, run, r) == 0)
    return WEIR_OK;
  snprintf(ret_error, WEIR_STORE_ERROR_SIZE,
           "no thread or descriptor is left; raise the limits of this service");
  weir_recorder_free(r);
  return WEIR_ESYSTEM;
}

struct weir_record *weir_recorder_room(struct weir_recorder *r)
{
  return r->is_idle ? r->records : NULL;
}

void weir_recorder_give(struct weir_recorder *r, uint32_t count, uint64_t generation)
{
  assert(r->is_idle && count <= WEIR_RECORDER_RECORDS_MAX);
  r->is_idle = false;
  pthread_mutex_lock(&r->mutex);
  r->count = count;
  r->generation = generation;
  r->is_given = true;
  pthread_cond_signal(&r->cond);
  pthread_mutex_unlock(&r->mutex);
}

bool weir_recorder_take(struct weir_recorder *r, uint64_t *ret_generation, bool *ret_is_durable,
                        char *ret_error)
{
  uint64_t count = 0;
  ssize_t size = read(r->event_fd, &count, sizeof count);
  (void)size; /* nothing to read is as good */
  pthread_mutex_lock(&r->mutex);
  bool is_answered = r->is_answered;
  if (is_answered) {
    r->is_answered = false;
    *ret_generation = r->generation;
    *ret_is_durable = r->is_durable;
    memcpy(ret_error, r->error, sizeof r->error);
    r->is_idle = true;
  }
  pthread_mutex_unlock(&r->mutex);
  return is_answered;
}

void weir_recorder_stop(struct weir_recorder *r)
{
  pthread_mutex_lock(&r->mutex);
  r->is_stopping = true;
  pthread_cond_signal(&r->cond);
  pthread_mutex_unlock(&r->mutex);
  pthread_join(r->thread, NULL);
}

void weir_recorder_free(struct weir_recorder *r)
{
  pthread_mutex_destroy(&r->mutex);
  pthread_cond_destroy(&r->cond);
  if (r->event_fd >= 0)
    close(r->event_fd);
  free(r->records);
  r->records = NULL;
}

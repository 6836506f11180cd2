#include "keeper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"

static enum weir_err write_ahead(struct weir_keeper *k, char *ret_error)
{
  weir_tstamp until = weir_clock_now() + WEIR_KEEPER_AHEAD_US;
  enum weir_err err = weir_epoch_write(k->file, k->epoch, until, false, ret_error);
  if (err == WEIR_OK)
    atomic_store(&k->durable_until, until);
  return err;
}

static void signal_write(struct weir_keeper *k)
{
  uint64_t one = 1;
  ssize_t size = write(k->event_fd, &one, sizeof one);
  (void)size; /* fails only when the counter is full, and then it is readable */
}

static void *run(void *arg)
{
  struct weir_keeper *k = arg;
  weir_duration wait_us = WEIR_KEEPER_PERIOD_US;
  pthread_mutex_lock(&k->mutex);
  for (;;) {
    weir_tstamp at = weir_clock_now() + wait_us;
    struct timespec until = {.tv_sec = (time_t)(at / WEIR_US_PER_S),
                             .tv_nsec = (long)(at % WEIR_US_PER_S) * 1000};
    int result = 0;
    while (!k->is_stopping && result != ETIMEDOUT)
      result = pthread_cond_timedwait(&k->cond, &k->mutex, &until);
    if (k->is_stopping)
      break;
    pthread_mutex_unlock(&k->mutex);
    char error[WEIR_EPOCH_ERROR_SIZE] = "";
    bool is_written = write_ahead(k, error) == WEIR_OK;
    wait_us = is_written ? WEIR_KEEPER_PERIOD_US : WEIR_KEEPER_RETRY_US;
    pthread_mutex_lock(&k->mutex);
    memcpy(k->error, error, sizeof error);
    signal_write(k);
  }
  pthread_mutex_unlock(&k->mutex);
  return NULL;
}

enum weir_err weir_keeper_start(struct weir_keeper *k, const struct weir_epoch *file,
                                uint64_t epoch, char *ret_error)
{
  *k = (struct weir_keeper){.file = file, .epoch = epoch};
  if (write_ahead(k, ret_error) != WEIR_OK)
    return WEIR_ESYSTEM;
  k->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_mutex_init(&k->mutex, NULL);
  pthread_cond_init(&k->cond, &attributes);
  pthread_condattr_destroy(&attributes);
  if (k->event_fd >= 0 && pthread_create(&k->thread, NULL, run, k) == 0)
    return WEIR_OK;
  snprintf(ret_error, WEIR_EPOCH_ERROR_SIZE,
           "no thread or descriptor is left; raise the limits of this service");
  if (k->event_fd >= 0)
    close(k->event_fd);
  return WEIR_ESYSTEM;
}

bool weir_keeper_covers(const struct weir_keeper *k, weir_tstamp now)
{
  return now + WEIR_KEEPER_REACH_US <=
         atomic_load_explicit(&k->durable_until, memory_order_acquire);
}

void weir_keeper_error(struct weir_keeper *k, char *ret_error)
{
  uint64_t count = 0;
  ssize_t size = read(k->event_fd, &count, sizeof count);
  (void)size; /* nothing to read is as good */
  pthread_mutex_lock(&k->mutex);
  memcpy(ret_error, k->error, sizeof k->error);
  pthread_mutex_unlock(&k->mutex);
}

void weir_keeper_stop(struct weir_keeper *k)
{
  pthread_mutex_lock(&k->mutex);
  k->is_stopping = true;
  pthread_cond_signal(&k->cond);
  pthread_mutex_unlock(&k->mutex);
  pthread_join(k->thread, NULL);
  pthread_mutex_destroy(&k->mutex);
  pthread_cond_destroy(&k->cond);
  close(k->event_fd);
}

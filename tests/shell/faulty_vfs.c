#include "faulty_vfs.h"

#include <assert.h>
#include <sqlite3.h>
#include <stddef.h>

struct faulty faulty = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

/* The real file follows it in the same storage. */
struct file {
  sqlite3_file base;
};

static sqlite3_vfs vfs, *below;

static sqlite3_file *real_of(sqlite3_file *file)
{
  return (sqlite3_file *)((struct file *)file + 1);
}

/* The recorder writes in a thread of its own. */
static bool fails(enum faulty_kind kind)
{
  pthread_mutex_lock(&faulty.mutex);
  const bool is_failing = faulty.kind == kind && faulty.count++ >= faulty.after;
  pthread_mutex_unlock(&faulty.mutex);
  return is_failing;
}

static int file_close(sqlite3_file *file)
{
  sqlite3_file *real = real_of(file);
  return real->pMethods != NULL ? real->pMethods->xClose(real) : SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 offset)
{
  if (fails(FAULTY_READ))
    return SQLITE_IOERR_READ;
  return real_of(file)->pMethods->xRead(real_of(file), bytes, size, offset);
}

static int file_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
  if (fails(FAULTY_FULL))
    return SQLITE_FULL;
  if (fails(FAULTY_WRITE)) { /* half of it is written */
    real_of(file)->pMethods->xWrite(real_of(file), bytes, size / 2, offset);
    return SQLITE_IOERR_WRITE;
  }
  faulty.is_dirty = true;
  return real_of(file)->pMethods->xWrite(real_of(file), bytes, size, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
  return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
  pthread_mutex_lock(&faulty.mutex);
  while (faulty.is_slow) {
    faulty.is_waiting = true;
    pthread_cond_broadcast(&faulty.cond);
    pthread_cond_wait(&faulty.cond, &faulty.mutex);
  }
  faulty.is_waiting = false;
  pthread_mutex_unlock(&faulty.mutex);
  if (fails(FAULTY_SYNC))
    return SQLITE_IOERR_FSYNC;
  faulty.is_dirty = false;
  return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
  return real_of(file)->pMethods->xFileSize(real_of(file), ret_size);
}

static int file_lock(sqlite3_file *file, int level)
{
  return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
  return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_reserved(sqlite3_file *file, int *ret_result)
{
  return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret_result);
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
  return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int file_sector(sqlite3_file *file)
{
  return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_traits(sqlite3_file *file)
{
  return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static const sqlite3_io_methods methods = {.iVersion = 1,
                                           .xClose = file_close,
                                           .xRead = file_read,
                                           .xWrite = file_write,
                                           .xTruncate = file_truncate,
                                           .xSync = file_sync,
                                           .xFileSize = file_size,
                                           .xLock = file_lock,
                                           .xUnlock = file_unlock,
                                           .xCheckReservedLock = file_reserved,
                                           .xFileControl = file_control,
                                           .xSectorSize = file_sector,
                                           .xDeviceCharacteristics = file_traits};

static int vfs_open(sqlite3_vfs *self, const char *name, sqlite3_file *file, int flags,
                    int *ret_flags)
{
  (void)self;
  int code = below->xOpen(below, name, real_of(file), flags, ret_flags);
  file->pMethods = code == SQLITE_OK ? &methods : NULL;
  return code;
}

void faulty_register(void)
{
  below = sqlite3_vfs_find(NULL);
  assert(below != NULL);
  vfs = *below;
  vfs.pNext = NULL;
  vfs.zName = "faulty";
  vfs.szOsFile = (int)sizeof(struct file) + below->szOsFile;
  vfs.xOpen = vfs_open;
  int code = sqlite3_vfs_register(&vfs, 1);
  assert(code == SQLITE_OK);
  (void)code;
}

void faulty_set(enum faulty_kind kind, uint32_t after)
{
  pthread_mutex_lock(&faulty.mutex);
  faulty.kind = kind;
  faulty.after = after;
  faulty.count = 0;
  pthread_mutex_unlock(&faulty.mutex);
}

void faulty_slow(bool is_slow)
{
  pthread_mutex_lock(&faulty.mutex);
  faulty.is_slow = is_slow;
  pthread_cond_broadcast(&faulty.cond);
  pthread_mutex_unlock(&faulty.mutex);
}

void faulty_wait(void)
{
  pthread_mutex_lock(&faulty.mutex);
  while (!faulty.is_waiting)
    pthread_cond_wait(&faulty.cond, &faulty.mutex);
  pthread_mutex_unlock(&faulty.mutex);
}

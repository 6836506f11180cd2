#define _DEFAULT_SOURCE /* explicit_bzero */
#include "identity.h"

#include "file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

static bool is_tcp(const struct weir *w)
{
  return strncmp(w->coordinator, "tcp://", 6) == 0;
}

static const char *setting(const char *option, const char *variable)
{
  const char *value = option ? option : getenv(variable);

  return value && *value ? value : NULL;
}

static int refuse(const struct weir *w, const char *why)
{
  weir_log(w, WEIR_LEVEL_ERROR, "key file \"%.200s\": %s", w->key_file, why);
  return WEIR_ECONFIG;
}

static int load(const struct weir *w, char ret_public[WEIR_KEY_SIZE],
                char ret_secret[WEIR_KEY_SIZE])
{
  struct stat stat;
  char *bytes = NULL;
  size_t size = 0;
  enum weir_err err;
  int error = weir_file_read(w->key_file, WEIR_KEY_FILE_SIZE_MAX, &stat, &bytes, &size);

  if (error)
    return refuse(w, strerror(error));
  err = weir_key_file_parse(bytes, size, ret_secret);
  weir_file_free(bytes, size);
  if (err || zmq_curve_public(ret_public, ret_secret) != 0)
    return refuse(w, "holds no secret key; make one with 'weir keys new'");
  if ((stat.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
    explicit_bzero(ret_secret, WEIR_KEY_SIZE);
    return refuse(w, "others may read or change it; chmod 600, and make a new key if they did");
  }
  return WEIR_OK;
}

int weir_identity_open(struct weir *w, const struct weir_options *options)
{
  const char *server = setting(options->server_key, "WEIR_SERVER_KEY");
  const char *path = setting(options->key_file, "WEIR_KEY_FILE");
  char public[WEIR_KEY_SIZE], secret[WEIR_KEY_SIZE];
  uint8_t bytes[WEIR_KEY_BYTES];
  int err;

  if (!is_tcp(w))
    return WEIR_OK;
  if (!server || !path) {
    weir_log(w, WEIR_LEVEL_ERROR,
             "the coordinator at %s wants keys: give %s (server_key, $WEIR_SERVER_KEY: its public "
             "key; key_file, $WEIR_KEY_FILE: a file of 'weir keys new')",
             w->coordinator,
             server ? "key_file"
             : path ? "server_key"
                    : "server_key and key_file");
    return WEIR_ECONFIG;
  }
  if (!weir_key_decode(server, bytes)) {
    weir_log(w, WEIR_LEVEL_ERROR,
             "server_key is no public key: copy the 40 characters that 'weir keys new "
             "--coordinator' printed");
    return WEIR_ECONFIG;
  }
  snprintf(w->server_key, sizeof(w->server_key), "%s", server);
  w->key_file = strdup(path);
  if (!w->key_file)
    return WEIR_ENOMEM;
  err = load(w, public, secret);
  explicit_bzero(secret, sizeof(secret));
  return err;
}

int weir_identity_apply(const struct weir *w, void *socket)
{
  char public[WEIR_KEY_SIZE], secret[WEIR_KEY_SIZE];
  int err;

  if (!w->key_file)
    return WEIR_OK;
  err = load(w, public, secret);
  if (!err && (zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, w->server_key, WEIR_KEY_SIZE) != 0 ||
               zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public, WEIR_KEY_SIZE) != 0 ||
               zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, WEIR_KEY_SIZE) != 0))
    err = refuse(w, "this libzmq takes no CURVE keys");
  explicit_bzero(secret, sizeof(secret));
  return err;
}

void weir_identity_close(struct weir *w)
{
  free(w->key_file);
}

#include "sock.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <weir/codec.h>

#include "gate.h"

/* rw for user and group, nothing for others: the socket's mode is the only lock of ipc. */
#define IPC_UMASK 0117

void weir_sock_prepare(unsigned seed)
{
  setenv("ZSYS_SIGHANDLER", "false", 1);
  zsys_init();
  srand(seed); /* after zsys_init, which seeds it with the time */
}

static bool set_option(zsock_t *sock, int option, int value)
{
  return zmq_setsockopt(zsock_resolve(sock), option, &value, sizeof value) == 0;
}

static bool set_options(zsock_t *sock)
{
  int64_t frame_max = WEIR_FRAME_SIZE_MAX;
  return set_option(sock, ZMQ_ROUTER_MANDATORY, 1) && /* a gone peer is an error, not silence */
         set_option(sock, ZMQ_ROUTER_HANDOVER, 0) &&  /* nobody takes over another's route */
         set_option(sock, ZMQ_HEARTBEAT_IVL, 0) &&    /* sessions have their own */
         set_option(sock, ZMQ_LINGER, 0) && set_option(sock, ZMQ_HANDSHAKE_IVL, 3000) &&
         set_option(sock, ZMQ_BACKLOG, 1024) && /* all shims come back at once */
         set_option(sock, ZMQ_SNDHWM, 1000) && set_option(sock, ZMQ_RCVHWM, 1000) &&
         set_option(sock, ZMQ_TCP_KEEPALIVE, 1) && set_option(sock, ZMQ_TCP_KEEPALIVE_IDLE, 30) &&
         set_option(sock, ZMQ_TCP_KEEPALIVE_INTVL, 10) &&
         set_option(sock, ZMQ_TCP_KEEPALIVE_CNT, 3) &&
         zmq_setsockopt(zsock_resolve(sock), ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max) == 0;
}

/* libzmq takes a path over without asking, so ask whether anybody listens there. */
static enum weir_err path_free(const char *path, char *ret_error)
{
  struct stat status;
  if (stat(path, &status) != 0)
    return WEIR_OK; /* bind tells what is wrong with the folder */
  if (!S_ISSOCK(status.st_mode)) {
    snprintf(ret_error, WEIR_SOCK_ERROR_SIZE,
             "%s exists and is no socket; choose another path in 'listen'", path);
    return WEIR_ESYSTEM;
  }
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return WEIR_OK;
  bool is_refused =
      connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 && errno == ECONNREFUSED;
  close(fd);
  if (!is_refused) {
    snprintf(ret_error, WEIR_SOCK_ERROR_SIZE,
             "%s: somebody listens there already; stop that process, or change 'listen'", path);
    return WEIR_ECLOSED;
  }
  unlink(path);
  return WEIR_OK;
}

/* What libzmq calls a draft in this version, but has: without a handler nobody is let in. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

static bool set_domain(zsock_t *sock)
{
  return zmq_setsockopt(zsock_resolve(sock), ZMQ_ZAP_DOMAIN, WEIR_GATE_DOMAIN,
                        strlen(WEIR_GATE_DOMAIN)) == 0 &&
         set_option(sock, ZMQ_ZAP_ENFORCE_DOMAIN, 1);
}

/* Listeners take the options of the moment at which they are bound: ipc before, TCP after this. */
static bool set_curve(zsock_t *sock, const struct weir_secret *secret)
{
  int mechanism = ZMQ_NULL;
  size_t size = sizeof mechanism;
  return secret != NULL && set_option(sock, ZMQ_CURVE_SERVER, 1) &&
         zmq_setsockopt(zsock_resolve(sock), ZMQ_CURVE_SECRETKEY, secret->secret, WEIR_KEY_SIZE) ==
             0 &&
         zmq_getsockopt(zsock_resolve(sock), ZMQ_MECHANISM, &mechanism, &size) == 0 &&
         mechanism == ZMQ_CURVE;
}

static enum weir_err bind_one(zsock_t *sock, const char *endpoint, char *ret_bound, char *ret_error)
{
  enum weir_err err = WEIR_OK;
  if (strncmp(endpoint, "ipc://", 6) == 0)
    err = path_free(endpoint + 6, ret_error);
  set_option(sock, ZMQ_IPV6, strncmp(endpoint, "tcp://[", 7) == 0 ? 1 : 0);
  if (err == WEIR_OK && zsock_bind(sock, "%s", endpoint) < 0) {
    snprintf(ret_error, WEIR_SOCK_ERROR_SIZE,
             "%s: cannot listen (%s); create the folder, free the port, or change 'listen'",
             endpoint, zmq_strerror(zmq_errno()));
    err = WEIR_ESYSTEM;
  }
  size_t size = WEIR_CONF_ENDPOINT_SIZE;
  if (err == WEIR_OK &&
      zmq_getsockopt(zsock_resolve(sock), ZMQ_LAST_ENDPOINT, ret_bound, &size) != 0)
    memcpy(ret_bound, endpoint, strlen(endpoint) + 1);
  return err;
}

/* Binds the endpoints of TCP, or the others. */
static enum weir_err bind_some(zsock_t *sock, const struct weir_conf *conf,
                               const struct weir_secret *secret, bool is_tcp,
                               char ret_bound[][WEIR_CONF_ENDPOINT_SIZE], char *ret_error)
{
  enum weir_err err = WEIR_OK;
  bool is_ready = !is_tcp;
  for (uint32_t i = 0; i < conf->listen_count && err == WEIR_OK; i++) {
    if ((strncmp(conf->listen[i], "tcp://", 6) == 0) != is_tcp)
      continue;
    if (!is_ready && !(is_ready = set_curve(sock, secret))) {
      snprintf(ret_error, WEIR_SOCK_ERROR_SIZE, "%s: this libzmq takes no CURVE keys (%s)",
               conf->listen[i], zmq_strerror(zmq_errno()));
      return WEIR_ESYSTEM;
    }
    err = bind_one(sock, conf->listen[i], ret_bound[i], ret_error);
  }
  return err;
}

enum weir_err weir_sock_open(const struct weir_conf *conf, const struct weir_secret *secret,
                             zsock_t **ret_sock, char ret_bound[][WEIR_CONF_ENDPOINT_SIZE],
                             char *ret_error)
{
  zsock_t *sock = zsock_new(ZMQ_ROUTER);
  if (sock == NULL || !set_options(sock) || !set_domain(sock)) {
    snprintf(ret_error, WEIR_SOCK_ERROR_SIZE, "no ROUTER socket with its options (%s)",
             zmq_strerror(zmq_errno()));
    zsock_destroy(&sock);
    return WEIR_ESYSTEM;
  }
  mode_t former = umask(IPC_UMASK);
  enum weir_err err = bind_some(sock, conf, secret, false, ret_bound, ret_error);
  umask(former);
  if (err == WEIR_OK)
    err = bind_some(sock, conf, secret, true, ret_bound, ret_error);
  if (err != WEIR_OK)
    zsock_destroy(&sock);
  else
    *ret_sock = sock;
  return err;
}

void weir_sock_close(zsock_t *sock, const struct weir_conf *conf)
{
  if (sock != NULL) {
    zsock_destroy(&sock);
    /* libzmq leaves the path behind. */
    for (uint32_t i = 0; i < conf->listen_count; i++) {
      if (strncmp(conf->listen[i], "ipc://", 6) == 0)
        unlink(conf->listen[i] + 6);
    }
  }
  zsys_shutdown();
}

#include "light.h"

#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include <weir/codec.h>

static bool keys_set(void *socket, const struct chaos_keys *keys, const char *name)
{
  char public[CHAOS_KEY_SIZE], secret[CHAOS_KEY_SIZE];

  return chaos_keys_read(keys, name, public, secret) &&
         zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, keys->server_key, CHAOS_KEY_SIZE) == 0 &&
         zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public, CHAOS_KEY_SIZE) == 0 &&
         zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, CHAOS_KEY_SIZE) == 0;
}

bool chaos_light_open(struct chaos_light *light, void *context, const char *endpoint,
                      const struct chaos_keys *keys, const char *name, uint32_t number)
{
  const int zero = 0;

  *light = (struct chaos_light){.socket = zmq_socket(context, ZMQ_DEALER), .number = number};
  if (light->socket && zmq_setsockopt(light->socket, ZMQ_LINGER, &zero, sizeof(zero)) == 0 &&
      (!keys || keys_set(light->socket, keys, name)) && zmq_connect(light->socket, endpoint) == 0)
    return true;
  fprintf(stderr, "weir-chaos: session %u: %s\n", (unsigned)number, zmq_strerror(zmq_errno()));
  chaos_light_close(light);
  return false;
}

void chaos_light_close(struct chaos_light *light)
{
  if (light->socket)
    zmq_close(light->socket);
  light->socket = NULL;
}

bool chaos_light_send(struct chaos_light *light, struct weir_msg *msg)
{
  uint8_t bytes[WEIR_MSG_SIZE_MAX];
  size_t size = 0;

  msg->session = light->session;
  msg->mark = ++light->mark;
  return weir_codec_encode(msg, bytes, sizeof(bytes), &size) == WEIR_OK &&
         zmq_send(light->socket, bytes, size, ZMQ_DONTWAIT) >= 0;
}

bool chaos_light_receive(struct chaos_light *light, int wait_ms, struct weir_msg *ret_msg)
{
  uint8_t frame[WEIR_FRAME_SIZE_MAX];
  zmq_pollitem_t item = {.socket = light->socket, .events = ZMQ_POLLIN};
  size_t offset = 0;
  int size;

  if (zmq_poll(&item, 1, wait_ms) <= 0)
    return false;
  size = zmq_recv(light->socket, frame, sizeof(frame), 0);
  return size > 0 && weir_codec_decode(frame, (size_t)size, &offset, ret_msg) == WEIR_OK;
}

bool chaos_light_hello(struct chaos_light *light)
{
  struct weir_msg msg = {.type = WEIR_MSG_HELLO};

  memcpy(msg.hello.instance, &light->number, sizeof(light->number));
  msg.hello.instance[WEIR_INSTANCE_SIZE - 1] = 1;
  msg.hello.incarnation = ++light->incarnation;
  msg.hello.version_min = WEIR_PROTOCOL_VERSION_MIN;
  msg.hello.version_max = WEIR_PROTOCOL_VERSION;
  snprintf(msg.hello.name, sizeof(msg.hello.name), "light:%u", (unsigned)light->number);
  light->session = 0;
  return chaos_light_send(light, &msg);
}

bool chaos_light_welcome(struct chaos_light *light, int wait_ms)
{
  struct weir_msg msg;

  if (!chaos_light_receive(light, wait_ms, &msg) || msg.type != WEIR_MSG_WELCOME)
    return false;
  light->session = msg.session;
  return true;
}

bool chaos_light_totals(struct chaos_light *light, int wait_ms, struct weir_msg *ret_row)
{
  *ret_row = (struct weir_msg){.type = WEIR_MSG_SHOW, .show = {.view = WEIR_VIEW_TOTALS}};
  return chaos_light_send(light, ret_row) && chaos_light_receive(light, wait_ms, ret_row) &&
         ret_row->type == WEIR_MSG_ROW;
}

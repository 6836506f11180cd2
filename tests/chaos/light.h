/* light.h - a session on a raw DEALER socket, for where a handle of libweir would be too heavy or
 * too well behaved. One message a frame.
 */
#ifndef WEIR_CHAOS_LIGHT_H
#define WEIR_CHAOS_LIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/msg.h>

#include "keys.h"

struct chaos_light {
  void *socket;
  uint64_t session, mark, incarnation;
  uint32_t number; /* makes its instance */
};

/* chaos_light_open connects to |endpoint| in |context|; with the pair of |name| when |keys| is not
 * NULL. False after a message. chaos_light_close ends it; zeros are allowed. */
bool chaos_light_open(struct chaos_light *light, void *context, const char *endpoint,
                      const struct chaos_keys *keys, const char *name, uint32_t number);
void chaos_light_close(struct chaos_light *light);

/* chaos_light_send sends |msg| in the session; false when the socket takes no more now. */
bool chaos_light_send(struct chaos_light *light, struct weir_msg *msg);

/* chaos_light_receive waits for the first message of the next frame, |wait_ms| at most. */
bool chaos_light_receive(struct chaos_light *light, int wait_ms, struct weir_msg *ret_msg);

/* chaos_light_hello opens a session: sends HELLO; chaos_light_welcome waits for the answer to it.
 */
bool chaos_light_hello(struct chaos_light *light);
bool chaos_light_welcome(struct chaos_light *light, int wait_ms);

/* chaos_light_totals asks for the coordinator's counters and waits for them. It needs no session.
 */
bool chaos_light_totals(struct chaos_light *light, int wait_ms, struct weir_msg *ret_row);

#endif

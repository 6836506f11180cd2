/* notify.h - tells systemd about this service's state; nothing without NOTIFY_SOCKET. */
#ifndef WEIR_NOTIFY_H
#define WEIR_NOTIFY_H

/* weir_notify_send sends |state|, such as "READY=1", to the service manager. Never blocks; a
 * manager that does not listen is passed over. */
void weir_notify_send(const char *state);

/* weir_notify_reloading tells that a reload begins; READY=1 ends it. */
void weir_notify_reloading(void);

#endif

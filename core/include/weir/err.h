/* err.h - operating errors of weir: one list makes enum, name and text.
 *
 * An outcome (denied, queued, too late) is data in a message, never an error of this list. A
 * broken precondition is an assert. What is left is here: negative, and of one of three classes
 * that callers branch on.
 */
#ifndef WEIR_ERR_H
#define WEIR_ERR_H

#ifndef WEIR_MUSTUSE
#define WEIR_MUSTUSE __attribute__((warn_unused_result))
#endif

/* X(name, value, class, text) */
#define WEIR_ERR_LIST(X)                                                                           \
  X(EINVAL, -1, REFUSE, "an argument is outside its range")                                        \
  X(EFULL, -2, RETRY, "a bounded table or queue is full")                                          \
  X(ENOENT, -3, REFUSE, "no such entry")                                                           \
  X(ETRUNCATED, -4, REFUSE, "the message ends before its last field")                              \
  X(ETRAILING, -5, REFUSE, "bytes are left over after the last field")                             \
  X(EMAGIC, -6, REFUSE, "the message does not begin with weir's magic byte")                       \
  X(EVERSION, -7, REFUSE, "the protocol version is not one of ours")                               \
  X(ETYPE, -8, REFUSE, "a field has the wrong type, or the message type is unknown")               \
  X(ERANGE, -9, REFUSE, "a number or a length is outside the field's range")                       \
  X(EDUPLICATE, -10, REFUSE, "a field stands twice")                                               \
  X(EMISSING, -11, REFUSE, "a required field is missing")                                          \
  X(ESYNTAX, -12, REFUSE, "the text does not follow its grammar")                                  \
  X(EDEPTH, -13, REFUSE, "the nesting is deeper than the limit")                                   \
  X(ENOMEM, -14, RETRY, "out of memory")                                                           \
  X(ESYSTEM, -15, RETRY, "the operating system refused a resource (threads, descriptors)")         \
  X(EUNREACHABLE, -16, RETRY, "the coordinator does not answer")                                   \
  X(EDENIED, -17, REFUSE, "the coordinator denied the lease")                                      \
  X(ETIMEOUT, -18, RETRY, "the deadline passed")                                                   \
  X(ECANCELLED, -19, REFUSE, "the caller cancelled")                                               \
  X(EEXPIRED, -20, RETRY, "the lease expired before it was used")                                  \
  X(EUPSTREAM, -21, RETRY, "the provider answered with an error")                                  \
  X(ENETWORK, -22, RETRY, "the provider could not be reached, or the answer was cut")              \
  X(ECLOSED, -23, REFUSE, "the handle is closed or belongs to another process")                    \
  X(ECONFIG, -24, REFUSE, "the configuration is not valid")                                        \
  X(EAGAIN, -25, RETRY, "nothing is ready yet")                                                    \
  X(EKEY, -26, REFUSE, "the coordinator refused this key")

enum weir_err {
  WEIR_OK = 0,
#define X(name, value, class, text) WEIR_##name = (value),
  WEIR_ERR_LIST(X)
#undef X
};

enum weir_err_class {
  WEIR_ERR_CLASS_RETRY = 1, /* the same call may succeed later */
  WEIR_ERR_CLASS_REFUSE,    /* the same call will fail again */
  WEIR_ERR_CLASS_FATAL      /* the handle is of no further use */
};

/* weir_err_name returns the symbol of |err| without its prefix ("EFULL"), or "E?" for a number
 * that is no error of weir. Static storage. */
const char *weir_err_name(int err);

/* weir_err_text returns one English sentence for |err| (no full stop). Static storage. */
const char *weir_err_text(int err);

/* weir_err_class returns what a caller should do about |err|; FATAL for a number that is no error
 * of weir. */
enum weir_err_class weir_err_class(int err);

#endif

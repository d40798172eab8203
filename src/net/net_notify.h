/*
 * Telling the service manager how we are, as sd_notify(3) does: one datagram of lines to the socket
 * that it has named in NOTIFY_SOCKET.
 */
#ifndef KAREZ_NET_NET_NOTIFY_H
#define KAREZ_NET_NET_NOTIFY_H

#include "base/str.h"

/*
 * Send the lines; whether they are read is the manager's business.
 *   name   what NOTIFY_SOCKET says, "/path" or "@abstract"; NULL or "": nobody wants to know.
 *   lines  "READY=1\nSTATUS=...".
 * Returns 0 (also when nobody wants to know), ERR_UNSUPPORTED (a socket of another kind),
 * ERR_TOOBIG (its path), or why it cannot be reached. Source: sd_notify(3).
 */
int net_notify(const char *name, struct str lines);

#endif

/*
 * Listening sockets that a process has been given, by the address they were opened for: from its
 * supervisor, from its own former self, or from a service manager (socket activation).
 */
#ifndef KAREZ_APP_SOCKET_TABLE_H
#define KAREZ_APP_SOCKET_TABLE_H

#include "net/net_addr.h"

/* Sockets of one process: 64 of --listen, one for management, 16 for SSH, and some to spare. */
#define SOCKET_TABLE_MAX 128
/* Bytes of a sentence that says what is wrong, NUL included. */
#define SOCKET_TABLE_WHY 320

struct socket_entry {
	int fd;			  /* > 2 */
	bool foreign;		  /* a service manager's: it outlives us, with its path */
	char addr[NET_ADDR_TEXT]; /* as configured, so perhaps with port 0; net_addr_format() */
};

/* All zero: none. A value: copies name the same descriptors, and one of them is the owner's. */
struct socket_table {
	struct socket_entry v[SOCKET_TABLE_MAX];
	size_t n;
};

/* Returns 0 or ERR_LIMIT. */
int socket_table_add(struct socket_table *t, int fd, bool foreign, const char *addr) MUST_CHECK;

/*
 * Take the socket of an address out.
 *   foreign  set to what its entry says; may be NULL.
 * Returns its descriptor, the caller's from now on; 0 when there is none.
 */
int socket_table_take(struct socket_table *t, const struct net_addr *addr, bool *foreign);

bool socket_table_has(const struct socket_table *t, int fd);

/*
 * As text for the environment: a line each, "7=127.0.0.1:80", and "7+unix:/path" for a foreign one.
 * Returns what the caller frees; NULL when memory is gone.
 */
char *socket_table_format(const struct socket_table *t) MUST_CHECK;

/*
 * Read it back; whether the descriptors are sockets is not looked at.
 * Returns 0, ERR_PROTO (anything that socket_table_format() does not write; a descriptor twice) or
 * ERR_LIMIT, and the table is empty then.
 */
int socket_table_parse(struct str text, struct socket_table *out) MUST_CHECK;

/* They are not inherited by programs that are started (or are), and do not block. */
void socket_table_inherit(const struct socket_table *t, bool on);

/*
 * Add what a service manager has opened for this process: descriptors from 3 on.
 *   pid, fds  LISTEN_PID and LISTEN_FDS; NULL, or a pid that is not ours: there are none.
 *   why       [SOCKET_TABLE_WHY] set on failure: a sentence that names the descriptor.
 * Returns 0, ERR_INVAL (no number; no socket that listens) or ERR_LIMIT. Source: sd_listen_fds(3).
 */
int socket_table_activate(struct socket_table *t, const char *pid, const char *fds,
			  char *why) MUST_CHECK;

/* Close all but those that `keep` (NULL: nothing) has, too. The path of a unix socket that is not
 * foreign goes with it. The table is empty afterwards. */
void socket_table_close(struct socket_table *t, const struct socket_table *keep);

#endif

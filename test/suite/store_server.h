/* A redis-server of a test's own: on a socket in a new directory under /tmp, ended with the test.
 */
#ifndef KAREZ_TEST_SUITE_STORE_SERVER_H
#define KAREZ_TEST_SUITE_STORE_SERVER_H

#include "suite/store_rig.h"

#define STORE_SERVER_ARGS_MAX 8

struct store_server {
	char dir[64], socket[96];
	const char *args[STORE_SERVER_ARGS_MAX]; /* more options, up to the first NULL */
	pid_t pid;				 /* 0: it does not run */
	unsigned n_dbs;				 /* databases that were given to tests */
};

/* Make its directory; then start it, and again after it was killed. Each fails the test when it
 * cannot. */
void store_server_init(struct store_server *s);
void store_server_start(struct store_server *s);

/* kill -9, and wait for the end of it. Harmless when it does not run. */
void store_server_kill(struct store_server *s);

/* Kill it and remove the directory. */
void store_server_free(struct store_server *s);

/* The name of a database of it that no test has used. */
void store_server_where(struct store_server *s, char *where, size_t cap);

/*
 * Say something to it behind the store's back (words separated by spaces); fails the test when
 * that is refused.
 *   where  of store_server_where(): which database.
 *   *out   NULL, or [cap] bytes for a text, a number or the number of elements that it answers.
 */
void store_server_say(struct store_server *s, const char *where, const char *words, char *out,
		      size_t cap);

#endif

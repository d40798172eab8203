/* An agent with its owner and its person, for tests against a secsh_server. */
#ifndef KAREZ_TEST_SECSH_WORLD_H
#define KAREZ_TEST_SECSH_WORLD_H

#include "secsh_home.h"
#include "secsh_server.h"
#include "session/secsh_agent.h"

/* What the agent's owner does with visitors. */
enum secsh_treat { ECHO, REFUSE, ACCEPT_LATER, CLOSE_SESSION };

struct secsh_visitor {
	struct secsh_world *world;
	struct wire *wire;
	struct buf back; /* read and not yet written */
	bool eof, shut;
	int why;
};

struct secsh_world {
	struct ev *ev;
	struct ev_timer patience, later;
	struct secsh_agent *agent;
	struct session *session;
	struct secsh_agent_opt opt;
	const char *options[8];
	const char *answers[8]; /* of the person */
	int thinks_ms;		/* before each answer; the loop stands meanwhile */
	char prompts[2048], said[8192];
	int n_asked;
	enum secsh_treat treat;
	struct secsh_visitor visitors[8];
	struct visit visit; /* the last one */
	int n_visits;
	size_t last_i;

	int n_up, why;
	bool closed;
	char reason[SESSION_REASON_MAX + 1], answered[256]; /* "i:e:port " */
	bool close_when_up;
};

/* Keys of two hosts and of a person. */
extern ssh_key secsh_world_host_key, secsh_world_other_host_key, secsh_world_user_key;

/* For cmocka's groups: makes those keys, and a home directory. */
int secsh_world_setup(void **state);
int secsh_world_teardown(void **state);

/* The person's key as a file of the home directory, without FILE.pub.
 *   passphrase  NULL: none. */
void secsh_world_write_key(const char *name, const char *passphrase);

/* An agent to "me@h" with these -o options; they end with NULL. opt.login_ms may be set before. */
void secsh_world_open(struct secsh_world *w, ...);

/* One session, from its start to its end. */
void secsh_world_run(struct secsh_world *w, struct secsh_server *s,
		     const struct secsh_agent_forward *forwards, size_t n);

void secsh_world_end(struct secsh_world *w);

#endif

/*
 * The agent's side of SSH: we dial any SSH server and ask it for forwards (RFC 4254 7.1); each
 * visitor is a "forwarded-tcpip" channel that the server opens.
 *
 * Keys, known hosts and ~/.ssh/config are read as ssh(1) reads them: see secsh_config.h,
 * secsh_known.h and secsh_prove.h. What a file says and has no effect here is told to the person.
 */
#ifndef KAREZ_SESSION_SECSH_AGENT_H
#define KAREZ_SESSION_SECSH_AGENT_H

#include "session/secsh_keys.h"
#include "session/session.h"

/* Forwards of one session. */
#define SECSH_SPECS_MAX 64

/*
 * How long a server may take for each of the two: greeting and key exchange (unless ConnectTimeout
 * says otherwise), and the login, in milliseconds. As sshd's LoginGraceTime; the time in which a
 * person is asked does not count.
 */
#define SECSH_LOGIN_MS 120000

struct secsh_agent;

/* Where to, and as whom. Read once; what is NULL or 0 is what ~/.ssh/config or ssh(1) say. */
struct secsh_agent_where {
	const char *host;	       /* as typed: a Host of the config file, or a name */
	const char *user;	       /* NULL: the file's, else the login name */
	uint16_t port;		       /* 0: the file's, else 22 */
	const char *const *identities; /* [n_identities] files with private keys */
	size_t n_identities;
	const char *config;	    /* NULL: ~/.ssh/config and /etc/ssh/ssh_config; "none" */
	const char *const *options; /* [n_options] "Key=value" or "Key value", as ssh -o */
	size_t n_options;
};

/* Questions to a person; the answers block, as ssh's do. */
struct secsh_agent_asks {
	/*
	 * Ask for a text.
	 *   prompt  NUL-terminated, ends in a space.
	 *   echo    show what is typed.
	 *   out     [cap] NUL-terminated answer.
	 * Returns 0, or ERR_DENIED: nobody is there to answer.
	 */
	int (*ask)(void *arg, const char *prompt, bool echo, char *out, size_t cap);
	/* Say something to the person: a sentence without LF. */
	void (*say)(void *arg, const char *text);
	void *arg;
};

struct secsh_agent_owner {
	/* Connected and admitted; forwards are being asked for. */
	void (*up)(void *arg, const char *host, const char *user);
	/*
	 * The answer to one forward.
	 *   e     0 or ERR_DENIED: the server refused it.
	 *   port  where the server listens.
	 */
	void (*forwarded)(void *arg, size_t i, int e, uint16_t port);
	/*
	 * A visitor.
	 *   i      which forward.
	 *   visit  borrowed for the call: visitor is who the server says it is, may be empty.
	 *   w      owned by the callee. The server is told whether the target could be reached when
	 *          the first byte is written, wire_shut() is called, or secsh_agent_accept() is;
	 *          wire_close(w, ERR_*) before that refuses.
	 */
	void (*visit)(void *arg, size_t i, const struct visit *visit, struct wire *w);
	/*
	 * It is over; the session is freed after this call.
	 *   why     ERR_AUTH (the server wants other keys), ERR_CERT (its host key is not the known
	 *           one, or was not accepted), ERR_RESOLVE, ERR_REFUSED, ERR_TIMEOUT, ERR_DEAD,
	 *           ERR_CLOSED, ERR_PROTO...
	 *   reason  a sentence, or the server's words; may be empty; any bytes.
	 */
	void (*closed)(void *arg, int why, struct str reason);
};

struct secsh_agent_opt {
	struct secsh_agent_where where; /* borrowed for the call, as all in it */
	struct secsh_agent_asks asks;
	const struct secsh_agent_owner *owner;
	void *arg;
	uint32_t login_ms; /* 0: SECSH_LOGIN_MS */
};

/*
 * Find out where to and as whom, once for all attempts; reads files.
 *   why  set on failure: names the file, or the option, and what is wrong with it.
 * Returns 0, ERR_INVAL, ERR_IO, ERR_NOMEM.
 */
int secsh_agent_new(struct ev *ev, const struct secsh_agent_opt *opt, struct secsh_agent **out,
		    char why[SECSH_WHY_TEXT]) MUST_CHECK;

/* Where to dial. NUL-terminated; live as long as the agent. */
const char *secsh_agent_host(const struct secsh_agent *a);
uint16_t secsh_agent_port(const struct secsh_agent *a);
const char *secsh_agent_user(const struct secsh_agent *a);

/* A ProxyJump or ProxyCommand leads there: nobody has to dial, secsh_agent_start() takes fd -1. */
bool secsh_agent_is_proxied(const struct secsh_agent *a);

/* ConnectTimeout, in milliseconds; 0: nobody said; it counts for dialling, and then once more for
 * the key exchange. ExitOnForwardFailure. Both are the owner's. */
uint32_t secsh_agent_dial_ms(const struct secsh_agent *a);
bool secsh_agent_is_all_or_none(const struct secsh_agent *a);

/* What is asked for: RFC 4254 7.1. */
struct secsh_agent_forward {
	const char *address; /* as it is sent; NUL-terminated */
	uint16_t port;
};

/*
 * Start a session: greet, check the host key against known_hosts (asking, as ssh does, and only the
 * first time), log in (agent, keys, keyboard-interactive, password), ask for each forward.
 *   fd        connected, non-blocking, without delay, the session's on success; -1: see
 *             secsh_agent_is_proxied().
 *   forwards  [n] copied; n <= SECSH_SPECS_MAX.
 * The forwards whose port the server chooses are asked for first, then the others in their order.
 * A proxy may end at any time: SIGPIPE has to be ignored by the process.
 * session_open() and session_tell() return ERR_UNSUPPORTED; the owner of the struct session is not
 * used: secsh_agent_owner is told instead. One session at a time. Returns 0, ERR_NOMEM, ERR_NOFILE.
 */
int secsh_agent_start(struct secsh_agent *a, int fd, const struct secsh_agent_forward *forwards,
		      size_t n, struct session **out) MUST_CHECK;

/* No session may run. NULL is allowed. */
void secsh_agent_free(struct secsh_agent *a);

/* The wire of a visitor: its target has been reached. Harmless the second time. */
void secsh_agent_accept(struct wire *w);

#endif

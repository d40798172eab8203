/* What an agent's owner and its person do in tests: visitors are echoed, questions answered. */
#include "secsh_world.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"

/* No test waits longer; a minute on a machine that is busy with others. */
#define PATIENCE_MS 60000

ssh_key secsh_world_host_key, secsh_world_other_host_key, secsh_world_user_key;

/* ---- the agent's owner ---- */

static void visitor_run(struct secsh_visitor *v)
{
	struct str in;
	int e = 0;

	while (v->why == 0 && e == 0 && v->back.len == 0 && !v->eof &&
	       (e = wire_read(v->wire, 100000, &in)) == 0) {
		assert_int_equal(0, buf_add(&v->back, in.p, in.len, SIZE_MAX / 2));
		e = wire_write_buf(v->wire, &v->back);
	}
	v->eof |= e == ERR_EOF;
	if (v->why == 0 && v->back.len > 0 && wire_write_buf(v->wire, &v->back) != 0)
		return; /* broken() follows */
	if (v->eof && v->back.len == 0 && !v->shut) {
		v->shut = true;
		wire_shut(v->wire);
	}
	wire_want(v->wire, (v->back.len == 0 && !v->eof ? WIRE_READ : 0) |
				   (v->back.len > 0 ? WIRE_WRITE : 0));
}

static void visitor_on_ready(void *arg, struct wire *w, int events)
{
	visitor_run(arg);
}

static void visitor_on_broken(void *arg, struct wire *w, int why)
{
	struct secsh_visitor *v = arg;

	v->why = why;
	wire_close(w, 0);
	v->wire = NULL;
}

static const struct wire_owner visitor_owner = {visitor_on_ready, visitor_on_broken};

static void world_on_later(void *arg)
{
	struct secsh_world *w = arg;
	struct secsh_visitor *v = &w->visitors[w->n_visits - 1];

	secsh_agent_accept(v->wire);
	secsh_agent_accept(v->wire); /* harmless */
	visitor_run(v);
}

static void world_close(struct secsh_world *w)
{
	struct session *s = w->session;

	w->session = NULL;
	session_close(s, 0, STR("that is enough"));
	ev_stop(w->ev);
}

static void world_on_visit(void *arg, size_t i, const struct visit *visit, struct wire *wire)
{
	struct secsh_world *w = arg;
	struct secsh_visitor *v = &w->visitors[w->n_visits++];

	assert_true(w->n_visits <= (int)ARRAY_LEN(w->visitors));
	w->visit = *visit;
	w->last_i = i;
	*v = (struct secsh_visitor){.world = w, .wire = wire};
	wire_own(wire, &visitor_owner, v);
	switch (w->treat) {
	case REFUSE:
		v->wire = NULL;
		wire_close(wire, ERR_REFUSED);
		break;
	case ECHO:
		secsh_agent_accept(wire);
		visitor_run(v);
		break;
	case ACCEPT_LATER: ev_timer_set(w->ev, &w->later, 20); break;
	case CLOSE_SESSION: world_close(w); break;
	}
}

static void world_on_up(void *arg, const char *host, const char *user)
{
	struct secsh_world *w = arg;

	assert_string_equal("h", host);
	assert_string_equal("me", user);
	w->n_up++;
	if (w->close_when_up)
		world_close(w);
}

static void world_on_forwarded(void *arg, size_t i, int e, uint16_t port)
{
	struct secsh_world *w = arg;
	size_t len = strlen(w->answered);

	snprintf(w->answered + len, sizeof w->answered - len, "%zu:%s:%u ", i, err_name(e), port);
}

static void world_on_closed(void *arg, int why, struct str reason)
{
	struct secsh_world *w = arg;

	w->session = NULL;
	w->closed = true;
	w->why = why;
	snprintf(w->reason, sizeof w->reason, STR_FMT, STR_ARG(reason));
	ev_stop(w->ev);
}

static const struct secsh_agent_owner world_owner = {
	.up = world_on_up,
	.forwarded = world_on_forwarded,
	.visit = world_on_visit,
	.closed = world_on_closed,
};

static int world_on_ask(void *arg, const char *prompt, bool echo, char *out, size_t cap)
{
	struct secsh_world *w = arg;
	size_t len = strlen(w->prompts);

	snprintf(w->prompts + len, sizeof w->prompts - len, "%s%s\n", echo ? "" : "*", prompt);
	if (w->answers[w->n_asked] == NULL)
		return ERR_DENIED;
	(void)poll(NULL, 0, w->thinks_ms);
	snprintf(out, cap, "%s", w->answers[w->n_asked++]);
	return 0;
}

static void world_on_say(void *arg, const char *text)
{
	struct secsh_world *w = arg;
	size_t len = strlen(w->said);

	snprintf(w->said + len, sizeof w->said - len, "%s\n", text);
}

static void world_on_patience(void *arg)
{
	fail_msg("nothing happens any more");
}

/* A world where the server's key may be new; options end with NULL. */
void secsh_world_open(struct secsh_world *w, ...)
{
	static const char *const always[] = {"GlobalKnownHostsFile=none"};
	char why[SECSH_WHY_TEXT];
	const char *option;
	size_t n = 0;
	va_list ap;

	assert_int_equal(0, ev_new(&w->ev));
	w->options[n++] = always[0];
	va_start(ap, w);
	while ((option = va_arg(ap, const char *)) != NULL)
		w->options[n++] = option;
	va_end(ap);
	w->opt = (struct secsh_agent_opt){
		.where = {.host = "h",
			  .user = "me",
			  .config = "none",
			  .options = w->options,
			  .n_options = n},
		.asks = {.ask = world_on_ask, .say = world_on_say, .arg = w},
		.owner = &world_owner,
		.arg = w,
		.login_ms = w->opt.login_ms,
	};
	if (secsh_agent_new(w->ev, &w->opt, &w->agent, why) != 0)
		fail_msg("%s", why);
	w->later = (struct ev_timer){.fn = world_on_later, .arg = w};
	w->patience = (struct ev_timer){.fn = world_on_patience};
	ev_timer_set(w->ev, &w->patience, PATIENCE_MS);
}

/* One session, from its start to its end; forwards end with port -1. */
void secsh_world_run(struct secsh_world *w, struct secsh_server *s,
		     const struct secsh_agent_forward *forwards, size_t n)
{
	w->closed = false;
	w->answered[0] = w->reason[0] = w->prompts[0] = '\0';
	w->n_asked = w->n_up = w->n_visits = 0;
	secsh_server_start(s);
	assert_int_equal(0, secsh_agent_start(w->agent, s->fd, forwards, n, &w->session));
	ev_run(w->ev);
	secsh_server_end(s);
	for (int i = 0; i < w->n_visits; i++) {
		wire_close(w->visitors[i].wire, 0);
		buf_free(&w->visitors[i].back);
	}
}

void secsh_world_end(struct secsh_world *w)
{
	secsh_agent_free(w->agent);
	ev_timer_stop(w->ev, &w->patience);
	ev_timer_stop(w->ev, &w->later);
	ev_free(w->ev);
}

int secsh_world_setup(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(SSH_OK, ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &secsh_world_host_key));
	assert_int_equal(SSH_OK,
			 ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &secsh_world_other_host_key));
	assert_int_equal(SSH_OK, ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &secsh_world_user_key));
	return secsh_home_setup(state);
}

int secsh_world_teardown(void **state)
{
	ssh_key_free(secsh_world_host_key);
	ssh_key_free(secsh_world_other_host_key);
	ssh_key_free(secsh_world_user_key);
	return secsh_home_teardown(state);
}

/* The user's key as a file; an empty passphrase is none. */
void secsh_world_write_key(const char *name, const char *passphrase)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s", secsh_home_path(), name);
	secsh_home_write(name, "");
	assert_int_equal(SSH_OK, ssh_pki_export_privkey_file(secsh_world_user_key, passphrase, NULL,
							     NULL, path));
	snprintf(path, sizeof path, "%s/%s.pub", secsh_home_path(), name);
	(void)unlink(path);
}

/* From the options to a struct rforward, and from its events to lines. */
#include "app/karez_ssh.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_socket.h"
#include "agent/rforward.h"
#include "app/heap.h"
#include "app/karez_say.h"
#include "app/karez_ssh_options.h"
#include "app/nofile.h"
#include "app/tty_ask.h"
#include "base/err.h"

/* How long the last bytes to the server may take to leave, in milliseconds. */
#define KAREZ_SSH_FAREWELL_MS 50

struct karez_ssh {
	const struct karez_options *set; /* borrowed: outlives this */
	struct ev *ev;			 /* owned, as all pointers below but the signals' */
	struct agent_net *net;
	struct rforward *forward;
	struct karez_say say;
	struct rforward_events events;
	char *user;		   /* NULL: not named */
	const char *host;	   /* borrowed from set */
	char server[URL_TEXT_MAX]; /* "root@host:22" for messages */
	struct ssh_spec specs[SECSH_SPECS_MAX];
	struct ev_signal *signals[3];
	struct ev_timer farewell;
	unsigned n_signals;
	bool was_up;
	bool nobody_there; /* to be asked: no terminal, or he has broken off */
	bool interrupted;  /* ... by Ctrl-C: what fails because of that is no failure */
	int code;	   /* of the exit */
};

/* ---- events ---- */

static void karez_ssh_on_farewell(void *arg)
{
	ev_stop(((struct karez_ssh *)arg)->ev);
}

static void karez_ssh_exit(struct karez_ssh *k, int code)
{
	if (ev_timer_is_set(&k->farewell))
		return;
	k->code = code;
	ev_timer_set(k->ev, &k->farewell, KAREZ_SSH_FAREWELL_MS);
}

static void karez_ssh_on_up(void *arg, bool again)
{
	struct karez_ssh *k = arg;

	k->was_up = true;
	karez_say_ssh_up(&k->say, again);
}

static void karez_ssh_on_answered(void *arg, const struct rforward_answer *a)
{
	struct karez_ssh *k = arg;

	karez_say_forward(&k->say, rforward_host(k->forward), a);
}

static void karez_ssh_on_offline(void *arg, const struct rforward_offline *o)
{
	struct karez_ssh *k = arg;
	struct agent_offline offline = {.e = o->e,
					.lost = o->lost,
					.reason = o->reason,
					.retry_ms = o->retry_ms};
	bool trying = k->was_up || k->set->wait;

	if (ev_timer_is_set(&k->farewell) || k->interrupted)
		return;
	karez_say_offline(&k->say, &offline, trying);
	if (!trying)
		karez_ssh_exit(k, 1);
}

static void karez_ssh_on_target(void *arg, const struct url *to, int e)
{
	struct karez_ssh *k = arg;

	karez_say_target(&k->say, to, e);
}

static void karez_ssh_on_connection(void *arg, const struct target_connection *c)
{
	struct karez_ssh *k = arg;

	karez_say_connection(&k->say, c, ev_wall_ms(k->ev));
}

static void karez_ssh_on_ended(void *arg, int code, const char *reason)
{
	struct karez_ssh *k = arg;

	code = k->interrupted ? 0 : code;
	karez_say_ssh_ended(&k->say, code, reason);
	karez_ssh_exit(k, code == 0 ? 0 : 1);
}

static const struct rforward_events karez_ssh_events = {
	.up = karez_ssh_on_up,
	.answered = karez_ssh_on_answered,
	.offline = karez_ssh_on_offline,
	.target = karez_ssh_on_target,
	.connection = karez_ssh_on_connection,
	.ended = karez_ssh_on_ended,
};

/* The first one ends it in good order, the second one at once. */
static void karez_ssh_on_signal(void *arg)
{
	struct karez_ssh *k = arg;

	if (k->n_signals++ == 0) {
		rforward_stop(k->forward);
	} else {
		k->code = 1;
		ev_stop(k->ev);
	}
}

/* ---- questions ---- */

static int karez_ssh_on_ask(void *arg, const char *prompt, bool echo, char *out, size_t cap)
{
	struct karez_ssh *k = arg;
	int e = k->nobody_there ? ERR_DENIED : tty_ask(prompt, echo, out, cap);

	k->nobody_there = e != 0;
	if (e == ERR_CLOSED) {
		k->interrupted = true;
		raise(SIGINT);
	}
	return e == 0 ? 0 : ERR_DENIED;
}

static void karez_ssh_on_say(void *arg, const char *text)
{
	struct karez_ssh *k = arg;

	if (!k->set->quiet)
		karez_say_notice(&k->say, text);
}

/* ---- start ---- */

/* [USER@]HOST; a user may have an @ himself. Returns 0 or ERR_NOMEM. */
static int karez_ssh_split(struct karez_ssh *k)
{
	const char *at = strrchr(k->set->target, '@');

	k->host = at == NULL ? k->set->target : at + 1;
	if (at == NULL)
		return 0;
	k->user = str_dup((struct str){k->set->target, (size_t)(at - k->set->target)});
	return k->user == NULL ? ERR_NOMEM : 0;
}

static int karez_ssh_forward(struct karez_ssh *k)
{
	const struct karez_options *set = k->set;
	struct rforward_opt opt = {
		.net = k->net,
		.where = {.host = k->host,
			  .user = k->user,
			  .port = (uint16_t)set->port,
			  .identities = (const char *const *)set->identities.v,
			  .n_identities = set->identities.n,
			  .config = set->ssh_config,
			  .options = (const char *const *)set->ssh_options.v,
			  .n_options = set->ssh_options.n},
		.asks = {.ask = karez_ssh_on_ask, .say = karez_ssh_on_say, .arg = k},
		.specs = k->specs,
		.n_specs = set->forwards.n,
		.events = &k->events,
		.arg = k,
	};
	char why[SECSH_WHY_TEXT];
	int e;

	k->events = karez_ssh_events;
	if (set->quiet && !set->cli.json)
		k->events.connection = NULL;
	for (size_t i = 0; i < set->forwards.n; i++)
		CHECK(ssh_spec_parse(str_of(set->forwards.v[i]), &k->specs[i], NULL) == 0);
	if ((e = rforward_new(k->ev, &opt, &k->forward, why)) != 0)
		karez_say_problem(&k->say, why);
	return e;
}

static int karez_ssh_catch_signals(struct karez_ssh *k)
{
	static const int which[] = {SIGINT, SIGTERM, SIGHUP};
	int e = 0;

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_LEN(which) && e == 0; i++)
		e = ev_signal_new(k->ev, which[i], karez_ssh_on_signal, k, &k->signals[i]);
	if (e != 0)
		karez_say_problem(&k->say, "cannot start: signals cannot be caught");
	return e;
}

/* Who is reached, as it is told: whoever has forgotten -p shall see it. */
static void karez_ssh_name(struct karez_ssh *k)
{
	const char *host = rforward_host(k->forward);
	bool six = strchr(host, ':') != NULL;

	str_printf(k->server, sizeof k->server, "%s@%s%s%s:%u", rforward_user(k->forward),
		   six ? "[" : "", host, six ? "]" : "", rforward_port(k->forward));
}

static int karez_ssh_start(struct karez_ssh *k)
{
	struct agent_socket_opt net = {0};
	char why[TLS_CONTEXT_WHY];
	int e;

	k->say = (struct karez_say){.out = stdout,
				    .err = stderr,
				    .json = k->set->cli.json,
				    .quiet = k->set->quiet,
				    .verbose = k->set->verbose,
				    .server = k->server};
	k->farewell = (struct ev_timer){.fn = karez_ssh_on_farewell, .arg = k};
	if ((e = ev_new(&k->ev)) != 0 || (e = karez_ssh_split(k)) != 0) {
		karez_say_problem(&k->say, "cannot start: out of memory");
		return e;
	}
	str_printf(k->server, sizeof k->server, "%s", k->host);
	if ((e = agent_socket_new(k->ev, &net, &k->net, why)) != 0) {
		karez_say_problem(&k->say, why);
		return e;
	}
	if ((e = karez_ssh_forward(k)) != 0)
		return e;
	karez_ssh_name(k);
	return karez_ssh_catch_signals(k);
}

static void karez_ssh_finish(struct karez_ssh *k)
{
	if (k->ev == NULL)
		return;
	rforward_free(k->forward);
	for (size_t i = 0; i < ARRAY_LEN(k->signals); i++)
		if (k->signals[i] != NULL)
			ev_signal_free(k->signals[i]);
	agent_socket_free(k->net);
	ev_timer_stop(k->ev, &k->farewell);
	ev_free(k->ev);
}

int karez_ssh_run(const struct karez_options *set)
{
	struct karez_ssh *k = must_calloc(1, sizeof *k);
	int code, e;

	k->set = set;
	nofile_raise();
	heap_keep();
	if ((e = karez_ssh_start(k)) == 0)
		ev_run(k->ev);
	code = e == 0 ? k->code : e == ERR_INVAL ? 2 : 1;
	karez_ssh_finish(k);
	free(k->user);
	free(k);
	return code;
}

/* karezd: read the options, open the store and the doors, serve, drain, exit. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/door.h"
#include "app/karezd_options.h"
#include "base/err.h"
#include "proto/url.h"

#define DOORS_MAX 64

struct karezd {
	struct karezd_settings set;
	struct config *config; /* owned */
	struct log log;
	struct ev *ev;		       /* owned */
	struct store *store;	       /* owned */
	struct tls_context *tls;       /* owned, NULL without TLS */
	struct node *node;	       /* owned */
	struct door *doors[DOORS_MAX]; /* owned */
	size_t n_doors;
	struct cidr *trusted; /* owned */
	char domain[HOSTNAME_MAX + 1];
	struct ev_signal *term, *interrupt; /* owned */
	struct ev_timer drain_deadline;
	bool stopping;
};

/* ---- the end ---- */

static void karezd_close_doors(struct karezd *k)
{
	while (k->n_doors > 0)
		door_close(k->doors[--k->n_doors]);
}

static void karezd_on_drained(void *arg)
{
	struct karezd *k = arg;

	log_info(&k->log, "event=stop msg=\"all visitors are served\"");
	ev_stop(k->ev);
}

static void karezd_on_drain_deadline(void *arg)
{
	struct karezd *k = arg;

	log_warn(&k->log, "event=stop msg=\"drain timeout is over, cutting what still runs\"");
	ev_stop(k->ev);
}

static void karezd_on_signal(void *arg)
{
	struct karezd *k = arg;

	if (k->stopping) {
		log_warn(&k->log, "event=stop msg=\"second signal, stopping at once\"");
		ev_stop(k->ev);
		return;
	}
	k->stopping = true;
	log_info(&k->log, "event=drain timeout_ms=%llu", (unsigned long long)k->set.drain_ms);
	karezd_close_doors(k);
	ev_timer_set(k->ev, &k->drain_deadline, k->set.drain_ms);
	node_drain(k->node, karezd_on_drained, k);
}

static void karezd_free(struct karezd *k)
{
	if (k->ev != NULL) {
		ev_timer_stop(k->ev, &k->drain_deadline);
		karezd_close_doors(k);
		node_free(k->node);
		store_close(k->store);
		ev_signal_free(k->term);
		ev_signal_free(k->interrupt);
		ev_free(k->ev);
	}
	tls_context_free(k->tls);
	free(k->trusted);
	config_free(k->config);
	free(k);
}

/* ---- the start ---- */

/* Say what is wrong with the start, and give exit code 1. */
static int karezd_fail(struct karezd *k, const char *what, const char *why)
{
	fprintf(stderr, "karezd: %s: %s\n", what, why);
	return 1;
}

static void karezd_state_dir(const struct karezd *k, char *out, size_t cap)
{
	const char *home = getenv("HOME"), *state = getenv("XDG_STATE_HOME");

	if (k->set.state_dir != NULL)
		str_printf(out, cap, "%s", k->set.state_dir);
	else if (geteuid() == 0 || home == NULL)
		str_printf(out, cap, "/var/lib/karez");
	else if (state != NULL && state[0] == '/')
		str_printf(out, cap, "%s/karez", state);
	else
		str_printf(out, cap, "%s/.local/state/karez", home);
}

/* mkdir -p for the directories above the state directory; the store makes the last one. */
static void karezd_make_parents(char *path)
{
	for (char *p = path + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
}

static int karezd_open_store(struct karezd *k)
{
	char dir[1024], where[1100];
	struct store_why why;

	if (k->set.store != NULL) {
		str_printf(where, sizeof where, "%s", k->set.store);
	} else {
		karezd_state_dir(k, dir, sizeof dir);
		karezd_make_parents(dir);
		str_printf(where, sizeof where, "sqlite:%s/karez.db", dir);
	}
	if (store_open(k->ev, &k->log, where, &k->store, &why) != 0)
		return karezd_fail(k, where, why.text);
	if (strcmp(where, "memory:") == 0)
		log_warn(&k->log, "event=store msg=\"accounts and tunnels are kept in memory and "
				  "lost at exit\"");
	return 0;
}

static int karezd_open_tls(struct karezd *k)
{
	static const char *const alpn[] = {"http/1.1", NULL};
	struct tls_context_server opt = {.cert_file = k->set.tls_cert,
					 .key_file = k->set.tls_key,
					 .alpn = alpn};
	char why[TLS_CONTEXT_WHY];

	if (k->set.tls_cert == NULL)
		return 0;
	if (tls_context_new_server(&opt, &k->tls, why) != 0)
		return karezd_fail(k, "TLS", why);
	return 0;
}

static int karezd_open_doors(struct karezd *k)
{
	for (size_t i = 0; i < k->set.listen.n && i < DOORS_MAX; i++) {
		struct door_opt opt = {.listen = k->set.listen.v[i],
				       .node = k->node,
				       .tls = k->tls,
				       .handshake_ms = (uint32_t)k->set.handshake_ms,
				       .log = &k->log};
		char text[NET_ADDR_TEXT];
		int e = door_open(k->ev, &opt, &k->doors[k->n_doors]);

		if (e == ERR_INUSE)
			return karezd_fail(k, opt.listen,
					   "cannot listen: address already in use; is another "
					   "karezd running? choose another with --listen");
		if (e != 0)
			return karezd_fail(k, opt.listen, err_text(e));
		log_info(&k->log, "event=listen address=%s tls=%d domain=%s",
			 net_addr_format(door_addr(k->doors[k->n_doors]), text),
			 door_is_tls(k->doors[k->n_doors]), k->domain);
		k->n_doors++;
	}
	return 0;
}

/* Scheme and port that visitors see: as told, else those of the first address. */
static void karezd_public(const struct karezd *k, const char **scheme, uint16_t *port)
{
	struct net_addr addr;
	struct url url;
	bool tls = false;

	if (k->set.public_url != NULL && url_parse(str_of(k->set.public_url), &url, NULL) == 0) {
		*scheme = url_is_tls(&url) ? "https" : "http";
		*port = url.port;
	} else {
		*port = 0;
		if (k->set.listen.n > 0 && door_parse(str_of(k->set.listen.v[0]), &tls, &addr) == 0)
			*port = net_addr_port(&addr);
		*scheme = tls ? "https" : "http";
	}
	if (*port == (strcmp(*scheme, "https") == 0 ? 443 : 80))
		*port = 0;
}

static int karezd_open_node(struct karezd *k)
{
	struct node_opt opt = {
		.log = &k->log,
		.store = k->store,
		.domain = k->domain,
		.allow_registration = k->set.allow_registration,
		.deadlines = {.head_ms = (uint32_t)k->set.head_ms,
			      .idle_ms = (uint32_t)k->set.idle_ms},
		.sessions_max = (size_t)k->set.sessions_max,
		.window_total = k->set.window_total,
	};
	struct str host;
	int e;

	if (hostname_normalise(str_of(k->set.domain), k->domain, &host) != 0)
		return karezd_fail(k, k->set.domain, "is not a host name");
	k->trusted = must_calloc(k->set.trusted_proxies.n + 1, sizeof *k->trusted);
	for (size_t i = 0; i < k->set.trusted_proxies.n; i++)
		if (cidr_parse(str_of(k->set.trusted_proxies.v[i]), &k->trusted[i]) == 0)
			opt.n_trusted = i + 1;
	opt.trusted = k->trusted;
	karezd_public(k, &opt.url_scheme, &opt.url_port);
	if ((e = node_new(k->ev, &opt, &k->node)) != 0)
		return karezd_fail(k, "cannot start", err_text(e));
	return 0;
}

/* Every visitor is a descriptor: take as many as the system gives. */
static void karezd_raise_nofile(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int karezd_run(struct karezd *k)
{
	int code;

	log_init_stderr(&k->log, (enum log_level)k->set.log_level);
	if (ev_new(&k->ev) != 0)
		return karezd_fail(k, "cannot start", "no event loop");
	if ((code = karezd_open_store(k)) != 0 || (code = karezd_open_tls(k)) != 0 ||
	    (code = karezd_open_node(k)) != 0 || (code = karezd_open_doors(k)) != 0)
		return code;
	if (ev_signal_new(k->ev, SIGTERM, karezd_on_signal, k, &k->term) != 0 ||
	    ev_signal_new(k->ev, SIGINT, karezd_on_signal, k, &k->interrupt) != 0)
		return karezd_fail(k, "cannot start", "no signal handlers");
	ev_run(k->ev);
	return 0;
}

int main(int argc, char **argv, char **envp)
{
	struct karezd *k = must_calloc(1, sizeof *k);
	struct config_input in = {argc, argv, envp};
	int code;

	signal(SIGPIPE, SIG_IGN);
	karezd_raise_nofile();
	k->drain_deadline = (struct ev_timer){.fn = karezd_on_drain_deadline, .arg = k};
	/* config_finish says what went wrong */
	(void)!config_load(&karezd_program, &in, &k->set, &k->config);
	if (!config_finish(k->config, stdout, stderr, &code))
		code = karezd_run(k);
	karezd_free(k);
	return code;
}

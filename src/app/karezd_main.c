/* karezd: read the options, open the store and the doors, serve, drain, exit. */
#include "app/karezd_inside.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/heap.h"
#include "app/karezd_again.h"
#include "app/karezd_command.h"
#include "app/karezd_store.h"
#include "app/nofile.h"
#include "app/run_dir.h"
#include "app/state_dir.h"
#include "app/supervisor.h"
#include "base/err.h"
#include "cluster/bus_local.h"
#include "net/net_dns.h"
#include "store/store_redis_url.h"

/* A worker opens its doors when it knows what the others serve, or after so many milliseconds; so
 * often it looks. */
#define OPEN_BY_MS 3000
#define LOOK_MS	   5

int karezd_fail(struct karezd *k, const char *what, const char *why)
{
	fprintf(stderr, "karezd: %s: %s\n", what, why);
	return 1;
}

/* ---- the end ---- */

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

/* Nobody new is let in. */
static void karezd_leave(void *arg)
{
	struct karezd *k = arg;

	karezd_doors_leave(k);
	if (k->ports != NULL)
		port_socket_stop(k->ports);
	ev_timer_set(k->ev, &k->drain_deadline, k->set.drain_ms);
	node_drain(k->node, karezd_on_drained, k);
}

/* A worker's delay is over already: its supervisor has had it, see karezd_on_announce(). */
static void karezd_drain(struct karezd *k)
{
	uint64_t delay_ms = k->worker.on || !k->open ? 0 : k->set.drain_delay_ms;

	k->stopping = true;
	ev_timer_stop(k->ev, &k->look);
	log_info(&k->log, "event=drain delay_ms=%llu timeout_ms=%llu", (unsigned long long)delay_ms,
		 (unsigned long long)k->set.drain_ms);
	notify_stopping(&k->notify, delay_ms + k->set.drain_ms);
	if (delay_ms == 0) {
		karezd_leave(k);
		return;
	}
	node_announce(k->node);
	ev_timer_set(k->ev, &k->leave, delay_ms);
}

/* See supervisor_children_announce(). */
static void karezd_on_announce(void *arg)
{
	struct karezd *k = arg;

	log_info(&k->log, "event=drain-announced");
	node_announce(k->node);
}

/* A worker may be told twice, by its supervisor and by whoever ends a whole group of processes. */
static void karezd_on_signal(void *arg)
{
	struct karezd *k = arg;

	if (!k->stopping) {
		karezd_drain(k);
	} else if (!k->worker.on) {
		log_warn(&k->log, "event=stop msg=\"second signal, stopping at once\"");
		ev_stop(k->ev);
	}
}

/* See supervisor_children_cut(). */
static void karezd_on_cut(void *arg)
{
	ev_stop(((struct karezd *)arg)->ev);
}

/* The configuration, certificates, authorities and lists of revoked ones are to be read again. */
static void karezd_on_hangup(void *arg)
{
	struct karezd *k = arg;
	char why[KAREZD_AGAIN_WHY];
	int e;

	notify_reloading(&k->notify);
	e = karezd_again(&k->in, &k->set, &k->log, why);
	karezd_tls_reload(&k->tls);
	pid_file_tell(&k->pid, e == 0 ? "ok" : why);
	notify_reloaded(&k->notify);
}

static void karezd_on_replace(void *arg)
{
	log_warn(&((struct karezd *)arg)->log,
		 "event=replace msg=\"SIGUSR2 needs a server with --workers\"");
}

static void karezd_free(struct karezd *k)
{
	if (k->ev != NULL) {
		ev_timer_stop(k->ev, &k->drain_deadline);
		ev_timer_stop(k->ev, &k->leave);
		ev_timer_stop(k->ev, &k->look);
		notify_end(&k->notify);
		karezd_doors_close(k);
		worker_pass_close(&k->pass);
		karezd_tls_stop(&k->tls);
		node_free(k->node);
		karezd_ssh_free(k->ssh);
		port_socket_free(k->ports);
		proxy_reader_free(k->proxy);
		net_dns_free(k->dns);
		hook_socket_free(k->hooks);
		store_close(k->store);
		ev_signal_free(k->term);
		ev_signal_free(k->interrupt);
		ev_signal_free(k->hangup);
		ev_signal_free(k->replace);
		ev_free(k->ev);
	}
	pid_file_drop(&k->pid);
	worker_end(&k->worker);
	admin_token_drop(&k->admin);
	karezd_tls_free(&k->tls);
	free(k->trusted);
	free(k->tcp_ports);
	config_free(k->config);
	free(k);
}

/* ---- the start ---- */

static int karezd_open_store(struct karezd *k)
{
	bool memory = k->set.store != NULL && strcmp(k->set.store, "memory:") == 0;
	char dir[1024], where[1100];
	struct store_why why;

	if (memory && k->worker.on) {
		str_printf(where, sizeof where, "sqlite:%s/karez.db", k->worker.dir);
	} else if (k->set.store != NULL) {
		str_printf(where, sizeof where, "%s", k->set.store);
	} else {
		state_dir_find(k->set.state_dir, dir, sizeof dir);
		state_dir_make_parents(dir); /* the store makes the last one */
		str_printf(where, sizeof where, "sqlite:%s/karez.db", dir);
	}
	if (store_open(k->ev, &k->log, where, &k->store, &why) != 0) {
		fprintf(stderr, "karezd: %s\n", why.text); /* where may hold a password */
		return 1;
	}
	(void)!str_copy(k->store_kind, sizeof k->store_kind,
			(struct str){where, str_find(str_of(where), ':')});
	if (memory && k->worker.says)
		log_warn(&k->log, "event=store msg=\"accounts and tunnels are kept in memory and "
				  "lost at exit\"");
	if (k->set.hop_listen == NULL && store_redis_url_is(str_of(where)) && k->worker.says)
		log_warn(&k->log, "event=store msg=\"other servers may share these records, but "
				  "without --hop-listen a visitor who comes to one of them does "
				  "not reach agents of another\"");
	return 0;
}

static int karezd_open_tls(struct karezd *k)
{
	char why[TLS_CONTEXT_WHY];

	k->tls.set = &k->set;
	k->tls.worker = &k->worker;
	k->tls.log = &k->log;
	k->tls.node = k->node;
	k->tls.domain = k->domain;
	return karezd_tls_open(&k->tls, k->ev, why) == 0 ? 0 : karezd_fail(k, "TLS", why);
}

/* With other workers: visitors of theirs are handed to them. */
static int karezd_open_pass(struct karezd *k)
{
	struct worker_pass_opt opt = {.ev = k->ev,
				      .log = &k->log,
				      .node = k->node,
				      .ports = k->ports,
				      .domain = k->domain,
				      .api_host = node_api_host(k->node),
				      .tls = k->tls.serve != NULL};
	int e = k->worker.on ? worker_pass_open(&k->pass, &k->worker, &opt) : 0;

	return e == 0 ? 0 : karezd_fail(k, "cannot start", err_text(e));
}

/* ---- the first administrator ---- */

/* The one line that lets a person begin. */
static void karezd_say_login(const struct karezd *k)
{
	printf("karez login --server %s://%s", k->scheme, k->domain);
	if (k->port != 0)
		printf(":%u", k->port);
	printf(" --token-file %s\n", k->admin.path);
	fflush(stdout);
}

static void karezd_say_ready(struct karezd *k)
{
	log_info(&k->log, "event=ready");
	worker_ready(&k->worker);
	notify_status(&k->notify, "tunnels under %s", k->domain);
	notify_ready(&k->notify);
}

/*
 * Visitors of a worker find its older ones at the same sockets, so they can wait until it knows as
 * much as those: one who came before would hear that nobody serves his tunnel.
 */
static void karezd_on_look(void *arg)
{
	struct karezd *k = arg;
	size_t n = bus_local_count(k->worker.dir);

	if (ev_now_ms(k->ev) < k->open_by_ms &&
	    !(k->started && node_knows_others(k->node, n > 0 ? n - 1 : 0))) {
		ev_timer_set(k->ev, &k->look, LOOK_MS);
		return;
	}
	if ((k->code = karezd_doors_open(k)) != 0)
		ev_stop(k->ev);
	else if (k->started)
		karezd_say_ready(k);
}

static void karezd_on_started(void *arg, const struct core_started *result)
{
	struct karezd *k = arg;

	if (result->e != 0) {
		if (k->code == 0)
			k->code = karezd_fail(k, "cannot use the store", result->reason);
		ev_stop(k->ev);
		return;
	}
	if (result->token[0] != '\0')
		karezd_say_login(k);
	k->started = true;
	if (k->open)
		karezd_say_ready(k);
}

/* The commands that need a store and nothing else. */
static int karezd_move_store(struct karezd *k, const char *command)
{
	struct karezd_store_opt opt = {.ev = k->ev, .file = k->set.file};
	int code = karezd_open_store(k);

	opt.store = k->store;
	opt.where = k->store_kind;
	if (code != 0)
		return code;
	return strcmp(command, "store export") == 0 ? karezd_store_export(&opt)
						    : karezd_store_import(&opt);
}

/* So that the commands find us; a supervisor has its own. */
static void karezd_take_pid(struct karezd *k)
{
	char dir[1024], why[PID_FILE_TEXT];
	int e;

	if (k->worker.on)
		return;
	state_dir_find(k->set.state_dir, dir, sizeof dir);
	if ((e = pid_file_take(&k->pid, dir, why)) != 0)
		log_warn(&k->log, "event=pid-file error=%s msg=\"%s\"", err_name(e), why);
}

static int karezd_open_signals(struct karezd *k)
{
	bool alone = !k->worker.on;
	int e = ev_signal_new(k->ev, SIGTERM, karezd_on_signal, k, &k->term);

	if (e == 0)
		e = ev_signal_new(k->ev, alone ? SIGINT : SIGUSR1,
				  alone ? karezd_on_signal : karezd_on_cut, k, &k->interrupt);
	if (e == 0 && alone)
		e = ev_signal_new(k->ev, SIGHUP, karezd_on_hangup, k, &k->hangup);
	if (e == 0)
		e = ev_signal_new(k->ev, SIGUSR2, alone ? karezd_on_replace : karezd_on_announce, k,
				  &k->replace);
	return e == 0 ? 0 : karezd_fail(k, "cannot start", "no signal handlers");
}

static int karezd_serve(struct karezd *k)
{
	char dir[1024];
	int code;

	worker_log(&k->worker, &k->log);
	if (!k->worker.on) {
		state_dir_find(k->set.state_dir, dir, sizeof dir);
		run_dir_sweep(dir); /* with --workers it was another one's before */
	}
	if ((code = karezd_open_store(k)) != 0 || (code = karezd_node_open(k)) != 0 ||
	    (code = karezd_open_tls(k)) != 0 || (code = karezd_open_pass(k)) != 0 ||
	    (code = karezd_open_signals(k)) != 0 ||
	    (!k->worker.on && (code = karezd_doors_open(k)) != 0))
		return code;
	if (k->worker.on) {
		k->open_by_ms = ev_now_ms(k->ev) + OPEN_BY_MS;
		ev_timer_set(k->ev, &k->look, LOOK_MS);
	}
	karezd_take_pid(k);
	notify_begin_here(&k->notify, k->ev);
	notify_status(&k->notify, "waiting for the store");
	node_start(k->node, karezd_on_started, k);
	ev_run(k->ev);
	return k->code;
}

static int karezd_supervise(struct karezd *k)
{
	struct supervisor_opt opt = {.argv = k->in.argv,
				     .envp = k->in.envp,
				     .argc = k->in.argc,
				     .given = &k->worker};

	return supervisor_run(&opt);
}

static int karezd_run(struct karezd *k)
{
	const char *command = config_command(k->config)->name;
	int code;

	if (command == NULL && karezd_workers(&k->set) > 0 && !k->worker.on)
		return karezd_supervise(k);
	log_init_stderr(&k->log, (enum log_level)k->set.log_level);
	if (ev_new(&k->ev) != 0)
		return karezd_fail(k, "cannot start", "no event loop");
	if (command == NULL)
		return karezd_serve(k);
	if (karezd_command(command, &k->set, k->ev, &k->log, &code))
		return code;
	return karezd_move_store(k, command);
}

int main(int argc, char **argv, char **envp)
{
	struct karezd *k = must_calloc(1, sizeof *k);
	char why[SOCKET_TABLE_WHY];
	int code;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes is a full disk, not death */
	nofile_raise();
	heap_keep();
	k->in = (struct config_input){argc, argv, envp};
	k->admin.fd = k->pid.fd = -1;
	k->drain_deadline = (struct ev_timer){.fn = karezd_on_drain_deadline, .arg = k};
	k->leave = (struct ev_timer){.fn = karezd_leave, .arg = k};
	k->look = (struct ev_timer){.fn = karezd_on_look, .arg = k};
	if (worker_begin(&k->worker, why) != 0) {
		code = karezd_fail(k, "cannot start", why);
	} else if (supervisor_was()) {
		code = karezd_supervise(k);
	} else {
		/* config_finish says what went wrong */
		(void)!config_load(&karezd_program, &k->in, &k->set, &k->config);
		if (!config_finish(k->config, stdout, stderr, &code))
			code = karezd_run(k);
	}
	karezd_free(k);
	return code;
}

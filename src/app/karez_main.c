/* karez: reads its options, carries out a command, or starts an agent and prints what happens. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent_socket.h"
#include "agent/site_net.h"
#include "app/heap.h"
#include "app/karez_options.h"
#include "app/karez_say.h"
#include "app/karez_service.h"
#include "app/karez_ssh.h"
#include "app/nofile.h"
#include "app/karez_targets.h"
#include "app/karez_up.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/cli_place.h"
#include "cli/cli_secret.h"

/* How long the last bytes to the server may take to leave, in milliseconds. */
#define KAREZ_FAREWELL_MS 50

/* Characters of an id that is not remembered. */
#define KAREZ_ID_LEN 16

struct karez {
	struct karez_options set;
	struct config *config; /* owned */
	struct ev *ev;	       /* owned */
	struct log log;
	struct karez_say say;
	struct url server;
	struct url others[SERVERS_GIVEN_MAX - 1]; /* [n_others], of the same cluster */
	size_t n_others;
	char server_text[URL_TEXT_MAX];
	bool guessed; /* nobody has named a server */
	struct karez_targets targets;
	struct agent_events events;
	struct agent_net *net;	/* owned: sockets */
	struct agent_net *site; /* owned: the same, and directories */
	struct memory *memory;	/* owned; NULL when there is no place for it */
	char id[AGENT_ID_TEXT];
	const char *names[AGENT_SERVICES_MAX]; /* of the services, to be told */
	char token[CLI_SECRET_TEXT];	       /* from the token file; "" if there is none */
	struct karez_up *up;		       /* owned; NULL: it is another command */
	struct agent *agent;		       /* owned */
	struct ev_signal *signals[3];
	struct ev_timer farewell;
	unsigned n_signals;
	bool was_online;
	int code; /* of the exit */
};

extern char **environ;

/* ---- events ---- */

static void karez_on_farewell(void *arg)
{
	ev_stop(((struct karez *)arg)->ev);
}

static void karez_exit(struct karez *k, int code)
{
	k->code = code;
	if (k->up != NULL)
		karez_up_stopping(k->up);
	if (!ev_timer_is_set(&k->farewell))
		ev_timer_set(k->ev, &k->farewell, KAREZ_FAREWELL_MS);
}

static void karez_on_online(void *arg, const struct agent_online *o)
{
	struct karez *k = arg;

	k->was_online = true;
	if (k->up != NULL)
		karez_up_online(k->up, o);
	else
		karez_say_online(&k->say, o);
}

static void karez_on_offline(void *arg, const struct agent_offline *o)
{
	struct karez *k = arg;
	/* a server that is there and a certificate that is no good will be the same in a minute */
	bool trying = k->was_online || (k->set.wait && !k->guessed && o->e != ERR_CERT);

	if (k->code != 0)
		return;
	if (k->up != NULL)
		karez_up_offline(k->up);
	if (!k->was_online && k->guessed && !o->spoken)
		karez_say_no_server(&k->say);
	else
		karez_say_offline(&k->say, o, trying);
	if (!trying)
		karez_exit(k, 1);
}

static void karez_on_lost(void *arg, uint32_t tunnel, int code, const char *reason)
{
	struct karez *k = arg;

	if (k->up != NULL)
		karez_up_no(k->up, KAREZ_NO_LOST, tunnel, code, reason);
	else
		karez_say_ended(&k->say, code, reason);
}

/* What a record shall say is asked anew, and tunnels live on without an answer, for `karez up`
 * only. */
static void karez_on_kept(void *arg, uint32_t id, int code, const char *reason)
{
	struct karez *k = arg;

	if (k->up != NULL)
		karez_up_no(k->up, KAREZ_NO_KEPT, id, code, reason);
}

static void karez_on_delayed(void *arg, uint32_t id, int code, const char *reason)
{
	struct karez *k = arg;

	if (k->up != NULL)
		karez_up_no(k->up, KAREZ_NO_DELAYED, id, code, reason);
}

static void karez_on_ended(void *arg, int code, const char *reason)
{
	struct karez *k = arg;

	karez_say_ended(&k->say, code, reason);
	karez_exit(k, code == 0 ? 0 : 1);
}

static void karez_on_target(void *arg, const struct url *to, int e)
{
	struct karez *k = arg;

	karez_say_target(&k->say, to, e);
}

static void karez_on_request(void *arg, const struct peek_request *r)
{
	struct karez *k = arg;

	karez_say_request(&k->say, r, ev_wall_ms(k->ev));
}

static void karez_on_connection(void *arg, const struct target_connection *c)
{
	struct karez *k = arg;

	karez_say_connection(&k->say, c, ev_wall_ms(k->ev));
}

static void karez_on_offering(void *arg, bool again)
{
	struct karez *k = arg;

	k->was_online = true;
	karez_say_offering(&k->say, again);
}

static void karez_on_assigned(void *arg, const struct agent_assigned *t)
{
	struct karez *k = arg;

	karez_say_assigned(&k->say, t);
}

static void karez_on_taken(void *arg, const char *name, int code, const char *reason)
{
	struct karez *k = arg;

	karez_say_taken(&k->say, name, code, reason);
}

static void karez_on_unknown(void *arg, const char *tunnel, const char *service)
{
	struct karez *k = arg;

	karez_say_unknown(&k->say, tunnel, service);
}

static void karez_on_health(void *arg, const struct url *to, bool up, const char *why)
{
	struct karez *k = arg;

	karez_say_health(&k->say, to, up, why);
}

static const struct agent_events karez_events = {
	.online = karez_on_online,
	.offline = karez_on_offline,
	.lost = karez_on_lost,
	.kept = karez_on_kept,
	.delayed = karez_on_delayed,
	.ended = karez_on_ended,
	.target = karez_on_target,
	.request = karez_on_request,
	.connection = karez_on_connection,
	.offering = karez_on_offering,
	.assigned = karez_on_assigned,
	.taken = karez_on_taken,
	.unknown = karez_on_unknown,
	.health = karez_on_health,
};

/* The first one ends it in good order, the second one at once. */
static void karez_on_signal(void *arg)
{
	struct karez *k = arg;

	if (k->n_signals++ == 0) {
		if (k->up != NULL)
			karez_up_stopping(k->up);
		agent_stop(k->agent);
	} else {
		k->code = 1;
		ev_stop(k->ev);
	}
}

static void karez_on_hangup(void *arg)
{
	karez_up_reload(((struct karez *)arg)->up);
}

/* ---- start ---- */

static int karez_read_token(struct karez *k)
{
	char why[CLI_SECRET_WHY];
	int e = cli_secret_line(k->set.cli.token_file, "a token", k->token, sizeof k->token, why);

	if (e != 0)
		karez_say_problem(&k->say, why);
	return e;
}

/* Who we are when neither a person nor a certificate says so. */
static int karez_open_memory(struct karez *k)
{
	char dir[MEMORY_DIR_MAX + 2], why[MEMORY_WHY_MAX];
	int e;

	ev_random(k->ev, k->id, KAREZ_ID_LEN);
	for (size_t i = 0; i < KAREZ_ID_LEN; i++)
		k->id[i] = (char)('a' + (unsigned char)k->id[i] % 26);
	cli_place_dir(&k->set.cli, dir);
	if (dir[0] == '\0')
		return 0;
	if ((e = memory_open(k->ev, dir, &k->memory, why)) == 0) {
		str_printf(k->id, sizeof k->id, "%s", memory_agent(k->memory));
		return 0;
	}
	karez_say_problem(&k->say, why);
	if (e == ERR_PROTO || e == ERR_TOOBIG)
		return e;
	return 0; /* it cannot be written: everything works, but nothing is remembered */
}

/* All servers are reached as the first one is; each must be one that can be. */
static int karez_check_others(struct karez *k, struct cli_way *way)
{
	int e = 0;

	for (size_t i = 0; i < k->n_others && e == 0; i++) {
		e = cli_place_way(&k->set.cli, &k->others[i], way);
		explicit_bzero(&way->room, sizeof way->room);
	}
	return e;
}

static int karez_open_net(struct karez *k)
{
	struct cli_way way;
	struct site_net_opt site = {.services = k->up == NULL ? NULL : karez_up_list, .arg = k->up};
	struct agent_socket_opt opt = {.ca_file = k->set.cli.ca_file,
				       .pins = &way.pins,
				       .proxy_ca_file = k->set.cli.proxy_ca,
				       .cert_file = k->set.cli.cert,
				       .key_file = k->set.cli.key,
				       .server_tls = url_is_tls(&k->server),
				       /* a services file may name such a target any time */
				       .target_tls = k->targets.tls || k->up != NULL,
				       .target_ca_file = k->set.target_ca,
				       .target_insecure = k->set.target_insecure};
	char why[TLS_CONTEXT_WHY];
	int e = karez_check_others(k, &way);

	for (size_t i = 0; i < k->n_others; i++)
		opt.server_tls = opt.server_tls || url_is_tls(&k->others[i]);
	if (e == 0)
		e = cli_place_way(&k->set.cli, &k->server, &way);
	opt.proxy = way.proxy;
	str_printf(why, sizeof why, "%s", way.why);
	if (e == 0)
		e = agent_socket_new(k->ev, &opt, &k->net, why);
	explicit_bzero(&way, sizeof way);
	site.inner = k->net;
	if (e == 0 && (e = site_net_new(k->ev, &site, &k->site)) != 0)
		str_printf(why, sizeof why, "cannot start: out of memory");
	if (e != 0)
		karez_say_problem(&k->say, why);
	return e;
}

/* A certificate for "TestClient1@example.org" is for the agent TestClient1. */
static void karez_choose_id(struct karez *k)
{
	struct str name = str_of(agent_socket_own_name(k->net)), agent = name;

	agent.len = str_find(name, '@');
	k->say.cert_name = name.len > 0 ? name.p : "";
	k->say.agent = k->id;
	if (k->set.agent != NULL)
		str_printf(k->id, sizeof k->id, "%s", k->set.agent);
	else if (k->say.certificate && agent.len < name.len && ident_ok(agent))
		str_printf(k->id, sizeof k->id, STR_FMT, STR_ARG(agent));
}

/* What is not told costs nothing. */
static void karez_choose_events(struct karez *k)
{
	bool all = k->set.cli.json || k->set.verbose;

	k->events = karez_events;
	if (!all && (k->set.quiet || !isatty(STDOUT_FILENO)))
		k->events.request = NULL;
	if (!all)
		k->events.connection = NULL;
}

static int karez_start_agent(struct karez *k)
{
	struct agent_opt opt = {
		.log = &k->log,
		.net = k->site,
		.memory = k->memory,
		.id = k->id,
		.token = k->token[0] != '\0' ? k->token : k->set.cli.token,
		.certificate = k->say.certificate,
		.server = &k->server,
		.others = k->others,
		.n_others = k->n_others,
		.stays = k->up != NULL,
		.tunnels = &k->targets.tunnel,
		.n_tunnels = k->targets.n_tunnels,
		.services = k->targets.services,
		.n_services = k->targets.n_services,
		.priority = (unsigned)k->set.priority,
		.n_sessions = (unsigned)k->set.sessions,
		.transport = (enum agent_transport)k->set.transport,
		.events = &k->events,
		.arg = k,
	};
	int e;

	karez_choose_id(k);
	karez_choose_events(k);
	e = agent_new(k->ev, &opt, &k->agent);
	if (e != 0)
		karez_say_problem(&k->say, e == ERR_TOOBIG ? "the token is too long"
							   : "cannot start: out of memory");
	return e;
}

static int karez_catch_signals(struct karez *k)
{
	static const int which[] = {SIGINT, SIGTERM, SIGHUP};
	int e = 0;

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_LEN(which) && e == 0; i++)
		e = ev_signal_new(k->ev, which[i],
				  which[i] == SIGHUP && k->up != NULL ? karez_on_hangup
								      : karez_on_signal,
				  k, &k->signals[i]);
	if (e != 0)
		karez_say_problem(&k->say, "cannot start: signals cannot be caught");
	return e;
}

static void karez_choose_server(struct karez *k)
{
	const struct url *file = NULL;
	size_t n = 0;

	if (k->up != NULL)
		file = karez_up_servers(k->up, &n);
	/* a services file counts more than the configuration, and less than what is typed */
	if (karez_options_server(k->config, &k->set, &k->server)) {
		k->guessed = false;
	} else if (n > 0 && config_source(k->config, &k->set.cli.servers) < CONFIG_ENV) {
		k->server = file[0];
		k->n_others = n - 1;
		memcpy(k->others, file + 1, k->n_others * sizeof *file);
	} else {
		k->guessed = !cli_place_server(&k->set.cli, k->memory, &k->server);
		k->n_others = cli_place_others(&k->set.cli, k->others);
	}
	url_format(&k->server, k->server_text);
	k->say.server = k->server_text;
}

static void karez_prepare(struct karez *k)
{
	karez_targets_read(k->config, &k->set, &k->targets);
	for (size_t i = 0; i < k->targets.n_services; i++)
		k->names[i] = k->targets.services[i].name;
	k->say.names = k->names;
	k->say.n_names = k->targets.n_services;
	k->say.bare = k->targets.bare;
	k->say.out = stdout;
	k->say.err = stderr;
	k->say.json = k->set.cli.json;
	k->say.quiet = k->set.quiet;
	k->say.verbose = k->set.verbose;
	k->say.certificate = cli_place_certificate(&k->set.cli);
	if (k->set.verbose && config_source(k->config, &k->set.log_level) <= CONFIG_DEFAULT)
		k->set.log_level = LOG_INFO;
	log_init_stderr(&k->log, (enum log_level)k->set.log_level);
	k->farewell = (struct ev_timer){.fn = karez_on_farewell, .arg = k};
}

static int karez_run(struct karez *k)
{
	const struct karez_up_opt up = {.set = &k->set, .say = &k->say, .log = &k->log};
	int code = 1;

	nofile_raise();
	heap_keep();
	karez_prepare(k);
	if (ev_new(&k->ev) != 0) {
		karez_say_problem(&k->say, "cannot start: no event loop");
		return 1;
	}
	if ((k->set.cli.token_file != NULL && karez_read_token(k) != 0) ||
	    karez_open_memory(k) != 0)
		return 1;
	if (karez_options_command(k->config) == KAREZ_UP &&
	    karez_up_load(k->ev, &up, &k->up, &code) != 0)
		return code;
	karez_choose_server(k);
	if (karez_open_net(k) != 0 || karez_catch_signals(k) != 0 || karez_start_agent(k) != 0 ||
	    (k->up != NULL && karez_up_start(k->up, k->agent) != 0))
		return 1;
	ev_run(k->ev);
	return k->code;
}

/*
 * What is left ends with the process: wires to the server may still be delivering their last bytes,
 * so the loop is not taken apart.
 */
int main(int argc, char **argv)
{
	struct karez *k = must_calloc(1, sizeof *k);
	struct config_input in = {.argc = argc, .argv = argv, .envp = environ};
	int code, e = config_load(&karez_program, &in, &k->set, &k->config);

	if (config_finish(k->config, stdout, stderr, &code)) {
		/* it is said what is wrong, or what was asked for */
	} else if (cli_owns(config_command(k->config))) {
		code = cli_run(k->config, &k->set.cli);
	} else if (karez_options_command(k->config) == KAREZ_SSH) {
		code = karez_ssh_run(&k->set);
	} else if (karez_options_command(k->config) >= KAREZ_SERVICE_INSTALL) {
		code = karez_service_run(k->config, &k->set);
	} else {
		CHECK(e == 0);
		code = karez_run(k);
		karez_up_free(k->up);
		memory_close(k->memory);
	}
	config_free(k->config);
	exit(code);
}

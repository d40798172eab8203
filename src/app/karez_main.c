/* karez: reads its options, starts an agent, prints what happens, and ends when it should. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent_socket.h"
#include "app/karez_options.h"
#include "app/karez_say.h"
#include "base/err.h"

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
	char server_text[URL_TEXT_MAX];
	bool guessed; /* nobody has named a server */
	struct agent_tunnel tunnel;
	struct agent_net *net; /* owned */
	struct memory *memory; /* owned; NULL when there is no place for it */
	char id[KAREZ_ID_LEN + 1];
	char token[UINT16_MAX + 1]; /* from the token file; "" if there is none */
	struct agent *agent;	    /* owned */
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
	if (!ev_timer_is_set(&k->farewell))
		ev_timer_set(k->ev, &k->farewell, KAREZ_FAREWELL_MS);
}

static void karez_on_online(void *arg, const struct agent_online *o)
{
	struct karez *k = arg;

	k->was_online = true;
	karez_say_online(&k->say, o);
}

static void karez_on_offline(void *arg, const struct agent_offline *o)
{
	struct karez *k = arg;
	bool trying = k->was_online || (k->set.wait && !k->guessed);

	if (k->code != 0)
		return;
	if (!k->was_online && k->guessed && !o->spoken)
		karez_say_no_server(&k->say);
	else
		karez_say_offline(&k->say, o, trying);
	if (!trying)
		karez_exit(k, 1);
}

static void karez_on_lost(void *arg, size_t tunnel, int code, const char *reason)
{
	struct karez *k = arg;

	karez_say_ended(&k->say, code, reason);
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

static const struct agent_events karez_events_quiet = {
	.online = karez_on_online,
	.offline = karez_on_offline,
	.lost = karez_on_lost,
	.ended = karez_on_ended,
	.target = karez_on_target,
};

static const struct agent_events karez_events = {
	.online = karez_on_online,
	.offline = karez_on_offline,
	.lost = karez_on_lost,
	.ended = karez_on_ended,
	.target = karez_on_target,
	.request = karez_on_request,
};

/* The first one ends it in good order, the second one at once. */
static void karez_on_signal(void *arg)
{
	struct karez *k = arg;

	if (k->n_signals++ == 0) {
		agent_stop(k->agent);
	} else {
		k->code = 1;
		ev_stop(k->ev);
	}
}

/* ---- start ---- */

static int karez_read_token(struct karez *k)
{
	int fd = open(k->set.token_file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, k->token, sizeof k->token - 1);
	char text[512];
	struct str token;

	if (fd >= 0)
		close(fd);
	str_printf(text, sizeof text, "cannot read a token from %s", k->set.token_file);
	if (n >= 0) {
		token = (struct str){k->token, (size_t)n};
		while (token.len > 0 && strchr("\r\n\t ", token.p[token.len - 1]) != NULL)
			token.len--;
		k->token[token.len] = '\0';
		if (token.len > 0 && token.len < MEMORY_TOKEN_MAX)
			return 0;
		str_printf(text, sizeof text, "%s holds no token: expected one line of 1-%d bytes",
			   k->set.token_file, MEMORY_TOKEN_MAX - 1);
	}
	karez_say_problem(&k->say, text);
	return ERR_INVAL;
}

/* The folder for what is remembered; "" if there is no home. */
static void karez_memory_dir(const struct karez *k, char *out, size_t cap)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	out[0] = '\0';
	if (k->set.config_dir != NULL)
		str_printf(out, cap, "%s", k->set.config_dir);
	else if (xdg != NULL && xdg[0] == '/')
		str_printf(out, cap, "%s/karez", xdg);
	else if (home != NULL && home[0] == '/')
		str_printf(out, cap, "%s/.config/karez", home);
}

static int karez_open_memory(struct karez *k)
{
	char dir[MEMORY_DIR_MAX + 2], why[MEMORY_WHY_MAX];
	int e;

	ev_random(k->ev, k->id, KAREZ_ID_LEN);
	for (size_t i = 0; i < KAREZ_ID_LEN; i++)
		k->id[i] = (char)('a' + (unsigned char)k->id[i] % 26);
	karez_memory_dir(k, dir, sizeof dir);
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

static int karez_open_net(struct karez *k)
{
	struct agent_socket_opt opt = {.ca_file = k->set.ca_file,
				       .server_tls = url_is_tls(&k->server),
				       .target_tls = url_is_tls(&k->tunnel.target),
				       .target_insecure = k->set.target_insecure};
	char why[TLS_CONTEXT_WHY];
	int e = agent_socket_new(k->ev, &opt, &k->net, why);

	if (e != 0)
		karez_say_problem(&k->say, why);
	return e;
}

static int karez_start_agent(struct karez *k)
{
	bool watch = k->set.json || k->set.verbose || (!k->set.quiet && isatty(STDOUT_FILENO));
	struct agent_opt opt = {
		.log = &k->log,
		.net = k->net,
		.memory = k->memory,
		.id = k->id,
		.token = k->token[0] != '\0' ? k->token : k->set.token,
		.server = &k->server,
		.tunnels = &k->tunnel,
		.n_tunnels = 1,
		.n_sessions = (unsigned)k->set.sessions,
		.events = watch ? &karez_events : &karez_events_quiet,
		.arg = k,
	};
	int e = agent_new(k->ev, &opt, &k->agent);

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
		e = ev_signal_new(k->ev, which[i], karez_on_signal, k, &k->signals[i]);
	if (e != 0)
		karez_say_problem(&k->say, "cannot start: signals cannot be caught");
	return e;
}

static void karez_prepare(struct karez *k)
{
	const char *server = k->set.server != NULL ? k->set.server : KAREZ_GUESSED_SERVER;

	k->guessed = k->set.server == NULL;
	CHECK(url_parse(str_of(server), &k->server, NULL) == 0); /* karez_check_server saw it */
	url_format(&k->server, k->server_text);
	k->tunnel.name = k->set.name;
	karez_options_target(&k->set, &k->tunnel.target, &k->say.bare);
	k->say.out = stdout;
	k->say.err = stderr;
	k->say.json = k->set.json;
	k->say.quiet = k->set.quiet;
	k->say.verbose = k->set.verbose;
	k->say.server = k->server_text;
	if (k->set.verbose && config_source(k->config, &k->set.log_level) <= CONFIG_DEFAULT)
		k->set.log_level = LOG_INFO;
	log_init_stderr(&k->log, (enum log_level)k->set.log_level);
	k->farewell = (struct ev_timer){.fn = karez_on_farewell, .arg = k};
}

static int karez_run(struct karez *k)
{
	karez_prepare(k);
	if (ev_new(&k->ev) != 0) {
		karez_say_problem(&k->say, "cannot start: no event loop");
		return 1;
	}
	if ((k->set.token_file != NULL && karez_read_token(k) != 0) || karez_open_memory(k) != 0 ||
	    karez_open_net(k) != 0 || karez_catch_signals(k) != 0 || karez_start_agent(k) != 0)
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

	if (!config_finish(k->config, stdout, stderr, &code)) {
		CHECK(e == 0);
		code = karez_run(k);
		memory_close(k->memory);
	}
	config_free(k->config);
	exit(code);
}

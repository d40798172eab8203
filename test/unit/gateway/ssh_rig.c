/* A peer is the session itself, so a test sees what it holds after the gateway has closed it. */
#include "unit/gateway/ssh_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

static struct peer *peer_of(struct session *s)
{
	return (struct peer *)s;
}

static const struct peer *peer_of_const(const struct session *s)
{
	return (const struct peer *)s;
}

__attribute__((format(printf, 3, 4))) static void peer_note(char *to, size_t cap, const char *fmt,
							    ...)
{
	size_t n = strlen(to);
	va_list ap;

	va_start(ap, fmt);
	assert_true(vsnprintf(to + n, cap - n, fmt, ap) < (int)(cap - n));
	va_end(ap);
}

/* ---- in place of secsh_node.c ---- */

static int peer_open(struct session *s, const struct visit *visit, struct wire **out)
{
	peer_of(s)->n_opened++;
	s->n_streams++;
	*out = NULL;
	return 0;
}

static int peer_tell(struct session *s, struct str line)
{
	return ERR_UNSUPPORTED;
}

static void peer_ping(struct session *s, uint32_t deadline_ms)
{
}

static void peer_drain(struct session *s)
{
	s->is_leaving = true;
	peer_of(s)->n_drained++;
}

static void peer_end(struct peer *p)
{
	assert_non_null(p->owner);
	p->owner = NULL;
	close(p->fd);
}

static void peer_close(struct session *s, int why, struct str reason)
{
	struct peer *p = peer_of(s);

	assert_true(reason.len <= SESSION_REASON_MAX);
	peer_end(p);
	p->closed = true;
	p->why = why;
	str_printf(p->reason, sizeof p->reason, STR_FMT, STR_ARG(reason));
}

static const struct session_ops peer_ops = {peer_open, peer_tell, peer_ping, peer_drain,
					    peer_close};

int secsh_node_new(struct ev *ev, int fd, const struct secsh_node_opt *opt, struct session **out)
{
	struct peer *p = opt->keys->world->next;

	assert_non_null(p);
	p->session.ops = &peer_ops;
	p->session.ev = ev;
	p->owner = opt->owner;
	p->arg = opt->arg;
	p->fd = fd;
	p->methods = opt->methods;
	assert_int_equal(opt->tries_max, opt->keys->world->ssh.tries_max);
	str_printf(p->prompt, sizeof p->prompt, "%s", opt->prompt);
	*out = &p->session;
	return 0;
}

void secsh_node_admit(struct session *s, bool ok, const char *banner)
{
	struct peer *p = peer_of(s);

	assert_non_null(p->owner);
	p->n_admitted += ok;
	p->n_refused += !ok;
	str_printf(p->banner, sizeof p->banner, "%s", banner != NULL ? banner : "");
}

void secsh_node_forwarded(struct session *s, uint64_t id, int e, uint16_t port, const char *tunnel)
{
	struct peer *p = peer_of(s);

	assert_non_null(p->owner);
	if (e == 0)
		peer_note(p->answers, sizeof p->answers, "%llu=OK:%u:%s ", (unsigned long long)id,
			  port, tunnel);
	else
		peer_note(p->answers, sizeof p->answers, "%llu=%s ", (unsigned long long)id,
			  err_name(e));
	if (p->cancel_with == id) {
		p->cancel_with = 0;
		p->owner->cancelled(p->arg, p->cancel);
	}
}

void secsh_node_hush(struct session *s, uint64_t id)
{
	struct peer *p = peer_of(s);

	assert_non_null(p->owner);
}

void secsh_node_unforward(struct session *s, const char *tunnel)
{
	peer_note(peer_of(s)->unforwarded, sizeof peer_of(s)->unforwarded, "%s ", tunnel);
}

bool secsh_node_say(struct session *s, struct str text)
{
	struct peer *p = peer_of(s);

	assert_non_null(p->owner);
	if (!p->looks)
		return false;
	for (size_t i = 0; i < text.len; i++)
		assert_true(text.p[i] == '\n' || (text.p[i] >= ' ' && text.p[i] < 0x7f));
	peer_note(p->screen, sizeof p->screen, STR_FMT, STR_ARG(text));
	return true;
}

void secsh_node_leave(struct session *s, int status)
{
	assert_true(peer_of(s)->looks);
	peer_of(s)->looks = false;
	peer_of(s)->status = status;
}

const char *secsh_node_peer(const struct session *s)
{
	assert_non_null(peer_of_const(s)->owner);
	return "SSH-2.0-\"test\"";
}

/* ---- the world ---- */

static void ssh_world_on_line(void *arg, enum log_level level, const char *line, size_t len)
{
	struct ssh_world *w = arg;

	assert_null(memmem(line, len, "kz_", 3));
	peer_note(w->log, sizeof w->log, "%.*s\n", (int)len, line);
}

void ssh_world_open(struct ssh_world *w, bool anonymous)
{
	memset(w, 0, sizeof *w);
	place_rig_new(&w->g);
	w->g.r.log.write = ssh_world_on_line;
	w->g.r.log.arg = w;
	w->keys.world = w;
	w->ssh = (struct gateway_ssh_opt){.keys = &w->keys,
					  .domain = "localhost",
					  .ask_token = true,
					  .anonymous = anonymous,
					  .grace_ms = 30000,
					  .starts_max = 4,
					  .starts_per_ip = 2,
					  .tries_max = 6};
	w->opt = (struct gateway_opt){.core = w->g.r.core,
				      .log = &w->g.r.log,
				      .budget_cap = 64 << 20,
				      .sessions_max = 8,
				      .ssh = &w->ssh};
	assert_int_equal(gateway_new(w->g.r.ev, &w->opt, &w->gateway), 0);
}

void ssh_world_close(struct ssh_world *w)
{
	gateway_free(w->gateway);
	ssh_world_run(w, 1);
	place_rig_free(&w->g);
}

void ssh_world_run(struct ssh_world *w, uint64_t ms)
{
	ev_sim_run_for(w->g.r.ev, ms);
}

/* ---- the peer ---- */

bool peer_dial(struct peer *p, struct ssh_world *w, const char *ip)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct visit_end end;

	assert_true(fd >= 0);
	assert_int_equal(visit_end_set(&end, str_of(ip), 4711), 0);
	memset(p, 0, sizeof *p);
	p->world = w;
	p->status = -1;
	w->next = p;
	gateway_ssh(w->gateway, fd, &end);
	w->next = NULL;
	if (p->owner != NULL)
		return true;
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* nobody has it any more */
	return false;
}

static bool peer_try(struct peer *p, const struct secsh_login *l)
{
	unsigned before = p->n_admitted;

	p->owner->login(p->arg, l);
	ssh_world_run(p->world, 20);
	return p->n_admitted > before;
}

bool peer_none(struct peer *p, const char *user)
{
	struct secsh_login l = {.method = SECSH_NONE, .user = str_of(user)};

	return peer_try(p, &l);
}

bool peer_token(struct peer *p, const char *user, const char *token)
{
	struct secsh_login l = {.method = SECSH_TOKEN, .user = str_of(user), .text = str_of(token)};

	return peer_try(p, &l);
}

bool peer_blob(struct peer *p, const char *user, struct str blob)
{
	struct secsh_login l = {.method = SECSH_KEY, .user = str_of(user), .blob = blob};

	return peer_try(p, &l);
}

bool peer_key(struct peer *p, const char *user, char letter)
{
	char blob[4 + 11 + 4 + 32] = "\0\0\0\13ssh-ed25519\0\0\0\40";

	memset(blob + 19, letter, 32);
	return peer_blob(p, user, (struct str){blob, sizeof blob});
}

void peer_come(struct peer *p, struct ssh_world *w, const char *user)
{
	assert_true(peer_dial(p, w, "192.0.2.7"));
	assert_true(peer_key(p, user, 'k'));
}

void peer_forward(struct peer *p, uint64_t id, const char *address, uint16_t port)
{
	p->owner->forward(p->arg, id, str_of(address), port);
}

void peer_look(struct peer *p)
{
	p->looks = true;
	p->owner->looking(p->arg);
}

void peer_words(struct peer *p, const char *command, bool terminal)
{
	if (!p->looks)
		peer_look(p);
	p->owner->words(p->arg, str_of(command), terminal);
	ssh_world_run(p->world, 20);
}

void peer_open_with(struct ssh_world *w, struct peer *anna)
{
	ssh_world_open(w, true);
	peer_come(anna, w, "anna");
}

void peer_begin(struct peer *p, const char *words, bool terminal)
{
	peer_words(p, words, terminal);
	(void)peer_screen(p);
}

void peer_lose(struct peer *p)
{
	const struct secsh_node_owner *owner = p->owner;

	peer_end(p);
	owner->closed(p->arg, ERR_RESET, STR("lost"));
}

/* Moves what is there to a place of the caller's next call. */
static const char *peer_take(char *from)
{
	static char taken[64 * 1024];

	str_printf(taken, sizeof taken, "%s", from);
	from[0] = '\0';
	return taken;
}

const char *peer_answers(struct peer *p)
{
	return peer_take(p->answers);
}

const char *peer_screen(struct peer *p)
{
	return peer_take(p->screen);
}

/* A node and its client: what the tests of SSH share. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "unit/session/secsh_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"

/* Milliseconds in which the loop turned: a machine that stands still is no fault of the session's.
 */
#define TICKS_MAX 10000

/* ---- the host keys ---- */

struct rig_home {
	struct secsh_keys *keys;
	char dir[64];
};

/* One a program: RSA keys take time. */
static struct rig_home *rig_home(void)
{
	static struct rig_home home;

	return &home;
}

int rig_setup(void **state)
{
	struct rig_home *h = rig_home();
	char why[SECSH_WHY_TEXT];

	(void)snprintf(h->dir, sizeof h->dir, "/tmp/karez-secsh-XXXXXX");
	if (mkdtemp(h->dir) == NULL || secsh_keys_open(h->dir, &h->keys, why) != 0) {
		fprintf(stderr, "%s\n", why);
		return -1;
	}
	return 0;
}

int rig_teardown(void **state)
{
	static const char *const files[] = {"ssh_host_ed25519_key", "ssh_host_rsa_key"};
	struct rig_home *h = rig_home();
	char path[128];

	secsh_keys_free(h->keys);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		(void)snprintf(path, sizeof path, "%s/%s", h->dir, files[i]);
		(void)unlink(path);
	}
	return rmdir(h->dir);
}

struct secsh_keys *rig_keys(void)
{
	return rig_home()->keys;
}

/* ---- the node's owner ---- */

static void rig_on_login(void *arg, const struct secsh_login *l)
{
	struct rig *r = arg;

	r->logins++;
	r->last = *l;
	assert_int_equal(str_copy(r->user, sizeof r->user, l->user), 0);
	assert_int_equal(str_copy(r->text, sizeof r->text, l->text), 0);
	assert_true(l->blob.len <= sizeof r->blob);
	if (l->blob.len > 0)
		memcpy(r->blob, l->blob.p, l->blob.len);
	if (!r->admits_later)
		secsh_node_admit(r->node, r->admits, r->banner);
}

static void rig_on_forward(void *arg, uint64_t id, struct str address, uint16_t port)
{
	struct rig *r = arg;
	struct rig_forward *f = &r->forwards[r->n_forwards];

	assert_true(r->n_forwards < RIG_FORWARDS);
	r->n_forwards++;
	f->id = id;
	f->port = port;
	assert_int_equal(str_copy(f->address, sizeof f->address, address), 0);
	if (!r->grants_later)
		secsh_node_forwarded(r->node, id, 0, port == 0 ? 4711 : port, "demo");
}

static void rig_on_cancelled(void *arg, uint64_t id)
{
	struct rig *r = arg;

	r->n_cancelled++;
	r->cancelled = id;
}

static void rig_on_looking(void *arg)
{
	((struct rig *)arg)->looking++;
}

static void rig_on_words(void *arg, struct str command, bool terminal)
{
	struct rig *r = arg;

	r->worded++;
	r->terminal = terminal;
	assert_int_equal(str_copy(r->command, sizeof r->command, command), 0);
}

static void rig_on_typed(void *arg, struct str bytes)
{
	struct rig *r = arg;

	if (bytes.len == 0) {
		assert_false(r->left); /* told once */
		r->left = true;
		return;
	}
	for (size_t i = 0; i < bytes.len && r->n_typed + 1 < sizeof r->typed; i++)
		r->typed[r->n_typed++] = bytes.p[i];
}

static void rig_on_refused(void *arg, const char *what)
{
	struct rig *r = arg;

	(void)str_printf(r->refused + strlen(r->refused), sizeof r->refused - strlen(r->refused),
			 "%s;", what);
}

static void rig_on_unforwarded(void *arg, int e, struct str address, uint16_t port)
{
	struct rig *r = arg;

	r->n_unforwarded++;
	r->unforwarded_why = e;
	r->unforwarded_port = port;
}

static void rig_on_closed(void *arg, int why, struct str reason)
{
	struct rig *r = arg;

	assert_false(r->over);
	r->over = true;
	r->node = NULL;
	r->why = why;
	assert_int_equal(str_copy(r->reason, sizeof r->reason, reason), 0);
}

static const struct secsh_node_owner rig_owner = {
	.login = rig_on_login,
	.forward = rig_on_forward,
	.unforwarded = rig_on_unforwarded,
	.cancelled = rig_on_cancelled,
	.looking = rig_on_looking,
	.words = rig_on_words,
	.typed = rig_on_typed,
	.refused = rig_on_refused,
	.closed = rig_on_closed,
};

/* ---- the client ---- */

static void peer_on_message(void *arg, ssh_message m)
{
	struct rig_peer *p = arg;
	struct rig *r = p->rig;

	if (ssh_message_type(m) != SSH_REQUEST_CHANNEL_OPEN ||
	    ssh_message_subtype(m) != SSH_CHANNEL_FORWARDED_TCPIP) {
		secsh_link_refuse(&p->link, m);
	} else if (p->visit != NULL) {
		p->visit(p, m);
	} else {
		assert_true(r->n_served < ARRAY_LEN(r->served));
		assert_int_equal(secsh_wire_incoming(&p->link, m, &r->served[r->n_served]), 0);
		secsh_wire_accept(r->served[r->n_served++]);
	}
}

static void peer_fail(struct rig_peer *p)
{
	secsh_link_fail(&p->link, ERR_RESET, str_of(ssh_get_error(p->link.ssh)));
}

static void peer_on_turn(void *arg)
{
	struct rig_peer *p = arg;
	int rc;

	if (p->connected && !p->up && (ssh_get_status(p->link.ssh) & SSH_CLOSED_ERROR)) {
		peer_fail(p);
		return;
	}
	if (!p->connected) {
		rc = ssh_connect(p->link.ssh);
		(void)fcntl(ssh_get_fd(p->link.ssh), F_SETFL, O_NONBLOCK);
		if (rc == SSH_ERROR)
			peer_fail(p);
		if (rc != SSH_OK)
			return;
		p->connected = true;
	}
	if (!p->up && p->login != NULL) {
		p->login_result = p->login(p);
		if (p->login_result == SSH_AUTH_AGAIN)
			return;
		if (p->login_result != SSH_AUTH_SUCCESS) {
			p->login = NULL;
			secsh_link_by_hand(&p->link, false);
			return;
		}
		p->up = true;
		secsh_link_by_hand(&p->link, false);
		secsh_link_up(&p->link);
	}
	while (p->n_steps > 0 && (rc = p->steps[0](p)) != SSH_AGAIN) {
		if (rc != SSH_OK)
			fail_msg("a step of the client's: %s", ssh_get_error(p->link.ssh));
		p->steps++;
		p->n_steps--;
	}
	if (p->go_on != NULL)
		p->go_on(p);
}

static void peer_on_release(void *arg)
{
}

static void peer_on_closed(void *arg, int why, struct str reason)
{
	struct rig_peer *p = arg;
	struct rig *r = p->rig;

	r->gone = true;
	r->gone_why = why;
	r->peer = NULL;
	assert_int_equal(str_copy(r->gone_reason, sizeof r->gone_reason, reason), 0);
}

static const struct secsh_link_owner peer_owner = {
	.message = peer_on_message,
	.turn = peer_on_turn,
	.release = peer_on_release,
	.closed = peer_on_closed,
};

static const struct session_ops peer_ops = {
	.tell = secsh_link_tell,
	.ping = secsh_link_ping,
	.drain = secsh_link_drain,
	.close = secsh_link_close,
};

int rig_login_by_key(struct rig_peer *p)
{
	if (!p->asked_none) { /* or libssh would not know yet what may sign */
		if (ssh_userauth_none(p->link.ssh, NULL) == SSH_AUTH_AGAIN)
			return SSH_AUTH_AGAIN;
		p->asked_none = true;
	}
	return ssh_userauth_publickey(p->link.ssh, NULL, p->rig->key);
}

static struct rig_peer *peer_new(struct rig *r, int fd)
{
	struct rig_peer *p = calloc(1, sizeof *p);
	ssh_session ssh = ssh_new();
	int no = 0;

	assert_non_null(p);
	assert_non_null(ssh);
	p->rig = r;
	p->login = rig_login_by_key;
	p->link.session.ops = &peer_ops;
	assert_int_equal(ssh_options_set(ssh, SSH_OPTIONS_PROCESS_CONFIG, &no), 0);
	assert_int_equal(ssh_options_set(ssh, SSH_OPTIONS_HOST, "localhost"), 0);
	assert_int_equal(ssh_options_set(ssh, SSH_OPTIONS_USER, "tim"), 0);
	assert_int_equal(ssh_options_set(ssh, SSH_OPTIONS_FD, &fd), 0);
	secsh_link_start(&p->link, r->ev, ssh, &peer_owner, p);
	secsh_link_by_hand(&p->link, true);
	assert_int_equal(secsh_link_watch(&p->link, fd), 0);
	return p;
}

/* ---- a path between them ---- */

struct rig_way {
	struct rig_path *path;
	struct ev_io *in;
	int from, to;
	bool open;
};

struct rig_path {
	struct rig_way ways[2]; /* to the node, to the client */
	size_t piece;
};

static void way_on_ready(void *arg, int events)
{
	struct rig_way *w = arg;
	char bytes[4096];
	ssize_t n = read(w->from, bytes, MIN(w->path->piece, sizeof bytes));

	if (n > 0 && send(w->to, bytes, (size_t)n, MSG_NOSIGNAL) == n)
		return;
	if (n == 0)
		(void)shutdown(w->to, SHUT_WR);
	ev_io_want(w->in, 0);
}

static struct rig_path *path_new(struct rig *r, int client, int node, size_t piece)
{
	struct rig_path *p = calloc(1, sizeof *p);

	assert_non_null(p);
	p->piece = piece;
	p->ways[0] = (struct rig_way){.path = p, .from = client, .to = node};
	p->ways[1] = (struct rig_way){.path = p, .from = node, .to = client};
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ev_io_new(r->ev, p->ways[i].from, way_on_ready, &p->ways[i],
					   &p->ways[i].in),
				 0);
		ev_io_want(p->ways[i].in, EV_READ);
	}
	return p;
}

static void path_free(struct rig_path *p)
{
	if (p == NULL)
		return;
	for (int i = 0; i < 2; i++)
		ev_io_free(p->ways[i].in);
	close(p->ways[0].from);
	close(p->ways[1].from);
	free(p);
}

void rig_let(struct rig *r, bool to_node, bool to_client)
{
	ev_io_want(r->path->ways[0].in, to_node ? EV_READ : 0);
	ev_io_want(r->path->ways[1].in, to_client ? EV_READ : 0);
}

/* ---- the whole ---- */

static void rig_on_tick(void *arg)
{
	struct rig *r = arg;

	if (r->until != NULL && (r->until(r) || ++r->n_ticks > TICKS_MAX))
		ev_stop(r->ev);
	else
		ev_timer_set(r->ev, &r->tick, 1);
}

static void rig_on_deadline(void *arg)
{
	struct rig *r = arg;

	ev_stop(r->ev);
}

static void rig_tick(struct rig *r)
{
	r->tick = (struct ev_timer){.fn = rig_on_tick, .arg = r};
	ev_timer_set(r->ev, &r->tick, 0);
	ev_run(r->ev);
	ev_timer_stop(r->ev, &r->tick);
}

void rig_run_ms(struct rig *r, uint64_t ms)
{
	r->deadline = (struct ev_timer){.fn = rig_on_deadline, .arg = r};
	ev_timer_set(r->ev, &r->deadline, ms);
	rig_tick(r);
	ev_timer_stop(r->ev, &r->deadline);
}

void rig_run(struct rig *r, bool (*until)(struct rig *r))
{
	r->until = until;
	r->n_ticks = 0;
	rig_tick(r);
	if (!until(r))
		fail_msg("it never came to that: node %s, client %s", r->over ? r->reason : "lives",
			 r->gone ? r->gone_reason : "lives or is none");
	r->until = NULL;
}

static struct rig *rig_begin(void)
{
	struct rig *r = calloc(1, sizeof *r);

	assert_non_null(r);
	r->methods = 1u << SECSH_KEY | 1u << SECSH_TOKEN;
	r->tries_max = 3;
	r->admits = true;
	r->raw = -1;
	assert_int_equal(ev_new(&r->ev), 0);
	assert_int_equal(secsh_share_new(r->ev, &r->share), 0);
	assert_int_equal(ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &r->key), SSH_OK);
	return r;
}

static void rig_pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
}

static void rig_begin_node(struct rig *r, int fd)
{
	struct secsh_node_opt opt = {.keys = rig_keys(),
				     .share = r->share,
				     .methods = r->methods,
				     .tries_max = r->tries_max,
				     .prompt = "Token: ",
				     .owner = &rig_owner,
				     .arg = r};

	assert_int_equal(secsh_node_new(r->ev, fd, &opt, &r->node), 0);
}

struct rig *rig_new_methods(unsigned methods)
{
	struct rig *r = rig_begin();
	int fd[2];

	r->methods = methods;
	rig_pair(fd);
	r->peer = peer_new(r, fd[0]);
	rig_begin_node(r, fd[1]);
	return r;
}

struct rig *rig_new(void)
{
	return rig_new_methods(1u << SECSH_KEY | 1u << SECSH_TOKEN);
}

struct rig *rig_new_fds(const int fd[2])
{
	struct rig *r = rig_begin();

	r->peer = peer_new(r, fd[0]);
	rig_begin_node(r, fd[1]);
	return r;
}

struct rig *rig_new_path(size_t piece)
{
	struct rig *r = rig_begin();
	int near[2], far[2];

	rig_pair(near);
	rig_pair(far);
	r->path = path_new(r, near[1], far[1], piece);
	r->peer = peer_new(r, near[0]);
	rig_begin_node(r, far[0]);
	return r;
}

struct rig *rig_new_raw(void)
{
	struct rig *r = rig_begin();
	int fd[2];

	rig_pair(fd);
	r->raw = fd[0];
	rig_begin_node(r, fd[1]);
	return r;
}

void rig_free(struct rig *r)
{
	if (r->node != NULL)
		session_close(r->node, 0, (struct str){NULL, 0});
	for (size_t i = 0; i < r->n_served; i++)
		wire_close(r->served[i], 0);
	if (r->peer != NULL)
		session_close(&r->peer->link.session, 0, (struct str){NULL, 0});
	if (r->raw >= 0)
		close(r->raw);
	path_free(r->path);
	ssh_key_free(r->key);
	secsh_share_free(r->share);
	ev_free(r->ev);
	free(r);
}

static bool rig_has_stepped(struct rig *r)
{
	return r->peer == NULL || r->peer->n_steps == 0;
}

void rig_steps(struct rig *r, int (*const *steps)(struct rig_peer *p), size_t n_steps)
{
	r->peer->steps = steps;
	r->peer->n_steps = n_steps;
	secsh_link_soon(&r->peer->link);
	rig_run(r, rig_has_stepped);
}

bool rig_is_up(struct rig *r)
{
	return r->peer != NULL && r->peer->up;
}

bool rig_is_over(struct rig *r)
{
	return r->over;
}

bool rig_is_gone(struct rig *r)
{
	return r->gone;
}

/* ---- forwards ---- */

struct rig_asked {
	const char *address;
	uint16_t port;
	bool done;
};

static void peer_ask(struct rig_peer *p)
{
	struct rig_asked *a = p->rig->arg;
	int bound, rc;

	if (a->done || (!p->link.asking && !secsh_link_may_ask(&p->link)))
		return;
	p->link.asking = true;
	rc = ssh_channel_listen_forward(p->link.ssh, a->address, a->port, &bound);
	if (rc == SSH_AGAIN)
		return;
	p->link.asking = false;
	assert_int_equal(rc, SSH_OK);
	a->done = true;
}

static bool rig_is_granted(struct rig *r)
{
	return ((struct rig_asked *)r->arg)->done;
}

void rig_start(struct rig *r, const char *address, uint16_t port)
{
	struct rig_asked asked = {.address = address, .port = port};

	r->arg = &asked;
	r->peer->go_on = peer_ask;
	secsh_link_soon(&r->peer->link);
	rig_run(r, rig_is_granted);
	r->peer->go_on = NULL;
	r->arg = NULL;
}

int rig_visit(struct rig *r, const char *tunnel, struct wire **out)
{
	struct visit visit = {.ingress = VISIT_TCP};

	assert_int_equal(str_copy(visit.tunnel, sizeof visit.tunnel, str_of(tunnel)), 0);
	assert_int_equal(visit_end_set(&visit.visitor, STR("192.0.2.7"), 4711), 0);
	return session_open(r->node, &visit, out);
}

/*
 * What a hop costs: CPU of the whole way of a visitor, from his socket through an agent's session
 * (TLS) to the target's socket, direct and through another node; all nodes on one loop. Seconds per
 * GiB of a download, microseconds per visit (a request of 400 bytes, an answer of 2 KiB, a stream
 * and a socket to the target for each; what HTTP costs beside is not in it). Build: cc -O2
 * -D_GNU_SOURCE -DKAREZ_VERSION='"x"' -Isrc bench/micro/hop.c src/cluster/hop*.c
 * src/{base,ev,net,proto,wire,session}/[a-z]*.c -luv -lssl -lcrypto -lnghttp2 -ljansson -lcares
 * -lssh -lyaml Run: ./a.out direct|tcp|local [GiB] [thousands of visits] [at a time]
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "cluster/hop.h"
#include "cluster/hop_socket.h"
#include "session/mux.h"
#include "wire/relay.h"
#include "wire/tls_psk.h"
#include "wire/wire_tcp.h"
#include "wire/wire_tls.h"

#define PATH	"/tmp/karez-bench.hop"
#define REQUEST 400
#define ANSWER	2048
#define WARM	2000

struct bench {
	struct ev *ev;
	struct hop *a, *b;
	struct hop_peer *peer; /* NULL: direct */
	struct session *node, *agent;
	struct mux_budget budget;
	uint64_t body;	 /* of each answer */
	uint64_t got;	 /* by visitors */
	uint64_t left;	 /* visits to be begun */
	uint64_t n_done; /* and over */
	uint64_t until;	 /* stop when so many are over */
};

/* A visitor, or a target. */
struct party {
	struct bench *b;
	struct wire *w;
	uint64_t to_send;
	size_t heard;
	bool shut, eof;
};

static const char zeros[256 * 1024];

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void pair(struct ev *ev, bool tcp, struct wire **a, struct wire **b)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof addr;
	int fds[2], l;

	if (tcp) {
		l = socket(AF_INET, SOCK_STREAM, 0);
		fds[0] = socket(AF_INET, SOCK_STREAM, 0);
		CHECK(bind(l, (struct sockaddr *)&addr, len) == 0 && listen(l, 1) == 0);
		CHECK(getsockname(l, (struct sockaddr *)&addr, &len) == 0);
		CHECK(connect(fds[0], (struct sockaddr *)&addr, len) == 0);
		CHECK((fds[1] = accept(l, NULL, NULL)) >= 0);
		close(l);
		fcntl(fds[0], F_SETFL, O_NONBLOCK);
		fcntl(fds[1], F_SETFL, O_NONBLOCK);
	} else {
		CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	}
	CHECK(wire_tcp_new(ev, fds[0], NET_TARGET, a) == 0);
	CHECK(wire_tcp_new(ev, fds[1], NET_TARGET, b) == 0);
}

static void party_on_broken(void *arg, struct wire *w, int why)
{
	fprintf(stderr, "broken: %s\n", err_text(why));
	exit(1);
}

/* ---- the target ---- */

static void target_send(struct party *p)
{
	size_t taken = 1;

	while (p->to_send > 0 && taken > 0) {
		struct iovec iov = {(void *)(uintptr_t)zeros, MIN(p->to_send, sizeof zeros)};

		CHECK(wire_write(p->w, &iov, 1, &taken) == 0);
		p->to_send -= taken;
	}
	if (p->to_send == 0 && !p->shut) {
		p->shut = true;
		wire_shut(p->w);
	}
	wire_want(p->w, (p->eof ? 0 : WIRE_READ) | (p->to_send > 0 ? WIRE_WRITE : 0));
}

static void target_on_ready(void *arg, struct wire *w, int events)
{
	struct party *p = arg;
	struct str in;
	int e;

	while ((e = wire_read(w, 65536, &in)) == 0)
		p->heard += in.len;
	p->eof = e == ERR_EOF;
	if (p->heard == REQUEST) {
		p->heard++;
		p->to_send = p->b->body;
	}
	if (p->heard > REQUEST)
		target_send(p);
	if (p->eof && p->shut) {
		wire_close(w, 0);
		free(p);
	}
}

static const struct wire_owner target_owner = {target_on_ready, party_on_broken};

static void join(struct ev *ev, struct wire *a, struct wire *b)
{
	struct relay_opt opt = {.a = a, .b = b};
	struct relay *r;

	CHECK(relay_new(ev, &opt, &r) == 0);
}

static void agent_on_visit(void *arg, struct session *s, const struct visit *visit, struct wire *w)
{
	struct bench *b = arg;
	struct party *p = calloc(1, sizeof *p);
	struct wire *near;

	p->b = b;
	pair(b->ev, b->body > ANSWER, &near, &p->w);
	wire_own(p->w, &target_owner, p);
	wire_want(p->w, WIRE_READ);
	join(b->ev, w, near);
}

static void on_closed(void *arg, struct session *s, int why, struct str reason)
{
	fprintf(stderr, "the session ends: %s\n", err_text(why));
	exit(1);
}

static const struct session_owner session_owner = {.visit = agent_on_visit, .closed = on_closed};

/* ---- the node that has the session ---- */

static void b_on_visit(void *arg, const struct visit *visit, struct wire *w)
{
	struct bench *b = arg;
	struct wire *stream;

	CHECK(session_open(b->node, visit, &stream) == 0);
	join(b->ev, w, stream);
}

static void on_state(void *arg, struct hop_peer *p, enum peer_state state)
{
}

/* ---- the visitor, and the node where he comes in ---- */

static void visitor_begin(struct bench *b);

static void visitor_on_ready(void *arg, struct wire *w, int events)
{
	struct party *p = arg;
	struct bench *b = p->b;
	struct str in;
	int e;

	while ((e = wire_read(w, EV_SCRATCH, &in)) == 0)
		b->got += in.len;
	if (e != ERR_EOF)
		return;
	wire_close(w, 0);
	free(p);
	if (++b->n_done == b->until)
		ev_stop(b->ev);
	visitor_begin(b);
}

static const struct wire_owner visitor_owner = {visitor_on_ready, party_on_broken};

static void visitor_begin(struct bench *b)
{
	struct visit v = {.ingress = VISIT_TCP, .tunnel = "demo"};
	struct party *p;
	struct wire *near, *stream;

	if (b->left == 0)
		return;
	b->left--;
	p = calloc(1, sizeof *p);
	p->b = b;
	CHECK(visit_end_set(&v.visitor, STR("192.0.2.43"), 4711) == 0);
	if (b->peer == NULL) {
		CHECK(session_open(b->node, &v, &stream) == 0);
	} else {
		CHECK(visit_via_add(&v, "aaaaaaaaaaaaaaaa") == 0);
		CHECK(hop_peer_open(b->peer, &v, &stream) == 0);
	}
	pair(b->ev, b->body > ANSWER, &near, &p->w);
	wire_own(p->w, &visitor_owner, p);
	CHECK(wire_write_all(p->w, (struct str){zeros, REQUEST}) == 0);
	wire_shut(p->w);
	wire_want(p->w, WIRE_READ);
	join(b->ev, near, stream);
}

/* ---- the whole ---- */

static void open_agent(struct bench *b)
{
	static const uint8_t secret[32] = "any key will do for a benchmark";
	struct tls_psk_opt psk = {.secret = secret,
				  .secret_len = sizeof secret,
				  .label = "bench",
				  .name = "agent",
				  .alpn = "bench"};
	struct mux_opt opt = {.role = MUX_NODE,
			      .budget = &b->budget,
			      .owner = &session_owner,
			      .arg = b};
	struct tls_context *server, *client;
	struct wire_tls_opt tls = {.host = NULL};
	char why[TLS_CONTEXT_WHY];
	struct wire *x, *y;

	b->budget.cap = 1 << 28;
	pair(b->ev, true, &x, &y);
	CHECK(tls_psk_new_server(&psk, &server, why) == 0);
	CHECK(tls_psk_new_client(&psk, &client, why) == 0);
	CHECK(wire_tls_server(b->ev, x, server, &tls, &x) == 0);
	CHECK(wire_tls_client(b->ev, y, client, &tls, &y) == 0);
	CHECK(mux_new(b->ev, x, &opt, &b->node) == 0);
	opt.role = MUX_AGENT;
	CHECK(mux_new(b->ev, y, &opt, &b->agent) == 0);
}

static void open_hop(struct bench *b, bool local, struct log *log)
{
	static const uint8_t key[ROSTER_KEY_LEN] = "any key will do for a benchmark";
	struct roster_node says = {.id = "bbbbbbbbbbbbbbbb", .machine = "m", .local = PATH};
	struct hop_opt opt = {.log = log,
			      .net = &hop_socket,
			      .self = "aaaaaaaaaaaaaaaa",
			      .key = key,
			      .machine = local ? "m" : "",
			      .window_total = 1 << 28,
			      .visit = b_on_visit,
			      .state = on_state,
			      .arg = b};
	struct net_addr addr;
	uint16_t port;

	CHECK(hop_new(b->ev, &opt, &b->a) == 0);
	opt.self = says.id;
	CHECK(hop_new(b->ev, &opt, &b->b) == 0);
	CHECK(net_addr_parse(STR("127.0.0.1:0"), &addr) == 0);
	CHECK(hop_listen(b->b, &addr, &port) == 0 && hop_listen_local(b->b, PATH) == 0);
	str_printf(says.hop, sizeof says.hop, "127.0.0.1:%u", port);
	CHECK(hop_peer_new(b->a, &says, NULL, &b->peer) == 0);
}

/* CPU seconds of so many visits. */
static double run(struct bench *b, uint64_t visits, uint64_t at_a_time, uint64_t body)
{
	double start = cpu_s();

	b->body = body;
	b->left = visits;
	b->n_done = b->got = 0;
	b->until = visits;
	for (uint64_t i = 0; i < at_a_time; i++)
		visitor_begin(b);
	ev_run(b->ev);
	CHECK(b->got == visits * body);
	return cpu_s() - start;
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "direct";
	double gib = argc > 2 ? atof(argv[2]) : 1, s;
	uint64_t visits = argc > 3 ? (uint64_t)(atof(argv[3]) * 1000) : 50000,
		 at_a_time = argc > 4 ? (uint64_t)atoi(argv[4]) : 50;
	struct bench b = {.left = 0};
	struct log log;

	log_init_stderr(&log, LOG_ERROR);
	CHECK(ev_new(&b.ev) == 0);
	open_agent(&b);
	if (strcmp(way, "direct") != 0)
		open_hop(&b, strcmp(way, "local") == 0, &log);
	run(&b, WARM, 10, ANSWER);
	if (visits > 0) {
		s = run(&b, visits, at_a_time, ANSWER);
		printf("%s: %.2f us a visit, %llu at a time\n", way, s * 1e6 / (double)visits,
		       (unsigned long long)at_a_time);
	}
	if (gib > 0) {
		s = run(&b, 1, 1, (uint64_t)(gib * (1 << 30)));
		printf("%s: %.3f s/GiB, one stream\n", way, s / gib);
		s = run(&b, 8, 8, (uint64_t)(gib * (1 << 30) / 8));
		printf("%s: %.3f s/GiB, eight streams\n", way, s / gib);
	}
	exit(0);
}

/*
 * The server that net_dns is tested with. What it says stands in one table; it uses nothing of what
 * is tested.
 */
#include "dns_server.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/nameser.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "net/net_sock.h"

/* What the server does besides answering. */
enum trick {
	HONEST,
	SILENT,
	LOST,	       /* the first question that the server sees */
	TRUNCATE,      /* over UDP: only that there is more */
	TRUNCATE_HANG, /* and over TCP nothing but the end of the connection */
	LONG,	       /* over UDP: longer than the 512 bytes that were agreed on */
	WRONG_FIRST,   /* before the answer: other ids, other questions, garbage */
	CUT,	       /* the last byte is missing */
	CIRCLE,	       /* a record whose name points to itself */
};

struct row {
	const char *name;
	int type; /* 0: any */
	enum trick trick;
	unsigned code; /* ns_r_* */
	struct dns_rr rrs[4];
};

static const struct row zone[] = {
	{"txt.test", 0, HONEST, 0, {{"txt.test", ns_t_txt, "karez=1"}}},
	{"_karez.app.test", 0, HONEST, 0, {{"_karez.app.test", ns_t_txt, "proof"}}},
	{"joined.test", 0, HONEST, 0, {{"joined.test", ns_t_txt, "ka|rez|=1"}}},
	{"two.test",
	 0,
	 HONEST,
	 0,
	 {{"two.test", ns_t_txt, "v=spf1 -all"}, {"two.test", ns_t_txt, "karez=2"}}},
	{"whole.test",
	 0,
	 HONEST,
	 0,
	 {{"whole.test", ns_t_cname, "X.Test"}, {"x.test", ns_t_cname, "y.test"}}},
	{"step.test", 0, HONEST, 0, {{"step.test", ns_t_cname, "step2.test"}}},
	{"step2.test", 0, HONEST, 0, {{"step2.test", ns_t_cname, "step3.test"}}},
	{"step3.test", 0, HONEST, 0, {{0}}},
	{"circle.test", 0, HONEST, 0, {{"circle.test", ns_t_cname, "circle2.test"}}},
	{"circle2.test", 0, HONEST, 0, {{"circle2.test", ns_t_cname, "circle.test"}}},
	{"dangling.test", 0, HONEST, ns_r_nxdomain, {{"dangling.test", ns_t_cname, "gone.test"}}},
	{"half.test", 0, HONEST, 0, {{"half.test", ns_t_cname, "fail.test"}}},
	{"addr.test",
	 ns_t_a,
	 HONEST,
	 0,
	 {{"addr.test", ns_t_cname, "host.test"},
	  {"host.test", ns_t_a, "192.0.2.1"},
	  {"host.test", ns_t_a, "192.0.2.2"}}},
	{"addr.test", ns_t_aaaa, HONEST, 0, {{"addr.test", ns_t_aaaa, "2001:db8::1"}}},
	{"six.test", ns_t_a, HONEST, 0, {{0}}},
	{"six.test", ns_t_aaaa, HONEST, 0, {{"six.test", ns_t_aaaa, "2001:db8::6"}}},
	{"four.test", ns_t_a, HONEST, 0, {{"four.test", ns_t_a, "192.0.2.4"}}},
	{"four.test", ns_t_aaaa, HONEST, ns_r_servfail, {{0}}},
	{"empty.test", 0, HONEST, 0, {{0}}},
	{"fail.test", 0, HONEST, ns_r_servfail, {{0}}},
	{"refuse.test", 0, HONEST, ns_r_refused, {{0}}},
	{"notimp.test", 0, HONEST, ns_r_notimpl, {{0}}},
	{"formerr.test", 0, HONEST, ns_r_formerr, {{0}}},
	{"strange.test", 0, HONEST, 11, {{"strange.test", ns_t_txt, "no"}}},
	{"silent.test", 0, SILENT, 0, {{0}}},
	{"lost.test", 0, LOST, 0, {{"lost.test", ns_t_txt, "found"}}},
	{"tcp.test", 0, TRUNCATE, 0, {{"tcp.test", ns_t_txt, "over TCP"}}},
	{"long.test", 0, LONG, 0, {{"long.test", ns_t_txt, "over TCP"}}},
	{"hang.test", 0, TRUNCATE_HANG, 0, {{0}}},
	{"wrong.test", 0, WRONG_FIRST, 0, {{"wrong.test", ns_t_txt, "right"}}},
	{"cut.test", 0, CUT, 0, {{"cut.test", ns_t_txt, "no"}}},
	{"point.test", 0, CIRCLE, 0, {{"point.test", ns_t_txt, "no"}}},
};

/* ---- the server ---- */

static const struct row *zone_find(const char *name, int type)
{
	for (size_t i = 0; i < ARRAY_LEN(zone); i++)
		if (strcasecmp(zone[i].name, name) == 0 &&
		    (zone[i].type == 0 || zone[i].type == type))
			return &zone[i];
	return NULL;
}

/* Write the answer. Returns the row; NULL: there is no such name. */
static const struct row *server_answer(struct dns_server *s, const uint8_t *question, size_t len,
				       unsigned *id)
{
	struct dns_packet *p = &s->packet;
	const struct row *row;
	char name[256];
	int type;

	dns_question(question, len, id, name, &type);
	row = zone_find(name, type);
	dns_begin(p, *id, row == NULL ? ns_r_nxdomain : row->code, name, type);
	for (int i = 0; row != NULL && i < 4 && row->rrs[i].owner != NULL; i++)
		dns_add(p, &row->rrs[i]);
	s->n_asked++;
	if (s->stop_when_asked)
		ev_stop(s->ev);
	return row;
}

static void server_send(struct dns_server *s, const struct net_addr *to, struct str bytes)
{
	assert_int_equal(sendto(s->udp, bytes.p, bytes.len, 0, &to->sa, to->len), bytes.len);
}

/* None of these may be taken for the answer. */
static void server_lie(struct dns_server *s, const struct net_addr *to, unsigned id)
{
	static const struct dns_rr lies[] = {{"wrong.test", ns_t_txt, "wrong"},
					     {"other.test", ns_t_txt, "wrong"}};
	static struct dns_packet p;

	dns_begin(&p, id ^ 1, 0, "wrong.test", ns_t_txt);
	dns_add(&p, &lies[0]);
	server_send(s, to, dns_bytes(&p));
	dns_begin(&p, id, 0, "other.test", ns_t_txt);
	dns_add(&p, &lies[1]);
	server_send(s, to, dns_bytes(&p));
	dns_begin(&p, id, 0, "wrong.test", ns_t_a);
	dns_add(&p, &lies[0]);
	server_send(s, to, dns_bytes(&p));
	server_send(s, to, STR(""));
	server_send(s, to, STR("\xff"));
	server_send(s, to, (struct str){(const char *)p.bytes, NS_HFIXEDSZ});
	memset(p.bytes + 2, 0xff, 200);
	p.len = 202;
	server_send(s, to, dns_bytes(&p));
}

/* The same from another port, which anybody may do. */
static void server_forge(struct dns_server *s, const struct net_addr *to, unsigned id)
{
	static const struct dns_rr lie = {"wrong.test", ns_t_txt, "forged"};
	static struct dns_packet p;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	dns_begin(&p, id, 0, "wrong.test", ns_t_txt);
	dns_add(&p, &lie);
	(void)sendto(fd, p.bytes, p.len, 0, &to->sa, to->len); /* refused, should it be connected */
	close(fd);
}

static void server_on_udp(void *arg, int events)
{
	static const struct dns_rr filler = {"long.test", ns_t_txt,
					     "0123456789012345678901234567890"};
	struct dns_server *s = arg;
	struct dns_packet *p = &s->packet;
	struct net_addr from = {.len = sizeof from.in};
	uint8_t question[512];
	const struct row *row;
	unsigned id;
	ssize_t n = recvfrom(s->udp, question, sizeof question, 0, &from.sa, &from.len);

	assert_true(n > 0);
	row = server_answer(s, question, (size_t)n, &id);
	switch (row == NULL ? HONEST : row->trick) {
	case HONEST: break;
	case SILENT: return;
	case LOST:
		if (s->n_asked == 1)
			return;
		break;
	case TRUNCATE:
	case TRUNCATE_HANG: dns_patch(p, 2, 0x8380); break;
	case LONG:
		while (p->len <= 512)
			dns_add(p, &filler);
		break;
	case WRONG_FIRST:
		server_forge(s, &from, id);
		server_lie(s, &from, id);
		break;
	case CUT: p->len--; break;
	case CIRCLE:
		dns_add(p, &row->rrs[0]);
		/* 3 bytes of data, 10 before them, 2 of the pointer */
		dns_patch(p, p->len - 15, (unsigned)(NS_CMPRSFLGS << 8 | (p->len - 15)));
		break;
	}
	server_send(s, &from, dns_bytes(p));
}

static void server_on_tcp(void *arg, int events)
{
	struct dns_conn *c = arg;
	struct dns_packet *p = &c->server->packet;
	uint8_t question[512], head[2];
	const struct row *row;
	unsigned id;
	ssize_t n = recv(c->fd, question, sizeof question, 0);

	if (n <= 0) { /* that was all */
		ev_io_want(c->io, 0);
		return;
	}
	assert_true(n > 2 && n == 2 + (question[0] << 8 | question[1]));
	row = server_answer(c->server, question + 2, (size_t)n - 2, &id);
	assert_non_null(row);
	if (row->trick == TRUNCATE_HANG) {
		shutdown(c->fd, SHUT_RDWR);
		return;
	}
	head[0] = (uint8_t)(p->len >> 8);
	head[1] = (uint8_t)p->len;
	/* In pieces, as TCP may. */
	assert_int_equal(send(c->fd, head, 1, MSG_NOSIGNAL), 1);
	assert_int_equal(send(c->fd, head + 1, 1, MSG_NOSIGNAL), 1);
	assert_int_equal(send(c->fd, p->bytes, 5, MSG_NOSIGNAL), 5);
	assert_int_equal(send(c->fd, p->bytes + 5, p->len - 5, MSG_NOSIGNAL), p->len - 5);
}

static void server_on_accepted(void *arg, int fd, const struct net_addr *peer)
{
	struct dns_server *s = arg;
	struct dns_conn *c = &s->conns[s->n_conns++];

	assert_true(s->n_conns <= DNS_SERVER_CONNS);
	c->server = s;
	c->fd = fd;
	assert_int_equal(ev_io_new(s->ev, fd, server_on_tcp, c, &c->io), 0);
	ev_io_want(c->io, EV_READ);
}

static void server_on_log(void *arg, enum log_level level, const char *line, size_t len)
{
}

int dns_server_bind(const char *at, struct net_addr *addr)
{
	int fd, room = 1 << 20;

	assert_int_equal(net_addr_parse(str_of(at), addr), 0);
	fd = socket(addr->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room), 0);
	if (bind(fd, &addr->sa, addr->len) != 0) {
		close(fd);
		return -1;
	}
	net_local(fd, addr);
	return fd;
}

/* One port for both; somebody may have the other half of the one that the kernel chose. */
void dns_server_start(struct dns_server *s, struct ev *ev, const char *at)
{
	struct net_listen_opt opt = {.accepted = server_on_accepted, .arg = s, .log = &s->log};

	s->ev = ev;
	s->udp = -1;
	s->n_asked = 0;
	s->log = (struct log){.level = LOG_ERROR, .write = server_on_log};
	for (int i = 0; i < 50 && s->listener == NULL; i++) {
		net_close(s->udp, false);
		s->udp = dns_server_bind(at, &opt.addr);
		assert_true(s->udp >= 0);
		if (net_listen(s->ev, &opt, &s->listener) != 0)
			s->listener = NULL;
	}
	assert_non_null(s->listener);
	assert_int_equal(ev_io_new(s->ev, s->udp, server_on_udp, s, &s->io), 0);
	ev_io_want(s->io, EV_READ);
	net_addr_format(&opt.addr, s->at);
}

void dns_server_stop(struct dns_server *s)
{
	for (int i = 0; i < MIN(s->n_conns, DNS_SERVER_CONNS); i++) {
		ev_io_free(s->conns[i].io);
		close(s->conns[i].fd);
	}
	s->n_conns = 0;
	net_listener_free(s->listener);
	s->listener = NULL;
	ev_io_free(s->io);
	s->io = NULL;
	net_close(s->udp, false);
	s->udp = -1;
}

/*
 * What TLS costs per byte: CPU seconds per GiB, both ends together, of bulk through a pair of TLS
 * wires over TCP on loopback, beside the same through plain TCP wires. The writer offers 256 KiB at
 * a time, as a session does. Build: cc -O2 -D_GNU_SOURCE -Isrc bench/micro/tls_relay.c
 * src/{base,ev,net,wire}/[a-z]*.c -luv -lssl -lcrypto Run: ./a.out cert.pem key.pem [GiB]
 */
#include <netinet/in.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "wire/wire_tcp.h"
#include "wire/wire_tls.h"

#define OFFER  (256 * 1024)
#define ROUNDS 5

struct side {
	struct ev *ev;
	struct wire *w;
	uint64_t left, n_calls;
};

static char zeros[OFFER];

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void writer_on_ready(void *arg, struct wire *w, int events)
{
	struct side *s = arg;
	size_t taken = 1;

	while (s->left > 0 && taken > 0) {
		/* As a session does: a frame's head, then its body. */
		struct iovec iov[2] = {{zeros, 9}, {zeros, MIN(s->left, (uint64_t)OFFER) - 9}};

		CHECK(wire_write(w, iov, 2, &taken) == 0);
		s->n_calls++;
		s->left -= taken;
	}
	if (s->left == 0)
		wire_shut(w);
	wire_want(w, s->left > 0 ? WIRE_WRITE : 0);
}

static void reader_on_ready(void *arg, struct wire *w, int events)
{
	struct side *s = arg;
	struct str in;
	int e;

	while ((e = wire_read(w, EV_SCRATCH, &in)) == 0) {
		s->left -= in.len;
		s->n_calls++;
	}
	if (e == ERR_EOF)
		ev_stop(s->ev);
	else
		CHECK(e == ERR_AGAIN);
}

static void on_broken(void *arg, struct wire *w, int why)
{
	fprintf(stderr, "broken: %s\n", err_text(why));
	exit(1);
}

static const struct wire_owner writer_owner = {writer_on_ready, on_broken};
static const struct wire_owner reader_owner = {reader_on_ready, on_broken};

static void tcp_pair(struct ev *ev, struct wire **a, struct wire **b)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof addr;
	int listener = socket(AF_INET, SOCK_STREAM, 0), x = socket(AF_INET, SOCK_STREAM, 0), y;

	CHECK(bind(listener, (struct sockaddr *)&addr, len) == 0 && listen(listener, 1) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&addr, &len) == 0);
	CHECK(connect(x, (struct sockaddr *)&addr, len) == 0);
	CHECK((y = accept(listener, NULL, NULL)) >= 0);
	close(listener);
	fcntl(x, F_SETFL, O_NONBLOCK);
	fcntl(y, F_SETFL, O_NONBLOCK);
	CHECK(wire_tcp_new(ev, x, NET_SESSION, a) == 0 && wire_tcp_new(ev, y, NET_SESSION, b) == 0);
}

static double bench_run(struct tls_context *server, struct tls_context *client, uint64_t len)
{
	struct side from = {.left = len}, to = {.left = len};
	struct wire_tls_opt opt = {.host = NULL};
	struct wire *a, *b;
	struct ev *ev;
	double start;

	CHECK(ev_new(&ev) == 0);
	from.ev = to.ev = ev;
	tcp_pair(ev, &a, &b);
	from.w = a;
	to.w = b;
	if (server != NULL) {
		CHECK(wire_tls_client(ev, a, client, &opt, &from.w) == 0);
		CHECK(wire_tls_server(ev, b, server, &opt, &to.w) == 0);
	}
	start = cpu_s();
	wire_own(from.w, &writer_owner, &from);
	wire_own(to.w, &reader_owner, &to);
	wire_want(from.w, WIRE_WRITE);
	wire_want(to.w, WIRE_READ);
	ev_run(ev);
	CHECK(to.left == 0);
	start = cpu_s() - start;
	printf("%s: %.2f CPU s/GiB, %.0f KiB a write, %.0f KiB a read\n",
	       server != NULL ? "tls" : "tcp", start / ((double)len / (1 << 30)),
	       (double)len / (double)from.n_calls / 1024, (double)len / (double)to.n_calls / 1024);
	wire_close(from.w, 0);
	wire_close(to.w, 0);
	ev_free(ev);
	return start;
}

int main(int argc, char **argv)
{
	struct tls_context_server server_opt = {.cert_file = argc > 2 ? argv[1] : "",
						.key_file = argc > 2 ? argv[2] : ""};
	struct tls_context_client client_opt = {.insecure = true};
	struct tls_context *server, *client;
	uint64_t len = (uint64_t)((argc > 3 ? atof(argv[3]) : 1.0) * (1 << 30));
	char why[TLS_CONTEXT_WHY];

	if (tls_context_new_server(&server_opt, &server, why) != 0 ||
	    tls_context_new_client(&client_opt, &client, why) != 0) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	for (int i = 0; i < ROUNDS; i++) {
		bench_run(NULL, NULL, len);
		bench_run(server, client, len);
	}
	tls_context_free(server);
	tls_context_free(client);
	return 0;
}

/* A DNS server for tests, in the loop of the test: it answers, lies, is silent, or breaks off. */
#ifndef KAREZ_TEST_DNS_SERVER_H
#define KAREZ_TEST_DNS_SERVER_H

#include "dns_packet.h"
#include "net/net_addr.h"
#include "net/net_listen.h"

enum { DNS_SERVER_CONNS = 16 };

struct dns_server;

struct dns_conn {
	struct dns_server *server;
	struct ev_io *io;
	int fd;
};

/* All zero before the start. */
struct dns_server {
	struct ev *ev;
	int udp;
	struct ev_io *io;
	struct net_listener *listener;
	struct log log;
	struct dns_conn conns[DNS_SERVER_CONNS];
	int n_conns, n_asked;
	bool stop_when_asked; /* stop the loop at each question */
	char at[NET_ADDR_TEXT];
	struct dns_packet packet;
};

/* Serve the zone of dns_server.c over UDP and TCP; at: "127.0.0.1:0", "[::1]:0". */
void dns_server_start(struct dns_server *s, struct ev *ev, const char *at);
void dns_server_stop(struct dns_server *s);

/* A UDP socket; *addr is set to its address. Returns -1 when there is no such address here. */
int dns_server_bind(const char *at, struct net_addr *addr);

#endif

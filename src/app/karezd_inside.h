/* What the files of a serving karezd share: the process itself. Its commands and its supervisor
 * know nothing of it. */
#ifndef KAREZ_APP_KAREZD_INSIDE_H
#define KAREZ_APP_KAREZD_INSIDE_H

#include "app/admin_token.h"
#include "app/door.h"
#include "app/karezd_options.h"
#include "app/karezd_ssh.h"
#include "app/karezd_tls.h"
#include "app/node.h"
#include "app/notify.h"
#include "app/pid_file.h"
#include "app/worker_pass.h"
#include "ingress/hook_socket.h"
#include "ingress/port_socket.h"

/* Addresses of --listen. */
#define KAREZD_DOORS_MAX 64

struct karezd {
	struct config_input in;
	struct worker worker;
	struct pid_file pid;
	struct karezd_settings set;
	struct config *config; /* owned */
	struct log log;
	struct ev *ev;	     /* owned */
	struct store *store; /* owned */
	struct karezd_tls tls;
	struct proxy_reader *proxy; /* owned */
	struct port_socket *ports;  /* owned, NULL without tcp tunnels */
	struct worker_pass pass;
	struct access_ports *tcp_ports;		  /* owned */
	struct net_dns *dns;			  /* owned, NULL: there is none */
	struct hook_net *hooks;			  /* owned */
	struct karezd_ssh *ssh;			  /* owned, NULL: nobody speaks SSH here */
	struct node *node;			  /* owned */
	struct door *doors[KAREZD_DOORS_MAX + 1]; /* owned; one is for management */
	size_t n_doors;
	struct cidr *trusted; /* owned */
	char domain[HOSTNAME_MAX + 1], api_host[HOSTNAME_MAX + 1];
	char store_kind[32];
	const char *scheme; /* of public URLs */
	uint16_t port;	    /* the same; 0: the scheme's */
	uint16_t tls_port;  /* of tls tunnels; 0: there are none */
	struct admin_token admin;
	int code; /* of the process */
	/* owned; of a worker interrupt is SIGUSR1, hangup NULL, replace see karezd_on_announce() */
	struct ev_signal *term, *interrupt, *hangup, *replace;
	struct ev_timer drain_deadline, leave;
	struct ev_timer look; /* of a worker: may the doors be opened? */
	uint64_t open_by_ms;  /* at the latest */
	bool open, started;
	struct notify notify;
	bool stopping;
};

/* Say on standard error what is wrong with the start. Returns the exit code for it, 1. */
int karezd_fail(struct karezd *k, const char *what, const char *why);

/* ---- karezd_node.c ---- */

/*
 * The node, by the settings, with all it is made of besides the store, which is open: proxy reader,
 * ports, SSH, DNS, hooks, cluster. What was made is in *k, also after a failure. Returns 0, or the
 * exit code; why has been said.
 */
int karezd_node_open(struct karezd *k) MUST_CHECK;

/* ---- karezd_doors.c ---- */

/* Open all addresses that the settings name, on sockets that were handed to the process or on new
 * ones. Returns 0, or the exit code; why has been said, and those that were opened stay so. */
int karezd_doors_open(struct karezd *k) MUST_CHECK;

/* Nobody new is let in; connections that are being looked at go on, see door_leave(). */
void karezd_doors_leave(struct karezd *k);

void karezd_doors_close(struct karezd *k);

#endif

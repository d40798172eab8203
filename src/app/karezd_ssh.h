/*
 * What karezd does for SSH: at the start it reads or makes the host keys and reads the authorities
 * of certificates, then it listens.
 */
#ifndef KAREZ_APP_KAREZD_SSH_H
#define KAREZ_APP_KAREZD_SSH_H

#include "app/karezd_options.h"
#include "app/node.h"
#include "app/socket_table.h"

/* Bytes of a file of authorities, at most. */
#define KAREZD_SSH_CA_MAX ((size_t)256 * 1024)
/* Bytes of a sentence that says what is wrong, NUL included. */
#define KAREZD_SSH_WHY 1600

struct karezd_ssh;

/*
 * Read or make what the door needs. Blocks, for a second when keys are made: for the start of the
 * process.
 *   set     karezd_serves_ssh() it; borrowed: outlives it.
 *   dir     the state directory, NUL-terminated; made when it is not there, with "ssh" in it.
 *   domain  normalised; borrowed as set is.
 *   why     [KAREZD_SSH_WHY] set on failure: a sentence that names the file.
 * Returns 0, ERR_INVAL, ERR_IO, ERR_DENIED, ERR_TOOBIG, ERR_UNSUPPORTED, ERR_NOMEM.
 */
int karezd_ssh_new(const struct karezd_settings *set, const char *dir, const char *domain,
		   struct karezd_ssh **out, char *why) MUST_CHECK;

/*
 * Read the authorities of certificates, and nothing else.
 * Returns and says as karezd_ssh_new().
 */
int karezd_ssh_check_ca(const struct karezd_settings *set, char *why) MUST_CHECK;

/* Write a line for each host key: "ssh host key SHA256:... (ssh-ed25519)". */
void karezd_ssh_say_keys(const struct karezd_ssh *s, FILE *out);

/* For node_opt.ssh and node_opt.api_ssh; they live as long as s. */
const struct gateway_ssh_opt *karezd_ssh_gateway(const struct karezd_ssh *s);
const struct api_ssh *karezd_ssh_api(const struct karezd_ssh *s);

/* One more port where SSH is spoken, at an address that others have opened: the API tells it. */
void karezd_ssh_tell_port(struct karezd_ssh *s, uint16_t port);

/* Where it listens. All is borrowed: outlives the listeners. */
struct karezd_ssh_place {
	struct ev *ev;
	struct log *log;
	struct socket_table *had; /* sockets that are there already are taken from it */
	bool quiet;		  /* somebody else has logged where it listens */
};

/*
 * Listen at every address.
 *   node  borrowed: outlives the listeners; made with the above.
 *   why   as above: names the address.
 * Returns 0 or what net_listen() does; some addresses may be open then.
 */
int karezd_ssh_listen(struct karezd_ssh *s, struct node *node, const struct karezd_ssh_place *at,
		      char *why) MUST_CHECK;

/* No new connections. Harmless before and after. */
void karezd_ssh_close(struct karezd_ssh *s);

/* After node_free(). NULL is allowed. */
void karezd_ssh_free(struct karezd_ssh *s);

#endif

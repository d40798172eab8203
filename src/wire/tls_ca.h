/*
 * A small private certificate authority in a directory, for those who have no other: agents prove
 * who they are by its certificates, and a server may, too.
 *
 *	ca.pem         its certificate
 *	ca-key.pem     its key, mode 0600, without a passphrase
 *	crl.pem        what it has revoked
 *	issued.jsonl   what it has issued: one JSON object a line, with serial, name, server, until
 *
 * Keys are EC P-256, signatures SHA-256, serials 128 random bits. One process at a time changes a
 * directory; the others wait. Source: RFC 5280.
 */
#ifndef KAREZ_WIRE_TLS_CA_H
#define KAREZ_WIRE_TLS_CA_H

#include "base/str.h"

/* Days that the authority lives, and certificates of agents and servers by default. */
#define TLS_CA_DAYS	   3650
#define TLS_CA_AGENT_DAYS  365
#define TLS_CA_SERVER_DAYS 825

/* Bytes of a sentence that says what went wrong, NUL included, in all functions. */
#define TLS_CA_WHY 1024

/* Bytes of an agent's name: a common name has no more. Source: RFC 5280 A.1 (ub-common-name). */
#define TLS_CA_NAME_MAX 64

/* Names of one server. */
#define TLS_CA_NAMES_MAX 100

/* Bytes of a path of our files, NUL included. */
#define TLS_CA_PATH 4096

/* Bytes of a serial as text: hexadecimal digits, upper case, NUL included. */
#define TLS_CA_SERIAL_TEXT 48

/*
 * Make an authority.
 *   dir     made with those above it when it is not there.
 *   name    how people see it, printable ASCII, at most TLS_CA_NAME_MAX bytes.
 *   now_ms  wall clock, in all functions.
 *   why     [TLS_CA_WHY] set on failure, in all functions.
 * Returns 0, ERR_EXISTS (there is one already), ERR_INVAL (the name), ERR_IO, ERR_TLS, ERR_NOMEM.
 */
int tls_ca_init(const char *dir, const char *name, int64_t now_ms, char *why) MUST_CHECK;

struct tls_ca_issue {
	const char *dir; /* the authority's */
	const char *out; /* the directory that gets NAME.pem and NAME-key.pem (mode 0600) */
	const char *const *names; /* [n_names] an agent's one ("TestClient1@example.org"); or names
				   * and addresses of a server, "*.example.org", the first of which
				   * names the files, '_' standing for '*' */
	size_t n_names;
	bool server;
	uint64_t days; /* 0: as above; never longer than the authority lives */
};

struct tls_ca_issued {
	char cert[TLS_CA_PATH], key[TLS_CA_PATH]; /* the files */
	char serial[TLS_CA_SERIAL_TEXT];
	int64_t until_ms;
};

/*
 * Issue a certificate with a new key. No file is ever written over.
 *   *out  set on success.
 * Returns 0, ERR_INVAL (a name), ERR_EXISTS (a file), ERR_NOTFOUND (no authority there), ERR_CERT
 * (it has ended), ERR_IO, ERR_TLS, ERR_TOOBIG, ERR_NOMEM.
 */
int tls_ca_issue(const struct tls_ca_issue *opt, int64_t now_ms, struct tls_ca_issued *out,
		 char *why) MUST_CHECK;

/*
 * Revoke all certificates of a name, or the one of a serial (either case): crl.pem is written anew,
 * aside, and takes the old one's place at once.
 *   *n   set to those that were not revoked before.
 *   why  set on success, too: names a damaged line of the list of what was issued, whose
 * certificate is not known and so not revoked; "": there is none. Returns 0, ERR_NOTFOUND (no
 * authority there, or it has issued none such), ERR_IO, ERR_TLS, ERR_TOOBIG, ERR_NOMEM.
 */
int tls_ca_revoke(const char *dir, const char *what, int64_t now_ms, size_t *n,
		  char *why) MUST_CHECK;

/* One that was issued. */
struct tls_ca_entry {
	char serial[TLS_CA_SERIAL_TEXT];
	char name[256];
	bool server, revoked;
	int64_t until_ms;
};

/*
 * Tell all that were issued, oldest first.
 * Returns 0, ERR_NOTFOUND (no authority there), ERR_IO, ERR_PROTO (a line of the list is damaged,
 * all others were told), ERR_TOOBIG, ERR_TLS, ERR_NOMEM.
 */
int tls_ca_list(const char *dir, void (*tell)(void *arg, const struct tls_ca_entry *entry),
		void *arg, char *why) MUST_CHECK;

#endif

/*
 * OpenSSH user certificates: what one says, taken apart without believing it.
 * Source: OpenSSH PROTOCOL.certkeys.
 */
#ifndef KAREZ_PROTO_SSH_CERT_H
#define KAREZ_PROTO_SSH_CERT_H

#include "base/str.h"

enum { SSH_CERT_PRINCIPALS_MAX = 64, SSH_CERT_MAX = 16 * 1024 };

/* A value whose texts are borrowed from the blob; any bytes. */
struct ssh_cert {
	struct str type; /* "ssh-ed25519-cert-v01@openssh.com" */
	struct str key;	 /* the certified key alone, as a blob is not in it: its fields, raw */
	uint64_t serial;
	bool is_user; /* else a host's */
	struct str id;
	struct str principals[SSH_CERT_PRINCIPALS_MAX];
	size_t n_principals;	   /* 0: none is named */
	uint64_t after, before;	   /* seconds since 1970: valid from, and until; ~0: for ever */
	struct str source_address; /* critical option "source-address": a list of CIDRs; or empty */
	bool unknown_critical;	   /* one that we do not know: force-command, verify-required... */
	struct str ca;		   /* the key that signed it: a blob */
	struct str signed_part;	   /* what it signed */
	struct str signature;	   /* a blob: type and bytes */
};

/* Is this blob a certificate, by its type? */
bool ssh_cert_is(struct str blob);

/* Returns 0, ERR_PROTO (not well formed, or bytes behind it), ERR_TOOBIG. */
int ssh_cert_parse(struct str blob, struct ssh_cert *out) MUST_CHECK;

#endif

/*
 * One line of an OpenSSH public key, as people upload it: understood wholly, or refused with what
 * they should do instead. Source: sshd(8) AUTHORIZED_KEYS FILE FORMAT, RFC 4253 6.6.
 */
#ifndef KAREZ_PROTO_SSH_KEY_H
#define KAREZ_PROTO_SSH_KEY_H

#include "base/base64.h"

enum {
	SSH_KEY_TYPE_TEXT = 36,	   /* "sk-ecdsa-sha2-nistp256@openssh.com" and its NUL */
	SSH_KEY_BLOB_MAX = 2560,   /* bytes of a key: RSA of 16384 bits fits */
	SSH_KEY_COMMENT_TEXT = 65, /* a comment as it is kept, NUL included */
	SSH_KEY_RSA_BITS_MIN = 2048,
	SSH_KEY_RSA_BITS_MAX = 16384,
	/* Bytes of a whole line, NUL included. */
	SSH_KEY_LINE_TEXT =
		SSH_KEY_TYPE_TEXT + BASE64_TEXT(SSH_KEY_BLOB_MAX) + SSH_KEY_COMMENT_TEXT,
	SSH_KEY_INPUT_MAX = 16 * 1024, /* bytes of what is looked at: a whole file by mistake */
};

/* A value. */
struct ssh_key {
	char type[SSH_KEY_TYPE_TEXT];
	unsigned bits; /* of the modulus or the curve: 256 for ed25519 */
	/* What is signed by and compared: type and numbers; digest_ssh() makes the fingerprint. */
	uint8_t blob[SSH_KEY_BLOB_MAX];
	size_t blob_len;
	/* ASCII: what was given with other bytes as '?', cut, no space around it; may be empty. */
	char comment[SSH_KEY_COMMENT_TEXT];
	char line[SSH_KEY_LINE_TEXT]; /* the same key written anew: "type base64 comment" */
};

/*
 * Read a public key.
 *   text  one line, spaces and line ends around it allowed; any bytes.
 *   out   set on success.
 *   *why  NULL, or set on failure to a static sentence for a person, without a full stop.
 * Returns 0 or ERR_INVAL. Taken are ssh-ed25519, ecdsa-sha2-nistp256/384/521, ssh-rsa from 2048
 * bits on, sk-ssh-ed25519@openssh.com and sk-ecdsa-sha2-nistp256@openssh.com. It is not checked
 * that a point lies on its curve: who cannot sign with a key gains nothing by it.
 * Source: RFC 4251 5 (string, mpint), RFC 4253 6.6 (RSA), RFC 5656 3.1 (ECDSA), RFC 8709 4
 * (Ed25519), OpenSSH PROTOCOL.u2f (sk).
 */
int ssh_key_parse(struct str text, struct ssh_key *out, const char **why) MUST_CHECK;

#endif

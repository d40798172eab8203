/*
 * People upload what they find in ~/.ssh: the right file, the one beside it that must never leave
 * their machine, or one of another program. Each mistake has its own sentence.
 */
#include "proto/ssh_key.h"

#include <string.h>

#include "base/err.h"
#include "proto/ssh_blob.h"

/* What follows the type in a blob. */
enum ssh_key_shape { SSH_KEY_ED25519, SSH_KEY_ECDSA, SSH_KEY_RSA };

static const struct ssh_key_row {
	const char *type;
	enum ssh_key_shape shape;
	unsigned bits;
	const char *curve; /* of ECDSA */
	bool sk;	   /* lives in a security key: the name of an application follows */
} ssh_key_rows[] = {
	{"ssh-ed25519", SSH_KEY_ED25519, 256, NULL, false},
	{"ecdsa-sha2-nistp256", SSH_KEY_ECDSA, 256, "nistp256", false},
	{"ecdsa-sha2-nistp384", SSH_KEY_ECDSA, 384, "nistp384", false},
	{"ecdsa-sha2-nistp521", SSH_KEY_ECDSA, 521, "nistp521", false},
	{"ssh-rsa", SSH_KEY_RSA, 0, NULL, false},
	{"sk-ssh-ed25519@openssh.com", SSH_KEY_ED25519, 256, NULL, true},
	{"sk-ecdsa-sha2-nistp256@openssh.com", SSH_KEY_ECDSA, 256, "nistp256", true},
};

static int ssh_key_refuse(const char **why, const char *reason)
{
	if (why != NULL)
		*why = reason;
	return ERR_INVAL;
}

/* ---- the blob ---- */

/* A positive number in its only form: no needless zero in front. Sets how many bits it has. */
static bool ssh_key_mpint(struct str *blob, unsigned *bits)
{
	struct str s;
	uint8_t top;

	if (!ssh_blob_string(blob, &s) || s.len == 0 || (s.p[0] & 0x80) != 0)
		return false;
	if (s.p[0] == 0) {
		if (s.len == 1 || (s.p[1] & 0x80) == 0)
			return false;
		s = (struct str){s.p + 1, s.len - 1};
	}
	*bits = (unsigned)(s.len - 1) * 8;
	for (top = (uint8_t)s.p[0]; top != 0; top >>= 1)
		++*bits;
	return true;
}

static int ssh_key_rsa(struct str *blob, unsigned *bits, const char **why)
{
	unsigned exponent;

	if (!ssh_key_mpint(blob, &exponent) || exponent < 2 || !ssh_key_mpint(blob, bits))
		return ssh_key_refuse(why, "the key is damaged: its numbers are malformed");
	if (*bits < SSH_KEY_RSA_BITS_MIN)
		return ssh_key_refuse(why, "this RSA key is too short: it must have at least 2048 "
					   "bits; make a new one with ssh-keygen -t ed25519");
	if (*bits > SSH_KEY_RSA_BITS_MAX)
		return ssh_key_refuse(why, "this RSA key has more than 16384 bits");
	return 0;
}

/* The point of a curve, uncompressed: 4, x, y. Source: RFC 5656 3.1, SEC 1 2.3.3. */
static bool ssh_key_point(struct str *blob, const struct ssh_key_row *row)
{
	struct str curve, point;

	return ssh_blob_string(blob, &curve) && str_eq(curve, str_of(row->curve)) &&
	       ssh_blob_string(blob, &point) && point.len == 1 + 2 * ((row->bits + 7) / 8) &&
	       point.p[0] == 4;
}

static bool ssh_key_ed25519(struct str *blob)
{
	struct str point;

	return ssh_blob_string(blob, &point) && point.len == 32;
}

/* Everything behind the type. */
static int ssh_key_body(struct str blob, const struct ssh_key_row *row, struct ssh_key *out,
			const char **why)
{
	struct str application;
	bool ok = true;
	int e;

	out->bits = row->bits;
	switch (row->shape) {
	case SSH_KEY_RSA:
		if ((e = ssh_key_rsa(&blob, &out->bits, why)) != 0)
			return e;
		break;
	case SSH_KEY_ECDSA: ok = ssh_key_point(&blob, row); break;
	case SSH_KEY_ED25519: ok = ssh_key_ed25519(&blob); break;
	}
	if (ok && row->sk)
		ok = ssh_blob_string(&blob, &application) && application.len > 0;
	if (!ok || blob.len > 0)
		return ssh_key_refuse(why,
				      "the key is damaged: its length is not that of its type");
	return 0;
}

/* ---- the line ---- */

/* Does the text hold these words, anywhere near its start? */
static bool ssh_key_mentions(struct str text, const char *words)
{
	return text.p != NULL && memmem(text.p, MIN(text.len, 512), words, strlen(words)) != NULL;
}

static bool ssh_key_begins(struct str text, const char *words)
{
	return str_starts(text, str_of(words));
}

/* What is not one line of OpenSSH's form, and how to get there. */
static int ssh_key_check_form(struct str text, const char **why)
{
	if (text.len == 0)
		return ssh_key_refuse(why, "there is no key");
	if (ssh_key_begins(text, "PuTTY-User-Key-File"))
		return ssh_key_refuse(why, "this is a private key of PuTTY; open it in PuTTYgen "
					   "and upload what it shows as \"Public key for pasting "
					   "into OpenSSH authorized_keys file\"");
	if (ssh_key_mentions(text, "PRIVATE KEY-----") ||
	    ssh_key_mentions(text, "SSH PRIVATE KEY FILE FORMAT") ||
	    ssh_key_mentions(text, "SSH2 ENCRYPTED PRIVATE KEY"))
		return ssh_key_refuse(why, "this is a private key; upload the .pub file");
	if (ssh_key_begins(text, "---- BEGIN SSH2 PUBLIC KEY"))
		return ssh_key_refuse(why, "this is a public key in the form of ssh.com (and "
					   "PuTTY); convert it with ssh-keygen -i -f FILE");
	if (ssh_key_begins(text, "-----BEGIN"))
		return ssh_key_refuse(why, "this is a key or certificate in PEM form; convert a "
					   "public key with ssh-keygen -i -m PKCS8 -f FILE");
	if (memchr(text.p, '\n', text.len) != NULL || memchr(text.p, '\r', text.len) != NULL)
		return ssh_key_refuse(why, "there is more than one line; upload one key at a time");
	if (text.len > SSH_KEY_INPUT_MAX)
		return ssh_key_refuse(why, "the line is longer than a key can be");
	return 0;
}

static const struct ssh_key_row *ssh_key_row_of(struct str type)
{
	for (size_t i = 0; i < ARRAY_LEN(ssh_key_rows); i++)
		if (str_eq(type, str_of(ssh_key_rows[i].type)))
			return &ssh_key_rows[i];
	return NULL;
}

/* Take the next word, and the space behind it. */
static struct str ssh_key_word(struct str *rest)
{
	struct str word = {rest->p, 0};

	while (word.len < rest->len && rest->p[word.len] != ' ' && rest->p[word.len] != '\t')
		word.len++;
	*rest = str_trim((struct str){rest->p + word.len, rest->len - word.len});
	return word;
}

/* The first word is no type that we take: what is it? */
static int ssh_key_no_type(struct str word, struct str rest, const char **why)
{
	if (str_eq(word, STR("ssh-dss")))
		return ssh_key_refuse(why, "DSA keys (ssh-dss) are not safe any more; make a new "
					   "one with ssh-keygen -t ed25519");
	if (str_ends_nocase(word, STR("-cert-v01@openssh.com")))
		return ssh_key_refuse(why, "this is a certificate; upload the key's own .pub file");
	if (word.p[0] == '#')
		return ssh_key_refuse(why, "this line is a comment, not a key");
	while (rest.len > 0)
		if (ssh_key_row_of(ssh_key_word(&rest)) != NULL)
			return ssh_key_refuse(why, "something stands in front of the key; remove "
						   "options such as command=\"...\"");
	if (ssh_key_begins(word, "AAAA"))
		return ssh_key_refuse(why, "the type in front of the key is missing, as in "
					   "\"ssh-ed25519 AAAA...\"");
	return ssh_key_refuse(why,
			      "this type of key is not known; ssh-ed25519, ecdsa-sha2-nistp256, "
			      "ssh-rsa and their like are");
}

/* Keep what can be shown to anybody: printable ASCII. */
static void ssh_key_set_comment(struct ssh_key *out, struct str comment)
{
	size_t n = MIN(comment.len, sizeof out->comment - 1);

	for (size_t i = 0; i < n; i++) {
		char c = comment.p[i];

		out->comment[i] = c == '\t' ? ' ' : c >= ' ' && c < 0x7f ? c : '?';
	}
	while (n > 0 && out->comment[n - 1] == ' ')
		n--;
	out->comment[n] = '\0';
}

static void ssh_key_write(struct ssh_key *out)
{
	size_t n = str_printf(out->line, sizeof out->line, "%s ", out->type);

	n += base64_encode(BASE64, out->blob, out->blob_len, out->line + n);
	if (out->comment[0] != '\0')
		str_printf(out->line + n, sizeof out->line - n, " %s", out->comment);
}

static int ssh_key_read(struct str text, struct ssh_key *out, const char **why)
{
	struct str rest = text, type = ssh_key_word(&rest), base64, blob, inner;
	const struct ssh_key_row *row = ssh_key_row_of(type);
	int e;

	if (row == NULL)
		return ssh_key_no_type(type, rest, why);
	base64 = ssh_key_word(&rest);
	if (base64.len == 0)
		return ssh_key_refuse(why, "the key itself is missing behind its type");
	e = base64_decode(base64, out->blob, sizeof out->blob, &out->blob_len);
	if (e == ERR_TOOBIG)
		return ssh_key_refuse(why, "the key is longer than any that is taken here");
	if (e != 0)
		return ssh_key_refuse(why, "the key is damaged: it is not base64; was it cut, or "
					   "broken by a line end?");
	blob = (struct str){(const char *)out->blob, out->blob_len};
	if (!ssh_blob_string(&blob, &inner))
		return ssh_key_refuse(why,
				      "the key is damaged: its length is not that of its type");
	if (!str_eq(inner, type))
		return ssh_key_refuse(why, "the key is damaged: it is of another type than the "
					   "line says");
	if ((e = ssh_key_body(blob, row, out, why)) != 0)
		return e;
	ssh_key_set_comment(out, rest);
	return str_copy(out->type, sizeof out->type, type);
}

int ssh_key_parse(struct str text, struct ssh_key *out, const char **why)
{
	struct ssh_key key = {0};
	int e;

	while (text.len > 0 && strchr(" \t\r\n", text.p[0]) != NULL && text.p[0] != '\0')
		text = (struct str){text.p + 1, text.len - 1};
	while (text.len > 0 && text.p[text.len - 1] != '\0' &&
	       strchr(" \t\r\n", text.p[text.len - 1]) != NULL)
		text.len--;
	if ((e = ssh_key_check_form(text, why)) != 0 || (e = ssh_key_read(text, &key, why)) != 0)
		return e;
	ssh_key_write(&key);
	*out = key;
	return 0;
}
